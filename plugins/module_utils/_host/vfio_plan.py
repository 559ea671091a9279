# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for a host's devices of virtual machines: which are bound and given back, and what binds them at boot.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Change, Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.pci import Device
from ansible_collections.rtvirt.core.plugins.module_utils._host.record import read_record, record_changes
from ansible_collections.rtvirt.core.plugins.module_utils._host.vfio import (
    UNIT,
    VFIO,
    Selector,
    bind,
    has_iommu,
    select,
    unbind,
    unit_text,
)

__all__ = ["VfioPlan", "apply_vfio", "plan_vfio"]

_RECORD = "iommu_vfio"
_LOADED = "/etc/modules-load.d/zz-rtvirt-vfio.conf"


@dataclass(frozen=True)
class VfioPlan:
    """What brings a host's devices to what is declared.

    :ivar devices: all that are declared, as they are.
    :ivar bound: those that vfio-pci gets now.
    :ivar staged: those that it gets with the next boot, as the IOMMU is not in use yet.
    :ivar returned: address -> driver of those that go back.
    :ivar first: address -> driver of before the first run.
    """

    devices: tuple[Device, ...]
    bound: tuple[Device, ...]
    staged: tuple[Device, ...]
    returned: dict[str, str]
    files: tuple[Change, ...]
    first: dict[str, str]
    recorded: tuple[Change, ...]

    @property
    def changed(self) -> bool:
        return bool(self.bound or self.returned or self.files or self.recorded)


def plan_vfio(host: Host, selectors: t.Sequence[Selector]) -> VfioPlan:
    """:raises DeclarationError: for what :func:`select` refuses."""
    before: dict[str, str] = read_record(host, _RECORD).get("drivers", {})
    devices = select(host, selectors, before) if selectors else []
    unbound = [device for device in devices if device.driver != VFIO]
    ready = has_iommu(host) is True
    first = {device.address: before.get(device.address, device.driver) for device in devices}
    unit = unit_text(devices) if devices else None
    return VfioPlan(
        devices=tuple(devices),
        bound=tuple(unbound) if ready else (),
        staged=() if ready else tuple(unbound),
        returned={address: driver for address, driver in before.items() if address not in first},
        files=(*host.changes(UNIT, unit), *host.changes(_LOADED, f"{VFIO}\n" if devices else None)),
        first=first,
        recorded=record_changes(host, _RECORD, {"drivers": first}),
    )


def apply_vfio(host: Host, plan: VfioPlan) -> None:
    """Write what binds at boot, and bind and give back now. :raises RtvirtError: where the kernel does not."""
    # A run that is cut off leaves a record of all that may be ours.
    before = read_record(host, _RECORD).get("drivers", {})
    host.apply(record_changes(host, _RECORD, {"drivers": {**plan.first, **before}}))
    name = UNIT.rpartition("/")[2]
    if plan.files and not plan.devices:
        host.must_run("systemctl", "disable", name)
    host.apply(plan.files)
    if plan.files:
        host.must_run("systemctl", "daemon-reload")
    if plan.files and plan.devices:
        host.must_run("systemctl", "enable", name)
    for address, driver in plan.returned.items():
        # One that was taken out of the machine meanwhile is nobody's any more.
        if host.exists(f"/sys/bus/pci/devices/{address}"):
            unbind(host, address, driver)
    if plan.bound:
        host.must_run("modprobe", VFIO)
    for device in plan.bound:
        bind(host, device)
    host.apply(record_changes(host, _RECORD, {"drivers": plan.first}))
