# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel command lines: their arguments, whose they are, and a line with ours exchanged. Pure.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: Linux ``Documentation/admin-guide/kernel-parameters.rst`` (dashes and underscores of a name are the same; what
follows ``--`` goes to init) and ``lib/cmdline.c`` (double quotes hold spaces together).
"""

from __future__ import annotations

import fnmatch
import re
import typing as t
from collections import Counter

from ansible_collections.rtvirt.core.plugins.module_utils._errors import Problem

__all__ = [
    "DEFAULT_PAGE",
    "MOUNTING",
    "SYSTEMS_OWN",
    "conflicts",
    "families",
    "key_of",
    "lacking",
    "problems_of",
    "split",
    "with_ours",
    "without",
]

#: Names of arguments by which the initial RAM disk finds the root and wakes the machine up; an installer may have
#: written them. Those with a star are families.
#: Source: dracut.cmdline(7), systemd-cryptsetup-generator(8), initramfs-tools(7).
MOUNTING = (
    *("root", "rootflags", "rootfstype", "resume", "resume_offset", "boot"),
    *("cryptopts", "luks.*", "rd.luks.*", "rd.lvm.*", "rd.md.*", "rd.dm.*"),
    *("ip", "netroot", "nfsroot", "rd.neednet", "rd.iscsi.*"),
)

_BOOT_LOADERS = ("BOOT_IMAGE", "initrd", "ostree", "vt.handoff")

#: Arguments that are the system's: :data:`MOUNTING`, and those that the boot loader or its tools put on each line.
SYSTEMS_OWN = re.compile(
    "|".join(
        fnmatch.translate(pattern) for pattern in (*(f"{name}=*" for name in (*MOUNTING, *_BOOT_LOADERS)), "ro", "rw")
    )
)

#: Arguments that count for what comes after them, and so are never split up.
_PAIRED = frozenset(("hugepages", "hugepagesz"))

#: Arguments of which a line may have several, each with a meaning of its own. Of all others the kernel takes the last,
#: or complains.
_REPEATED = frozenset(
    (
        "acpi_osi",
        "console",
        "dyndbg",
        "earlycon",
        "hugepages",
        "hugepagesz",
        "initcall_blacklist",
        "initrd",
        "ip",
        "memmap",
        "modprobe.blacklist",
        "module_blacklist",
        "rd.driver.blacklist",
        "rd.lvm.lv",
        "rd.luks.uuid",
        "systemd.mask",
        "systemd.setenv",
        "systemd.wants",
        "video",
    )
)

#: Of huge pages where nothing says another, on x86 and on arm64 with pages of 4 KiB.
DEFAULT_PAGE = "2M"

_TOKEN = re.compile(r'(?:[^\s"]|"[^"]*"?)+')

#: What GRUB's configuration, its shell or grubby would take for something else than text.
_SPECIAL = re.compile(r"[\s\"'`$\\;&|<>(){}#]")


def split(line: str) -> list[str]:
    """The arguments of a command line, as they stand there; without what is init's."""
    tokens = _TOKEN.findall(line)
    return tokens[: tokens.index("--")] if "--" in tokens else tokens


def key_of(argument: str) -> str:
    """The name of an argument, by which two of them are the same: ``rcu_nocbs``, ``kvm_intel.nested``."""
    return argument.partition("=")[0].replace("-", "_")


def families(line: t.Iterable[str]) -> dict[str, list[str]]:
    """A line by what must stay in order: arguments of one name, and those of huge pages among each other.

    Two lines mean the same where these are equal.
    """
    found: dict[str, list[str]] = {}
    for argument in line:
        key = key_of(argument)
        found.setdefault("hugepages" if key in _PAIRED else key, []).append(argument)
    return found


def problems_of(arguments: t.Sequence[str], place: str = "args") -> list[Problem]:
    """What is wrong with declared arguments; ``place[N]`` is where."""
    problems = []
    seen: dict[str, str] = {}
    for index, argument in enumerate(arguments):
        path, key = f"{place}[{index}]", key_of(argument)
        if not argument.strip():
            problems.append(Problem(path, "is empty: leave it out"))
        elif argument in ("None", "True", "False"):
            problems.append(Problem(path, f"{argument!r} is what YAML makes of no text: write the argument in quotes"))
        elif argument == "--" or argument.startswith(("=", "-")):
            problems.append(Problem(path, f"{argument!r} names no parameter: write name or name=value"))
        elif re.search(r"\s", argument):
            problems.append(Problem(path, f"{argument!r} has a space: write each argument as an item of its own"))
        elif _SPECIAL.search(argument):
            what = " ".join(sorted(set(_SPECIAL.findall(argument))))
            problems.append(Problem(path, f"{argument!r} has {what}, which boot loaders take for their own syntax"))
        elif key in seen and key not in _REPEATED:
            problems.append(Problem(path, f"{argument!r} comes after {seen[key]!r}: the kernel takes one {key}"))
        elif argument in arguments[:index] and key != "hugepages":
            problems.append(Problem(path, f"{argument!r} is there twice: leave one out"))
        seen.setdefault(key, argument)
    return problems


def without(line: t.Sequence[str], gone: t.Iterable[str]) -> list[str]:
    """A line without some arguments: each takes away one that is equal, the last."""
    rest = list(reversed(line))
    for argument in gone:
        if argument in rest:
            rest.remove(argument)
    return rest[::-1]


def with_ours(others: t.Sequence[str], wanted: t.Iterable[str]) -> list[str]:
    """A line of others and ours at its end. What is there already need not be there twice."""
    line = list(others)
    for argument in wanted:
        if key_of(argument) in _PAIRED or argument not in line:
            line.append(argument)
    return line


def conflicts(others: t.Iterable[str], wanted: t.Iterable[str], page: str = DEFAULT_PAGE) -> list[tuple[str, str]]:
    """(wanted, theirs): arguments that others have set otherwise, of which the kernel takes one.

    :arg page: the size of huge pages where no line names one.
    """
    others, wanted = list(others), list(wanted)
    theirs: dict[str, list[str]] = {}
    for argument in others:
        theirs.setdefault(key_of(argument), []).append(argument)
    sizes = [line for line in (*others, *wanted) if key_of(line) == "default_hugepagesz"]
    default = sizes[-1].partition("=")[2] if sizes else page
    their_pools = _pools(others, default)
    return [
        (argument, their_pools[size])
        for size, argument in _pools(wanted, default).items()
        if their_pools.get(size, argument) != argument
    ] + [
        (argument, other)
        for argument in wanted
        if key_of(argument) not in _REPEATED
        for other in theirs.get(key_of(argument), ())
        if other != argument
    ]


def _pools(line: t.Iterable[str], default: str) -> dict[str, str]:
    """Size of pages -> the argument that has their count. One before any size is for pages of the default size."""
    pools, size = {}, default
    for argument in line:
        key, _equals, value = argument.partition("=")
        if key == "hugepagesz":
            size = value
        elif key == "hugepages":
            pools[size.upper()] = argument
    return pools


def lacking(line: t.Iterable[str], wanted: t.Iterable[str]) -> list[str]:
    """The wanted arguments that a line has not, or not often enough."""
    missing = Counter(wanted) - Counter(line)
    return list(missing.elements())
