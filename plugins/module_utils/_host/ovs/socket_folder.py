# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of vhost-user sockets, in which QEMU makes them and Open vSwitch looks for them.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import FileChange, Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.record import read_record, record_changes

__all__ = ["FolderPlan", "apply_folder", "plan_folder", "plan_no_folder"]

_RECORD = "vhost_sockets"

#: Users that distributions have for libvirt's QEMU: Debian and Ubuntu; Fedora, RHEL and SUSE.
_QEMU_USERS = ("libvirt-qemu", "qemu")
_MODE = re.compile(r"^0?[0-7]{3,4}$")


@dataclass(frozen=True)
class FolderPlan:
    """:ivar wanted: (owner's number, group's number, mode) of the folder, None for one that goes or is left alone.
    :ivar now: as it is, None where there is none.
    :ivar goes: folders of ours that nobody needs any more.
    """

    path: str
    wanted: tuple[int, int, int] | None
    now: tuple[int, int, int] | None
    goes: tuple[str, ...]
    recorded: tuple[FileChange, ...]

    @property
    def changed(self) -> bool:
        return self.wanted != self.now if self.wanted is not None else bool(self.goes or self.recorded)

    def __str__(self) -> str:
        return "" if self.wanted is None else f"{self.path} {self.wanted[0]}:{self.wanted[1]} {self.wanted[2]:04o}"


def plan_folder(host: Host, path: str, *, owner: str | None, group: str | None, mode: t.Any) -> FolderPlan:
    """:arg mode: octal digits, or the number that YAML makes of 0755.
    :arg owner: a name or number, as ``group``; None for QEMU's where the folder is new or ours, else as it is.
    :raises DeclarationError: for users and modes that are none.
    """
    now = host.owner_of(path)
    problems: list[Problem] = []
    ours = _ours(host)
    numbers = []
    for option, given, file, index in (("socket_owner", owner, "passwd", 0), ("socket_group", group, "group", 1)):
        if given is None and now is not None and path not in ours:
            numbers.append(now[index])
        else:
            name = _qemu(host, file) if given is None else given
            number = _number(host, name, file)
            if number is None:
                problems.append(Problem(option, f"{name!r} is not known on this host: write one of /etc/{file}"))
            numbers.append(number or 0)
    mode = f"{mode:o}" if isinstance(mode, int) and not isinstance(mode, bool) else mode
    if mode is not None and not _MODE.fullmatch(str(mode)):
        problems.append(Problem("socket_mode", f"{mode!r} is no mode: write octal digits in quotes, such as '0755'"))
    if problems:
        raise DeclarationError(problems)
    bits = int(mode, 8) if mode is not None else now[2] if now is not None else 0o755
    # One that socket_folder was before may have sockets in it still: it goes with the last of ours.
    record = {"folders": [*ours, path] if now is None and path not in ours else ours}
    return FolderPlan(path, (numbers[0], numbers[1], bits), now, (), record_changes(host, _RECORD, record))


def plan_no_folder(host: Host) -> FolderPlan:
    """The folders that we have made go, where nothing is in them."""
    ours = _ours(host)
    goes = [path for path in ours if not host.names(path)]
    kept = {"folders": [path for path in ours if path not in goes]}
    return FolderPlan("", None, None, tuple(goes), record_changes(host, _RECORD, kept))


def apply_folder(host: Host, plan: FolderPlan) -> None:
    if plan.wanted is not None:
        host.apply(plan.recorded)
        host.make_folder(plan.path, *plan.wanted)
    else:
        for path in plan.goes:
            host.remove_folder(path)
        host.apply(plan.recorded)


def _ours(host: Host) -> list[str]:
    return list(read_record(host, _RECORD).get("folders") or [])


def _qemu(host: Host, file: str) -> str:
    """The user or group that libvirt runs QEMU as."""
    key = "user" if file == "passwd" else "group"
    said = re.search(rf'^\s*{key}\s*=\s*"\+?([^"]+)"', host.read("/etc/libvirt/qemu.conf") or "", re.MULTILINE)
    if said:
        return said[1]
    known = {line.partition(":")[0]: line.split(":") for line in (host.read("/etc/passwd") or "").splitlines()}
    user = next((known[name] for name in _QEMU_USERS if name in known), None)
    if user is None:
        return "root"
    return user[0] if file == "passwd" else user[3]


def _number(host: Host, name: str, file: str) -> int | None:
    if name.isdigit():
        return int(name)
    lines = (line.split(":") for line in (host.read(f"/etc/{file}") or "").splitlines())
    return next((int(line[2]) for line in lines if line[0] == name), None)
