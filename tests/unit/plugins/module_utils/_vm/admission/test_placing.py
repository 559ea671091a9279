# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels, and what they select: told before Kubernetes would refuse the instance or its pod."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._vm.admission.cases import (
    Given,
    Table,
    assert_told,
    pod,
    vm,
)

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def node(term: t.Any, key: str = "matchExpressions") -> Given:
    return vm(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{key: [term]}]}}})


def pods(**term: t.Any) -> Given:
    return vm(affinity={"podAntiAffinity": {REQUIRED: [{"topologyKey": "zone", **term}]}})


def spread(**constraint: t.Any) -> Given:
    good = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    return pod(topologySpreadConstraints=[{**good, **constraint}])


TERM = f"affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms"
POD_TERM = f"affinity.podAntiAffinity.{REQUIRED}[0]"
SPREAD = "spec.topologySpreadConstraints"

TABLE: Table = {
    "label's name": (vm(labels={"a b": "c"}), "labels.a b", "a DNS name and /"),
    "label's prefix": (vm(labels={"A_/b": "c"}), "labels.A_/b", "a DNS name and /"),
    "label's value": (vm(labels={"app": "a b"}), "labels.app", "no label's value"),
    "label that is a number": (vm(labels={"tier": 1}), "labels.tier", "quoted: '1'"),
    "label that is true": (vm(labels={"rt": True}), "labels.rt", "write text"),
    "annotation's name": (vm(annotations={"a b": "c"}), "annotations.a b", "no name of a label"),
    "KubeVirt's own label": (vm(labels={"kubevirt.io/nodeName": "a"}), "labels.kubevirt.io/nodeName", "leave it out"),
    "node selector": (vm(node_selector={"a b": "c"}), "node_selector.a b", "no name of a label"),
    "node selector that is true": (vm(node_selector={"rt": True}), "node_selector.rt", "write text"),
    "toleration's operator": (vm(tolerations=[{"operator": "In"}]), "tolerations[0].operator", "Equal or Exists"),
    "toleration's effect": (
        vm(tolerations=[{"operator": "Exists", "effect": "Never"}]),
        "tolerations[0].effect",
        "NoSchedule",
    ),
    "toleration's key": (vm(tolerations=[{"key": "a b"}]), "tolerations[0].key", "no name of a label"),
    "toleration without a key": (vm(tolerations=[{"value": "a"}]), "tolerations[0].key", "operator Exists for all"),
    "toleration of any value with one": (
        vm(tolerations=[{"key": "a", "operator": "Exists", "value": "b"}]),
        "tolerations[0].value",
        "operator Equal",
    ),
    "toleration's value": (vm(tolerations=[{"key": "a", "value": "b c"}]), "tolerations[0].value", "letters, digits"),
    "toleration for a while": (
        vm(tolerations=[{"key": "a", "tolerationSeconds": 3}]),
        "tolerations[0].tolerationSeconds",
        "NoExecute",
    ),
    "affinity to no term": (
        vm(affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": []}}}),
        TERM,
        "at least one term",
    ),
    "affinity's operator": (
        node({"key": "a", "operator": "Is"}),
        f"{TERM}[0].matchExpressions[0].operator",
        "NotIn, Exists",
    ),
    "In without values": (
        node({"key": "a", "operator": "In"}),
        f"{TERM}[0].matchExpressions[0].values",
        "needs values",
    ),
    "Exists with values": (
        node({"key": "a", "operator": "Exists", "values": ["b"]}),
        f"{TERM}[0].matchExpressions[0].values",
        "takes none",
    ),
    "Gt with two values": (
        node({"key": "a", "operator": "Gt", "values": ["1", "2"]}),
        f"{TERM}[0].matchExpressions[0].values",
        "takes 1",
    ),
    "affinity's key": (
        node({"key": "a b", "operator": "Exists"}),
        f"{TERM}[0].matchExpressions[0].key",
        "no name of a label",
    ),
    "affinity to a field": (
        node({"key": "spec", "operator": "In", "values": ["a"]}, "matchFields"),
        f"{TERM}[0].matchFields[0].key",
        "metadata.name",
    ),
    "affinity to two names": (
        node({"key": "metadata.name", "operator": "In", "values": ["a", "b"]}, "matchFields"),
        f"{TERM}[0].matchFields[0].values",
        "by one",
    ),
    "affinity to any name": (
        node({"key": "metadata.name", "operator": "Exists"}, "matchFields"),
        f"{TERM}[0].matchFields[0].operator",
        "In or NotIn",
    ),
    "affinity to no node's name": (
        node({"key": "metadata.name", "operator": "In", "values": ["A"]}, "matchFields"),
        f"{TERM}[0].matchFields[0].values[0]",
        "no node's name",
    ),
    "weight": (
        vm(affinity={"nodeAffinity": {PREFERRED: [{"weight": 0, "preference": {}}]}}),
        f"affinity.nodeAffinity.{PREFERRED}[0].weight",
        "1 to 100",
    ),
    "nothing preferred": (
        vm(affinity={"podAffinity": {PREFERRED: [{"weight": 1}]}}),
        f"affinity.podAffinity.{PREFERRED}[0].podAffinityTerm",
        "is missing",
    ),
    "no topology key": (pods(topologyKey=""), f"{POD_TERM}.topologyKey", "kubernetes.io/hostname"),
    "pods in a namespace": (pods(namespaces=["Lab"]), f"{POD_TERM}.namespaces[0]", "no namespace"),
    "pods of a label": (
        pods(labelSelector={"matchLabels": {"app": "a b"}}),
        f"{POD_TERM}.labelSelector.matchLabels.app",
        "no label's value",
    ),
    "pods by an operator of nodes": (
        pods(labelSelector={"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}),
        f"{POD_TERM}.labelSelector.matchExpressions[0].operator",
        "In, NotIn, Exists or DoesNotExist",
    ),
    "pods by no label's value": (
        pods(labelSelector={"matchExpressions": [{"key": "a", "operator": "In", "values": ["b c"]}]}),
        f"{POD_TERM}.labelSelector.matchExpressions[0].values[0]",
        "no label's value",
    ),
    "skew": (spread(maxSkew=0), f"{SPREAD}[0].maxSkew", "1 or more"),
    "spread without a key": (spread(topologyKey=None), f"{SPREAD}[0].topologyKey", "is missing"),
    "spread or else": (spread(whenUnsatisfiable="Never"), f"{SPREAD}[0].whenUnsatisfiable", "DoNotSchedule"),
    "spread twice": (
        pod(topologySpreadConstraints=2 * spread()["spec"]["topologySpreadConstraints"]),
        f"{SPREAD}[1]",
        "write them once",
    ),
}


@pytest.mark.parametrize("what", TABLE)
def test_a_mistake_is_told_by_its_path_with_its_remedy(what: str) -> None:
    assert_told(TABLE[what])
