# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""PCI devices given to vfio-pci, each by its address: which may be, and how they are bound now and at boot.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: Linux ``Documentation/ABI/testing/sysfs-bus-pci`` (``driver_override``: no other driver takes the device) and
``Documentation/driver-api/vfio.rst``. Drivers that share a device with its user (mlx5) need no binding for DPDK.
"""

from __future__ import annotations

import fnmatch
import re
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.device_use import uses_of
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.pci import Device, in_the_way, read_devices
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import PCI_ID

__all__ = [
    "VFIO",
    "Selector",
    "back",
    "bind",
    "driverctl_override",
    "has_iommu",
    "remaps_interrupts",
    "select",
    "unbind",
]

VFIO = "vfio-pci"
_DEVICES = "/sys/bus/pci/devices"
_PATIENCE = 5.0

#: A domain has more than four digits where a controller of Intel's (VMD) makes one of its own.
_ADDRESS = re.compile(r"(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_CLASS = re.compile(r"[0-9a-f]{2}(?:[0-9a-f]{2}){0,2}")


@dataclass(frozen=True)
class Selector:
    """Which devices are meant; all that is given must hold.

    :ivar path: the option's, for messages.
    """

    path: str
    address: str | None = None
    id: str | None = None
    class_code: str | None = None
    driver: str | None = None

    def problems(self) -> t.Iterator[Problem]:
        for name, pattern, example in (
            ("address", _ADDRESS, "0000:03:00.0"),
            ("id", PCI_ID, "8086:10d3"),
            ("class_code", _CLASS, "0200"),
        ):
            value = getattr(self, name)
            if value is not None and not pattern.fullmatch(value.lower()):
                option = "class" if name == "class_code" else name
                yield Problem(f"{self.path}.{option}", f"is {value!r}: write one such as {example}")
        if not (self.address or self.id or self.class_code or self.driver):
            yield Problem(self.path, "selects nothing: write address, id, class or driver")

    def fits(self, device: Device) -> bool:
        return (
            (self.address is None or device.address in (self.address.lower(), f"0000:{self.address.lower()}"))
            and (self.id is None or f"{device.vendor}:{device.device}" == self.id.lower())
            and (self.class_code is None or device.class_code.startswith(self.class_code.lower()))
            and (self.driver is None or fnmatch.fnmatchcase(device.driver, self.driver))
        )


def has_iommu(host: Host) -> bool | None:
    """Whether the IOMMU is in use; None where the firmware has one that the kernel was not told to use."""
    if host.names("/sys/kernel/iommu_groups"):
        return True
    # Intel's, AMD's and arm's.
    tables = ("DMAR", "IVRS", "IORT")
    return None if any(host.exists(f"/sys/firmware/acpi/tables/{name}") for name in tables) else False


def remaps_interrupts(host: Host) -> bool | None:
    """Whether the IOMMU remaps interrupts, as the kernel names their controllers; None for other CPUs than x86 ones.

    Linux ``drivers/iommu/intel/irq_remapping.c`` and ``drivers/iommu/amd/iommu.c``: ``IR-PCI-MSI``, ``IR-IO-APIC``.
    """
    table = host.read("/proc/interrupts") or ""
    # On arm they are ITS-PCI-MSI.
    return "IR-" in table if re.search(r"(?<!\S)(IR-)?(PCI-MSI|IO-APIC)", table) else None


def driverctl_override(host: Host, device: Device) -> str:
    """The driver that driverctl gives a device at each boot, empty where it does not, ``none`` for none."""
    return host.word(f"/etc/driverctl.d/pci-{device.address}")


def select(host: Host, selectors: t.Sequence[Selector], ours: t.Collection[str]) -> list[Device]:
    """The devices that are to be bound.

    :arg ours: addresses that are bound by us already; they are not looked at again.
    :raises DeclarationError: for selectors that select nothing, and devices that the host needs or whose group it does.
    """
    problems = [problem for selector in selectors for problem in selector.problems()]
    if problems:
        raise DeclarationError(problems)
    devices = read_devices(host)
    chosen: dict[str, Device] = {}
    for selector in selectors:
        # By driver a device is found only until it is bound.
        found = [one for one in devices if selector.fits(one) or (selector.driver and _was(selector, one, ours))]
        if not found:
            problems.append(Problem(selector.path, "no PCI device of this host is meant: see rtvirt.core.host_info"))
        for device in found:
            chosen[device.address] = device
            reasons = _reasons(host, device, devices)
            problems += [Problem(selector.path, f"{device.address}: {why}: leave it out") for why in reasons]
    groups = {device.group for device in chosen.values()} - {None}
    members = [device for device in devices if device.group in groups and device.address not in chosen]
    for device in chosen.values():
        others = [one for one in in_the_way(device, members) if one.address not in chosen]
        if others:
            named = ", ".join(f"{one.address} ({one.driver})" for one in others)
            message = (
                f"{device.address} shares IOMMU group {device.group} with {named}, and a group goes to a VM as a whole"
            )
            problems.append(Problem("devices", f"{message}: declare all of it, or leave it out"))
    if has_iommu(host) is False:
        message = "this host has no IOMMU, or its firmware has it switched off: switch it on there (VT-d, AMD-Vi, SMMU)"
        problems.append(Problem("devices", message))
    if problems:
        raise DeclarationError(dict.fromkeys(problems))
    return [chosen[address] for address in sorted(chosen)]


def _was(selector: Selector, device: Device, ours: t.Collection[str]) -> bool:
    """Whether a device is one that was selected by its driver before, which it has not any more."""
    rest = Selector(selector.path, selector.address, selector.id, selector.class_code)
    return device.address in ours and device.driver == VFIO and rest.fits(device)


def _reasons(host: Host, device: Device, devices: t.Iterable[Device]) -> t.Iterator[str]:
    if device.is_bridge:
        yield "it is a bridge, behind which other devices are"
    if device.driver != VFIO:
        yield from uses_of(host, device)
        if any(other.is_of_bmc and other.slot == device.slot for other in devices):
            yield "it is a part of the machine's management controller (BMC)"
    driver = driverctl_override(host, device)
    if driver not in ("", VFIO):
        yield f"driverctl gives it to {driver} at each boot (driverctl unset-override {device.address} would end that)"


def bind(host: Host, device: Device) -> None:
    """Give a device to vfio-pci. :raises RtvirtError: where it has another driver, or none, afterwards."""
    _hand_over(host, device.address, VFIO, VFIO)


def back(host: Host, address: str, driver: str) -> tuple[str, str]:
    """The driver that a device has, and the one that it will have when it is given back; empty for none.

    One that only waits for the next boot, or has its driver again, goes on with that.

    :arg driver: the one it had before us.
    """
    now = host.target(f"{_DEVICES}/{address}/driver") or ""
    return now, driver if now in ("", VFIO) and host.exists(f"{_DEVICES}/{address}") else now


def unbind(host: Host, address: str, driver: str) -> None:
    """Give a device back, as :func:`back` has it. Its driver is named, as vfio-pci may know the device by its ids."""
    now, after = back(host, address, driver)
    if after != now and after:
        # Nothing else may have needed it since the boot.
        host.run("modprobe", after)
        _hand_over(host, address, after, after)
    elif after != now:
        host.tell(f"{_DEVICES}/{address}/driver/unbind", address)
    host.tell(f"{_DEVICES}/{address}/driver_override", "\n")


def _hand_over(host: Host, address: str, override: str, driver: str) -> None:
    folder = f"{_DEVICES}/{address}"
    try:
        host.tell(f"{folder}/driver_override", override)
        if host.target(f"{folder}/driver"):
            host.tell(f"{folder}/driver/unbind", address)
        host.tell("/sys/bus/pci/drivers_probe", address)
    except OSError as error:
        raise RtvirtError(f"{address}: the kernel refuses: {error.strerror}") from error
    until = time.monotonic() + _PATIENCE
    while (host.target(f"{folder}/driver") or "") != driver and time.monotonic() < until:
        time.sleep(0.1)
    found = host.target(f"{folder}/driver") or ""
    if found != driver:
        raise RtvirtError(f"{address}: has {found or 'no driver'} after it was given to {driver or 'nobody'}")
