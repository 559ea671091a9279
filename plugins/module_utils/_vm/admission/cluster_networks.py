# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of interfaces and networks that only a cluster has: the pod network, Multus, ports, DHCP options.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.report import POD, Report
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path

__all__ = ["PCI_ADDRESS", "check_cluster_networks"]

#: KubeVirt's form of a guest's PCI address.
PCI_ADDRESS = re.compile(r"[0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]")

#: That of the bridge within the pod.
_RESERVED_MAC = "02:00:00:00:00:00"

#: RFC 6335, as Kubernetes has it for the names of ports.
_PORT_NAME = re.compile(r"(?=.*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")

#: DHCP options that are anybody's.
_PRIVATE_OPTIONS = range(224, 255)

#: Bindings that KubeVirt has no more -> what to use instead.
_GONE = {"slirp": "masquerade", "passt": "passtBinding", "macvtap": "a binding plugin, or bridge"}


def check_cluster_networks(report: Report) -> None:
    networks = {network.get("name"): network for _at, network in report.items("networks")}
    for at, interface in report.items("interfaces"):
        _check_interface(report, at, interface, networks.get(interface.get("name")) or {})
    _check_default_network(report)


def _check_interface(report: Report, at: Path, interface: dict[str, t.Any], network: dict[str, t.Any]) -> None:
    for key, remedy in _GONE.items():
        if key in interface:
            report.add((*at, key), f"is gone since KubeVirt 1.3: use {remedy}")
    if "passtBinding" in interface and "pod" not in network:
        report.add((*at, "passtBinding"), "is only for the pod network: write bridge")
    if "masquerade" in interface and interface.get("macAddress") == _RESERVED_MAC:
        report.add((*at, "macAddress"), "is the address of the bridge within the pod: write another one")
    if interface.get("pciAddress") and not PCI_ADDRESS.fullmatch(interface["pciAddress"]):
        report.add((*at, "pciAddress"), f"{interface['pciAddress']!r} is no PCI address: write it as 0000:81:00.1")
    _check_state(report, at, interface, network)
    _check_ports(report, at, interface.get("ports") or [])
    _check_dhcp(report, (*at, "dhcpOptions"), interface.get("dhcpOptions") or {})


def _check_state(report: Report, at: Path, interface: dict[str, t.Any], network: dict[str, t.Any]) -> None:
    state = interface.get("state")
    report.choice((*at, "state"), state, ("absent", "down", "up"))
    if state in ("down", "up") and "sriov" in interface:
        report.add((*at, "state"), "is not for SR-IOV, whose link is the host's: leave it out")
    elif state == "absent" and ("bridge" not in interface or is_default(network)):
        report.add((*at, "state"), "absent is only for bridge on a network that is not the default: leave it out")


def is_default(network: dict[str, t.Any]) -> bool:
    return "pod" in network or bool((network.get("multus") or {}).get("default"))


def _check_ports(report: Report, at: Path, ports: list[dict[str, t.Any]]) -> None:
    names: set[str] = set()
    for index, port in enumerate(ports):
        place = (*at, "ports", index)
        if not 1 <= (port.get("port") or 1) <= 65535 or port.get("port") == 0:
            report.add((*place, "port"), f"is {port['port']}: write 1 to 65535")
        name = port.get("name")
        if name:
            report.once(place, name, names, "an interface's ports must not have the same name")
        if name and not _PORT_NAME.fullmatch(name):
            report.add((*place, "name"), f"{name!r}: write at most 15 lower-case letters, digits and single -")


def _check_dhcp(report: Report, at: Path, options: dict[str, t.Any]) -> None:
    for index, server in enumerate(options.get("ntpServers") or []):
        try:
            ipaddress.IPv4Address(server)
        except ValueError:
            report.add((*at, "ntpServers", index), f"{server!r} is no IPv4 address: DHCP has no names for them")
    seen: set[int] = set()
    for index, option in enumerate(options.get("privateOptions") or []):
        place, number = (*at, "privateOptions", index, "option"), option.get("option")
        if number is not None and number not in _PRIVATE_OPTIONS:
            report.add(place, f"is {number}: write 224 to 254, those that are not assigned")
        elif number in seen:
            report.add(place, f"{number} stands twice: write each option once")
        seen.add(t.cast(int, number))


def _check_default_network(report: Report) -> None:
    """A pod has one network by default: its cluster's, or one of Multus in its place."""
    default: Path | None = None
    for at, network in report.items("networks"):
        if not is_default(network):
            continue
        if default is not None:
            remedy = "connect others by multus, without default"
            report.add(at, f"is a second default network, after networks[{default[len(POD) + 1]}]: {remedy}")
        default = default or at
