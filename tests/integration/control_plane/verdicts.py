# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What our admission says of a declaration, and what virt-api says of the VirtualMachine that it makes."""

from __future__ import annotations

import copy
import json
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.cluster import CLUSTER_RULES, lacking
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.rules import admit, complete, convert
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import Options
from ansible_collections.rtvirt.core.tests.control_plane.api import Api, ApiError, Object

SUBRESOURCES = "/apis/subresources.kubevirt.io/v1"
DRY = "dryRun=All&fieldValidation=Strict"

#: Where a message alone tells the field: the schema's, Go's JSON, and that of unknown fields.
_FIELD_IN_TEXT = re.compile(
    r"(spec\.[\w.-]+?) in body|Go struct field \w+?\.(spec\.[\w.]+)|(?:field ObjectMeta\.|unknown field \")([\w.[\]]+)"
)

#: KubeVirt's causes name some fields as there are none -> what is meant. Lower case, and without numbers.
_MISNAMED = {
    r"^(spec\.)(domain\.)": r"\1template.spec.\2",
    r"^(nameservers|options)$": r"spec.template.spec.dnsconfig.\1",
    r"^searchdomains$": "spec.template.spec.dnsconfig.searches",
    r"^spec\.datavolumetemplate\.pvc\.storage$": "spec.datavolumetemplates.spec",
    r"^spec\.datavolumetemplate\.source.*$": "spec.datavolumetemplates.spec.source",
    r"^spec\.datavolumetemplate(\.name)?$": "spec.datavolumetemplates.metadata.name",
    r"^(spec\.template\.spec\.)(nodeaffinity|podaffinity|podantiaffinity)": r"\1affinity.\2",
    r"^(spec\.template\.spec\.)(gpus|hostdevices|sound|video)": r"\1domain.devices.\2",
    r"^(spec\.template\.spec\.)(acpi)": r"\1domain.firmware.\2",
    r"^(spec\.template\.spec\.)bootorder$": r"\1domain.devices.interfaces.bootorder",
    r"^(spec\.template\.spec\.)interfaces$": r"\1networks",
    r"(\.disks)\.domain\.devices\.disks": r"\1",
    r"(\.hyperv)\.domain\.features\.hyperv": r"\1",
    r"\.iothreads\.count$": ".iothreads.supplementalpoolthreadcount",
    # Of the binding, too.
    r"(\.interfaces)\.name$": r"\1",
}


@dataclass(frozen=True)
class Refusal:
    """Of the VM, or of the instance that its start would make."""

    of: t.Literal["VM", "VMI"]
    text: str
    fields: tuple[str, ...]


def ours(options: Options) -> tuple[Object | None, tuple[Problem, ...]]:
    """The VirtualMachine, also where it is refused; None where the declaration cannot even be merged."""
    try:
        manifest = convert(options, CLUSTER_RULES.fields)
    except DeclarationError as error:
        return None, error.problems
    try:
        admitted = admit([options], CLUSTER_RULES)[0]
        return admitted.document, tuple(lacking(admitted))
    except DeclarationError as error:
        complete(manifest)
        return manifest.document, error.problems


class Server:
    def __init__(self, api: Api, namespace: str) -> None:
        self.api = api
        self.namespace = namespace

    def judge(self, document: Object) -> Refusal | None:
        """virt-api's verdict on the VM, and on its instance as virt-controller makes it of the template."""
        document = copy.deepcopy(document)
        machine = document.get("spec")
        if isinstance(machine, dict) and not machine.keys() & {"running", "runStrategy"}:
            machine["runStrategy"] = "Halted"
        admitted, refusal = self._post("VM", "virtualmachines", document)
        if refusal:
            return refusal
        if admitted["spec"].get("instancetype"):
            path = f"{SUBRESOURCES}/namespaces/{self.namespace}/expand-vm-spec"
            try:
                admitted = self.api.put(path, {**admitted, "status": {}})
            except ApiError:
                # It starts once there is such an instance type.
                return None
        template = admitted["spec"]["template"]
        metadata = {
            "name": admitted["metadata"]["name"],
            **{key: value for key, value in template.get("metadata", {}).items() if key in ("labels", "annotations")},
        }
        instance = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "metadata": metadata}
        return self._post("VMI", "virtualmachineinstances", {**instance, "spec": template["spec"]})[1]

    def _post(self, of: t.Literal["VM", "VMI"], resource: str, body: Object) -> tuple[Object, Refusal | None]:
        url = f"{self.api.host}/apis/kubevirt.io/v1/namespaces/{self.namespace}/{resource}?{DRY}"
        headers = {**self.api.headers, "Content-Type": "application/json"}
        # By hand, as the causes are what this is about.
        answer = self.api.client.rest_client.pool_manager.request(
            "POST", url, body=json.dumps(body).encode(), headers=headers
        )
        if answer.status >= 500:
            raise ApiError(answer.status, answer.data.decode())
        content: Object = json.loads(answer.data)
        if answer.status < 400:
            return content, None
        causes = (content.get("details") or {}).get("causes") or []
        text = content.get("message", "")
        named = [cause["field"] for cause in causes if cause.get("field")]
        named += [part for groups in _FIELD_IN_TEXT.findall(text) for part in groups if part]
        prefix = "" if of == "VM" else "spec.template."
        fields = tuple(f"{prefix}{field}" if field.startswith("spec.") else field for field in named)
        return content, Refusal(of, text, fields)


def names_same_field(problems: t.Iterable[Problem], refusal: Refusal) -> bool:
    """Whether a problem of ours is of the field that the server names, or of one in it or around it."""
    ours_at = [_plain(problem.manifest_path) for problem in problems]
    theirs = [_meant(_plain(field)) for field in refusal.fields]
    pairs = [(f"{one}.", f"{other}.") for one in ours_at for other in theirs]
    return any(one.startswith(other) or other.startswith(one) for one, other in pairs)


def _meant(field: str) -> str:
    for misnamed, meant in _MISNAMED.items():
        field = re.sub(misnamed, meant, field)
    return field


def _plain(field: str) -> str:
    """A path without the numbers, which the server's schema does not tell, and in one spelling."""
    return re.sub(r"\[\d+\]", "", field).lower()
