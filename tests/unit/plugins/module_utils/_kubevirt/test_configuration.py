# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The patches of KubeVirt and HyperConverged resources, and what keeps VMs' networks from being."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import networks
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.certificates import seconds_of
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.configuration import (
    Declared,
    KubeVirt,
    wanted,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.hyperconverged import (
    PATCHES,
    VERSIONS,
    HyperConverged,
    keeps,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.mediated_types import NodeTypes, node_types

Object = dict[str, t.Any]

GATE = "NetworkDevicesWithDRA"
PLUGIN = {"sidecarImage": "a/b:c"}


def kubevirt(configuration: Object | None = None, version: str = "v1.9.0", **metadata: t.Any) -> Object:
    spec = {} if configuration is None else {"configuration": configuration}
    meta = {"name": "kubevirt", "resourceVersion": "7", **metadata}
    return {"metadata": meta, "spec": spec, "status": {"observedKubeVirtVersion": version}}


def merge(document: Object, patch: Object) -> Object:
    """RFC 7386."""
    result = dict(document)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key, {}), value) if isinstance(value, dict) else value
    return result


def gates(*on: str, off: t.Sequence[str] = ()) -> Object:
    disabled = {"disabledFeatureGates": [*off]} if off else {}
    return {"developerConfiguration": {"featureGates": [*on], **disabled}}


@pytest.mark.parametrize(
    ("configuration", "absent", "patch"),
    [
        (
            None,
            False,
            {
                "configuration": {
                    "developerConfiguration": {"featureGates": [GATE]},
                    "network": {"binding": {"vhostuser": PLUGIN}},
                }
            },
        ),
        ({**gates("HostDisk", GATE), "network": {"binding": {"vhostuser": PLUGIN}}}, False, None),
        (
            {**gates("HostDisk"), "network": {"binding": {"vhostuser": PLUGIN, "passt": {}}}},
            False,
            {"configuration": {"developerConfiguration": {"featureGates": ["HostDisk", GATE]}}},
        ),
        (
            {**gates(GATE, off=[GATE, "A"]), "network": {"binding": {"vhostuser": PLUGIN}}},
            False,
            {"configuration": {"developerConfiguration": {"disabledFeatureGates": ["A"]}}},
        ),
        (
            {**gates(GATE), "network": {"binding": {"vhostuser": {"networkAttachmentDefinition": "x"}}}},
            False,
            {"configuration": {"network": {"binding": {"vhostuser": {**PLUGIN, "networkAttachmentDefinition": None}}}}},
        ),
        (
            {**gates("HostDisk", GATE), "network": {"binding": {"vhostuser": PLUGIN, "passt": {}}}},
            True,
            {
                "configuration": {
                    "developerConfiguration": {"featureGates": ["HostDisk"]},
                    "network": {"binding": {"vhostuser": None}},
                }
            },
        ),
        (gates("HostDisk"), True, None),
    ],
)
def test_the_patch(configuration: Object | None, absent: bool, patch: Object | None) -> None:
    home = KubeVirt(kubevirt(configuration))
    declared = Declared([GATE], {"vhostuser": PLUGIN}, {}, [], {}, absent)
    target = wanted(home.configured(), declared)
    assert (target == home.configured()) == (patch is None)
    assert home.patch(target) == {**({} if patch is None else {"spec": patch}), "metadata": {"resourceVersion": "7"}}


@pytest.mark.parametrize(
    "metadata",
    [
        {"ownerReferences": [{"kind": "HyperConverged"}]},
        {"labels": {"app.kubernetes.io/managed-by": "hco-operator"}},
    ],
)
def test_whose_a_kubevirt_resource_is(metadata: Object) -> None:
    assert keeps(kubevirt(**metadata))
    assert not keeps(kubevirt(labels={"app.kubernetes.io/managed-by": "virt-operator"}))


@pytest.mark.parametrize("memory", ["1Gi", "1024Mi"])
def test_a_plugin_whose_quantities_are_written_otherwise(memory: str) -> None:
    """HyperConverged's operator writes them anew."""
    now = {"computeResourceOverhead": {"requests": {"memory": "1Gi"}}, **PLUGIN}
    home = KubeVirt(kubevirt({"network": {"binding": {"vhostuser": now}}}))
    declared = {**now, "computeResourceOverhead": {"requests": {"memory": memory}}}
    assert home.has(Declared([], {"vhostuser": declared}, {}, [], {}))
    assert not home.has(Declared([], {"vhostuser": PLUGIN}, {}, [], {}))
    assert not home.has(Declared([], {"passt": {}}, {}, [], {}))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("48h0m0s", 172800), ("1h30m", 5400), ("1.5h", 5400), ("500ms", 0.5), ("", None), ("2d", None), ("h", None)],
)
def test_durations_of_go(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


def of(*types: str, **selector: str) -> NodeTypes:
    return node_types(selector or None, [*types])


@pytest.mark.parametrize(
    ("before", "declared", "absent", "after"),
    [
        (None, [of("a")], False, {"mediatedDeviceTypes": ["a"]}),
        (
            {"mediatedDevicesTypes": ["a"], "enabled": True},
            [of("b"), of("c", node="1")],
            False,
            {
                "mediatedDeviceTypes": ["b"],
                "nodeMediatedDeviceTypes": [{"nodeSelector": {"node": "1"}, "mediatedDeviceTypes": ["c"]}],
                "enabled": True,
            },
        ),
        # An item for all nodes is another than that for all others.
        (
            {
                "mediatedDeviceTypes": ["a"],
                "nodeMediatedDeviceTypes": [{"nodeSelector": {}, "mediatedDeviceTypes": ["b"]}],
            },
            [of("c")],
            False,
            {
                "mediatedDeviceTypes": ["c"],
                "nodeMediatedDeviceTypes": [{"nodeSelector": {}, "mediatedDeviceTypes": ["b"]}],
            },
        ),
        # Of two for the same nodes, which would count together, one is left.
        (
            {"nodeMediatedDeviceTypes": 2 * [{"nodeSelector": {"node": "1"}, "mediatedDeviceTypes": ["b"]}]},
            [of("c", node="1")],
            False,
            {"nodeMediatedDeviceTypes": [{"nodeSelector": {"node": "1"}, "mediatedDeviceTypes": ["c"]}]},
        ),
        # What is there under the name of before says the same.
        ({"mediatedDevicesTypes": ["a"]}, [of("a")], False, {"mediatedDevicesTypes": ["a"]}),
        ({"mediatedDeviceTypes": ["a"]}, [of("b")], True, None),
        ({"mediatedDeviceTypes": ["a"], "enabled": True}, [of("b")], True, {"enabled": True}),
        ({"mediatedDeviceTypes": ["a"]}, [of("a", node="1")], True, {"mediatedDeviceTypes": ["a"]}),
        (
            {
                "nodeMediatedDeviceTypes": [
                    {"nodeSelector": {"node": "1"}, "mediatedDevicesTypes": ["a"]},
                    {"nodeSelector": {"node": "2"}, "mediatedDeviceTypes": ["b"]},
                ]
            },
            [of(node="1")],
            True,
            {"nodeMediatedDeviceTypes": [{"nodeSelector": {"node": "2"}, "mediatedDeviceTypes": ["b"]}]},
        ),
    ],
)
@pytest.mark.parametrize("version", [None, *VERSIONS])
def test_types_of_mediated_devices(
    before: Object | None, declared: list[NodeTypes], absent: bool, after: Object | None, version: str | None
) -> None:
    part = {} if before is None else {"mediatedDevicesConfiguration": before}
    place = {None: "configuration", VERSIONS[1]: "virtualization"}.get(version)
    resource = {"metadata": {"name": "x", "resourceVersion": "7"}, "spec": part if place is None else {place: part}}
    home = KubeVirt(resource) if version is None else HyperConverged(resource, version, KubeVirt(kubevirt({})))
    target = wanted(home.configured(), Declared([], {}, {}, declared, {}, absent))
    # As the API server does it.
    merged = merge(resource, home.patch(target))["spec"]
    assert (merged if place is None else merged[place]) == (
        {} if after is None else {"mediatedDevicesConfiguration": after}
    )
    assert wanted(target, Declared([], {}, {}, declared, {}, absent)) == target


def test_a_kubevirt_that_makes_no_mediated_devices() -> None:
    assert KubeVirt(kubevirt({})).makes_mediated_devices
    assert not KubeVirt(kubevirt({"mediatedDevicesConfiguration": {"enabled": False}})).makes_mediated_devices
    gate = gates("DisableMDEVConfiguration")
    assert not KubeVirt(kubevirt(gate)).makes_mediated_devices
    # Where the field is set, the gate does not count.
    assert KubeVirt(kubevirt({**gate, "mediatedDevicesConfiguration": {"enabled": True}})).makes_mediated_devices


def test_times_that_say_the_same_stay() -> None:
    times = {"ca": {"duration": "48h0m0s", "renewBefore": "24h0m0s"}}
    home = KubeVirt({**kubevirt(), "spec": {"certificateRotateStrategy": {"selfSigned": times}}})
    assert home.has(Declared([], {}, {}, [], {"ca": {"duration": "48h"}}))
    target = wanted(
        home.configured(), Declared([], {}, {}, [], {"ca": {"renewBefore": "1h"}, "server": {"duration": "2h"}})
    )
    assert home.patch(target)["spec"] == {
        "certificateRotateStrategy": {"selfSigned": {"ca": {"renewBefore": "1h"}, "server": {"duration": "2h"}}}
    }


# HyperConverged: what the API server cannot tell the planner of is in tests/integration/control_plane


def hyperconverged(version: str, *patched: str, **spec: t.Any) -> HyperConverged:
    path = "/spec/configuration/developerConfiguration/featureGates/-"
    operations = [{"op": "add", "path": path, "value": gate} for gate in patched]
    annotations = {PATCHES: json.dumps(operations)} if patched else {}
    resource = {"metadata": {"name": "hco", "resourceVersion": "7", "annotations": annotations}, "spec": spec}
    on = gates("CPUManager", "DownwardMetrics", *patched, off=["ImageVolume"])
    return HyperConverged(resource, f"hco.kubevirt.io/{version}", KubeVirt(kubevirt(on)))


@pytest.mark.parametrize(
    ("home", "gate", "absent", "spec"),
    [
        # One that is on by default is off by being said to be.
        (
            hyperconverged("v1beta1", featureGates={"downwardMetrics": True}),
            "DownwardMetrics",
            True,
            {"featureGates": {"downwardMetrics": False}},
        ),
        (
            hyperconverged("v1", featureGates=[{"name": "theirs"}]),
            "DownwardMetrics",
            True,
            {"featureGates": [{"name": "theirs"}, {"name": "downwardMetrics", "state": "Disabled"}]},
        ),
        # Without a state one is on.
        (hyperconverged("v1", featureGates=[{"name": "alignCPUs"}]), "AlignCPUs", False, {}),
        (
            hyperconverged("v1", featureGates=[{"name": "alignCPUs", "state": "Disabled"}]),
            "AlignCPUs",
            False,
            {"featureGates": [{"name": "alignCPUs", "state": "Enabled"}]},
        ),
        # It is on by default.
        (hyperconverged("v1"), "DownwardMetrics", False, {}),
    ],
)
def test_gates_of_its_own(home: HyperConverged, gate: str, absent: bool, spec: Object) -> None:
    target = wanted(home.configured(), Declared([gate], {}, {}, [], {}, absent))
    assert home.patch(target).get("spec", {}) == spec
    assert (gate in target.gates) != absent


@pytest.mark.parametrize(
    ("gate", "absent", "told"),
    [
        ("CPUManager", False, ""),
        ("CPUManager", True, "HyperConverged keeps CPUManager on: leave it out"),
        ("Snapshot", True, ""),
        ("HostDisk", False, "set"),
        ("ImageVolume", False, "keeps ImageVolume off, and KubeVirt takes no gate that is in both"),
        ("ImageVolume", True, ""),
    ],
)
def test_gates_that_are_not_its_own(gate: str, absent: bool, told: str) -> None:
    home, declared = hyperconverged("v1beta1"), Declared([gate], {}, {}, [], {}, absent)
    if told in ("", "set"):
        assert wanted(home.configured(), home.needed(declared)) == home.configured() or told == "set"
        assert (home.needed(declared).gates == [gate]) == (told == "set" or absent)
    else:
        with pytest.raises(RtvirtError, match=told):
            home.needed(declared)


def test_a_gate_that_was_set_by_its_annotation_and_has_one_of_its_own() -> None:
    """As it may be after HyperConverged was updated."""
    home = hyperconverged("v1", "HostDisk", "AlignCPUs")
    patch = home.patch(wanted(home.configured(), Declared(["AlignCPUs"], {}, {}, [], {}, absent=True)))
    assert patch["spec"] == {"featureGates": [{"name": "alignCPUs", "state": "Disabled"}]}
    (left,) = json.loads(patch["metadata"]["annotations"][PATCHES])
    assert left["value"] == "HostDisk"


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        (kubevirt(), f"needs KubeVirt's feature gate {GATE}"),
        (kubevirt(gates("HostDisk")), "which is off: turn it on by rtvirt.core.kubevirt_config"),
        (kubevirt(gates(GATE)), ""),
        (kubevirt(gates(off=[GATE])), "which is off"),
        # Where it is on and off, KubeVirt has it on.
        (kubevirt(gates(GATE, off=[GATE])), ""),
        (kubevirt(version="v1.8.2"), "KubeVirt v1.8.2 has no resource claims for networks"),
        (kubevirt(gates(GATE), version="v1.8.2"), "use multus, or KubeVirt 1.9"),
        # Whether it is on by default there is not known.
        (kubevirt(version="v1.10.0"), ""),
        (kubevirt(gates(off=[GATE]), version="v1.10.0"), "which is off"),
        (kubevirt(version="devel"), ""),
    ],
)
def test_what_keeps_networks_from_being_claims(resource: Object, told: str) -> None:
    found = networks._gate(resource)
    assert bool(found) == bool(told)
    assert told in found
