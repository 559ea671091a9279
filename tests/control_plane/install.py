# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""install.py base|admission: what virt-operator would set up, in two steps. It may run again at any time.

base        once kube-apiserver answers: namespace, CRDs, RBAC, CA, the KubeVirt CR
admission   once virt-api answers: the webhooks and the aggregated API, which nobody would answer before
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import time
import typing as t
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml
from api import APPLY, Api, ApiError, Object

HERE = Path(__file__).resolve().parent
NAMESPACE = "kubevirt"
PATIENCE = 60
# Plural, and whether it is in a namespace, of each kind that is applied.
KINDS = {
    "Namespace": ("namespaces", False),
    "ServiceAccount": ("serviceaccounts", True),
    "ConfigMap": ("configmaps", True),
    "Service": ("services", True),
    "ClusterRole": ("clusterroles", False),
    "ClusterRoleBinding": ("clusterrolebindings", False),
    "Role": ("roles", True),
    "RoleBinding": ("rolebindings", True),
    "CustomResourceDefinition": ("customresourcedefinitions", False),
    "MutatingWebhookConfiguration": ("mutatingwebhookconfigurations", False),
    "ValidatingWebhookConfiguration": ("validatingwebhookconfigurations", False),
    "APIService": ("apiservices", False),
    "KubeVirt": ("kubevirts", True),
}
LATE = {"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "Service", "APIService"}


def until(what: str, done: t.Callable[[], bool], patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    last = ""
    while True:
        try:
            if done():
                return
            last = "not yet"
        except (ApiError, OSError) as error:
            last = str(error)
        if dead := ended():
            raise SystemExit(f"{dead} has ended while {what} was waited for")
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {patience:.0f} s for {what}: {last}")
        time.sleep(0.1)


def ended() -> str:
    """The component, if any, that was started and runs no more: there is nothing to wait for then."""
    for mark in Path(os.environ.get("RTVIRT_CONTROL_PLANE", "/nowhere")).glob("*.pid"):
        pid = mark.read_text().split()[0]
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            state = "Z"
        if state == "Z":
            return mark.stem
    return ""


def path_of(item: Object) -> str:
    plural, namespaced = KINDS[item["kind"]]
    version = item["apiVersion"]
    root = "/api/" + version if "/" not in version else "/apis/" + version
    name = urllib.parse.quote(item["metadata"]["name"])
    if namespaced:
        return f"{root}/namespaces/{item['metadata'].get('namespace', NAMESPACE)}/{plural}/{name}"
    return f"{root}/{plural}/{name}"


def apply(api: Api, item: Object) -> None:
    item = {key: value for key, value in item.items() if key != "status"}
    api.patch(path_of(item) + "?fieldManager=control-plane&force=true", item, APPLY)


def apply_all(api: Api, items: t.Iterable[Object]) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda item: apply(api, item), items))


def simulated_crds() -> list[Object]:
    return [simulated_crd(*line) for line in yaml.safe_load((HERE / "crds.yml").read_text())]


def simulated_crd(group: str, version: str, scope: str, plural: str, kind: str) -> Object:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    one = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": plural, "kind": kind, "singular": kind.lower(), "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "annotations": {"rtvirt.test/simulated": "true"}},
        "spec": {"group": group, "scope": scope, "names": names, "versions": [one]},
    }


def established(api: Api, names: set[str]) -> bool:
    crds = api.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")["items"]
    there = {crd["metadata"]["name"] for crd in crds if has_condition(crd, "Established")}
    return names <= there


def has_condition(item: Object, kind: str) -> bool:
    conditions = item.get("status", {}).get("conditions") or []
    return any(one["type"] == kind and one["status"] == "True" for one in conditions)


def base(api: Api, manifests: list[Object], ca: str, version: str) -> None:
    until("kube-apiserver", lambda: api.get("/readyz") == "ok")
    apply(api, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    crds = [item for item in manifests if item["kind"] == "CustomResourceDefinition"] + simulated_crds()
    apply_all(api, crds)
    apply_all(api, (one for one in manifests if one["kind"] not in LATE and one["kind"] != "CustomResourceDefinition"))
    bundle = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kubevirt-ca", "namespace": NAMESPACE}}
    apply(api, {**bundle, "data": {"ca-bundle": ca}})
    names = {crd["metadata"]["name"] for crd in crds}
    until("the CRDs", lambda: established(api, names))
    kubevirt = yaml.safe_load((HERE / "kubevirt.yml").read_text())
    # For a moment after it is established, a CRD's resource may not be served yet.
    until("the KubeVirt CR", lambda: apply(api, kubevirt) is None)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    condition = {"type": "Available", "status": "True", "reason": "AllComponentsReady", "message": "Simulated"}
    status = {
        "phase": "Deployed",
        # What a VM without an architecture gets.
        "defaultArchitecture": "amd64",
        "observedKubeVirtVersion": version,
        "operatorVersion": version,
        "conditions": [{**condition, "lastProbeTime": now, "lastTransitionTime": now}],
    }
    api.patch(path_of(kubevirt) + "/status", {"status": status})


def listens(port: int) -> bool:
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), 1)):
        return True


def admission(api: Api, manifests: list[Object], port: int) -> None:
    until("virt-api", lambda: listens(port))
    late = [item for item in manifests if item["kind"] in LATE]
    # The aggregator looks at an APIService that it cannot reach, or that lacks its Service, again only half a minute
    # later, or as soon as it is changed.
    for item in late:
        item["metadata"].setdefault("annotations", {})["rtvirt.test/installed"] = str(time.time())
    apply_all(api, (item for item in late if item["kind"] == "Service"))
    apply_all(api, (item for item in late if item["kind"] != "Service"))
    for item in late:
        if item["kind"] == "APIService":
            until(
                f"the API {item['metadata']['name']}",
                lambda item=item: has_condition(api.get(path_of(item)), "Available"),
            )
    until("virt-controller", lambda: leads(api))
    until("the node", lambda: bool(api.get("/api/v1/nodes?labelSelector=kubevirt.io/schedulable%3Dtrue")["items"]))
    until("a refusal by virt-api", lambda: refuses(api))


def leads(api: Api) -> bool:
    lease = api.get(f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/virt-controller")
    return bool(lease["spec"].get("holderIdentity"))


def refuses(api: Api) -> bool:
    """Whether the webhooks are asked: the API server reads their configuration with a delay."""
    spec = {"runStrategy": "Halted", "template": {"spec": {"domain": {"cpu": {"realtime": {}}, "devices": {}}}}}
    vm = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "metadata": {"name": "probe"}, "spec": spec}
    try:
        api.post("/apis/kubevirt.io/v1/namespaces/default/virtualmachines?dryRun=All", vm)
    except ApiError as error:
        if "admission webhook" in str(error) and "denied the request" in str(error):
            return True
        raise
    return False


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=["base", "admission"])
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--manifests", type=Path, required=True)
    parser.add_argument("--ca", type=Path)
    parser.add_argument("--version")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    api = Api(options.kubeconfig, "rtvirt-control-plane")
    manifests = json.loads(options.manifests.read_text())["items"]
    if options.step == "base":
        base(api, manifests, options.ca.read_text(), options.version)
    else:
        admission(api, manifests, options.port)


if __name__ == "__main__":
    main()
