# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration of KubeVirt as the HyperConverged resource has it, of which its operator makes KubeVirt's. Pure.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

HyperConverged has fields of its own for binding plugins, for host devices and for some feature gates. The other gates
are set by operations on the KubeVirt resource in an annotation (its documentation, "jsonpatch Annotations"), and it
then reports the condition ``TaintedConfiguration``.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import objects
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.certificates import merged, read_times
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.configuration import (
    DEVICES,
    Configured,
    Declared,
    KubeVirt,
    patch_of,
    put,
    put_types,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.mediated_types import read_types
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import copied

__all__ = ["PATCHES", "VERSIONS", "HyperConverged", "gates_by_patch", "keeps"]

PATCHES = "kubevirt.kubevirt.io/jsonpatch"

#: Versions of its API, the one first that clusters have had the longest; what is where differs.
VERSIONS = ("hco.kubevirt.io/v1beta1", "hco.kubevirt.io/v1")

_PLACES = {
    VERSIONS[0]: (("networkBinding",), ("permittedHostDevices",), ("mediatedDevicesConfiguration",), ("certConfig",)),
    VERSIONS[1]: (
        ("networking", "networkBinding"),
        ("virtualization", "permittedHostDevices"),
        ("virtualization", "mediatedDevicesConfiguration"),
        ("security", "certConfig"),
    ),
}

#: KubeVirt's gates that HyperConverged turns on by one of its own, which begins with a small letter
#: (api/v1beta1/hyperconverged_types.go, HyperConvergedFeatureGates, 2026-08).
_OWN_GATES = (
    "AlignCPUs",
    "ContainerPathVolumes",
    "DecentralizedLiveMigration",
    "DeclarativeHotplugVolumes",
    "DownwardMetrics",
    "IncrementalBackup",
    "ObjectGraph",
)

#: KubeVirt's gates that it always turns on (controllers/handlers/kubevirt.go, hardCodeKvFgs, 2026-08).
_FIXED_GATES = ("CPUManager", "HostDevices", "KubevirtSeccompProfile", "Snapshot")

_GATE_LIST = "/spec/configuration/developerConfiguration/featureGates"

#: HyperConverged's word for what tells PCI devices apart.
_SELECTOR = "pciDeviceSelector"


def keeps(kubevirt: dict[str, t.Any]) -> bool:
    """Whether a KubeVirt resource is HyperConverged's, which undoes what others change of it."""
    owners = [owner.get("kind") for owner in kubevirt["metadata"].get("ownerReferences") or []]
    manager = mapping_at(kubevirt, "metadata", "labels").get("app.kubernetes.io/managed-by", "")
    return "HyperConverged" in owners or manager == "hco-operator"


def gates_by_patch(gates: t.Iterable[str]) -> list[str]:
    """Those of KubeVirt's gates for which HyperConverged has none of its own."""
    return [gate for gate in gates if gate not in _OWN_GATES]


@dataclass(frozen=True)
class HyperConverged:
    """A HyperConverged resource, and the KubeVirt resource that its operator has made of it so far."""

    kind: t.ClassVar[str] = objects.HYPERCONVERGEDS
    resource: dict[str, t.Any]
    version: str
    kubevirt: KubeVirt

    def configured(self) -> Configured:
        """What it asks for, without what its operator adds.

        :raises RtvirtError: where the annotation is no list of operations.
        """
        on, own = self.kubevirt.configured().gates, _own_gates(self.resource)
        # One of its own that it does not mention is as it is by default.
        asked = [gate for gate in _OWN_GATES if own.get(_own(gate), gate in on)]
        asked += [str(one.get("value")) for one in self._operations() if one == _addition(one.get("value"))]
        bindings, permitted, types, times = (
            mapping_at(self.resource, "spec", *place) for place in _PLACES[self.version]
        )
        devices = {key: [_renamed(one, _SELECTOR, DEVICES[key]) for one in permitted.get(key) or []] for key in DEVICES}
        return Configured(list(dict.fromkeys(asked)), [], bindings, devices, read_types(types), read_times(times))

    def needed(self, declared: Declared) -> Declared:
        """What of a declaration has to be set here: not the gates that KubeVirt has on without it.

        :raises RtvirtError: for gates that HyperConverged always has on, or off.
        """
        on, off, *_others = self.kubevirt.configured()
        if declared.absent:
            fixed = [gate for gate in declared.gates if gate in _FIXED_GATES and gate in on]
            if fixed:
                raise RtvirtError(f"feature_gates: HyperConverged keeps {', '.join(fixed)} on: leave it out")
            return declared
        asked = self.configured().gates
        refused = [gate for gate in gates_by_patch(declared.gates) if gate in off and gate not in (*on, *asked)]
        if refused:
            message = (
                f"HyperConverged keeps {', '.join(refused)} off, and KubeVirt takes no gate that is in both its lists"
            )
            remedy = f"take it out of disabledFeatureGates first, by an operation in the annotation {PATCHES}"
            raise RtvirtError(f"feature_gates: {message}: {remedy}")
        return declared._replace(gates=[gate for gate in declared.gates if gate in asked or gate not in on])

    def patch(self, wanted: Configured) -> dict[str, t.Any]:
        """The merge patch that makes it be configured so."""
        now = self.configured()
        after = copied(self.resource)
        spec = after.setdefault("spec", {})
        bindings, permitted, types, certificates = _PLACES[self.version]
        if wanted.bindings != now.bindings:
            put(spec, bindings, wanted.bindings)
        for key, items in wanted.devices.items():
            if items != now.devices[key]:
                written = [_renamed(one, DEVICES["pciHostDevices"], _SELECTOR) for one in items]
                put(spec, (*permitted, key), written)
        if wanted.types != now.types:
            put_types(spec, types, wanted.types)
        if wanted.certificates != now.certificates:
            put(spec, certificates, merged(mapping_at(spec, *certificates), wanted.certificates))
        self._switch(
            after,
            on=[gate for gate in wanted.gates if gate not in now.gates],
            off=[gate for gate in now.gates if gate not in wanted.gates],
        )
        return patch_of(self.resource, after)

    def _switch(self, after: dict[str, t.Any], *, on: list[str], off: list[str]) -> None:
        for gate in (*on, *off):
            if gate in _OWN_GATES:
                _set_own_gate(after["spec"], self.version, _own(gate), on=gate in on)
        before = self._operations()
        gone = [_addition(gate) for gate in off]
        operations = [one for one in before if one not in gone] + [_addition(gate) for gate in gates_by_patch(on)]
        if operations != before:
            annotations = after["metadata"].setdefault("annotations", {})
            if operations:
                annotations[PATCHES] = json.dumps(operations)
            else:
                del annotations[PATCHES]

    def _operations(self) -> list[t.Any]:
        text = mapping_at(self.resource, "metadata", "annotations").get(PATCHES) or "[]"
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            name = self.resource["metadata"]["name"]
            raise RtvirtError(f"annotation {PATCHES} of HyperConverged {name} is no list of operations: correct it")
        return found


def _own(gate: str) -> str:
    return gate[0].lower() + gate[1:]


def _own_gates(resource: dict[str, t.Any]) -> dict[str, bool]:
    """HyperConverged's own gates: a mapping in v1beta1, and since v1 a list, with Enabled where no state is written."""
    gates = resource.get("spec", {}).get("featureGates") or {}
    if isinstance(gates, dict):
        return gates
    return {one.get("name"): one.get("state", "Enabled") == "Enabled" for one in gates}


def _set_own_gate(spec: dict[str, t.Any], version: str, gate: str, *, on: bool) -> None:
    if version == VERSIONS[0]:
        spec.setdefault("featureGates", {})[gate] = on
        return
    others = [one for one in spec.get("featureGates") or [] if one.get("name") != gate]
    spec["featureGates"] = [*others, {"name": gate, "state": "Enabled" if on else "Disabled"}]


def _addition(gate: t.Any) -> dict[str, t.Any]:
    return {"op": "add", "path": f"{_GATE_LIST}/-", "value": gate}


def _renamed(item: dict[str, t.Any], before: str, after: str) -> dict[str, t.Any]:
    return {after if key == before else key: value for key, value in item.items()}
