# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd's units for huge pages: pools on nodes where the kernel's command line knows none, and a mount for each size.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: ``systemd.mount(5)`` (a unit is named by its path) and ``dev-hugepages.mount``, which is systemd's own and
mounts the default size.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._host.host import FileChange, Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.hugepages import CountChange, Wanted, format_size

__all__ = ["apply_units", "has_systemd", "unit_changes"]

_FOLDER = "/etc/systemd/system"
_HEAD = "# Written by rtvirt.core.hugepages, which also removes it (state: absent).\n"
_SERVICE = "rtvirt-hugepages.service"


def has_systemd(host: Host) -> bool:
    return host.exists("/run/systemd/system")


def unit_changes(host: Host, allocated: t.Sequence[Wanted], mounted: t.Iterable[int]) -> tuple[FileChange, ...]:
    """What makes the units those that are wanted; units of ours that are wanted no more go.

    :arg allocated: pools that a unit is to make at boot.
    :arg mounted: sizes in KiB that are to have a mount.
    """
    units = {_mount_name(size): _mount(size) for size in mounted if not _is_mounted(host, size)}
    if allocated:
        units[_SERVICE] = _service(allocated)
    for name in host.names(_FOLDER):
        ours = (
            (host.read(f"{_FOLDER}/{name}") or "").startswith(_HEAD) if name.endswith((".mount", ".service")) else False
        )
        if ours:
            units.setdefault(name, "")
    changes = (host.changes(f"{_FOLDER}/{name}", text or None) for name, text in sorted(units.items()))
    return tuple(change for found in changes for change in found)


def apply_units(host: Host, changes: t.Sequence[FileChange]) -> None:
    """Write and remove units, and have systemd start, enable and forget them."""
    if not changes:
        return
    gone = [change.path.rpartition("/")[2] for change in changes if change.after is None]
    new = [change.path.rpartition("/")[2] for change in changes if change.after is not None]
    if gone:
        host.must_run("systemctl", "disable", "--now", *gone)
    host.apply(changes)
    host.must_run("systemctl", "daemon-reload")
    if new:
        host.must_run("systemctl", "enable", "--now", *new)


def _mount_name(size: int) -> str:
    return f"dev-hugepages{format_size(size)}.mount"


def _is_mounted(host: Host, size: int) -> bool:
    """Whether somebody else mounts a size already: the default one, most often."""
    if (host.read(f"{_FOLDER}/{_mount_name(size)}") or "").startswith(_HEAD):
        return False
    default = re.search(r"Hugepagesize:\s+(\d+) kB", host.read("/proc/meminfo") or "")
    found = False
    for line in (host.read("/proc/mounts") or "").splitlines():
        _device, _path, kind, options, *_rest = line.split()
        if kind != "hugetlbfs":
            continue
        given = re.search(r"pagesize=(\d+)([KMG])", options)
        if given:
            found = found or int(given[1]) * {"K": 1, "M": 1024, "G": 1024 * 1024}[given[2]] == size
        else:
            found = found or (default is not None and int(default[1]) == size)
    return found


def _mount(size: int) -> str:
    text = format_size(size)
    return (
        f"{_HEAD}[Unit]\nDescription=Huge pages of {text}\nDefaultDependencies=no\nBefore=sysinit.target\n"
        "ConditionPathExists=/sys/kernel/mm/hugepages\n\n"
        f"[Mount]\nWhat=hugetlbfs\nWhere=/dev/hugepages{text}\nType=hugetlbfs\nOptions=pagesize={text},mode=1770\n\n"
        "[Install]\nWantedBy=sysinit.target\n"
    )


def _service(allocated: t.Sequence[Wanted]) -> str:
    lines = [
        f"ExecStart=/bin/sh -c 'echo {one.count} > {CountChange(one.size, one.node, 0, one.count).path}'"
        for one in allocated
    ]
    return (
        f"{_HEAD}[Unit]\nDescription=Huge pages on NUMA nodes\nDefaultDependencies=no\nBefore=sysinit.target\n\n"
        "[Service]\nType=oneshot\nRemainAfterExit=yes\n" + "\n".join(lines) + "\n\n[Install]\nWantedBy=sysinit.target\n"
    )
