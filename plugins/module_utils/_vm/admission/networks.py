# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of interfaces and the networks behind them.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.report import Report, listed
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path

__all__ = ["check_networks", "sockets_of"]

_BINDINGS = ("masquerade", "bridge", "sriov", "passtBinding", "binding", "vhostuser")
_MODELS = ("e1000", "e1000e", "igb", "ne2k_pci", "pcnet", "rtl8139", "virtio")
_SOURCES = ("pod", "multus", "resourceClaim", "libvirt")
_LIBVIRT = ("network", "bridge", "macvtap", "vhostuser")
_NAME = re.compile(r"^[A-Za-z0-9_-]+$")
_MAC = re.compile(r"^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$")

#: Of a virtio ring, as QEMU has them (``hw/net/virtio-net.c``), and of queue pairs.
_RING_SIZES = (256, 512, 1024)
_MOST_QUEUES = 256

#: A socket's path is held in 108 bytes, of which the last is zero (unix(7)).
_LONGEST_SOCKET = 107


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
    _check_sockets(report)


def _check_interface(report: Report, at: Path, interface: dict[str, t.Any], network: dict[str, t.Any]) -> None:
    bindings = [binding for binding in _BINDINGS if binding in interface]
    if len(bindings) != 1:
        report.add(at, f"has {' and '.join(bindings) or 'no binding'}: write exactly one, masquerade or bridge")
    elif bindings == ["masquerade"] and network and "pod" not in network:
        report.add((*at, "masquerade"), "is only for the pod network: write bridge")
    elif bindings == ["bridge"] and "pod" in network and report.backend == "libvirt":
        report.add((*at, "bridge"), "a plain host has no pod network to bridge: write masquerade, or a libvirt network")
    report.choice((*at, "model"), interface.get("model"), _MODELS)
    if "vhostuser" in interface:
        _check_vhostuser(report, at, interface)
    if report.backend == "libvirt":
        report.choice((*at, "state"), interface.get("state"), ("up", "down"))
        if "vhostuser" in interface:
            _check_vhostuser_on_host(report, at, interface["vhostuser"] or {}, network)
        elif "vhostuser" in (network.get("libvirt") or {}):
            report.add(at, f"has {listed(bindings)}, and its network is a vhost-user socket: write vhostuser")
    mac = interface.get("macAddress")
    if mac is not None and not _MAC.fullmatch(mac):
        report.add((*at, "macAddress"), f"{mac!r} is no MAC address: write six pairs of hex digits, 52:54:00:12:34:56")
    elif mac is not None and int(mac[:2], 16) & 1:
        report.add((*at, "macAddress"), f"{mac!r} is a multicast address: make its first pair even")


def _check_vhostuser(report: Report, at: Path, interface: dict[str, t.Any]) -> None:
    """An interface whose other end is a switch in user space, which maps the guest's memory."""
    if interface.get("model") not in (None, "virtio"):
        report.add((*at, "model"), f"{interface['model']!r} has no vhost-user: write virtio, or leave it out")
    # An instance type may have them.
    if not report.vm.get("instancetype") and not mapping_at(report.domain, "memory", "hugepages").get("pageSize"):
        remedy = "declare hugepages, such as 1Gi or 2Mi"
        report.add((*at, "vhostuser"), f"needs huge pages, the switch reads and writes the guest's memory: {remedy}")


def _check_vhostuser_on_host(report: Report, at: Path, settings: dict[str, t.Any], network: dict[str, t.Any]) -> None:
    """What QEMU takes of a vhost-user interface on a host of its own."""
    if network and "vhostuser" not in (network.get("libvirt") or {}):
        report.add((*at, "vhostuser"), "needs a network with libvirt.vhostuser.socket: write the path of its socket")
    if not 1 <= settings.get("queues", 1) <= _MOST_QUEUES:
        report.add((*at, "vhostuser", "queues"), f"is {settings['queues']}: write 1 to {_MOST_QUEUES}")
    for key in ("rxQueueSize", "txQueueSize"):
        if settings.get(key, _RING_SIZES[0]) not in _RING_SIZES:
            report.add((*at, "vhostuser", key), f"is {settings[key]}: write {listed(map(str, _RING_SIZES))}")


def _check_sockets(report: Report) -> None:
    """Each socket is one interface's."""
    seen: set[str] = set()
    for at, path in sockets_of(report):
        if path in seen:
            report.add(at, f"{path} is another network's already: a socket has one interface, write another")
        seen.add(path)


def sockets_of(report: Report) -> list[tuple[Path, str]]:
    """(place, path) of the vhost-user sockets that a VM's networks name."""
    named = [
        ((*at, "libvirt", "vhostuser", "socket"), mapping_at(network, "libvirt", "vhostuser").get("socket"))
        for at, network in report.items("networks")
    ]
    return [(at, path) for at, path in named if path]


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
    kinds = [kind for kind in _LIBVIRT if source.get(kind)]
    if len(kinds) != 1:
        report.add(at, f"has {' and '.join(kinds) or 'no source'}: write exactly one of {listed(_LIBVIRT)}")
    elif source.get("portgroup") and kinds != ["network"]:
        report.add((*at, "portgroup"), "is a group of a network's ports: write it beside a network, or leave it out")
    elif kinds == ["vhostuser"]:
        _check_socket(report, (*at, "vhostuser", "socket"), source["vhostuser"].get("socket"))
    elif kinds == ["macvtap"]:
        if not source["macvtap"].get("device"):
            report.add((*at, "macvtap", "device"), "is missing: write the host's interface, such as eth1")
        modes = ("bridge", "vepa", "private", "passthrough")
        report.choice((*at, "macvtap", "mode"), source["macvtap"].get("mode"), modes)


def _check_socket(report: Report, at: Path, path: str | None) -> None:
    if not path:
        report.add(at, "is missing: write the path that the switch's port has (options:vhost-server-path)")
    elif not path.startswith("/"):
        report.add(at, f"{path!r} is no absolute path: write one, such as /run/vhostuser/{path}")
    elif len(path.encode()) > _LONGEST_SOCKET:
        report.add(at, f"is {len(path.encode())} bytes long, a socket's path at most {_LONGEST_SOCKET}: shorten it")
