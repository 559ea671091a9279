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
  - It writes no kernel arguments itself. Give RV(kernel_args) to M(rtvirt.core.kernel_cmdline), or use
    M(rtvirt.core.host), which does both.
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
lacking:
  description:
    - Pages of declared pools that were not there before the task; with O(at_boot=none) none, as they go with each boot.
  type: list
  elements: dict
  returned: success
  sample: [{size: 1G, node: 1, count: 4}]
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

from ansible_collections.rtvirt.core.plugins.module_utils._host.task import run_on_host
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks.hugepages import ARGUMENTS, plan


def main() -> None:
    run_on_host(ARGUMENTS, plan)


if __name__ == "__main__":
    main()
