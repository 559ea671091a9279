# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The patch of a KubeVirt resource, and what of it keeps VMs' networks from being."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import networks
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.configuration import plan_configuration

Object = dict[str, t.Any]

GATE = "NetworkDevicesWithDRA"
PLUGIN = {"sidecarImage": "a/b:c"}


def kubevirt(configuration: Object | None = None, version: str = "v1.9.0", **metadata: t.Any) -> Object:
    spec = {} if configuration is None else {"configuration": configuration}
    meta = {"name": "kubevirt", "resourceVersion": "7", **metadata}
    return {"metadata": meta, "spec": spec, "status": {"observedKubeVirtVersion": version}}


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
    found = plan_configuration(kubevirt(configuration), [GATE], {"vhostuser": PLUGIN}, {}, absent=absent)
    assert found == ({} if patch is None else {"spec": patch, "metadata": {"resourceVersion": "7"}})


@pytest.mark.parametrize(
    "metadata",
    [
        {"ownerReferences": [{"kind": "HyperConverged"}]},
        {"labels": {"app.kubernetes.io/managed-by": "hco-operator"}},
    ],
)
def test_an_operators_resource_is_left_to_it(metadata: Object) -> None:
    with pytest.raises(RtvirtError, match=r"annotation kubevirt\.kubevirt\.io/jsonpatch"):
        plan_configuration(kubevirt(**metadata), [GATE], {}, {}, absent=False)
    assert plan_configuration(kubevirt(gates(GATE), **metadata), [GATE], {}, {}, absent=False) == {}


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        (kubevirt(), f"needs KubeVirt's feature gate {GATE}"),
        (kubevirt(gates("HostDisk")), "featureGates of the KubeVirt resource"),
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
