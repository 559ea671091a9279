# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated nodes as the control plane sees them."""

from __future__ import annotations

import contextlib

import pods
from api import Api, ApiError, Object

STRATEGIC = "application/strategic-merge-patch+json"


def node(name: str) -> Object:
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "kubevirt.io/schedulable": "true",
        "kubevirt.io/realtime": "",
        "kubevirt.io/cpumanager": "true",
    }
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def register(api: Api, one: Object) -> None:
    """The node, and the virt-handler on it, by whose address virt-api finds it."""
    name = one["metadata"]["name"]
    container = {"name": "virt-handler", "image": "registry.invalid/virt-handler"}
    meta = {"name": f"virt-handler-{name}", "labels": {"kubevirt.io": "virt-handler"}}
    handler = {"apiVersion": "v1", "kind": "Pod", "metadata": meta}
    with contextlib.suppress(ApiError):  # there already
        api.post("/api/v1/nodes", one)
    with contextlib.suppress(ApiError):
        api.post("/api/v1/namespaces/kubevirt/pods", {**handler, "spec": {"nodeName": name, "containers": [container]}})
    ready = [pods.condition("Ready", True, "KubeletReady", "simulated by tests/control_plane/node.py")]
    resources = {"cpu": "64", "memory": "256Gi", "pods": "2000", "hugepages-1Gi": "64Gi", "hugepages-2Mi": "8Gi"}
    status = {"conditions": ready, "capacity": resources, "allocatable": resources}
    api.patch(f"/api/v1/nodes/{name}/status", {"status": status}, STRATEGIC)
    address = {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}], "conditions": ready}
    api.patch(f"/api/v1/namespaces/kubevirt/pods/{meta['name']}/status", {"status": address}, STRATEGIC)


def heartbeat(api: Api, nodes: list[Object]) -> None:
    """virt-controller gives a node up, with all VMIs on it, when this is five minutes old."""
    for one in nodes:
        beat = {"kubevirt.io/heartbeat": pods.now()}
        api.patch(f"/api/v1/nodes/{one['metadata']['name']}", {"metadata": {"annotations": beat}})
