# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task iommu_vfio: PCI devices bound to vfio-pci.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._host.features import read_features
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.task import Planned, Result, diff_of, difference
from ansible_collections.rtvirt.core.plugins.module_utils._host.vfio import VFIO, Selector
from ansible_collections.rtvirt.core.plugins.module_utils._host.vfio_plan import VfioPlan, apply_vfio, plan_vfio
from ansible_collections.rtvirt.core.plugins.module_utils.converters.machine_config import KERNEL_ARGUMENTS

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

#: DPDK's Linux guide, "Bifurcated Driver": DPDK works beside these, and needs no binding.
_BIFURCATED = ("mlx4_core", "mlx5_core")


def plan(params: t.Mapping[str, t.Any], host: Host) -> Planned:
    """:raises DeclarationError: for devices that are not there, or that the host needs."""
    declared = params["devices"]
    if params["state"] == "absent" and declared:
        raise DeclarationError([Problem("devices", "is nothing that state: absent needs: it gives back all devices")])
    if params["state"] == "present" and not declared:
        raise DeclarationError([Problem("devices", "is empty: write devices, or state: absent to give all back")])
    selectors = [
        Selector(f"devices[{index}]", one["address"], one["id"], one["class"], one["driver"])
        for index, one in enumerate(declared)
    ]
    planned = plan_vfio(host, selectors, params["method"])
    own = KERNEL_ARGUMENTS.get(read_features(host).vendor, ["iommu=pt"]) if declared else []
    remarks = [
        f"{device.address}: DPDK and {driver} share a card, and bound to vfio-pci it is for one virtual machine alone"
        for device in planned.devices
        if (driver := planned.first[device.address]) in _BIFURCATED
    ]
    result = {
        **_described(planned),
        "kernel_args": [*own, *planned.kernel_args],
        "warnings": [*planned.remarks, *remarks],
    }

    def apply() -> Result:
        if planned.changed:
            apply_vfio(host, planned)
        return result

    return Planned(lambda: result, apply)


def _described(plan: VfioPlan) -> Result:
    staged = {device.address for device in plan.staged}
    after = {device.address: device.driver if device.address in staged else VFIO for device in plan.devices}
    pairs = {**{device.address: (device.driver, after[device.address]) for device in plan.devices}, **plan.returned}
    texts = [
        "".join(f"{address}: {pair[side] or 'no driver'}\n" for address, pair in sorted(pairs.items()))
        for side in (0, 1)
    ]
    return {
        "changed": plan.changed,
        "devices": [
            {
                "address": device.address,
                "driver_before": plan.first[device.address] or None,
                "driver": after[device.address] or None,
                "iommu_group": device.group,
                # What is not has been refused; without an IOMMU in use there is no group yet.
                "viable": None if device.group is None else True,
                "pci_device_selector": f"{device.vendor}:{device.device}".upper(),
            }
            for device in plan.devices
        ],
        "reboot_required": bool(plan.staged),
        "diff": [*difference("drivers", *texts), *diff_of(plan.settings.files)],
    }
