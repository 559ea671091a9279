# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queues of a guest's network interfaces: how many the devices have, and how many the guest uses.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import re
import typing as t
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.guest import Guest, Ran
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import device_name

__all__ = ["Channels", "Interface", "channels_of", "irqbalance", "read_channels", "select", "set_channels"]

_COMBINED = re.compile(r"^Combined:\s*(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Interface:
    """A network interface of a running VM.

    :ivar name: as it is declared, or its MAC address where another has made it.
    :ivar queues: pairs of queues that its device has.
    """

    name: str
    mac: str
    model: str
    queues: int


@dataclass(frozen=True)
class Channels:
    """An interface in its guest.

    :ivar device: the guest's name of it.
    :ivar most: pairs of queues that the guest could use.
    :ivar used: and how many it does.
    """

    interface: Interface
    device: str
    most: int
    used: int


def select(domain: ET.Element, names: t.Sequence[str] | None, queues: int | None) -> list[Interface]:
    """The interfaces that are meant, by their declared names or MAC addresses; without names all virtio ones.

    :raises DeclarationError: for interfaces that are not there, and for more queues than they have.
    """
    interfaces = [_interface(element) for element in domain.findall("devices/interface")]
    problems, chosen = [], []
    for index, name in enumerate(names or []):
        found = [one for one in interfaces if name == one.name or name.lower().replace("-", ":") == one.mac]
        path, have = f"interfaces[{index}]", ", ".join(one.name for one in interfaces) or "none"
        if not found:
            problems.append(Problem(path, f"the VM has no interface {name!r}: it has {have}"))
        elif found[0].model != "virtio":
            message = f"{name!r} is no virtio interface, and has one queue: its model is {found[0].model}"
            problems.append(Problem(path, message))
        chosen += found
    chosen = chosen if names is not None else [one for one in interfaces if one.model == "virtio"]
    if queues is not None and queues < 1:
        problems.append(Problem("queues", f"is {queues}: write 1 or more"))
    for one in chosen:
        if queues is not None and queues > one.queues:
            more = "declare multiqueue and as many vCPUs, and restart the VM"
            problems.append(Problem("queues", f"is {queues}, and {one.name} has {one.queues}: write less, or {more}"))
    if problems:
        raise DeclarationError(problems)
    return chosen


def _interface(element: ET.Element) -> Interface:
    mac, model, driver = element.find("mac"), element.find("model"), element.find("driver")
    address = "" if mac is None else mac.get("address", "").lower()
    return Interface(
        name=device_name(element) or address,
        mac=address,
        model="hypervisor default" if model is None else model.get("type", ""),
        queues=1 if driver is None else int(driver.get("queues", "1")),
    )


def read_channels(guest: Guest, interfaces: t.Sequence[Interface]) -> list[Channels]:
    """:raises RtvirtError: for a guest that does not know an interface, or has no ethtool."""
    devices = guest.interfaces() if interfaces else {}
    return [_read(guest, interface, devices.get(interface.mac, [])) for interface in interfaces]


def _read(guest: Guest, interface: Interface, devices: t.Sequence[str]) -> Channels:
    for device in devices:
        # Its bridge, bond or VLAN has the same address, and another driver.
        if "driver: virtio_net" not in _ethtool(guest, "-i", device).output.splitlines():
            continue
        shown = _ethtool(guest, "-l", device)
        if shown.code != 0 and interface.queues == 1:
            return Channels(interface, device, 1, 1)
        most, used = channels_of(guest.name, shown)
        return Channels(interface, device, most, used)
    have = ", ".join(devices) or "none"
    raise RtvirtError(
        f"{guest.name} has no virtio_net interface with the address {interface.mac} of {interface.name}, but {have}: "
        "is its driver loaded in the guest, and the address not changed there?"
    )


def channels_of(guest: str, shown: Ran) -> tuple[int, int]:
    """What ``ethtool -l`` says: how many could be used, and how many are.

    :raises RtvirtError: for anything else.
    """
    found = _COMBINED.findall(shown.output)
    if shown.code != 0 or len(found) != 2:
        raise RtvirtError(f"{guest}: ethtool -l says nothing of combined queues: {shown.errors or shown.output}")
    return int(found[0]), int(found[1])


def set_channels(guest: Guest, device: str, queues: int) -> None:
    done = _ethtool(guest, "-L", device, "combined", str(queues))
    if done.code != 0:
        raise RtvirtError(f"{guest.name}: ethtool -L {device} combined {queues}: {done.errors or done.output}")


def _ethtool(guest: Guest, *arguments: str) -> Ran:
    ran = guest.run("ethtool", *arguments)
    if ran.code is None:
        raise RtvirtError(f"{guest.name} has no ethtool: install it in the guest")
    return ran


def irqbalance(guest: Guest) -> str:
    """Whether irqbalance runs in the guest: ``running``, ``stopped``, or ``unknown`` where the guest cannot tell."""
    for program, *arguments in (("pidof", "irqbalance"), ("systemctl", "is-active", "irqbalance")):
        ran = guest.run(program, *arguments)
        if ran.code is not None:
            return "running" if ran.code == 0 else "stopped"
    return "unknown"
