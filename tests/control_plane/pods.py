# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scheduler's and the kubelet's part: a launcher pod's way from Pending to its end. Pure: objects to patches."""

from __future__ import annotations

import time
import typing as t

from api import Object

FINAL = {"Succeeded", "Failed"}
# What KubeVirt's node labeller finds out about the hardware. Every simulated node has all of it.
HARDWARE = ".node.kubevirt.io/"


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def fits(pod: Object, node: Object) -> bool:
    """Of all that a scheduler looks at, the node selector alone."""
    labels = node["metadata"].get("labels", {})
    selector = pod["spec"].get("nodeSelector", {})
    return all(labels.get(key) == value for key, value in selector.items() if HARDWARE not in key)


def condition(kind: str, status: bool, reason: str = "", message: str = "") -> Object:
    text = {key: value for key, value in (("reason", reason), ("message", message)) if value}
    return {"type": kind, "status": "True" if status else "False", "lastTransitionTime": now(), **text}


def has(item: Object, kind: str, status: str = "True") -> bool:
    conditions = item.get("status", {}).get("conditions") or []
    return any(one["type"] == kind and one["status"] == status for one in conditions)


def binding(pod: Object, node: str) -> Object:
    name = {"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]}
    return {"apiVersion": "v1", "kind": "Binding", "metadata": name, "target": {"kind": "Node", "name": node}}


def unschedulable(message: str) -> Object:
    return {"status": {"conditions": [condition("PodScheduled", False, "Unschedulable", message)]}}


def address(pod: Object) -> str:
    """An address of its own for each pod, that no process of this machine has."""
    number = int(pod["metadata"]["uid"][:4], 16)
    return f"10.244.{number >> 8}.{number & 255}"


def gates_open(pod: Object) -> bool:
    """Readiness gates are conditions that others set: KubeVirt has one that is closed while the guest is paused."""
    return all(has(pod, gate["conditionType"]) for gate in pod["spec"].get("readinessGates", []))


def containers(pod: Object, kind: str, state: Object, ready: bool) -> list[Object]:
    return [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": "" if "waiting" in state else f"{container['image']}@sha256:{'0' * 64}",
            "ready": ready,
            "started": ready,
            "restartCount": 0,
            "state": state,
        }
        for container in pod["spec"].get(kind, [])
    ]


def status(pod: Object, phase: str, state: Object, ready: bool) -> Object:
    end = {"reason": "PodCompleted"} if phase in FINAL else {}
    return {
        "status": {
            "phase": phase,
            "hostIP": "127.0.0.1",
            "podIP": address(pod),
            "podIPs": [{"ip": address(pod)}],
            "startTime": pod.get("status", {}).get("startTime") or now(),
            "conditions": [
                condition("PodScheduled", True),
                condition("Initialized", True),
                condition("ContainersReady", ready, **end),
                condition("Ready", ready and gates_open(pod), **end),
            ],
            "containerStatuses": containers(pod, "containers", state, ready),
            "initContainerStatuses": containers(pod, "initContainers", state, ready),
        }
    }


def running(pod: Object) -> Object:
    return status(pod, "Running", {"running": {"startedAt": now()}}, True)


def image_missing(pod: Object) -> Object:
    image = pod["spec"]["containers"][0]["image"]
    waiting = {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{image}"'}
    return status(pod, "Pending", {"waiting": waiting}, False)


def ended(pod: Object, failed: bool) -> Object:
    reason = {"exitCode": 1, "reason": "Error"} if failed else {"exitCode": 0, "reason": "Completed"}
    return status(pod, "Failed" if failed else "Succeeded", {"terminated": {**reason, "finishedAt": now()}}, False)


def event(item: Object, component: str, reason: str, message: str, kind: str = "Warning") -> Object:
    meta = item["metadata"]
    refers = {"apiVersion": item.get("apiVersion", "v1"), "kind": item.get("kind", "Pod")}
    refers.update({key: meta[key] for key in ("name", "namespace", "uid", "resourceVersion")})
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{meta['name']}.", "namespace": meta["namespace"]},
        "involvedObject": refers,
        "reason": reason,
        "message": message,
        "type": kind,
        "count": 1,
        "firstTimestamp": now(),
        "lastTimestamp": now(),
        "source": {"component": component},
    }


def wanted_ready(pod: Object) -> t.Optional[Object]:
    """The patch that a running pod's readiness needs after a gate opened or closed, if any."""
    ready = gates_open(pod)
    if has(pod, "Ready") == ready:
        return None
    return {"status": {"conditions": [condition("Ready", ready, "" if ready else "ReadinessGatesNotReady")]}}
