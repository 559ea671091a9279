# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for HyperConverged: neither its operator nor its CRD is in a registry that the test machines reach.

What is simulated: the fields that kubevirt_config writes, in both versions of the API, one at a time, strictly; and
that they become the KubeVirt resource's. What is left out: its other fields and their defaults, its webhooks, and the
conversion between the versions. All of that was tried by hand with HyperConverged 1.20 (2026-08-21, its own CRDs,
webhook and operator built from source) on this control plane, and is what the stand-in was written by.
"""

from __future__ import annotations

import contextlib
import copy
import json
import threading
import typing as t

from ansible_collections.rtvirt.core.tests.control_plane.api import MERGE, ApiError, Object
from ansible_collections.rtvirt.core.tests.integration.control_plane.bed import KUBEVIRT, Bed, until

NAMESPACE = "kubevirt"
PATCHES = "kubevirt.kubevirt.io/jsonpatch"
#: What it asks KubeVirt for whatever its resource says.
FIXED_GATE = "CPUManager"
FIXED_BINDING = {"l2bridge": {"domainAttachmentType": "managedTap"}}

_GROUP = "hco.kubevirt.io"
_PLURAL = "hyperconvergeds"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_KUBEVIRT = f"{KUBEVIRT}/namespaces/{NAMESPACE}/kubevirts/kubevirt"


def _struct(**properties: Object) -> Object:
    return {"type": "object", "properties": properties}


def _device(selector: str) -> Object:
    flags: Object = {name: {"type": "boolean"} for name in ("externalResourceProvider", "disabled")}
    one = _struct(**{selector: {"type": "string"}, "resourceName": {"type": "string"}}, **flags)
    lists: Object = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [selector]}
    return {"type": "array", "items": {**one, "required": [selector, "resourceName"]}, **lists}


_DEVICES = _struct(pciHostDevices=_device("pciDeviceSelector"), mediatedDevices=_device("mdevNameSelector"))
_BINDINGS: Object = {
    "type": "object",
    "additionalProperties": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
}
_NODE_TYPES = _struct(
    nodeSelector={"type": "object", "additionalProperties": {"type": "string"}},
    mediatedDeviceTypes={"type": "array", "items": {"type": "string"}},
)
_TYPES = _struct(
    mediatedDeviceTypes=_NODE_TYPES["properties"]["mediatedDeviceTypes"],
    nodeMediatedDeviceTypes={"type": "array", "items": _NODE_TYPES},
)
_TIMES = _struct(duration={"type": "string"}, renewBefore={"type": "string"})
_CERTIFICATES = _struct(ca=_TIMES, server=_TIMES)
_GATE = _struct(name={"type": "string"}, state={"type": "string", "enum": ["Enabled", "Disabled"]})
#: It knows two gates of its own, as an older one does not know the newer ones.
_SPECS: dict[str, Object] = {
    "v1beta1": _struct(
        networkBinding=_BINDINGS,
        permittedHostDevices=_DEVICES,
        mediatedDevicesConfiguration={**_TYPES, "required": ["mediatedDeviceTypes"]},
        certConfig=_CERTIFICATES,
        featureGates=_struct(alignCPUs={"type": "boolean"}, downwardMetrics={"type": "boolean"}),
    ),
    "v1": _struct(
        networking=_struct(networkBinding=_BINDINGS),
        virtualization=_struct(permittedHostDevices=_DEVICES, mediatedDevicesConfiguration=_TYPES),
        security=_struct(certConfig=_CERTIFICATES),
        featureGates={"type": "array", "items": _GATE},
    ),
}


class HyperConverged:
    """Its resource, and an operator that brings it to KubeVirt while it is :meth:`working`."""

    def __init__(self, bed: Bed, version: str) -> None:
        self.version = version
        self._api = bed.api
        self._folder = f"/apis/{_GROUP}/{version}/namespaces/{NAMESPACE}/{_PLURAL}"
        self._path = f"{self._folder}/kubevirt-hyperconverged"
        self._before = bed.api.get(_KUBEVIRT)["spec"]["configuration"]

    def read(self) -> Object:
        return t.cast(Object, self._api.get(self._path))

    def write(self, spec: Object, patches: str) -> None:
        self._api.patch(self._path, {"metadata": {"annotations": {PATCHES: patches}}, "spec": spec})

    def remove(self) -> None:
        self._api.delete(self._path)

    def kubevirt(self) -> Object:
        return t.cast(Object, self._api.get(_KUBEVIRT)["spec"]["configuration"])

    @property
    def devices(self) -> Object:
        spec = self.read().get("spec", {})
        return (spec if self.version == "v1beta1" else spec.get("virtualization", {})).get("permittedHostDevices", {})

    @property
    def types(self) -> Object | None:
        spec = self.read().get("spec", {})
        part = spec if self.version == "v1beta1" else spec.get("virtualization", {})
        return t.cast("Object | None", part.get("mediatedDevicesConfiguration"))

    @property
    def certificates(self) -> Object:
        spec = self.read().get("spec", {})
        return (spec if self.version == "v1beta1" else spec.get("security", {})).get("certConfig", {})

    def rotation(self) -> Object:
        """What KubeVirt has of it."""
        return t.cast(
            Object, (self._api.get(_KUBEVIRT)["spec"].get("certificateRotateStrategy") or {}).get("selfSigned")
        )

    @property
    def bindings(self) -> Object:
        spec = self.read().get("spec", {})
        return (spec if self.version == "v1beta1" else spec.get("networking", {})).get("networkBinding", {})

    @property
    def align(self) -> bool | None:
        """Its own gate alignCPUs, None where it is not mentioned."""
        gates = self.read().get("spec", {}).get("featureGates") or {}
        if self.version == "v1beta1":
            return gates.get("alignCPUs")
        return next((one.get("state", "Enabled") == "Enabled" for one in gates if one["name"] == "alignCPUs"), None)

    @property
    def patches(self) -> list[Object]:
        return json.loads(self.read()["metadata"].get("annotations", {}).get(PATCHES, "[]"))

    @contextlib.contextmanager
    def installed(self) -> t.Iterator[None]:
        names = {
            "plural": _PLURAL,
            "kind": "HyperConverged",
            "singular": "hyperconverged",
            "listKind": "HyperConvergedList",
        }
        schema = {"openAPIV3Schema": _struct(spec=_SPECS[self.version])}
        version = {"name": self.version, "served": True, "storage": True, "schema": schema}
        crd = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{_PLURAL}.{_GROUP}", "annotations": {"rtvirt.test/simulated": "true"}},
            "spec": {"group": _GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
        }
        body = {"apiVersion": f"{_GROUP}/{self.version}", "kind": "HyperConverged", "spec": {}}
        try:
            self._api.post(_CRDS, crd)
            named = {**body, "metadata": {"name": "kubevirt-hyperconverged"}}
            until("HyperConverged's resource is there", lambda: self._api.post(self._folder, named))
            self._owned("hco-operator")
            yield
        finally:
            self._owned(None)
            self._rotate(None)
            self._api.delete(f"{_CRDS}/{_PLURAL}.{_GROUP}")
            until("HyperConverged is gone", self._is_gone)

    @contextlib.contextmanager
    def working(self) -> t.Iterator[None]:
        """The operator."""
        stop = threading.Event()

        def work() -> None:
            while not stop.wait(0.1):
                self._reconcile()

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _reconcile(self) -> None:
        configuration = copy.deepcopy(self._before)
        gates = configuration["developerConfiguration"]["featureGates"] = [FIXED_GATE]
        if self.align:
            gates.append("AlignCPUs")
        configuration["network"] = {"binding": {**self.bindings, **FIXED_BINDING}}
        configuration["permittedHostDevices"] = {
            key: [
                {name.replace("Device", "Vendor") if name == "pciDeviceSelector" else name: one[name] for name in one}
                for one in devices
                if not one.pop("disabled", False)
            ]
            for key, devices in self.devices.items()
        }
        configuration.pop("mediatedDevicesConfiguration", None)
        if self.types is not None:
            configuration["mediatedDevicesConfiguration"] = self.types
        for operation in self.patches:
            assert operation["path"] == "/spec/configuration/developerConfiguration/featureGates/-"
            gates.append(operation["value"])
        if self.certificates and self.certificates != self.rotation():
            self._rotate({"selfSigned": self.certificates})
        if configuration != self.kubevirt():
            operation = {"op": "replace", "path": "/spec/configuration", "value": configuration}
            self._api.patch(_KUBEVIRT, [operation], "application/json-patch+json")

    def _owned(self, manager: str | None) -> None:
        self._api.patch(_KUBEVIRT, {"metadata": {"labels": {"app.kubernetes.io/managed-by": manager}}}, MERGE)

    def _rotate(self, strategy: Object | None) -> None:
        self._api.patch(_KUBEVIRT, {"spec": {"certificateRotateStrategy": strategy}}, MERGE)

    def _is_gone(self) -> bool:
        try:
            self._api.get(self._folder)
        except ApiError as error:
            return error.status == 404
        return False
