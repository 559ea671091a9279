#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible module rtvirt.core.host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host
short_description: Prepare a host for real-time, DPDK and passthrough virtual machines, in one task
version_added: 0.1.0
author:
  - The rtvirt.core authors (@rtvirt)
description:
  - Does what the modules of its options do, each part as its own module would, and sets the kernel arguments that they
    need in every boot entry.
  - The host is read, and all parts are checked, before anything is written. Mistakes of all parts are told together.
  - A part that is left out stays as it is. To take one back, give it O(hugepages.state=absent), and so on.
  - It installs nothing, and never reboots. Whether that is needed is in RV(reboot_required).
options:
  default_kernel:
    description:
      - Which installed kernel boots, as M(rtvirt.core.default_kernel) has it.
    type: dict
    suboptions:
      kernel:
        description:
          - As O(rtvirt.core.default_kernel#module:kernel).
        type: str
      state:
        description:
          - As O(rtvirt.core.default_kernel#module:state).
        type: str
        choices: [present, absent]
        default: present
  hugepages:
    description:
      - Huge pages by size and NUMA node, now and at boot, as M(rtvirt.core.hugepages) has it.
    type: dict
    suboptions:
      pools:
        description:
          - As O(rtvirt.core.hugepages#module:pools).
        type: list
        elements: dict
        default: []
        suboptions:
          size:
            description:
              - As O(rtvirt.core.hugepages#module:pools[].size).
            type: str
            required: true
          count:
            description:
              - As O(rtvirt.core.hugepages#module:pools[].count).
            type: int
            required: true
          node:
            description:
              - As O(rtvirt.core.hugepages#module:pools[].node).
            type: int
      state:
        description:
          - As O(rtvirt.core.hugepages#module:state).
        type: str
        choices: [present, absent]
        default: present
      at_boot:
        description:
          - As O(rtvirt.core.hugepages#module:at_boot).
        type: str
        choices: [auto, kernel_args, service, none]
        default: auto
      default_size:
        description:
          - As O(rtvirt.core.hugepages#module:default_size).
        type: str
      mounts:
        description:
          - As O(rtvirt.core.hugepages#module:mounts).
        type: bool
        default: true
      reserve:
        description:
          - As O(rtvirt.core.hugepages#module:reserve).
        type: str
      wait_timeout:
        description:
          - As O(rtvirt.core.hugepages#module:wait_timeout).
        type: int
        default: 10
  iommu_vfio:
    description:
      - PCI devices for virtual machines, as M(rtvirt.core.iommu_vfio) has it.
    type: dict
    suboptions:
      devices:
        description:
          - As O(rtvirt.core.iommu_vfio#module:devices).
        type: list
        elements: dict
        default: []
        suboptions:
          address:
            description:
              - As O(rtvirt.core.iommu_vfio#module:devices[].address).
            type: str
          id:
            description:
              - As O(rtvirt.core.iommu_vfio#module:devices[].id).
            type: str
          class:
            description:
              - As O(rtvirt.core.iommu_vfio#module:devices[].class).
            type: str
          driver:
            description:
              - As O(rtvirt.core.iommu_vfio#module:devices[].driver).
            type: str
      method:
        description:
          - As O(rtvirt.core.iommu_vfio#module:method).
        type: str
        choices: [driver_override, ids]
        default: driver_override
      state:
        description:
          - As O(rtvirt.core.iommu_vfio#module:state).
        type: str
        choices: [present, absent]
        default: present
  nested_kvm:
    description:
      - Whether guests may run guests, as M(rtvirt.core.nested_kvm) has it.
    type: dict
    suboptions:
      enabled:
        description:
          - As O(rtvirt.core.nested_kvm#module:enabled).
        type: bool
        default: true
      state:
        description:
          - As O(rtvirt.core.nested_kvm#module:state).
        type: str
        choices: [present, absent]
        default: present
  rt_host_prep:
    description:
      - CPUs for virtual machines alone, as M(rtvirt.core.rt_host_prep) has it.
    type: dict
    suboptions:
      isolated_cpus:
        description:
          - As O(rtvirt.core.rt_host_prep#module:isolated_cpus).
        type: str
      housekeeping_cpus:
        description:
          - As O(rtvirt.core.rt_host_prep#module:housekeeping_cpus).
        type: str
      housekeeping_cores:
        description:
          - As O(rtvirt.core.rt_host_prep#module:housekeeping_cores).
        type: int
        default: 1
      split_cores:
        description:
          - As O(rtvirt.core.rt_host_prep#module:split_cores).
        type: bool
        default: false
      workload:
        description:
          - As O(rtvirt.core.rt_host_prep#module:workload).
        type: str
        choices: [realtime, dpdk]
        default: realtime
      tuned_profile:
        description:
          - As O(rtvirt.core.rt_host_prep#module:tuned_profile).
        type: str
      state:
        description:
          - As O(rtvirt.core.rt_host_prep#module:state).
        type: str
        choices: [present, absent]
        default: present
notes:
  - Each part owns its kernel arguments, by its name, beside the owners of M(rtvirt.core.kernel_cmdline).
  - Known are the boot loaders of M(rtvirt.core.kernel_cmdline).
seealso:
  - module: rtvirt.core.host_info
  - module: rtvirt.core.kernel_cmdline
attributes:
  check_mode:
    support: full
    description: Nothing is written. What cannot be foreseen is told by the parts' own modules.
  diff_mode:
    support: full
    description: That of all parts, and of every boot entry.
"""

EXAMPLES = r"""
- name: A host for real-time virtual machines, with huge pages and a network card for them
  rtvirt.core.host:
    rt_host_prep:
      isolated_cpus: auto
    default_kernel:
      kernel: realtime
    hugepages:
      pools:
        - {size: 1G, count: 4, node: 0}
        - {size: 1G, count: 4, node: 1}
    iommu_vfio:
      devices:
        - address: "0000:03:00.0"
  register: host

- name: Reboot where something waits for it
  ansible.builtin.reboot:
  when: host.reboot_required

- name: Give the huge pages back
  rtvirt.core.host:
    hugepages:
      state: absent
"""

RETURN = r"""
default_kernel:
  description: What M(rtvirt.core.default_kernel) returns, without its diff.
  type: dict
  returned: when O(default_kernel) is given
  sample: {changed: true, kernel: 6.1.0-28-rt-amd64, running: 6.1.0-28-amd64, reboot_required: true}
hugepages:
  description: What M(rtvirt.core.hugepages) returns, without its diff.
  type: dict
  returned: when O(hugepages) is given
  sample:
    changed: false
    pools:
      - {size: 1G, node: 0, count: 4, used: 0}
    kernel_args: [hugepagesz=1G, 'hugepages=0:4']
    missing: []
    reboot_required: false
iommu_vfio:
  description: What M(rtvirt.core.iommu_vfio) returns, without its diff.
  type: dict
  returned: when O(iommu_vfio) is given
  sample:
    changed: false
    devices:
      - {address: '0000:03:00.0', driver: vfio-pci}
    kernel_args: [iommu=pt]
    reboot_required: false
nested_kvm:
  description: What M(rtvirt.core.nested_kvm) returns, without its diff.
  type: dict
  returned: when O(nested_kvm) is given
  sample: {changed: false, module: kvm_amd, nested: true, reboot_required: false}
rt_host_prep:
  description: What M(rtvirt.core.rt_host_prep) returns, without its diff.
  type: dict
  returned: when O(rt_host_prep) is given
  sample:
    changed: true
    isolated_cpus: 1,3
    housekeeping_cpus: 0,2
    kernel_args: ['nohz_full=1,3']
    reboot_required: false
kernel_cmdline:
  description: What M(rtvirt.core.kernel_cmdline) returns, without its diff; C(missing) is of all parts.
  type: dict
  returned: when a part has kernel arguments, or had
  sample:
    changed: true
    missing: ['nohz_full=1,3']
    leftover: []
    reboot_required: true
reboot_required:
  description:
    - Whether something waits for the next boot. Huge pages that are there, and an IOMMU that is in use, need none, even
      where the kernel that runs has other arguments.
  type: bool
  returned: success
  sample: true
"""

from ansible_collections.rtvirt.core.plugins.module_utils._host.task import run_on_host
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks.host import ARGUMENTS, plan


def main() -> None:
    run_on_host(ARGUMENTS, plan)


if __name__ == "__main__":
    main()
