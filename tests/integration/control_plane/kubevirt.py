# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test needs of a cluster beside its VMs: KubeVirt's configuration for its time, and networks of Multus."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.rtvirt.core.tests.control_plane.api import JSON_PATCH, ApiError, Object
from ansible_collections.rtvirt.core.tests.integration.control_plane.bed import KUBEVIRT, Bed, until

GATE = "NetworkDevicesWithDRA"
DRY = "?dryRun=All&fieldValidation=Strict"
_PATH = f"{KUBEVIRT}/namespaces/kubevirt/kubevirts/kubevirt"


class Configuration:
    """That of the KubeVirt resource."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed

    def read(self) -> Object:
        return t.cast(Object, self._bed.api.get(_PATH)["spec"]["configuration"])

    @property
    def gates(self) -> list[str]:
        return t.cast("list[str]", self.read()["developerConfiguration"]["featureGates"])

    @property
    def bindings(self) -> Object:
        return t.cast(Object, (self.read().get("network") or {}).get("binding") or {})

    def write(self, configuration: Object) -> None:
        self._bed.api.patch(
            _PATH, [{"op": "replace", "path": "/spec/configuration", "value": configuration}], JSON_PATCH
        )

    def set(self, *, gate: bool, bindings: t.Sequence[str] = ()) -> None:
        """As the tests' control plane has it, and this."""
        configuration = self.read()
        gates = [one for one in self.gates if one != GATE] + ([GATE] if gate else [])
        configuration["developerConfiguration"]["featureGates"] = gates
        configuration["network"] = {
            "binding": {name: {"sidecarImage": f"registry.invalid/{name}"} for name in bindings}
        }
        self.write(configuration)

    def is_followed(self, *, gate: bool) -> None:
        """Wait until virt-api knows of the gate: it reads the resource by a watch."""
        until("virt-api follows", lambda: ("feature gate is not enabled" in self.refusal()) != gate)

    def refusal(self) -> str:
        """What virt-api says of a VM with a network that is a claim; empty where it takes it."""
        interface = {"name": "data", "binding": {"name": "vhostuser"}}
        claim = {"claimName": "dpdk", "requestName": "port"}
        spec = {
            "domain": {"memory": {"guest": "64Mi"}, "devices": {"interfaces": [interface]}},
            "networks": [{"name": "data", "resourceClaim": claim}],
            "resourceClaims": [{"name": "dpdk", "resourceClaimTemplateName": "port"}],
        }
        vm = self._bed.manifest("probe", **spec)
        try:
            self._bed.api.post(f"{self._bed.folder}/virtualmachines{DRY}", vm)
        except ApiError as error:
            return str(error)
        return ""


@contextlib.contextmanager
def kept(configuration: Configuration) -> t.Iterator[Configuration]:
    """The configuration is as before at the end."""
    before = configuration.read()
    try:
        yield configuration
    finally:
        configuration.write(before)


def definitions_path(namespace: str) -> str:
    return f"/apis/k8s.cni.cncf.io/v1/namespaces/{namespace}/network-attachment-definitions"


def add_definition(bed: Bed, name: str, namespace: str = "") -> None:
    """A NetworkAttachmentDefinition as another tool would write it."""
    body = {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": name},
        "spec": {"config": '{"cniVersion": "0.3.1", "type": "bridge", "bridge": "br1"}'},
    }
    bed.api.post(definitions_path(namespace or bed.namespace), body)
