# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the addresses that are declared of a network.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

libvirt takes most of it: addresses outside of the subnet, ranges that overlap, a boot file that is never announced.
dnsmasq then does not start, or does not do what was meant.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import Problem
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.options import Options, is_given

__all__ = ["check_addresses"]

_MAC = re.compile(r"^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"^{_LABEL}(?:\.{_LABEL})*$")

#: libvirt's own limit of a range.
_MOST_ADDRESSES = 65535


def check_addresses(options: Options) -> list[Problem]:
    problems: list[Problem] = []
    for family, version, example in (("ipv4", 4, "192.168.150.1/24"), ("ipv6", 6, "fd00:150::1/64")):
        part = options.get(family) or {}
        if not is_given(part):
            continue
        interface, wrong = _interface(part.get("address"), version, example)
        problems += [Problem(f"{family}.address", message) for message in wrong]
        if family == "ipv4" and interface is not None:
            problems += _check_dhcp(part.get("dhcp") or {}, interface)
        problems += _check_pxe(part) if family == "ipv4" else []
    return problems


def _interface(text: str | None, version: int, example: str) -> tuple[t.Any, list[str]]:
    """The address of the host in the network with the network's size, and what is wrong with it."""
    wanted = f"write the host's address in the network with its size, {example}"
    try:
        interface = ipaddress.ip_interface(text or "")
    except ValueError:
        interface = None
    if text is None:
        return None, [f"is missing: {wanted}"]
    if interface is None or interface.version != version or "/" not in text:
        return None, [f"{text!r}: {wanted}"]
    network = interface.network
    if network.num_addresses < 4:
        return None, [f"{text!r} has no room for guests: {wanted}"]
    if interface.ip == network.network_address or (version == 4 and interface.ip == network.broadcast_address):
        return None, [f"{text!r} is the network itself or its broadcast address: {wanted}"]
    return interface, []


def _check_dhcp(dhcp: Options, interface: t.Any) -> list[Problem]:
    problems: list[Problem] = []
    taken: list[tuple[t.Any, t.Any]] = []
    for index, one in enumerate(dhcp.get("ranges") or []):
        path = f"ipv4.dhcp.ranges[{index}]"
        ends = []
        for key in ("start", "end"):
            address, message = _inside(one[key], interface)
            ends.append(address)
            problems += [Problem(f"{path}.{key}", message)] if message else []
        start, end = ends
        if start is None or end is None:
            continue
        if start > end:
            problems.append(Problem(path, f"starts at {start}, after its end {end}: exchange them"))
        elif int(end) - int(start) >= _MOST_ADDRESSES:
            problems.append(Problem(path, f"is too large for libvirt: make several, of at most {_MOST_ADDRESSES}"))
        if any(start <= other[1] and other[0] <= end for other in taken):
            problems.append(Problem(path, "overlaps with one before it: write each address in one range"))
        taken.append((start, end))
    return problems + _check_hosts(dhcp.get("hosts") or [], interface)


def _check_hosts(hosts: t.Sequence[Options], interface: t.Any) -> list[Problem]:
    problems: list[Problem] = []
    seen: dict[str, set[t.Any]] = {"mac": set(), "address": set(), "name": set()}

    def look(index: int, key: str, value: t.Any, message: str | None) -> None:
        if message is None and value in seen[key]:
            message = f"{value} is there twice: each host has one of its own"
        if message is not None:
            problems.append(Problem(f"ipv4.dhcp.hosts[{index}].{key}", message))
        seen[key].add(value)

    for index, host in enumerate(hosts):
        mac, name = host["mac"], host.get("name")
        look(index, "mac", mac.replace("-", ":").lower(), _wrong_mac(mac))
        address, message = _inside(host["address"], interface)
        if address == interface.ip:
            message = f"{address} is the host's own address in the network: write another"
        look(index, "address", address, message)
        if name is not None:
            wrong = f"{name!r} is no host name: write letters, digits and -, parts with dots between"
            look(index, "name", name, None if _HOST_NAME.match(name) else wrong)
    return problems


def _wrong_mac(mac: str) -> str | None:
    if mac.isdigit():
        return f"{mac} is what YAML makes of an address of digits: write it in quotes, '52:54:00:12:34:56'"
    if not _MAC.match(mac):
        return f"{mac!r} is no MAC address: write six pairs of hex digits, 52:54:00:12:34:56"
    return f"{mac!r} is a multicast address: make its first pair even" if int(mac[:2], 16) & 1 else None


def _inside(text: str, interface: t.Any) -> tuple[t.Any, str | None]:
    """An address that a guest in the network may have, or None and what is wrong with it."""
    network = interface.network
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None, f"{text!r} is no address: write one of {network}"
    if address not in network:
        return None, f"{text} is not in {network}: write an address of it, or make the network larger"
    if address in (network.network_address, network.broadcast_address):
        return None, f"{text} is {network} itself or its broadcast address: write another"
    return address, None


def _check_pxe(ipv4: Options) -> list[Problem]:
    pxe, dhcp = ipv4.get("pxe") or {}, ipv4.get("dhcp") or {}
    root, file, server = pxe.get("tftp_root"), pxe.get("boot_file"), pxe.get("server")
    problems: list[Problem] = []

    def add(key: str, message: str) -> None:
        problems.append(Problem(f"ipv4.pxe.{key}", message))

    if root and not root.startswith("/"):
        add("tftp_root", f"{root!r}: write the whole path of a folder of the host")
    if root and server:
        add(
            "server",
            "is another machine that serves the files, tftp_root a folder that this one does: write one of both",
        )
    if server and not file:
        add("boot_file", "is missing: write the name of the file that the server has for guests that boot")
    if server and _interface(f"{server}/0", 4, "")[0] is None:
        add("server", f"{server!r}: write an IPv4 address, as libvirt takes no names there")
    if file and not is_given(dhcp):
        add("boot_file", "is announced by DHCP, and there is none: add dhcp with ranges or hosts")
    if file and not server and "://" not in file:
        if not root:
            add("tftp_root", f"is missing: write the folder that {file} is in, or the server that has it")
        elif file.startswith("/") or ".." in file.split("/"):
            add("boot_file", f"{file!r}: write it as it is called below tftp_root")
    return problems
