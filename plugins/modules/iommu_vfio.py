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
    and so is one whose IOMMU group has devices that stay with the host.
  - It writes no kernel arguments itself. Give RV(kernel_args) to M(rtvirt.core.kernel_cmdline), as the role
    P(rtvirt.core.vfio#role) does.
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
    - The devices. C(driver_before) is the one they had, null for none; C(pci_device_selector) is how KubeVirt's
      C(permittedHostDevices) names them.
  type: list
  elements: dict
  returned: success
  sample:
    - address: '0000:03:00.0'
      driver_before: e1000e
      driver: vfio-pci
      iommu_group: 14
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

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._host.features import read_features
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.task import diff_of, difference, run_on_host
from ansible_collections.rtvirt.core.plugins.module_utils._host.vfio import VFIO, Selector
from ansible_collections.rtvirt.core.plugins.module_utils._host.vfio_plan import VfioPlan, apply_vfio, plan_vfio

ARGUMENTS: dict[str, t.Any] = {
    "devices": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {name: {"type": "str"} for name in ("address", "id", "class", "driver")},
    },
    "method": {"type": "str", "choices": ["driver_override", "ids"], "default": "driver_override"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}

#: AMD's IOMMU is in use where the firmware has it on: there is no amd_iommu=on.
_KERNEL_ARGS = {"intel": ["intel_iommu=on", "iommu=pt"]}


def converge(params: t.Mapping[str, t.Any], check_mode: bool, host: Host) -> dict[str, t.Any]:
    """Bring the devices to what is declared, and tell which drivers they have."""
    declared = params["devices"]
    if params["state"] == "absent" and declared:
        raise DeclarationError([Problem("devices", "is nothing that state: absent needs: it gives back all devices")])
    if params["state"] == "present" and not declared:
        raise DeclarationError([Problem("devices", "is empty: write devices, or state: absent to give all back")])
    selectors = [
        Selector(f"devices[{index}]", one["address"], one["id"], one["class"], one["driver"])
        for index, one in enumerate(declared)
    ]
    plan = plan_vfio(host, selectors, params["method"])
    if plan.changed and not check_mode:
        apply_vfio(host, plan)
    vendor = read_features(host).vendor
    own = _KERNEL_ARGS.get(vendor, ["iommu=pt"]) if declared else []
    return {**described(plan), "kernel_args": [*own, *plan.kernel_args]}


def described(plan: VfioPlan) -> dict[str, t.Any]:
    staged = {device.address for device in plan.staged}
    after = {device.address: device.driver if device.address in staged else VFIO for device in plan.devices}
    before = {**{device.address: device.driver for device in plan.devices}, **dict.fromkeys(plan.returned, VFIO)}
    changes = {address: (old, {**after, **plan.returned}[address]) for address, old in sorted(before.items())}
    texts = [
        "".join(f"{address}: {pair[side] or 'no driver'}\n" for address, pair in changes.items()) for side in (0, 1)
    ]
    return {
        "changed": plan.changed,
        "devices": [
            {
                "address": device.address,
                "driver_before": plan.first[device.address] or None,
                "driver": after[device.address] or None,
                "iommu_group": device.group,
                "pci_device_selector": f"{device.vendor}:{device.device}".upper(),
            }
            for device in plan.devices
        ],
        "reboot_required": bool(plan.staged),
        "diff": [*difference("drivers", *texts), *diff_of(plan.settings.files)],
    }


def main() -> None:
    run_on_host(ARGUMENTS, converge)


if __name__ == "__main__":
    main()
