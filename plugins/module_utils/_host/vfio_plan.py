# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for a host's devices of virtual machines: which are bound and given back, and what binds them at boot.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import FileChange, Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.modprobe import set_by_others
from ansible_collections.rtvirt.core.plugins.module_utils._host.pci import Device, read_devices
from ansible_collections.rtvirt.core.plugins.module_utils._host.record import read_record, record_changes
from ansible_collections.rtvirt.core.plugins.module_utils._host.settings import (
    Settings,
    SettingsPlan,
    apply_settings,
    plan_settings,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.vfio import (
    VFIO,
    Selector,
    back,
    bind,
    driverctl_override,
    has_iommu,
    remaps_interrupts,
    select,
    unbind,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.vfio_files import (
    INITRAMFS,
    UNIT,
    Method,
    binding_files,
    ids_of,
    initramfs_command,
    is_built_in,
)

__all__ = ["VfioPlan", "apply_vfio", "plan_vfio"]

_RECORD = "iommu_vfio"
_FILES_RECORD = "iommu_vfio_files"


@dataclass(frozen=True)
class VfioPlan:
    """What brings a host's devices to what is declared.

    :ivar devices: all that are declared, as they are.
    :ivar bound: those that vfio-pci gets now.
    :ivar staged: those that it gets with the next boot: the IOMMU is not in use yet, or that is how ids work.
    :ivar returned: address -> driver now, and afterwards, of those that go back.
    :ivar first: address -> driver of before the first run.
    :ivar kernel_args: ids for a vfio-pci that is built in.
    :ivar remarks: what the user should know.
    """

    devices: tuple[Device, ...]
    bound: tuple[Device, ...]
    staged: tuple[Device, ...]
    returned: dict[str, tuple[str, str]]
    settings: SettingsPlan
    first: dict[str, str]
    recorded: tuple[FileChange, ...]
    kernel_args: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def changed(self) -> bool:
        return bool(self.bound or self.returned or self.settings.changed or self.recorded)


def plan_vfio(host: Host, selectors: t.Sequence[Selector], method: Method = "driver_override") -> VfioPlan:
    """:raises DeclarationError: for what :func:`select` refuses, ids that others have too, and what a VM has."""
    before: dict[str, str] = read_record(host, _RECORD).get("drivers", {})
    devices = select(host, selectors, before) if selectors else []
    others = set_by_others(host, "vfio_pci.ids", read_record(host, _FILES_RECORD).get("files", ()))
    if method == "ids":
        _check_ids(host, devices, others)
    first = {device.address: before.get(device.address, device.driver) for device in devices}
    returned = {address: back(host, address, driver) for address, driver in before.items() if address not in first}
    _check_holders(host, returned)
    unbound = [device for device in devices if device.driver != VFIO]
    now = method == "driver_override" and has_iommu(host) is True
    files = binding_files(host, devices, method, first.values())
    built_in = method == "ids" and bool(devices) and is_built_in(host)
    return VfioPlan(
        devices=tuple(devices),
        bound=tuple(unbound) if now else (),
        staged=() if now else tuple(unbound),
        returned=returned,
        settings=plan_settings(host, _FILES_RECORD, Settings(files)),
        first=first,
        recorded=record_changes(host, _RECORD, {"drivers": first}),
        kernel_args=(f"vfio-pci.ids={','.join(ids_of(devices))}",) if built_in else (),
        remarks=tuple(_remarks(host, devices, others)),
    )


def _remarks(host: Host, devices: t.Sequence[Device], others: t.Mapping[str, str]) -> t.Iterator[str]:
    """:arg others: path -> ids of vfio-pci that somebody else has set."""
    for device in devices:
        by = [path for path, ids in others.items() if f"{device.vendor}:{device.device}" in ids.lower()]
        if driverctl_override(host, device) == VFIO:
            by.append("driverctl")
        if by:
            yield f"{device.address}: {', '.join(by)} binds it to {VFIO} at boot too, also after state: absent"
    unsafe = host.word("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts") == "Y"
    if devices and has_iommu(host) and remaps_interrupts(host) is False and not unsafe:
        yield ("interrupt remapping is off, without which vfio gives no device to a VM: switch it on in the firmware,"
               " and leave intremap=off out of the kernel's arguments")  # fmt: skip


def _check_ids(host: Host, devices: t.Sequence[Device], others: t.Iterable[str]) -> None:
    """:raises DeclarationError: where the ids would take devices along that are not declared, and for ids of others."""
    ids, declared = ids_of(devices), {device.address for device in devices}
    problems = [
        Problem("method", f"ids: {other.address} is a {other.vendor}:{other.device} too, and would go along: declare it"
                          " as well, or take driver_override")
        for other in read_devices(host)
        if f"{other.vendor}:{other.device}" in ids and other.address not in declared
    ]  # fmt: skip
    problems += [
        Problem("method", f"ids: {path} sets ids of {VFIO} too, of which the last counts alone: declare its devices"
                          " here and remove them there, or take driver_override")
        for path in others
    ]  # fmt: skip
    if problems:
        raise DeclarationError(problems)


def _check_holders(host: Host, returned: t.Iterable[str]) -> None:
    """:raises DeclarationError: for a device to be given back that a program has: the kernel would wait for its end."""
    problems = []
    for address in returned:
        group = host.target(f"/sys/bus/pci/devices/{address}/iommu_group")
        holders = host.holders({f"/dev/vfio/{group}"}) if group else []
        if holders:
            message = f"would give back {address}, which {', '.join(holders)} has: stop that virtual machine first"
            problems.append(Problem("devices", message))
    if problems:
        raise DeclarationError(problems)


def apply_vfio(host: Host, plan: VfioPlan) -> None:
    """Write what binds at boot, and bind and give back now. :raises RtvirtError: where the kernel does not."""
    # A run that is cut off leaves a record of all that may be ours.
    before = read_record(host, _RECORD).get("drivers", {})
    host.apply(record_changes(host, _RECORD, {"drivers": {**plan.first, **before}}))
    if plan.settings.changed:
        _write_files(host, plan.settings)
    for address in plan.returned:
        # One that was taken out of the machine meanwhile is nobody's any more.
        if host.exists(f"/sys/bus/pci/devices/{address}"):
            unbind(host, address, before[address])
    if plan.bound:
        host.must_run("modprobe", VFIO)
    for device in plan.bound:
        bind(host, device)
    host.apply(plan.recorded)


def _write_files(host: Host, plan: SettingsPlan) -> None:
    name = UNIT.rpartition("/")[2]
    if any(change.path == UNIT and change.after is None for change in plan.files):
        host.must_run("systemctl", "disable", name)

    def tell() -> None:
        if UNIT in plan.touched:
            host.must_run("systemctl", "daemon-reload")
            if UNIT in plan.record["files"]:
                host.must_run("systemctl", "enable", name)
        command = initramfs_command(host)
        if command is not None and not plan.touched.isdisjoint(INITRAMFS):
            host.must_run(*command)
            host.settle("/boot")

    apply_settings(host, plan, tell)
