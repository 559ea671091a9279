# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ports of Open vSwitch need of their host: network cards that DPDK can have, and CPUs that poll.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import ConversionError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.ovs.ports import Bridge, Interface
from ansible_collections.rtvirt.core.plugins.module_utils._host.pci import read_devices
from ansible_collections.rtvirt.core.plugins.module_utils.converters.cpuset import format_ranges, parse_mask

__all__ = ["check_devices"]

_ADDRESS = re.compile(r"^(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", re.IGNORECASE)

#: Drivers for a device that is DPDK's as a whole, and those that share it with DPDK (DPDK's guides of NIC drivers).
_GIVEN_AWAY = ("vfio-pci", "uio_pci_generic", "igb_uio")
_SHARING = ("mlx4_core", "mlx5_core", "mana")


def check_devices(host: Host, bridges: t.Iterable[Bridge], polling: str | None) -> t.Iterator[Problem]:
    """:arg polling: the mask of the CPUs that poll, None where nothing says it."""
    interfaces = [one for bridge in bridges for port in bridge.ports for one in port.interfaces]
    cards = [one for one in interfaces if "options:dpdk-devargs" in one.fields]
    drivers = {device.address: device.driver for device in read_devices(host)} if cards else {}
    for one in cards:
        yield from _check_card(one, drivers)
    for one in interfaces:
        yield from _check_affinity(one, polling)


def _check_card(one: Interface, drivers: t.Mapping[str, str]) -> t.Iterator[Problem]:
    arguments = one.fields["options:dpdk-devargs"]
    match = _ADDRESS.match(arguments)
    if match is None:
        # Devices of DPDK's own making (net_ring0, net_af_packet0), or by class and MAC address.
        return
    address = match[0].lower() if match[0].count(":") == 2 else f"0000:{match[0].lower()}"
    driver = drivers.get(address)
    if driver is None:
        yield Problem(f"{one.path}.devargs", f"this host has no PCI device {address}")
    elif driver not in (*_GIVEN_AWAY, *_SHARING):
        has = f"has the driver {driver}" if driver else "has no driver"
        remedy = "bind it to vfio-pci before, by rtvirt.core.iommu_vfio or vfio_devices of prepare_hosts"
        yield Problem(f"{one.path}.devargs", f"{address} {has}, and DPDK cannot have it: {remedy}")


def _check_affinity(one: Interface, polling: str | None) -> t.Iterator[Problem]:
    affinity = one.fields.get("other_config:pmd-rxq-affinity")
    if affinity is None or polling is None:
        return
    try:
        allowed = parse_mask(polling)
        asked = {int(pair.partition(":")[2]) for pair in affinity.split(",")}
    except (ConversionError, ValueError):
        return
    if asked - allowed:
        message = (
            f"CPUs {format_ranges(asked - allowed)} do not poll: pmd_cpus of the switch are {format_ranges(allowed)}"
        )
        yield Problem(f"{one.path}.pmd_rxq_affinity", message)
