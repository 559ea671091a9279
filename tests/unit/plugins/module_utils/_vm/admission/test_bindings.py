# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""vhost-user on a cluster: what its plugin does, what it cannot, and what KubeVirt wants of claims."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.cluster import CLUSTER_RULES
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.rules import admit
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import Options
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import pod_spec
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._vm.admission.cases import (
    Given,
    Table,
    assert_told,
    vm,
)

CLAIM = {"claimName": "dpdk", "requestName": "port"}
CLAIMS = [{"name": "dpdk", "resourceClaimTemplateName": "vhost-port"}]


def bound(settings: t.Any = None, network: t.Any = None, interface: t.Any = None, **options: t.Any) -> Given:
    """A VM with one vhost-user interface that is right, but for what a case says."""
    item = {"name": "data", "vhostuser": settings or {}, "network": network or {"resourceClaim": CLAIM}}
    given = {"hugepages": "2Mi", "spec": {"resourceClaims": CLAIMS}, **options}
    return vm(interfaces=[{**item, **(interface or {})}], **given)


def claimed(*claims: t.Any) -> Given:
    items = [
        {"name": f"data{index}", "vhostuser": {}, "network": {"resourceClaim": claim}}
        for index, claim in enumerate(claims)
    ]
    return vm(interfaces=items, hugepages="2Mi", spec={"resourceClaims": CLAIMS})


def of_the_vm(**claim: t.Any) -> Given:
    return bound(spec={"resourceClaims": [{"name": "dpdk", **claim}]})


PATH = "interfaces[0].vhostuser"
NETWORK = "interfaces[0].network.resourceClaim"
LAN = {"multus": {"networkName": "lan"}}
BOTH = [
    {"name": "data", "vhostuser": {}, "network": {"resourceClaim": CLAIM}},
    {"name": "lan", "bridge": {}, "network": LAN},
]

TABLE: Table = {
    "queues without multiqueue": (bound({"queues": 2}), f"{PATH}.queues", "write multiqueue: true"),
    "queues that are not the vCPUs": (
        bound({"queues": 2}, multiqueue=True, cpu_cores=4),
        f"{PATH}.queues",
        "one for each vCPU: write 4, or leave it out",
    ),
    "queues of many vCPUs": (
        bound({"queues": 300}, multiqueue=True, cpu_cores=300),
        f"{PATH}.queues",
        "write 256, or leave it out",
    ),
    "another size of receive queues": (bound({"rxQueueSize": 512}), f"{PATH}.rxQueueSize", "write 1024"),
    "another size of transmit queues": (bound({"txQueueSize": 256}), f"{PATH}.txQueueSize", "write 1024"),
    "no mergeable buffers": (bound({"mrgRxbuf": False}), f"{PATH}.mrgRxbuf", "leave it out"),
    "another model": (bound(interface={"model": "e1000"}), "interfaces[0].model", "write virtio"),
    "no huge pages": (bound(hugepages=None), PATH, "declare hugepages"),
    "the pod network": (bound(network={"pod": {}}), PATH, "write resourceClaim, or multus"),
    "vhostuser beside another binding": (
        bound(interface={"binding": {"name": "x"}}),
        "interfaces[0]",
        "binding and vhostuser",
    ),
    "an unknown type": (bound({"queues": "many"}), f"{PATH}.queues", "a whole number"),
    "a claim without a name": (claimed({"requestName": "port"}), f"{NETWORK}.claimName", "is missing"),
    "a claim without a request": (claimed({"claimName": "dpdk"}), f"{NETWORK}.requestName", "is missing"),
    "a claim that the VM has not": (
        claimed({**CLAIM, "claimName": "none"}),
        f"{NETWORK}.claimName",
        "none of resourceClaims",
    ),
    "a request that is two networks'": (
        claimed(CLAIM, CLAIM),
        "interfaces[1].network.resourceClaim",
        "dpdk/port stands twice",
    ),
    "claims beside Multus": (
        vm(interfaces=BOTH, hugepages="2Mi", spec={"resourceClaims": CLAIMS}),
        NETWORK,
        "does not mix",
    ),
    "a claim of a bridge": (
        vm(
            interfaces=[{"name": "data", "bridge": {}, "network": {"resourceClaim": CLAIM}}],
            spec={"resourceClaims": CLAIMS},
        ),
        NETWORK,
        "only for vhostuser, sriov and binding plugins",
    ),
    "a claim without a source": (of_the_vm(), "spec.resourceClaims[0]", "write exactly one, resourceClaimName or"),
    "a claim with two sources": (
        of_the_vm(resourceClaimName="a", resourceClaimTemplateName="b"),
        "spec.resourceClaims[0]",
        "resourceClaimName and resourceClaimTemplateName",
    ),
    "a claim's source that is no name": (
        of_the_vm(resourceClaimName="A"),
        "spec.resourceClaims[0].resourceClaimName",
        "lower-case letters",
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_a_mistake_is_told_by_its_option(case: str) -> None:
    assert_told(TABLE[case])


RIGHT: dict[str, Given] = {
    "bare": bound(),
    "with all that the plugin does": bound(
        {"queues": 4, "rxQueueSize": 1024, "txQueueSize": 1024, "mrgRxbuf": True}, multiqueue=True, cpu_cores=4
    ),
    "one queue": bound({"queues": 1}),
    "over Multus": bound(network=LAN, spec=None),
    "huge pages of an instance type": bound(
        hugepages=None, memory=None, definition={"spec": {"instancetype": {"name": "dpdk"}}}
    ),
    "of a definition": vm(
        hugepages="2Mi",
        definition={
            "spec": {
                "template": {
                    "spec": {
                        "domain": {"devices": {"interfaces": [{"name": "data", "vhostuser": {}}]}},
                        "networks": [{"name": "data", **LAN}],
                    }
                }
            }
        },
    ),
    "of a pasted spec": vm(
        hugepages="2Mi",
        spec={
            "domain": {"devices": {"interfaces": [{"name": "data", "vhostuser": {}}]}},
            "networks": [{"name": "data", **LAN}],
        },
    ),
    "in KubeVirt's own words": bound(interface={"vhostuser": None, "binding": {"name": "vhostuser"}}),
}


@pytest.mark.parametrize("case", RIGHT)
def test_it_becomes_the_binding(case: str) -> None:
    (manifest,) = admit([Options(RIGHT[case])], CLUSTER_RULES)
    (interface,) = pod_spec(manifest.document)["domain"]["devices"]["interfaces"]
    assert interface == {"name": "data", "binding": {"name": "vhostuser"}}


def test_what_the_server_says_of_the_binding_is_said_of_vhostuser() -> None:
    (manifest,) = admit([Options(bound())], CLUSTER_RULES)
    place = ("spec", "template", "spec", "domain", "devices", "interfaces", 0, "binding")
    assert manifest.option_path(place) == "interfaces[0].vhostuser"


def test_where_the_name_alone_counts_nothing_else_is_looked_at() -> None:
    nameless = vm(
        definition={"spec": {"template": {"spec": {"domain": {"devices": {"interfaces": [{"vhostuser": {}}]}}}}}}
    )
    (manifest,) = admit([Options(nameless)], CLUSTER_RULES, names_only=True)
    assert manifest.name == "vm1"


def test_a_binding_of_its_own_words_is_the_plugins_to_judge() -> None:
    own = {"vhostuser": None, "binding": {"name": "vhostuser"}, "model": "e1000"}
    admit([Options(bound(interface=own, hugepages=None))], CLUSTER_RULES)
