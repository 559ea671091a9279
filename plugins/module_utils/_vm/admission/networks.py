# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of interfaces and the networks behind them.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.cluster_networks import (
    check_cluster_interface,
    check_default_network,
)
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.report import Report
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path

__all__ = ["check_networks"]

_BINDINGS = ("masquerade", "bridge", "sriov", "passtBinding", "binding")
_MODELS = ("e1000", "e1000e", "igb", "ne2k_pci", "pcnet", "rtl8139", "virtio")
_SOURCES = ("pod", "multus", "resourceClaim", "libvirt")
_NAME = re.compile(r"^[A-Za-z0-9_-]+$")
_MAC = re.compile(r"^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$")


def check_networks(report: Report) -> None:
    networks = {network.get("name"): network for _at, network in report.items("networks")}
    used: set[str] = set()
    for at, interface in report.items("interfaces"):
        name = str(interface.get("name") or "")
        if not _NAME.fullmatch(name):
            report.add((*at, "name"), f"{name!r}: write letters, digits, - and _")
        report.once(at, name, used, "one interface connects to one network")
        if name not in networks:
            report.add((*at, "name"), f"{name!r} has no network: add one of that name, or a network to the interface")
        _check_interface(report, at, interface, networks.get(name) or {})
    _check_sources(report, used)
    if report.backend == "kubevirt":
        check_default_network(report)


def _check_interface(report: Report, at: Path, interface: dict[str, t.Any], network: dict[str, t.Any]) -> None:
    bindings = [binding for binding in _BINDINGS if binding in interface]
    if len(bindings) != 1:
        report.add(at, f"has {' and '.join(bindings) or 'no binding'}: write exactly one, masquerade or bridge")
    elif bindings == ["masquerade"] and network and "pod" not in network:
        report.add((*at, "masquerade"), "is only for the pod network: write bridge")
    elif bindings == ["bridge"] and "pod" in network and report.backend == "libvirt":
        report.add((*at, "bridge"), "a plain host has no pod network to bridge: write masquerade, or a libvirt network")
    report.choice((*at, "model"), interface.get("model"), _MODELS)
    if report.backend == "kubevirt":
        check_cluster_interface(report, at, interface, network)
    else:
        report.choice((*at, "state"), interface.get("state"), ("up", "down"))
    mac = interface.get("macAddress")
    if mac is not None and not _MAC.fullmatch(mac):
        report.add((*at, "macAddress"), f"{mac!r} is no MAC address: write six pairs of hex digits, 52:54:00:12:34:56")
    elif mac is not None and int(mac[:2], 16) & 1:
        report.add((*at, "macAddress"), f"{mac!r} is a multicast address: make its first pair even")


def _check_sources(report: Report, used: set[str]) -> None:
    names: set[str] = set()
    for at, network in report.items("networks"):
        name = str(network.get("name") or "")
        report.once(at, name, names, "every network must have a unique name")
        if name not in used:
            report.add((*at, "name"), f"{name!r} has no interface: add one of that name")
        sources = [source for source in _SOURCES if source in network]
        if len(sources) != 1:
            wanted = "pod or libvirt" if report.backend == "libvirt" else "pod or multus"
            report.add(at, f"has {' and '.join(sources) or 'no type'}: write exactly one, {wanted}")
        elif sources == ["libvirt"]:
            _check_libvirt(report, (*at, "libvirt"), network["libvirt"] or {})


def _check_libvirt(report: Report, at: Path, source: dict[str, t.Any]) -> None:
    kinds = [kind for kind in ("network", "bridge", "macvtap") if source.get(kind)]
    if len(kinds) != 1:
        report.add(at, f"has {' and '.join(kinds) or 'no source'}: write exactly one of network, bridge or macvtap")
    elif kinds == ["macvtap"]:
        if not source["macvtap"].get("device"):
            report.add((*at, "macvtap", "device"), "is missing: write the host's interface, such as eth1")
        modes = ("bridge", "vepa", "private", "passthrough")
        report.choice((*at, "macvtap", "mode"), source["macvtap"].get("mode"), modes)
