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

from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.hugepages import (
    CountChange,
    Wanted,
    format_size,
    parse_size,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.record import read_record, signed
from ansible_collections.rtvirt.core.plugins.module_utils._host.settings import (
    Settings,
    SettingsPlan,
    apply_settings,
    plan_settings,
)

__all__ = ["apply_units", "plan_units"]

_RECORD = "hugepages_units"
_FOLDER = "/etc/systemd/system"
_SERVICE = f"{_FOLDER}/rtvirt-hugepages.service"


def plan_units(host: Host, allocated: t.Sequence[Wanted], mounted: t.Iterable[int]) -> SettingsPlan:
    """What makes the units those that are wanted; units of ours that are wanted no more go.

    :arg allocated: pools that a unit is to make at boot.
    :arg mounted: sizes in KiB that are to have a mount.
    """
    ours = read_record(host, _RECORD).get("files", [])
    others = _mounted_sizes(host)
    units = {_path(size): _mount(size) for size in mounted if _path(size) in ours or size not in others}
    if allocated:
        units[_SERVICE] = _service(allocated)
    return plan_settings(host, _RECORD, Settings({path: signed("hugepages", text) for path, text in units.items()}))


def apply_units(host: Host, plan: SettingsPlan) -> None:
    """Write and remove units, and have systemd start, enable and forget them."""
    gone = [change.path.rpartition("/")[2] for change in plan.files if change.after is None]
    new = sorted(path.rpartition("/")[2] for path in plan.touched if path in plan.record["files"])
    if gone:
        host.must_run("systemctl", "disable", "--now", *gone)

    def start() -> None:
        host.must_run("systemctl", "daemon-reload")
        if new:
            host.must_run("systemctl", "enable", "--now", *new)

    apply_settings(host, plan, start)


def _path(size: int) -> str:
    return f"{_FOLDER}/dev-hugepages{format_size(size)}.mount"


def _mounted_sizes(host: Host) -> set[int | None]:
    """Sizes in KiB that are mounted, by whomever: the default one, most often."""
    default = re.search(r"Hugepagesize:\s+(\d+ kB)", host.read("/proc/meminfo") or "")
    sizes = set()
    for line in (host.read("/proc/self/mounts") or "").splitlines():
        _device, _path, kind, options, *_rest = line.split()
        if kind == "hugetlbfs":
            given = re.search(r"pagesize=(\w+)", options) or default
            sizes.add(parse_size(given[1]) if given else None)
    return sizes


def _mount(size: int) -> str:
    text = format_size(size)
    return (
        f"[Unit]\nDescription=Huge pages of {text}\nDefaultDependencies=no\nBefore=sysinit.target\n"
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
        "[Unit]\nDescription=Huge pages on NUMA nodes\nDefaultDependencies=no\nBefore=sysinit.target\n\n"
        "[Service]\nType=oneshot\nRemainAfterExit=yes\n" + "\n".join(lines) + "\n\n[Install]\nWantedBy=sysinit.target\n"
    )
