# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""grubby, of Red Hat Enterprise Linux, Fedora and their like.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: ``grubby-bls``. With ``--update-kernel=ALL`` it changes every entry and what new kernels are made by
(``/etc/default/grub``, grubenv, ``/etc/kernel/cmdline``); with anything less new kernels lose the arguments. It takes
away all arguments of the name of each one that it adds, so all of a name go there in one call. What it is to remove is
a regular expression. Its status says little: what counts is what is read afterwards.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.bls import grub_variables
from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.boot_entries import Entry, Exchange, Steps
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import FileChange, Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.kernel_arguments import families, split

__all__ = ["Grubby"]

#: What kernel-install makes the entries of new kernels of. Where there is none, grubby makes it of an entry.
_FILE = "/etc/kernel/cmdline"

_FIELD = re.compile(r'^(?P<name>\w+)="?(?P<value>.*?)"?$')


class Grubby:
    name = "grubby"

    def __init__(self, host: Host) -> None:
        self._host = host

    @staticmethod
    def is_there(host: Host) -> bool:
        return host.has_tool("grubby")

    def entries(self) -> list[Entry]:
        found: list[Entry] = []
        arguments: tuple[str, ...] = ()
        kernel = ""
        for line in self._host.must_run("grubby", "--info=ALL").splitlines():
            field = _FIELD.match(line.strip())
            if field is None:
                continue
            if field["name"] == "kernel":
                kernel = field["value"]
            elif field["name"] == "args":
                arguments = tuple(split(field["value"]))
            elif field["name"] == "title" and "-rescue-" not in kernel:
                found.append(Entry(field["value"], arguments))
        if not found:
            raise RtvirtError("grubby --info=ALL tells of no kernel: does this host boot by GRUB?")
        kernelopts = grub_variables(self._host).get("kernelopts")
        made_of = {_FILE: self._host.read(_FILE), "kernelopts of grubenv": kernelopts}
        return found + [Entry(name, tuple(split(text))) for name, text in made_of.items() if text]

    def steps(self, entries: t.Sequence[Entry], exchange: Exchange) -> Steps:
        # What grubby adds takes away all of its name. So a family that differs goes as a whole and comes anew.
        before = [families(entry.arguments) for entry in entries]
        after = [families(exchange.of(entry.arguments)) for entry in entries]
        pairs = list(zip(before, after))
        changed = {name: None for old, new in pairs for name in {**old, **new} if old.get(name) != new.get(name)}
        added = [[argument for name in new if name in changed for argument in new[name]] for new in after]
        for entry, adds in zip(entries, added):
            if adds != added[0]:
                raise RtvirtError(
                    f"grubby changes all boot entries alike, and {entry.title!r} is to have other arguments than"
                    f" {entries[0].title!r}: {' '.join(adds)} and {' '.join(added[0])}; make them alike first"
                )
        gone = [name for name in changed if name not in after[0]]
        removed = [one for name in gone for one in _removing([line.get(name, []) for line in before])]
        options = {"--remove-args": " ".join(removed), "--args": " ".join(added[0])}
        given = [f"{option}={value}" for option, value in options.items() if value]
        files: list[FileChange] = []
        for entry, (old, new) in zip(entries, pairs):
            if entry.title == _FILE and old != new:
                # An older grubby does not know of it.
                files += self._host.changes(_FILE, " ".join(exchange.of(entry.arguments)) + "\n")
        return Steps(tuple(files), ("grubby", "--update-kernel=ALL", *given))

    def bring_in(self, steps: Steps) -> None:
        self._host.must_run(*steps.command)

    def default_kernel(self) -> str | None:
        return self._host.must_run("grubby", "--default-kernel").strip().rpartition("/vmlinuz-")[2] or None

    def default_steps(self, release: str) -> Steps:
        return Steps((), ("grubby", f"--set-default=/boot/vmlinuz-{release}"))

    def restored_steps(self, release: str | None) -> Steps:
        if release is None:
            raise RtvirtError("grubby always has a kernel that boots: name one")
        return self.default_steps(release)


def _removing(lines: t.Sequence[t.Sequence[str]]) -> list[str]:
    """What has grubby remove all of one family from each line.

    By value it removes the first one alone. By name it leaves every second of neighbours, so a name is there as often
    as its arguments are.
    """
    longest = max(lines, key=len)
    if len(longest) > 1:
        return [re.escape(argument.partition("=")[0]) for argument in longest]
    return [re.escape(argument) for argument in dict.fromkeys(argument for line in lines for argument in line)]
