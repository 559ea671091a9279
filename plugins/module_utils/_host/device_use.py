# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host itself does with a PCI device, and so cannot be without.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.pci import Device

__all__ = ["uses_of"]


def uses_of(host: Host, device: Device) -> list[str]:
    """Why a device cannot be taken from its host, in words; nothing where it can."""
    found = [why for name in device.interfaces for why in _network_uses(host, name)]
    folder = f"/sys/bus/pci/devices/{device.address}"
    found += [why for disk in _disks(host, device.address) for why in _disk_uses(host, disk)]
    if host.word(f"{folder}/boot_vga") == "1":
        found.append("it is the graphics card that the host has booted with")
    return found


def _network_uses(host: Host, name: str) -> t.Iterator[str]:
    folder = f"/sys/class/net/{name}"
    master = host.target(f"{folder}/master")
    if master:
        yield f"{name} is part of {master}"
    routes = [line.split() for line in (host.read("/proc/net/route") or "").splitlines()[1:]]
    if any(route[0] == name and route[1] == route[7] == "00000000" for route in routes if len(route) > 7):
        yield f"{name} has the default route"
    elif any(route[0] == name for route in routes if route):
        yield f"{name} has an address"
    else:
        lines = (line.split() for line in (host.read("/proc/net/if_inet6") or "").splitlines())
        # A link-local address is there by itself.
        if any(line[5] == name and not line[0].startswith("fe80") for line in lines if len(line) > 5):
            yield f"{name} has an address"
    uppers = [entry.removeprefix("upper_") for entry in host.names(folder) if entry.startswith("upper_")]
    if uppers and not master:
        yield f"{name} carries {', '.join(uppers)}"


_NVME_PATH = re.compile(r"(nvme\d+)c\d+(n\d+)")
_PARTITION = re.compile(r"(?<=\d)p\d+$")


def _disks(host: Host, address: str) -> list[str]:
    """The block devices behind a PCI device, by the addresses in their paths.

    With the kernel's own multipath of NVMe a disk (nvme0n1) is a virtual one, and its card has hidden paths to it
    (nvme0c0n1).
    """
    names = host.names("/sys/class/block")
    behind = [name for name in names if f"/{address}/" in host.link(f"/sys/class/block/{name}")]
    heads = {_NVME_PATH.sub(r"\1\2", name) for name in behind if _NVME_PATH.fullmatch(name)}
    return behind + [name for name in names if _PARTITION.sub("", name) in heads]


def _disk_uses(host: Host, name: str) -> t.Iterator[str]:
    mounts = (line.split() for line in (host.read("/proc/self/mounts") or "").splitlines())
    yield from (f"{name} is mounted on {mount[1]}" for mount in mounts if mount and mount[0] == f"/dev/{name}")
    if re.search(rf"^/dev/{re.escape(name)}\s", host.read("/proc/swaps") or "", re.MULTILINE):
        yield f"{name} is swap"
    holders = host.names(f"/sys/class/block/{name}/holders")
    if holders:
        yield f"{name} is used by {', '.join(holders)}"
