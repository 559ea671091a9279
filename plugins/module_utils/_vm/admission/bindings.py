# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces on a cluster that a binding plugin makes, and networks that are resource claims.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

KubeVirt has no vhost-user interfaces of its own: ``vhostuser`` is what its binding plugin of that name does
(kubevirt/vhostuser-network-binding-plugin, 0.1.0). What is said of the plugin here is in its ``pkg/domain``, the rules
of claims are those of KubeVirt 1.9 (``pkg/network/admitter/dra.go``). A ``binding`` that is written as such may be any
plugin's, and is left to it.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.report import DEVICES, Report
from ansible_collections.rtvirt.core.plugins.module_utils.converters import defaults
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import Manifest, mapping_at
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path

__all__ = ["bind_vhostuser", "check_bindings"]

#: The plugin's name in the KubeVirt resource, and so that of the binding.
_PLUGIN = "vhostuser"

_MOST_QUEUES = 256
_RING_SIZE = 1024


def check_bindings(report: Report) -> None:
    networks = {network.get("name"): network for _at, network in report.items("networks")}
    interfaces = {interface.get("name"): interface for _at, interface in report.items("interfaces")}
    for at, interface in report.items("interfaces"):
        if "vhostuser" in interface:
            _check_vhostuser(report, at, interface, networks.get(interface.get("name")) or {})
    claimed: set[tuple[str, str]] = set()
    for at, network in report.items("networks"):
        if "resourceClaim" in network:
            _check_claimed(report, at, network, interfaces.get(network.get("name")) or {})
            _check_once(report, at, network["resourceClaim"] or {}, claimed)


def bind_vhostuser(manifest: Manifest) -> None:
    """Turn ``vhostuser`` of an admitted manifest into the binding that KubeVirt knows."""
    interfaces = mapping_at(manifest.document, *map(str, DEVICES)).get("interfaces") or []
    for index, interface in enumerate(interfaces):
        if interface.pop("vhostuser", None) is None:
            continue
        interface["binding"] = {"name": _PLUGIN}
        at: Path = (*DEVICES, "interfaces", index)
        written, binding = (*at, "vhostuser"), (*at, "binding")
        # What the server has to say of the binding is said of what the user wrote.
        manifest.origins[binding] = manifest.origins[written]


def _check_vhostuser(report: Report, at: Path, interface: dict[str, t.Any], network: dict[str, t.Any]) -> None:
    settings = interface["vhostuser"] or {}
    place = (*at, "vhostuser")
    if "pod" in network:
        report.add(place, "is no interface of the pod network: write resourceClaim, or multus")
    for key in ("rxQueueSize", "txQueueSize"):
        if settings.get(key, _RING_SIZE) != _RING_SIZE:
            remedy = f"write {_RING_SIZE}, or leave it out"
            report.add((*place, key), f"is {settings[key]}, and the plugin's are {_RING_SIZE}: {remedy}")
    if settings.get("mrgRxbuf") is False:
        report.add((*place, "mrgRxbuf"), "is false, and the plugin leaves it on: write true, or leave it out")
    if settings.get("queues") is not None:
        _check_queues(report, (*place, "queues"), settings["queues"])


def _check_queues(report: Report, at: Path, queues: int) -> None:
    if not report.devices.get("networkInterfaceMultiqueue"):
        if queues != 1:
            remedy = "write multiqueue: true, which makes one for each vCPU"
            report.add(at, f"is {queues}, and the plugin makes one: {remedy}")
        return
    # A number of CPUs that is wrong has been told, and an instance type's is not known.
    if report.problems or report.vm.get("instancetype"):
        return
    made = min(defaults.vcpu_count(report.spec) or 1, _MOST_QUEUES)
    if queues != made:
        remedy = f"write {made}, or leave it out"
        report.add(at, f"is {queues}, and with multiqueue the plugin makes one for each vCPU: {remedy}")


def _check_claimed(report: Report, at: Path, network: dict[str, t.Any], interface: dict[str, t.Any]) -> None:
    claim = network["resourceClaim"] or {}
    place = (*at, "resourceClaim")
    if any("multus" in other for _at, other in report.items("networks")):
        report.add(place, "stands beside a multus network, and KubeVirt does not mix them: write one kind")
    if interface and not interface.keys() & {"binding", "sriov", "vhostuser"}:
        report.add(place, "is only for vhostuser, sriov and binding plugins: write one of them for its interface")
    for key, remedy in (
        ("claimName", "write the name of a claim in spec.resourceClaims"),
        ("requestName", "write the name of the request in that claim"),
    ):
        if not claim.get(key):
            report.add((*place, key), f"is missing: {remedy}")
    names = [one.get("name") for one in report.spec.get("resourceClaims") or []]
    if claim.get("claimName") and claim["claimName"] not in names:
        report.add((*place, "claimName"), f"{claim['claimName']!r} is none of resourceClaims: add one of that name")


def _check_once(report: Report, at: Path, claim: dict[str, t.Any], claimed: set[tuple[str, str]]) -> None:
    pair = (str(claim.get("claimName")), str(claim.get("requestName")))
    if claim.get("claimName") and claim.get("requestName") and pair in claimed:
        report.add((*at, "resourceClaim"), f"{'/'.join(pair)} stands twice: a request is one network's, write another")
    claimed.add(pair)
