#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible module rtvirt.core.host_info."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Tell what a host has and is set to for virtual machines
version_added: 0.1.0
author:
  - The rtvirt.core authors (@rtvirt)
description:
  - Tells the topology of this host, and what is in force on it (kernel, isolated CPUs, huge pages, PCI devices with
    their IOMMU groups, KVM), as the kernel has it and not as it is configured.
options: {}
attributes:
  check_mode:
    support: full
    description: Nothing is ever written.
"""

EXAMPLES = r"""
- name: Look at this host
  rtvirt.core.host_info:
  register: host

- name: It runs a real-time kernel, and its CPUs are isolated
  ansible.builtin.assert:
    that:
      - host.kernel.realtime
      - host.cpus.isolated == '2-7'
"""

RETURN = r"""
cpus:
  description: CPUs by lists, C(online), C(isolated) and C(nohz_full); those of each core, and of each NUMA node.
  type: dict
  returned: always
  sample: {online: 0-7, isolated: 2-7, nohz_full: 2-7, cores: ['0,4', '1,5', '2,6', '3,7'], nodes: {'0': 0-7}}
kernel:
  description: The kernel that runs, whether it is a real-time one, and its command line.
  type: dict
  returned: always
  sample: {release: 6.1.0-28-rt-amd64, version: '#1 SMP PREEMPT_RT', realtime: true, args: [root=UUID=1f2e, ro]}
hugepages:
  description: Pools of huge pages.
  type: list
  elements: dict
  returned: always
  sample:
    - {size: 2M, node: 0, count: 512, used: 0}
pci_devices:
  description:
    - PCI devices. C(viable) is whether the device's IOMMU group can be given to a VM, C(in_the_way) which other devices
      of the group keep it from that, and C(pci_device_selector) how KubeVirt's C(permittedHostDevices) names it.
      C(virtual_functions) are the addresses of those that the device has, C(physical_function) that of the device whose
      virtual function it is, C(mdev_types) the kinds of mediated devices that its driver can make.
  type: list
  elements: dict
  returned: always
  sample:
    - address: '0000:03:00.0'
      vendor: '8086'
      device: 10d3
      class: '020000'
      driver: e1000e
      iommu_group: 14
      viable: true
      in_the_way: []
      numa_node: 0
      interfaces: [enp3s0]
      pci_device_selector: '8086:10D3'
      physical_function: null
      virtual_functions: []
      mdev_types: []
kvm:
  description: Whether there is C(/dev/kvm), by which module, and whether guests may run guests of their own.
  type: dict
  returned: always
  sample: {device: true, module: kvm_intel, nested: true}
running_vms:
  description: The VMs whose QEMU runs on this host, by their names.
  type: list
  elements: str
  returned: always
  sample: [rt1]
ovs:
  description:
    - Open vSwitch as its database has it, null where it is not installed or not running. C(dpdk_initialized) is whether
      DPDK works in it, C(other_config) what it is set to.
  type: dict
  returned: always
  sample:
    ovs_version: 3.1.0
    dpdk_initialized: true
    dpdk_version: DPDK 22.11.10
    other_config: {dpdk-init: 'true', pmd-cpu-mask: '0xc'}
tuned_profile:
  description: TuneD's active profile, null without TuneD.
  type: str
  returned: always
  sample: virtual-host
"""

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._host.facts import facts_of
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.task import Planned, Result, run_on_host

ARGUMENTS: dict[str, t.Any] = {}


def plan(_params: t.Mapping[str, t.Any], host: Host) -> Planned:
    def look() -> Result:
        return {"changed": False, **facts_of(host)}

    return Planned(look, look)


def main() -> None:
    run_on_host(ARGUMENTS, plan)


if __name__ == "__main__":
    main()
