#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible module rtvirt.core.iommu_vfio."""

from __future__ import annotations

DOCUMENTATION = r"""
module: iommu_vfio
short_description: Bind PCI devices to vfio-pci, for virtual machines
version_added: 0.1.0
author:
  - The rtvirt.core authors (@rtvirt)
description:
  - Gives PCI devices to vfio-pci, now and at boot, each by its address (the kernel's C(driver_override)), so that no
    other device of the same kind goes with them.
  - A device that the host uses (an address, the default route, a bond, a mounted disk, its graphics card) is refused,
    and so is one of its management controller, and one whose IOMMU group has devices that stay with the host.
  - It writes no kernel arguments itself. Give RV(kernel_args) to M(rtvirt.core.kernel_cmdline), or use
    M(rtvirt.core.host), which does both.
options:
  devices:
    description:
      - Which devices; of each entry all that is given must hold. What was bound before and is not meant any more is
        given back.
    type: list
    elements: dict
    default: []
    suboptions:
      address:
        description:
          - Address, such as V(0000:03:00.0) or V(03:00.0).
        type: str
      id:
        description:
          - Vendor and device, such as V(8086:10d3).
        type: str
      class:
        description:
          - The beginning of the class code, such as V(0200) for network cards.
        type: str
      driver:
        description:
          - The driver that it has before it is bound; C(*) and C(?) stand for any characters.
        type: str
  method:
    description:
      - V(driver_override) binds each device by its address, now and at boot by a unit of systemd.
      - V(ids) has vfio-pci take all devices of the same vendor and device at boot, before their own driver
        (C(/etc/modprobe.d/vfio.conf), the initramfs of every kernel, or the kernel's command line where vfio-pci is
        built in). Needed for devices whose driver must never see them, such as some graphics cards.
    type: str
    choices: [driver_override, ids]
    default: driver_override
  state:
    description:
      - V(absent) gives all devices back to the drivers that they had, and removes what was written.
    type: str
    choices: [present, absent]
    default: present
notes:
  - Where the IOMMU is not in use yet, devices are bound by the next boot; see RV(reboot_required).
  - A warning tells of what else binds a device at boot (driverctl, C(ids) in somebody else's file of C(modprobe.d)),
    and of interrupt remapping that is off. A driverctl override for another driver is an error.
  - Virtual functions and mediated devices are made by others; C(host_info) tells of virtual functions as of any device.
attributes:
  check_mode:
    support: full
    description: Nothing is written. What the kernel refuses cannot be foreseen.
  diff_mode:
    support: full
    description: The drivers before and after, and the files that are written.
"""

EXAMPLES = r"""
- name: Two network cards for virtual machines
  rtvirt.core.iommu_vfio:
    devices:
      - address: '0000:03:00.0'
      - id: '8086:10d3'
        driver: e1000e
  register: vfio

- name: The kernel's part of it
  rtvirt.core.kernel_cmdline:
    owner: vfio
    args: "{{ vfio.kernel_args }}"
"""

RETURN = r"""
devices:
  description:
    - The devices. C(driver_before) is the one they had, null for none; C(viable) whether the group can be given to
      a virtual machine, null where the IOMMU is not in use yet; C(pci_device_selector) is how KubeVirt's
      C(permittedHostDevices) names them.
  type: list
  elements: dict
  returned: success
  sample:
    - address: '0000:03:00.0'
      driver_before: e1000e
      driver: vfio-pci
      iommu_group: 14
      viable: true
      pci_device_selector: '8086:10D3'
kernel_args:
  description: Arguments by which the IOMMU is in use, and costs the host's own devices nothing.
  type: list
  elements: str
  returned: success
  sample: [intel_iommu=on, iommu=pt]
reboot_required:
  description: Whether devices wait for the next boot to be bound.
  type: bool
  returned: success
  sample: false
"""

from ansible_collections.rtvirt.core.plugins.module_utils._host.task import run_on_host
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks.iommu_vfio import ARGUMENTS, plan


def main() -> None:
    run_on_host(ARGUMENTS, plan)


if __name__ == "__main__":
    main()
