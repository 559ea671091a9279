# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network's XML with its declaration enforced.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Only the parts that are declared are looked at. What libvirt has filled in (uuid, MAC address, bridge's name) and what
others have added (DNS entries, leases' times, bandwidths) stays.
"""

from __future__ import annotations

import copy
import ipaddress
import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.options import Options, is_given, tags_of

__all__ = ["declared_on", "ip_of", "mode_of", "new_network", "own_bridge"]

#: The order that libvirt's schema wants within <dhcp> and <ip>.
_ORDER = ("tftp", "dhcp", "range", "host", "bootp")

#: Modes of a network whose bridge is libvirt's own.
_OWN_BRIDGE = ("isolated", "nat", "route", "open")


def new_network(name: str) -> ET.Element:
    network = ET.Element("network")
    ET.SubElement(network, "name").text = name
    return network


def mode_of(network: ET.Element) -> str:
    forward = network.find("forward")
    return "isolated" if forward is None else forward.get("mode", "nat")


def own_bridge(network: ET.Element) -> str | None:
    """The bridge that libvirt makes for a network, None for a network on something of the host."""
    bridge = network.find("bridge")
    return None if bridge is None or mode_of(network) not in _OWN_BRIDGE else bridge.get("name")


def ip_of(network: ET.Element, family: str) -> ET.Element | None:
    """The network's first <ip> of a family, ``ipv4`` or ``ipv6``: the one that can be declared."""
    return next(iter(_ips_of(network, family)), None)


def _ips_of(network: ET.Element, family: str) -> list[ET.Element]:
    return [ip for ip in network.findall("ip") if ip.get("family", "ipv4") == family]


def declared_on(network: ET.Element, options: Options) -> ET.Element:
    """A copy of a network in which each declared part is as it is declared."""
    result = copy.deepcopy(network)
    for option, write in _PARTS.items():
        if options.get(option) is not None:
            write(result, options[option])
    return result


def _write_mode(network: ET.Element, mode: str) -> None:
    if mode == mode_of(network):
        return
    forward = _child(network, "forward")
    if mode == "isolated":
        network.remove(forward)
        return
    forward.set("mode", mode)
    for nat in forward.findall("nat"):
        forward.remove(nat)


def _write_device(network: ET.Element, device: str) -> None:
    forward = network.find("forward")
    if forward is None or forward.get("dev", "") == device:
        return
    # libvirt repeats it there.
    for interface in forward.findall("interface"):
        forward.remove(interface)
    _set(forward, "dev", device)


def _write_openvswitch(network: ET.Element, wanted: bool) -> None:
    port = network.find("virtualport")
    if wanted:
        _child(network, "virtualport").set("type", "openvswitch")
    elif port is not None and port.get("type") == "openvswitch":
        network.remove(port)


def _write_vlan(parent: ET.Element, vlan: Options) -> None:
    tags, native = tags_of(vlan), vlan.get("native")
    current = parent.find("vlan")
    if current is not None and _vlan_of(current) == (tags, native):
        return
    if current is not None:
        parent.remove(current)
    if tags:
        trunk = {"trunk": "yes"} if len(tags) > 1 or native is not None else {}
        current = ET.SubElement(parent, "vlan", trunk)
        for tag in tags:
            mode = {"nativeMode": "untagged"} if tag == native else {}
            ET.SubElement(current, "tag", {"id": str(tag), **mode})


def _vlan_of(vlan: ET.Element) -> tuple[list[int], int | None]:
    tags = vlan.findall("tag")
    native = next((int(tag.get("id", 0)) for tag in tags if tag.get("nativeMode") == "untagged"), None)
    return sorted(int(tag.get("id", 0)) for tag in tags), native


def _write_portgroups(network: ET.Element, groups: t.Sequence[Options]) -> None:
    current = {group.get("name"): group for group in network.findall("portgroup")}
    for name in current.keys() - {group["name"] for group in groups}:
        network.remove(current[name])
    for group in groups:
        element = current.get(group["name"])
        if element is None:
            element = ET.SubElement(network, "portgroup", {"name": group["name"]})
        _set(element, "default", "yes" if group["default"] else "")
        _write_vlan(element, group.get("vlan") or {})


def _write_address(network: ET.Element, family: str, ip: Options) -> None:
    if not is_given(ip):
        for one in _ips_of(network, family):
            network.remove(one)
        return
    element = ip_of(network, family)
    if element is None:
        element = ET.SubElement(network, "ip", {} if family == "ipv4" else {"family": family})
    wanted = ipaddress.ip_interface(ip["address"])
    if _interface_of(element) != wanted:
        element.attrib.pop("netmask", None)
        element.set("address", str(wanted.ip))
        element.set("prefix", str(wanted.network.prefixlen))


def _interface_of(ip: ET.Element) -> t.Any:
    """An address with its network; libvirt's default is the class of the address, which nobody declares."""
    size = ip.get("prefix") or ip.get("netmask")
    return None if size is None else ipaddress.ip_interface(f"{ip.get('address')}/{size}")


def _write_ipv4(network: ET.Element, ip: Options) -> None:
    _write_address(network, "ipv4", ip)
    element = ip_of(network, "ipv4")
    if element is None:
        return
    pxe, dhcp = ip.get("pxe") or {}, ip.get("dhcp") or {}
    _write_empty(element, "tftp", {"root": pxe.get("tftp_root")})
    parent = _child(element, "dhcp")
    _write_ranges(parent, dhcp.get("ranges") or [])
    _write_hosts(parent, dhcp.get("hosts") or [])
    _write_empty(parent, "bootp", {"file": pxe.get("boot_file"), "server": pxe.get("server")})
    if not len(parent):
        element.remove(parent)
    for one in (element, parent):
        one[:] = sorted(one, key=lambda child: _ORDER.index(child.tag) if child.tag in _ORDER else len(_ORDER))


def _write_empty(parent: ET.Element, tag: str, attributes: t.Mapping[str, str | None]) -> None:
    """An element that is nothing but its attributes, and is not there without one."""
    element = _child(parent, tag)
    for name, value in attributes.items():
        _set(element, name, value or "")
    if not element.attrib:
        parent.remove(element)


def _write_ranges(dhcp: ET.Element, ranges: t.Sequence[Options]) -> None:
    wanted = [{"start": _plain(one["start"]), "end": _plain(one["end"])} for one in ranges]
    current = dhcp.findall("range")
    for element in current:
        if element.attrib not in wanted:
            dhcp.remove(element)
    for attributes in wanted:
        if attributes not in [element.attrib for element in current]:
            ET.SubElement(dhcp, "range", attributes)


def _write_hosts(dhcp: ET.Element, hosts: t.Sequence[Options]) -> None:
    wanted = {_mac(host["mac"]): host for host in hosts}
    current = {_mac(element.get("mac", "")): element for element in dhcp.findall("host")}
    for element in dhcp.findall("host"):
        if _mac(element.get("mac", "")) not in wanted:
            dhcp.remove(element)
    for mac, host in wanted.items():
        found = current.get(mac)
        if found is None:
            found = ET.SubElement(dhcp, "host", {"mac": mac})
        _set(found, "name", host.get("name") or "")
        found.set("ip", _plain(host["address"]))


def _plain(address: str) -> str:
    return str(ipaddress.ip_address(address))


def _mac(text: str) -> str:
    return text.replace("-", ":").lower()


def _child(parent: ET.Element, tag: str) -> ET.Element:
    found = parent.find(tag)
    return ET.SubElement(parent, tag) if found is None else found


def _set(element: ET.Element, name: str, value: str) -> None:
    """Set an attribute, or take it away with an empty value."""
    if value:
        element.set(name, value)
    else:
        element.attrib.pop(name, None)


def _write_domain(network: ET.Element, name: str) -> None:
    """Others' attributes (localOnly) stay, and mean nothing without a name."""
    if name:
        _child(network, "domain").set("name", name)
        return
    for domain in network.findall("domain"):
        network.remove(domain)


#: Each part's option, and what writes it.
_PARTS: dict[str, t.Callable[[ET.Element, t.Any], None]] = {
    "mode": _write_mode,
    "device": _write_device,
    "bridge": lambda network, name: _write_empty(network, "bridge", {"name": name}),
    "openvswitch": _write_openvswitch,
    "vlan": _write_vlan,
    "portgroups": _write_portgroups,
    "mtu": lambda network, size: _write_empty(network, "mtu", {"size": str(size) if size else None}),
    "domain": _write_domain,
    "ipv4": _write_ipv4,
    "ipv6": lambda network, ip: _write_address(network, "ipv6", ip),
}
