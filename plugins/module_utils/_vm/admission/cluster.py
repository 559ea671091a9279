# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of what a VirtualMachine has from its cluster: instance types, volumes made for it, DNS, probes, credentials.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import Problem
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.bindings import bind_vhostuser, check_bindings
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.cluster_fields import KUBEVIRT, LIBVIRT_ONLY
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.cluster_machine import check_cluster_machine
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.cluster_networks import check_cluster_networks
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.cluster_values import check_values
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.placing import check_placing
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.report import (
    DNS_LABEL,
    DOMAIN,
    POD,
    Report,
    RuleSet,
    is_dns_name,
    listed,
)
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.sources import check_cluster_disks
from ansible_collections.rtvirt.core.plugins.module_utils.converters import defaults
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import Manifest, mapping_at
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path

__all__ = ["CLUSTER_RULES", "lacking"]

_CLAIM_SOURCES = ("resourceClaimName", "resourceClaimTemplateName")
_HANDLERS = ("exec", "guestAgentPing", "httpGet", "tcpSocket")
_INSTANCETYPES = ("VirtualMachineClusterInstancetype", "VirtualMachineInstancetype")
_PREFERENCES = ("VirtualMachineClusterPreference", "VirtualMachinePreference")

#: What an instance type says, and so the VM must not.
_OF_INSTANCETYPES = (
    ("cpu", "cores"),
    ("cpu", "sockets"),
    ("cpu", "threads"),
    ("memory", "guest"),
    *(("resources", kind, name) for kind in ("requests", "limits") for name in ("cpu", "memory")),
)

#: Kubernetes' own bounds of a pod's DNS.
_MOST_NAMESERVERS = 3
_MOST_SEARCHES = 6
_MOST_SEARCH_LETTERS = 256


def _check_cluster(report: Report) -> None:
    _check_matcher(report, "instancetype", _INSTANCETYPES)
    _check_matcher(report, "preference", _PREFERENCES)
    _check_sizes(report)
    _check_templates(report)
    for key, fits, wanted in (
        ("hostname", DNS_LABEL.fullmatch, "a DNS label"),
        ("subdomain", is_dns_name, "a DNS name"),
    ):
        value = report.spec.get(key)
        if value and not fits(value):
            report.add((*POD, key), f"{value!r} is not {wanted}: write lower-case letters, digits and -")
    _check_dns(report)
    _check_probes(report)
    for index, credential in enumerate(report.spec.get("accessCredentials") or []):
        _check_credential(report, index, credential)
    _check_claims(report)


def _check_matcher(report: Report, key: str, kinds: tuple[str, ...]) -> None:
    matcher = report.vm.get(key)
    if matcher is None:
        return
    at = ("spec", key)
    named, inferred = matcher.get("name"), matcher.get("inferFromVolume")
    if not named and not inferred:
        report.add((*at, "name"), f"is missing: write the {key}'s name, or inferFromVolume")
    for other in ("name", "kind"):
        if inferred and matcher.get(other):
            report.add((*at, other), f"stands beside inferFromVolume: write one of them, the volume tells the {other}")
    if matcher.get("kind") and matcher["kind"].lower() not in [kind.lower() for kind in kinds]:
        report.choice((*at, "kind"), matcher["kind"], kinds)


def lacking(manifest: Manifest) -> list[Problem]:
    """What a declaration lacks for a VM to be made of it; one that is there has it, and need not be told again."""
    report = Report(manifest, CLUSTER_RULES)
    if report.vm.get("instancetype") is None and defaults.guest_memory(report.spec) is None:
        report.add((*DOMAIN, "memory", "guest"), "is missing: set memory, or an instancetype")
    return report.problems


def _check_sizes(report: Report) -> None:
    """CPUs and memory: the VM's own, or all from an instance type."""
    for at in _OF_INSTANCETYPES if report.vm.get("instancetype") is not None else ():
        if mapping_at(report.domain, *at[:-1]).get(at[-1]):
            report.add((*DOMAIN, *at), "is the instance type's to say: leave it out, or leave instancetype out")


def _check_templates(report: Report) -> None:
    used = {(volume.get("dataVolume") or {}).get("name") for _at, volume in report.items("volumes")}
    used |= {(volume.get("persistentVolumeClaim") or {}).get("claimName") for _at, volume in report.items("volumes")}
    for index, template in enumerate(report.vm.get("dataVolumeTemplates") or []):
        at = ("spec", "dataVolumeTemplates", index)
        metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
        name = metadata.get("name")
        if not name:
            report.add((*at, "metadata", "name"), "is missing: write the DataVolume's name")
        elif name not in used:
            report.add((*at, "metadata", "name"), f"{name!r} is used by no volume: add one with dataVolume.name {name}")
        namespace = (report.document.get("metadata") or {}).get("namespace")
        if metadata.get("namespace") and namespace and metadata["namespace"] != namespace:
            report.add((*at, "metadata", "namespace"), f"is not the VM's namespace {namespace}: leave it out")
        kinds = [key for key in ("pvc", "storage") if spec.get(key) is not None]
        if len(kinds) != 1:
            report.add((*at, "spec"), f"has {' and '.join(kinds) or 'no storage'}: write one, storage or pvc")
            continue
        _check_origin(report, (*at, "spec"), spec, spec[kinds[0]])


def _check_origin(report: Report, at: Path, spec: dict[str, t.Any], target: dict[str, t.Any]) -> None:
    """Where a DataVolume's data comes from."""
    source = spec.get("source")
    populated = [key for key in ("dataSource", "dataSourceRef") if target.get(key) is not None]
    named = [key for key in ("source", "sourceRef") if spec.get(key) is not None]
    if populated and named:
        report.add((*at, named[0]), f"stands beside {populated[0]}: write one of them")
    elif not populated and not named:
        report.add((*at, "source"), "is missing: write source, such as http with a url, or sourceRef")
    elif source is not None and len(source) != 1:
        report.add((*at, "source"), f"has {listed(source) if source else 'nothing'}: write exactly one, such as http")


def _check_dns(report: Report) -> None:
    config = report.spec.get("dnsConfig")
    at = (*POD, "dnsConfig")
    if report.spec.get("dnsPolicy") == "None" and not (config or {}).get("nameservers"):
        report.add((*at, "nameservers"), "is missing: dnsPolicy None needs at least one nameserver")
    config = config or {}
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > _MOST_NAMESERVERS:
        report.add((*at, "nameservers"), f"has {len(servers)}: write at most {_MOST_NAMESERVERS}")
    for index, server in enumerate(servers):
        if not is_address(server):
            report.add((*at, "nameservers", index), f"{server!r} is no IP address")
    if len(searches) > _MOST_SEARCHES or len(" ".join(searches)) > _MOST_SEARCH_LETTERS:
        most = f"write at most {_MOST_SEARCHES}, of {_MOST_SEARCH_LETTERS} letters in all"
        report.add((*at, "searches"), f"has {len(searches)}: {most}")
    for index, search in enumerate(searches):
        if not is_dns_name(search):
            report.add((*at, "searches", index), f"{search!r} is no DNS name")
    for index, option in enumerate(config.get("options") or []):
        if not option.get("name"):
            report.add((*at, "options", index, "name"), "is missing: write the option's name")


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _check_probes(report: Report) -> None:
    has_pod_network = any("pod" in network for _at, network in report.items("networks"))
    # Without any network KubeVirt attaches the pod's.
    bare = not report.spec.get("networks") and not report.devices.get("interfaces")
    has_pod_network |= bare and report.devices.get("autoattachPodInterface") is not False
    for key in ("livenessProbe", "readinessProbe"):
        probe = report.spec.get(key)
        if probe is None:
            continue
        handlers = [handler for handler in _HANDLERS if probe.get(handler) is not None]
        if len(handlers) != 1:
            found = " and ".join(handlers) or "nothing to probe"
            report.add((*POD, key), f"has {found}: write exactly one of {', '.join(_HANDLERS)}")
        for handler in handlers:
            if handler in ("httpGet", "tcpSocket") and not has_pod_network:
                remedy = "use guestAgentPing or exec, or add an interface on the pod network"
                report.add((*POD, key, handler), f"needs the pod network: {remedy}")
    if report.spec.get("startStrategy") and report.spec.get("livenessProbe") is not None:
        report.add(
            (*POD, "startStrategy"), "stands beside livenessProbe, which a paused guest fails: write one of them"
        )


def _check_credential(report: Report, index: int, credential: dict[str, t.Any]) -> None:
    at = (*POD, "accessCredentials", index)
    kinds = [kind for kind in ("sshPublicKey", "userPassword") if credential.get(kind) is not None]
    if len(kinds) != 1:
        report.add(at, f"has {' and '.join(kinds) or 'nothing'}: write exactly one, sshPublicKey or userPassword")
    seeds = {"noCloud": "cloudInitNoCloud", "configDrive": "cloudInitConfigDrive"}
    for kind in kinds:
        if not (credential[kind].get("source") or {}).get("secret"):
            report.add((*at, kind, "source"), "has no secret: write secret with its secretName")
        methods = credential[kind].get("propagationMethod") or {}
        if len(methods) != 1:
            report.add(
                (*at, kind, "propagationMethod"), f"has {len(methods)}: write exactly one, such as qemuGuestAgent"
            )
        for method in methods:
            volume = seeds.get(method)
            if volume and not any(volume in item for _at, item in report.items("volumes")):
                report.add((*at, kind, "propagationMethod", method), f"needs a volume {volume}: add one")
        if kind == "sshPublicKey" and "qemuGuestAgent" in methods:
            _check_users(report, (*at, kind, "propagationMethod", "qemuGuestAgent", "users"), methods["qemuGuestAgent"])


def _check_users(report: Report, at: Path, agent: dict[str, t.Any]) -> None:
    users = agent.get("users")
    if users == []:
        report.add(at, "is empty: name a user of the guest")
    for index, user in enumerate(users or []):
        if user in (users or [])[:index]:
            report.add((*at, index), f"{user!r} stands twice: write each user once")


def _check_claims(report: Report) -> None:
    names: set[str] = set()
    for index, claim in enumerate(report.spec.get("resourceClaims") or []):
        at = (*POD, "resourceClaims", index)
        name = str(claim.get("name") or "")
        report.once(at, name, names, "resource claims must not have the same name")
        if not DNS_LABEL.fullmatch(name):
            report.add((*at, "name"), f"{name!r}: write lower-case letters, digits and -")
        sources = [key for key in _CLAIM_SOURCES if claim.get(key) is not None]
        if len(sources) != 1:
            report.add(at, f"has {' and '.join(sources) or 'no claim'}: write exactly one, {listed(_CLAIM_SOURCES)}")
        for key in sources:
            if not is_dns_name(claim[key]):
                report.add((*at, key), f"{claim[key]!r}: write lower-case letters, digits, - and .")


CLUSTER_RULES = RuleSet(
    "kubevirt",
    KUBEVIRT,
    LIBVIRT_ONLY,
    (
        *(check_values, check_cluster_machine, check_cluster_disks, check_cluster_networks, _check_cluster),
        *(check_placing, check_bindings),
    ),
    bind_vhostuser,
)
