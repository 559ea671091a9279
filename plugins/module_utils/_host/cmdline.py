# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for a host's kernel command line: whose argument is which in every boot entry, and what a reboot brings.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.boot_entries import (
    RECORD,
    Bootloader,
    Entry,
    Exchange,
    Steps,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.finding import find_bootloader
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import FileChange, Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.kernel_arguments import (
    DEFAULT_PAGE,
    SYSTEMS_OWN,
    conflicts,
    families,
    key_of,
    lacking,
    problems_of,
    split,
    with_ours,
    without,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.record import read_record, record_changes
from ansible_collections.rtvirt.core.plugins.module_utils._host.tuned import (
    active_profile,
    boot_arguments,
)

__all__ = ["CmdlinePlan", "apply_cmdline", "has_owners", "plan_cmdline", "running_arguments"]


@dataclass(frozen=True)
class CmdlinePlan:
    """What brings a host's boot entries to what is declared.

    :ivar entries: as they are.
    :ivar lines: each entry's arguments as they will be.
    :ivar record: what our record will say.
    :ivar recorded: the change that makes it say so.
    :ivar wanted: what the owners declare.
    :ivar of_tuned: what TuneD has on the line beside them.
    :ivar running: the command line of the kernel that runs.
    """

    bootloader: Bootloader
    exchange: Exchange
    entries: tuple[Entry, ...]
    lines: tuple[tuple[str, ...], ...]
    steps: Steps
    record: dict[str, t.Any]
    recorded: tuple[FileChange, ...]
    wanted: tuple[str, ...]
    of_tuned: tuple[str, ...]
    running: tuple[str, ...]

    @property
    def is_stale(self) -> bool:
        """Whether the boot loader's entries are not what they are to be."""
        return any(families(entry.arguments) != families(line) for entry, line in zip(self.entries, self.lines))

    @property
    def changed(self) -> bool:
        return self.is_stale or bool(self.steps.files or self.recorded)

    @property
    def missing(self) -> list[str]:
        """What is declared and does not run yet."""
        return lacking(self.running, self.wanted)

    @property
    def leftover(self) -> list[str]:
        """What runs and is in no boot entry any more."""
        configured = {*self.of_tuned, *(argument for line in self.lines for argument in line)}
        return [one for one in self.running if one not in configured and not SYSTEMS_OWN.match(one)]

    @property
    def reboot_required(self) -> bool:
        return bool(lacking(self.running, self.exchange.after) or self.leftover)


def has_owners(host: Host) -> bool:
    """Whether anything of ours is in the boot entries, or a run that was to change that was cut off."""
    return bool(read_record(host, RECORD))


def running_arguments(host: Host) -> list[str]:
    return split(host.word("/proc/cmdline"))


def plan_cmdline(
    host: Host,
    declared: t.Mapping[str, t.Sequence[str]],
    places: t.Mapping[str, str],
    *,
    exact: str | None = None,
    of_tuned: t.Sequence[str] | None = None,
) -> CmdlinePlan:
    """Plan what owners declare; their arguments of before that are not among them go.

    :arg declared: owner -> the whole of it, in order; nothing to have nothing any more.
    :arg places: owner -> the option where the user finds that.
    :arg exact: the owner whose arguments shall be the only ones.
    :arg of_tuned: what TuneD will want, where that is about to change.
    :raises DeclarationError: for arguments that are none, or that somebody else has set otherwise.
    :raises RtvirtError: for a boot loader that is not known here.
    """
    problems = [one for owner, wanted in declared.items() for one in problems_of(wanted, places[owner])]
    if problems:
        raise DeclarationError(problems)
    record = read_record(host, RECORD)
    given = {owner: list(arguments) for owner, arguments in declared.items()}
    owners: dict[str, list[str]] = dict(sorted({**record.get("owners", {}), **given}.items()))
    exact_for = exact or (record.get("exact") if record.get("exact") not in declared else None)
    replaced = tuple(record.get("replaced", ()))
    tuned = boot_arguments(host) if of_tuned is None else of_tuned
    page = _default_page(host)
    problems = [one for owner in given for one in _clashes_of_owners(host, owners, owner, places[owner], tuned, page)]
    if problems:
        raise DeclarationError(problems)
    bootloader = find_bootloader(host)
    entries = bootloader.entries()
    after = tuple(with_ours((), (argument for arguments in owners.values() for argument in arguments)))
    before = tuple(record.get("written", ()))
    if exact_for:
        exchange = Exchange(before, after, exact=True)
        others = (one for one in without(entries[0].arguments, before) if not SYSTEMS_OWN.match(one))
        replaced = replaced or tuple(others)
    else:
        exchange = Exchange(before, after, restored=replaced)
        replaced = ()
        # TuneD's have been told by its name.
        theirs = {entry.title: without(exchange.others(entry.arguments), boot_arguments(host)) for entry in entries}
        problems = [one for owner in given for one in _clashes_of_entries(theirs, given[owner], places[owner], page)]
        if problems:
            raise DeclarationError(problems)
    kept = {
        "owners": {name: arguments for name, arguments in owners.items() if arguments},
        "written": exchange.ours(entries[0].arguments),
        "exact": exact_for,
        "replaced": list(replaced),
    }
    return CmdlinePlan(
        bootloader=bootloader,
        exchange=exchange,
        entries=tuple(entries),
        lines=tuple(tuple(exchange.of(entry.arguments)) for entry in entries),
        steps=bootloader.steps(entries, exchange),
        record=kept,
        recorded=record_changes(host, RECORD, kept),
        wanted=tuple(argument for arguments in given.values() for argument in arguments),
        of_tuned=tuple(tuned),
        running=tuple(running_arguments(host)),
    )


def _default_page(host: Host) -> str:
    """The size of huge pages where no argument says it: the kernel's own, 512M on arm64 with pages of 64 KiB."""
    said = any(key_of(argument) == "default_hugepagesz" for argument in running_arguments(host))
    size = re.search(r"^Hugepagesize:\s*(\d+) kB", host.read("/proc/meminfo") or "", re.MULTILINE)
    return DEFAULT_PAGE if said or size is None else f"{int(size[1]) // 1024}M"


def _clashes_of_owners(
    host: Host, owners: t.Mapping[str, list[str]], owner: str, place: str, of_tuned: t.Sequence[str], page: str
) -> list[Problem]:
    """What another owner of ours, or TuneD, sets otherwise."""
    wanted = owners[owner]
    tuned = f"TuneD ({active_profile(host) or 'its profile'})"
    clashes = [
        (argument, f"owner {name!r} has set {theirs!r}")
        for name, arguments in owners.items()
        if name != owner
        for argument, theirs in conflicts(arguments, wanted, page)
    ] + [(argument, f"{tuned} sets {theirs!r}") for argument, theirs in conflicts(of_tuned, wanted, page)]
    return [
        Problem(f"{place}[{wanted.index(argument)}]", f"{argument!r}: {theirs}: let one of them set it")
        for argument, theirs in clashes
    ]


def _clashes_of_entries(theirs: dict[str, list[str]], wanted: t.Sequence[str], place: str, page: str) -> list[Problem]:
    """What stands otherwise in an entry (title -> arguments that are not ours)."""
    problems = {}
    # The same mistake is in each entry.
    for title, line in reversed(theirs.items()):
        for argument, other in conflicts(line, wanted, page):
            path = f"{place}[{list(wanted).index(argument)}]"
            message = f"{argument!r}: {other!r} is there already, and was not set here: remove that, or have"
            problems[path] = Problem(path, f"{message} kernel_cmdline replace it, state: exact (boot entry {title!r})")
    return list(problems.values())


def apply_cmdline(host: Host, plan: CmdlinePlan) -> None:
    """Write, have the boot loader's tool do its part, and read every entry again.

    :raises RtvirtError: where the tool fails, or an entry is not what it was to be.
    """
    if plan.is_stale or plan.steps.files:
        # A run that is cut off leaves a record of all that may be ours: what was, and what was to be.
        before, after = list(plan.exchange.before), plan.record["written"]
        _record(host, {**plan.record, "written": [*before, *lacking(before, after)]})
        host.apply(plan.steps.files)
    if plan.is_stale:
        plan.bootloader.bring_in(plan.steps)
        host.settle("/boot")
        _check_entries(plan)
    _record(host, plan.record)


def _record(host: Host, record: t.Mapping[str, t.Any]) -> None:
    host.apply(record_changes(host, RECORD, record))


def _check_entries(plan: CmdlinePlan) -> None:
    found = {entry.title: entry.arguments for entry in plan.bootloader.entries()}
    for entry, line in zip(plan.entries, plan.lines):
        arguments = found.get(entry.title, ())
        if families(arguments) != families(line):
            wrong = [f"lacks {one}" for one in lacking(arguments, line)] + [
                f"has {one}" for one in lacking(line, arguments)
            ]
            told = ", ".join(wrong) or f"has another order: {' '.join(arguments)}"
            raise RtvirtError(f"{plan.bootloader.name} has done something else: {entry.title!r} {told}")
