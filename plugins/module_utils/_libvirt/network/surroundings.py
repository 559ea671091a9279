# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host lacks for a network, or has already given to others.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

libvirt defines and starts a network on a bridge that is not there, and serves a folder that is not there. Guests find
out.
"""

from __future__ import annotations

import ipaddress
import pathlib
import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils._errors import Problem
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt import folders
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.definition import ip_of, mode_of, own_bridge
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.options import Options

__all__ = ["check_bridge", "check_files", "check_neighbours", "host_subnets", "subnet_of"]

#: Bits of the widest subnet that is taken for one of neighbours.
_LEAST_PREFIX = 8

_DEVICES = pathlib.Path("/sys/class/net")
_ROUTES = pathlib.Path("/proc/net/route")

#: Nobody's numbers: dnsmasq serves by TFTP what everybody may read.
_ANYBODY = (-1, -1)


def check_bridge(options: Options, after: ET.Element, devices: pathlib.Path = _DEVICES) -> list[Problem]:
    """Problems with the bridge of the host that a network is on, and with the device that its packets leave by."""
    problems: list[Problem] = []
    device, bridge = options.get("device"), after.find("bridge")
    if device and not (devices / device).exists():
        problems.append(Problem("device", f"this host has no network device {device!r}"))
    if mode_of(after) != "bridge" or bridge is None:
        return problems
    name, port = bridge.get("name", ""), after.find("virtualport")
    is_linux, wants_linux = (devices / name / "bridge").is_dir(), port is None
    if not (devices / name).exists():
        message = (
            f"this host has no bridge {name!r}: make it first, by the distribution's network configuration or ovs-vsctl"
        )
        problems.append(Problem("bridge", message))
    elif wants_linux and not is_linux:
        message = f"{name!r} is no Linux bridge: write the name of one, or openvswitch true for one of Open vSwitch"
        problems.append(Problem("bridge", message))
    elif is_linux and not wants_linux:
        problems.append(
            Problem("openvswitch", f"{name!r} is a Linux bridge: leave openvswitch out, or name another bridge")
        )
    return problems


def check_files(options: Options) -> list[Problem]:
    """Problems with the files that guests boot from."""
    pxe = (options.get("ipv4") or {}).get("pxe") or {}
    if not pxe.get("tftp_root"):
        return []
    root = pathlib.Path(pxe["tftp_root"])
    if not root.is_dir():
        return [Problem("ipv4.pxe.tftp_root", f"{root} is no folder of this host: make it, with the files in it")]
    key, path = "tftp_root", root
    if pxe.get("boot_file") and "://" not in pxe["boot_file"]:
        key, path = "boot_file", root / pxe["boot_file"]
    if not path.exists():
        return [Problem("ipv4.pxe.boot_file", f"{path} is not there: put the file there, or write one that is")]
    closed = folders.closed_folder(str(path), _ANYBODY)
    if closed:
        message = f"{path} is below {closed}, which not everybody may enter, as dnsmasq must: chmod o+x {closed}"
        return [Problem(f"ipv4.pxe.{key}", message)]
    needed, right = (0o001, "x") if key == "tftp_root" else (0o004, "r")
    if not path.stat().st_mode & needed:
        return [
            Problem(
                f"ipv4.pxe.{key}", f"{path} is closed to dnsmasq, which is nobody in particular: chmod o+{right} {path}"
            )
        ]
    return []


def check_neighbours(
    options: Options,
    after: ET.Element,
    others: t.Mapping[str, tuple[ET.Element, bool]],
    subnets: t.Iterable[tuple[str, t.Any, bool]],
) -> list[Problem]:
    """Problems with bridges and subnets that others have.

    :arg others: the other networks of libvirt, and whether each is active.
    :arg subnets: as :func:`host_subnets` has them.
    """
    problems: list[Problem] = []
    bridge = own_bridge(after)
    for name, (other, _active) in others.items():
        if bridge is not None and own_bridge(other) == bridge:
            problems.append(Problem("bridge", f"{bridge!r} is the bridge of the network {name!r}: write another name"))
    if options["state"] != "active":
        return problems
    for family in ("ipv4", "ipv6"):
        mine = subnet_of(after, family)
        taken = [
            (f"the network {name!r}", subnet_of(other, family), True)
            for name, (other, active) in others.items()
            if active
        ]
        # What a bridge of libvirt leads to is told by its network.
        bridges = {own_bridge(other) for other, _active in others.values()} | {bridge}
        taken += [one for one in subnets if one[0] not in bridges]
        for owner, subnet, direct in taken:
            if mine is not None and subnet is not None and _collide(mine, subnet, direct):
                message = f"{mine} overlaps with {subnet} of {owner}: write another subnet"
                problems.append(Problem(f"{family}.address", message))
    return problems


def _collide(mine: t.Any, subnet: t.Any, direct: bool) -> bool:
    """Whether a subnet is where another one is, or hides a part of it, or of the host's own neighbours.

    A wider one behind a gateway, or the half of the Internet that a VPN leads to, is reached as before.
    """
    if mine.version != subnet.version or not mine.overlaps(subnet):
        return False
    return bool(subnet.prefixlen >= mine.prefixlen or (direct and subnet.prefixlen >= _LEAST_PREFIX))


def host_subnets(routes: pathlib.Path = _ROUTES) -> list[tuple[str, t.Any, bool]]:
    """(device, subnet, whether without a gateway) of each route of this host; a default route is to no subnet."""
    subnets = []
    for line in routes.read_text().splitlines()[1:]:
        device, destination, gateway, _flags, _references, _use, _metric, mask = line.split()[:8]
        if int(mask, 16):
            address, size = (ipaddress.ip_address(int(text, 16).to_bytes(4, "little")) for text in (destination, mask))
            subnets.append((device, ipaddress.ip_network(f"{address}/{size}"), not int(gateway, 16)))
    return subnets


def subnet_of(network: ET.Element, family: str) -> t.Any:
    ip = ip_of(network, family)
    size = None if ip is None else ip.get("prefix") or ip.get("netmask")
    if ip is None or size is None:
        return None
    return ipaddress.ip_interface(f"{ip.get('address')}/{size}").network
