# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster has of what VMs' networks need: binding plugins, a feature gate, NetworkAttachmentDefinitions.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

KubeVirt takes a VM that names a plugin or a network which is not there, and its pod then waits for ever. So one look
comes before: for VMs that are new, or whose networks change. Who may not look finds out later.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import objects
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.plan import VmPlan
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import ApiError, Session
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.report import DEVICES, POD, listed
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at, pod_spec
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path, render_path

__all__ = ["check_networks"]

_INTERFACES: Path = (*DEVICES, "interfaces")
_NETWORKS: Path = (*POD, "networks")
_PARTS = (_INTERFACES, _NETWORKS, (*POD, "resourceClaims"))

#: The gate of networks that are resource claims, and the version in which they came, where it is off by default.
_GATE = "NetworkDevicesWithDRA"
_SINCE = (1, 9)

#: Names that a message has of those that are there.
_TOLD = 10


class _Need(t.NamedTuple):
    """What one VM needs: its plan, the field that says so, and the name that is there."""

    plan: VmPlan
    at: Path
    name: str

    def problem(self, message: str) -> Problem:
        return Problem(self.plan.manifest.option_path(self.at), message, render_path(self.at))


def check_networks(session: Session, plans: t.Sequence[VmPlan]) -> None:
    """Look at what the cluster has, once for all VMs, where one needs it.

    :raises DeclarationError: with all that is not there.
    """
    asking = [plan for plan in plans if _asks(plan)]
    bindings = [need for plan in asking for need in _bindings(plan)]
    claims = [need for plan in asking for need in _named(plan, "resourceClaim", "claimName")]
    attached = [need for plan in asking for need in _named(plan, "multus", "networkName")]
    problems = [*_check_kubevirt(session, bindings, claims), *_check_attached(session, attached)]
    if problems:
        raise DeclarationError(dict.fromkeys(problems))


def _asks(plan: VmPlan) -> bool:
    """Whether a plan makes a VM, or changes its networks."""
    if "create" in plan.actions:
        return True
    return any(one.place[: len(part)] == part for one in plan.differences for part in _PARTS)


def _bindings(plan: VmPlan) -> t.Iterator[_Need]:
    interfaces = mapping_at(pod_spec(plan.manifest.document), "domain", "devices").get("interfaces") or []
    for index, interface in enumerate(interfaces):
        name = mapping_at(interface, "binding").get("name")
        if name:
            yield _Need(plan, (*_INTERFACES, index, "binding"), name)


def _named(plan: VmPlan, kind: str, key: str) -> t.Iterator[_Need]:
    for index, network in enumerate(pod_spec(plan.manifest.document).get("networks") or []):
        name = mapping_at(network, kind).get(key)
        if name:
            yield _Need(plan, (*_NETWORKS, index, kind, key), name)


def _check_kubevirt(session: Session, bindings: list[_Need], claims: list[_Need]) -> t.Iterator[Problem]:
    found = _listed(session, objects.object_path(objects.KUBEVIRTS, None)) if bindings or claims else None
    if not found:
        return
    (kubevirt, *_others) = found
    registered = mapping_at(kubevirt, "spec", "configuration", "network", "binding")
    for need in bindings:
        if need.name not in registered:
            there = f" (it has {', '.join(sorted(registered)[:_TOLD])})" if registered else ""
            remedy = "register it by rtvirt.core.kubevirt_config"
            yield need.problem(f"this cluster has no binding plugin {need.name}{there}: {remedy}")
    lacking = _gate(kubevirt)
    for need in claims if lacking else ():
        yield need.problem(lacking)


def _gate(kubevirt: dict[str, t.Any]) -> str:
    """What keeps networks from being resource claims; empty for nothing that is known."""
    version = str(mapping_at(kubevirt, "status").get("observedKubeVirtVersion"))
    numbers = re.match(r"v?(\d+)\.(\d+)", version)
    release = (int(numbers[1]), int(numbers[2])) if numbers else None
    if release is not None and release < _SINCE:
        return f"KubeVirt {version} has no resource claims for networks: use multus, or KubeVirt 1.9"
    developer = mapping_at(kubevirt, "spec", "configuration", "developerConfiguration")
    is_on = _GATE in (developer.get("featureGates") or [])
    if not is_on and (release == _SINCE or _GATE in (developer.get("disabledFeatureGates") or [])):
        return f"needs KubeVirt's feature gate {_GATE}, which is off: turn it on by rtvirt.core.kubevirt_config"
    return ""


def _check_attached(session: Session, attached: list[_Need]) -> t.Iterator[Problem]:
    keys = [_key(need) for need in attached]
    there = {namespace: _definitions(session, namespace) for namespace in dict.fromkeys(key[0] for key in keys)}
    for need, (namespace, name) in zip(attached, keys):
        names = there[namespace]
        if names is not None and name not in names:
            has = f"has {listed(names[:_TOLD])}" if names else "has none"
            yield need.problem(
                f"there is no NetworkAttachmentDefinition {name} in namespace {namespace}, which {has}: make it first"
            )


def _definitions(session: Session, namespace: str) -> list[str] | None:
    found = _listed(session, objects.object_path(objects.DEFINITIONS, namespace))
    return None if found is None else sorted(one["metadata"]["name"] for one in found)


def _key(need: _Need) -> objects.Key:
    """(namespace, name) of a definition; without a namespace it is one in the VM's."""
    namespace, _slash, name = need.name.rpartition("/")
    return namespace or need.plan.namespace, name


def _listed(session: Session, path: str) -> list[dict[str, t.Any]] | None:
    """What is there of a kind; None where the user may not see it, or the cluster does not know it."""
    try:
        return [item for page in session.pages(path) for item in page.get("items") or []]
    except ApiError as error:
        if error.status in (403, 404):
            return None
        raise
