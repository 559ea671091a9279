# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task hugepages: pools of huge pages.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import ConversionError, DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.hugepage_plan import (
    HugepagePlan,
    Missing,
    apply_hugepages,
    plan_hugepages,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.hugepages import (
    Pool,
    Wanted,
    format_size,
    parse_size,
    predicted,
    read_pools,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.task import Planned, Result, diff_of, difference
from ansible_collections.rtvirt.core.plugins.module_utils.converters.quantity import to_bytes

ARGUMENTS: dict[str, t.Any] = {
    "pools": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "size": {"type": "str", "required": True},
            "count": {"type": "int", "required": True},
            "node": {"type": "int"},
        },
    },
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "at_boot": {"type": "str", "choices": ["auto", "kernel_args", "service", "none"], "default": "auto"},
    "default_size": {"type": "str"},
    "mounts": {"type": "bool", "default": True},
    "reserve": {"type": "str"},
    "wait_timeout": {"type": "int", "default": 10},
}

_NO_SIZE = "is {!r}: write a size of pages such as 2M or 1G"


def _wanted(params: t.Mapping[str, t.Any]) -> list[Wanted]:
    """:raises DeclarationError: for pools that are none."""
    problems, wanted = [], []
    for index, pool in enumerate(params["pools"]):
        path, size = f"pools[{index}]", parse_size(pool["size"])
        if size is None:
            problems.append(Problem(f"{path}.size", _NO_SIZE.format(pool["size"])))
        if pool["count"] < 0:
            problems.append(Problem(f"{path}.count", f"is {pool['count']}: write 0 or more"))
        wanted.append(Wanted(size or 0, pool["node"], pool["count"], path))
    if params["state"] == "present" and not wanted:
        problems.append(Problem("pools", "is empty: write pools, or state: absent to give back what was reserved"))
    if params["state"] == "absent" and wanted:
        problems.append(Problem("pools", "is nothing that state: absent needs: it gives back all that was reserved"))
    if params["default_size"] is not None and parse_size(params["default_size"]) is None:
        problems.append(Problem("default_size", _NO_SIZE.format(params["default_size"])))
    if params["wait_timeout"] < 0:
        problems.append(Problem("wait_timeout", f"is {params['wait_timeout']}: write 0 or more seconds"))
    if problems:
        raise DeclarationError(problems)
    return wanted


def _reserve(params: t.Mapping[str, t.Any]) -> int | None:
    """The reserve in KiB. :raises DeclarationError: for one that is no amount of memory."""
    if params["reserve"] is None:
        return None
    try:
        return to_bytes(params["reserve"]) // 1024
    except ConversionError as error:
        raise DeclarationError([Problem("reserve", error.message)]) from error


def plan(params: t.Mapping[str, t.Any], host: Host) -> Planned:
    """:raises DeclarationError: for pools that are none, or that leave the host too little."""
    wanted, reserve = _wanted(params), _reserve(params)
    planned = plan_hugepages(
        host,
        wanted,
        at_boot=params["at_boot"],
        default_size=parse_size(params["default_size"] or ""),
        mounts=params["mounts"],
        reserve=reserve,
    )

    def apply() -> Result:
        missing = apply_hugepages(host, planned, params["wait_timeout"]) if planned.changed else []
        return _described(planned, read_pools(host), missing)

    return Planned(lambda: _described(planned, predicted(planned.pools, planned.changes), []), apply)


def _described(plan: HugepagePlan, pools: t.Sequence[Pool], missing: t.Sequence[Missing]) -> Result:
    return {
        "changed": [*plan.pools] != [*pools] or plan.units.changed or bool(plan.recorded),
        "pools": [pool.result() for pool in pools],
        "kernel_args": list(plan.kernel_args),
        "lacking": [
            {"size": format_size(one.size), "node": one.node, "count": one.after - one.before}
            for one in plan.changes
            if plan.lasting and one.after > one.before
        ],
        "missing": [{**vars(one), "size": format_size(one.size)} for one in missing],
        "reboot_required": bool(missing),
        "diff": [
            *difference("/sys/devices/system/node", _text(plan.pools), _text(pools)),
            *diff_of(plan.units.files),
        ],
    }


def _text(pools: t.Sequence[Pool]) -> str:
    return "".join(f"node {pool.node}: {pool.count} pages of {format_size(pool.size)}\n" for pool in pools)
