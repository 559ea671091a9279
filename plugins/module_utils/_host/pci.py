# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PCI devices of a host, their drivers, and the IOMMU groups that can only be given away as a whole.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: Linux ``Documentation/driver-api/vfio.rst``: a group is viable where each of its devices has no driver, a VFIO
driver or pci-stub, or is a bridge.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host

__all__ = ["Device", "in_the_way", "read_devices"]

_DEVICES = "/sys/bus/pci/devices"
_HARMLESS = ("pci-stub", "pcieport", "")


@dataclass(frozen=True)
class Device:
    """A function of a PCI device.

    :ivar vendor: and ``device``, ``class_code``: hexadecimal, without ``0x``.
    :ivar driver: empty for none.
    :ivar group: of the IOMMU, None where there is none.
    :ivar node: NUMA node, None where the firmware does not say.
    """

    address: str
    vendor: str
    device: str
    class_code: str
    driver: str
    group: int | None
    node: int | None
    interfaces: tuple[str, ...]

    @property
    def is_bridge(self) -> bool:
        return self.class_code.startswith("06")

    @property
    def slot(self) -> str:
        """The address without the function: all functions of a slot are one card."""
        return self.address.rpartition(".")[0]

    @property
    def is_of_bmc(self) -> bool:
        """Whether it is what a management controller shows of itself: IPMI (PCI's class 0c07), ASPEED, HPE's iLO."""
        return self.class_code.startswith("0c07") or self.vendor == "1a03" or self.driver in ("ipmi_si", "hpilo")


def read_devices(host: Host) -> list[Device]:
    found = []
    # By where the interfaces are, and not by the device's own folder: that of a virtio card is one of its children's.
    links = {name: host.link(f"/sys/class/net/{name}") for name in host.names("/sys/class/net")}
    for address in host.names(_DEVICES):
        folder = f"{_DEVICES}/{address}"
        vendor, device, class_code = (
            host.word(f"{folder}/{name}").removeprefix("0x") for name in ("vendor", "device", "class")
        )
        group, node = host.target(f"{folder}/iommu_group"), int(host.word(f"{folder}/numa_node") or -1)
        found.append(
            Device(
                address=address,
                vendor=vendor,
                device=device,
                class_code=class_code,
                driver=host.target(f"{folder}/driver") or "",
                group=int(group) if group and group.isdigit() else None,
                node=None if node < 0 else node,
                interfaces=tuple(name for name, link in links.items() if f"/{address}/" in link),
            )
        )
    return found


def in_the_way(device: Device, devices: t.Iterable[Device]) -> list[Device]:
    """The other devices of a device's group whose drivers keep the group from being given to a VM."""
    return [
        other
        for other in devices
        if other.group == device.group
        and other.address != device.address
        and not other.is_bridge
        and other.driver not in _HARMLESS
        and not other.driver.startswith("vfio")
    ]
