#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible module rtvirt.core.hugepages."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hugepages
short_description: Reserve huge pages by size and NUMA node
version_added: 0.1.0
author:
  - The rtvirt.core authors (@rtvirt)
description:
  - Reserves huge pages now, reads back what the kernel has really got, and tells what makes the same pools at boot.
  - It writes no kernel arguments itself. Give RV(kernel_args) to M(rtvirt.core.kernel_cmdline), as the roles do.
  - Pages that somebody uses are never taken away. Pools of sizes and nodes that are not declared stay as they are.
options:
  pools:
    description:
      - The pools. What was declared before and is not any more is given back.
    type: list
    elements: dict
    default: []
    suboptions:
      size:
        description:
          - Size of a page, such as V(2M) or V(1G).
        type: str
        required: true
      count:
        description:
          - Pages of the pool.
        type: int
        required: true
      node:
        description:
          - NUMA node that has them. Without it the kernel spreads the pages over all nodes.
        type: int
  state:
    description:
      - V(absent) gives back what was reserved, as far as nobody uses it, and removes what was written.
    type: str
    choices: [present, absent]
    default: present
  at_boot:
    description:
      - What makes the pools at boot. V(kernel_args) are returned, to be set by M(rtvirt.core.kernel_cmdline);
        V(service) is a unit of systemd that runs early, and may come too late for pages of 1 GiB.
      - V(auto) takes kernel arguments, but for pools on nodes on a kernel before Linux 5.16, which knows no nodes
        there.
      - With V(none) the pools are gone after a boot.
    type: str
    choices: [auto, kernel_args, service, none]
    default: auto
  default_size:
    description:
      - Size that programs get which ask for none, from the next boot on.
    type: str
  mounts:
    description:
      - Mount each size that has no mount yet, at C(/dev/hugepages<size>), by a unit of systemd.
    type: bool
    default: true
  reserve:
    description:
      - Memory that each node keeps for all else, such as V(4Gi). A pool that leaves it less is refused.
      - By default 2 GiB, or a tenth of a node that has less than 20 GiB.
    type: str
  wait_timeout:
    description:
      - Seconds to try again for each pool, while the kernel puts memory together.
    type: int
    default: 10
attributes:
  check_mode:
    support: full
    description: Nothing is written. Memory that the kernel turns out not to have cannot be foreseen.
  diff_mode:
    support: full
    description: The pools before and after, and the files that are written.
"""

EXAMPLES = r"""
- name: Four pages of 1 GiB on each of two nodes, and 512 of 2 MiB on the first
  rtvirt.core.hugepages:
    pools:
      - {size: 1G, count: 4, node: 0}
      - {size: 1G, count: 4, node: 1}
      - {size: 2M, count: 512, node: 0}
  register: hugepages

- name: The same at boot
  rtvirt.core.kernel_cmdline:
    owner: hugepages
    args: "{{ hugepages.kernel_args }}"
  when: hugepages.kernel_args | length > 0
"""

RETURN = r"""
pools:
  description: All pools of this host after the task. C(used) is how many pages somebody has.
  type: list
  elements: dict
  returned: success
  sample:
    - {size: 1G, node: 0, count: 4, used: 0}
kernel_args:
  description: Arguments that make the declared pools at boot.
  type: list
  elements: str
  returned: success
  sample: [hugepagesz=1G, 'hugepages=0:4,1:4', hugepagesz=2M, 'hugepages=0:512']
missing:
  description: What the kernel could not get now. It is there after a boot.
  type: list
  elements: dict
  returned: success
  sample:
    - {size: 1G, node: 1, wanted: 4, got: 1}
reboot_required:
  description: Whether pages are missing that a boot will bring.
  type: bool
  returned: success
  sample: false
"""

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
from ansible_collections.rtvirt.core.plugins.module_utils._host.task import diff_of, difference, run_on_host
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


def wanted_of(params: t.Mapping[str, t.Any]) -> list[Wanted]:
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


def reserve_of(params: t.Mapping[str, t.Any]) -> int | None:
    """The reserve in KiB. :raises DeclarationError: for one that is no amount of memory."""
    if params["reserve"] is None:
        return None
    try:
        return to_bytes(params["reserve"]) // 1024
    except ConversionError as error:
        raise DeclarationError([Problem("reserve", error.message)]) from error


def converge(params: t.Mapping[str, t.Any], check_mode: bool, host: Host) -> dict[str, t.Any]:
    """Bring the pools to what is declared, and tell how they are and what makes them at boot."""
    wanted, reserve = wanted_of(params), reserve_of(params)
    plan = plan_hugepages(
        host,
        wanted,
        at_boot=params["at_boot"],
        default_size=parse_size(params["default_size"] or ""),
        mounts=params["mounts"],
        reserve=reserve,
    )
    if check_mode:
        return described(plan, predicted(plan.pools, plan.changes), [])
    missing = apply_hugepages(host, plan, params["wait_timeout"]) if plan.changed else []
    return described(plan, read_pools(host), missing)


def described(plan: HugepagePlan, pools: t.Sequence[Pool], missing: t.Sequence[Missing]) -> dict[str, t.Any]:
    return {
        "changed": [*plan.pools] != [*pools] or plan.units.changed or bool(plan.recorded),
        "pools": [pool.result() for pool in pools],
        "kernel_args": list(plan.kernel_args),
        "missing": [{**vars(one), "size": format_size(one.size)} for one in missing],
        "reboot_required": bool(missing),
        "diff": [
            *difference("/sys/devices/system/node", _text(plan.pools), _text(pools)),
            *diff_of(plan.units.files),
        ],
    }


def _text(pools: t.Sequence[Pool]) -> str:
    return "".join(f"node {pool.node}: {pool.count} pages of {format_size(pool.size)}\n" for pool in pools)


def main() -> None:
    run_on_host(ARGUMENTS, converge)


if __name__ == "__main__":
    main()
