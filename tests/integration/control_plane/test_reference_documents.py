# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifests of well-known documents: as docs/reference-documents.md declares them, KubeVirt itself takes them."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.cluster import CLUSTER_RULES
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.rules import admit
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import Options
from ansible_collections.rtvirt.core.tests.conftest import missing
from ansible_collections.rtvirt.core.tests.control_plane.api import ApiError, Object
from ansible_collections.rtvirt.core.tests.integration.control_plane import task
from ansible_collections.rtvirt.core.tests.integration.control_plane.bed import KUBEVIRT, Bed
from ansible_collections.rtvirt.core.tests.integration.control_plane.kubevirt import Configuration, kept
from ansible_collections.rtvirt.core.tests.integration.task import Module

MODULE = "rtvirt.core.kubevirt_vm"
NETWORKS = "rtvirt.core.network_attachment"
TEXT = (Path(__file__).resolve().parents[3] / "docs" / "reference-documents.md").read_text()
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)]
TASKS: dict[str, Object] = {
    one[MODULE]["name"]: one[MODULE] for block in BLOCKS for one in block if isinstance(one, dict) and MODULE in one
}
(NETWORK_TASK,) = [one[NETWORKS] for block in BLOCKS for one in block if isinstance(one, dict) and NETWORKS in one]
(PLAYBOOK,) = [block for block in BLOCKS if "hosts" in block[0]]

# They change what the whole cluster has.
pytestmark = pytest.mark.alone

STRICT = "?dryRun=All&fieldValidation=Strict"


@pytest.fixture
def prepared(bed: Bed) -> t.Iterator[Bed]:
    """With the documents' networks, and the plugin of D's."""
    access = {"kubeconfig": str(bed.cluster.kubeconfig), "namespace": bed.namespace}
    Module("network_attachment").run(**{**NETWORK_TASK, **access})
    with kept(Configuration(bed)) as configuration:
        configuration.set(gate=False, bindings=["vhostuser"])
        yield bed


def test_a_network_that_is_not_there_is_told(bed: Bed) -> None:
    with pytest.raises(task.TaskError, match="there is no NetworkAttachmentDefinition pxe-net-conf"):
        task.run(**{**TASKS["vmi-pxe-boot"], "namespace": bed.namespace, "kubeconfig": str(bed.cluster.kubeconfig)})
    assert bed.names() == []


@pytest.mark.parametrize("name", TASKS)
def test_a_manifest_is_accepted(prepared: Bed, name: str) -> None:
    """By the module's own dry run: admission of ours, the schema with all its fields known, virt-api's webhooks."""
    access = {"namespace": prepared.namespace, "kubeconfig": str(prepared.cluster.kubeconfig)}
    result = task.run_one(check=True, **{**TASKS[name], **access})
    assert result["actions"] == ["create"]
    assert prepared.names() == []


@pytest.mark.parametrize("name", TASKS)
def test_its_instance_is_accepted(bed: Bed, name: str) -> None:
    """As an instance of its own: two of the documents' manifests are."""
    (admitted,) = admit([Options(TASKS[name])], CLUSTER_RULES)
    spec = copy.deepcopy(admitted.document["spec"]["template"]["spec"])
    vmi = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": {"name": name},
        "spec": spec,
    }
    kept = bed.api.post(f"{bed.folder}/virtualmachineinstances{STRICT}", vmi)
    assert kept["metadata"]["name"] == name


def test_the_table_lists_every_task() -> None:
    table = TEXT.split("## Every manifest on KubeVirt")[1].split("```")[0]
    listed = re.findall(r"^\|.*\| `([a-z0-9-]+)`[^|]*\|$", table, re.MULTILINE)
    assert sorted(listed) == sorted([*TASKS, PLAYBOOK[0]["tasks"][0][MODULE]["name"]])


# --- What is wrong in the documents' versions ------------------------------------------------------------------------


def machine(spec: Object, **more: t.Any) -> Object:
    """A document's manifest, whose only addition is what nearly all of them leave out: how to run, and a name."""
    meta = {"metadata": {"name": "vm"}, "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine"}
    return {**meta, "spec": {"runStrategy": "Halted", **spec}, **more}


def template(**spec: t.Any) -> Object:
    """One whose instance is right, for what stands outside of it."""
    domain = {"devices": {}, "memory": {"guest": "1Gi"}}
    return {"template": {"spec": {"domain": domain, **spec}}}


INSTANCE = {"domain": {"devices": {}, "memory": {"guest": "1Gi"}}}

WRONG: dict[str, tuple[Object, str]] = {
    "A: keys with dots": (
        {
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachineInstance",
            "metadata": {"name": "vm"},
            "spec": INSTANCE,
            "spec.domain.devices.autoattachSerialConsole": True,
        },
        'unknown field "spec.domain.devices.autoattachSerialConsole"',
    ),
    "A: dedicateCpuPlacement": (
        machine(
            {
                "template": {
                    "spec": {
                        "domain": {"devices": {}, "memory": {"guest": "1Gi"}, "cpu": {"dedicateCpuPlacement": True}}
                    }
                }
            }
        ),
        'unknown field "spec.template.spec.domain.cpu.dedicateCpuPlacement"',
    ),
    "A: ioThreadsPolicy of the CPU": (
        machine(
            {
                "template": {
                    "spec": {"domain": {"devices": {}, "memory": {"guest": "1Gi"}, "cpu": {"ioThreadsPolicy": "auto"}}}
                }
            }
        ),
        'unknown field "spec.template.spec.domain.cpu.ioThreadsPolicy"',
    ),
    "A: a mask that is a number": (
        machine({"template": {"spec": {"domain": {"devices": {}, "cpu": {"realtime": {"mask": 0}}}}}}),
        r"realtime\.mask.*must be of type string",
    ),
    "B: affinity in spec": (machine({**template(), "affinity": {}}), 'unknown field "spec.affinity"'),
    "B: tolerations in spec": (machine({**template(), "tolerations": []}), 'unknown field "spec.tolerations"'),
    "B: apiversion": ({"apiversion": "kubevirt.io/v1", **machine(template())}, 'unknown field "apiversion"'),
    "B: a disk without a volume": (
        machine(
            {
                "template": {
                    "spec": {
                        "domain": {
                            "memory": {"guest": "1Gi"},
                            "devices": {"disks": [{"name": "containerdisk", "disk": {"bus": "virtio"}}]},
                        }
                    }
                }
            }
        ),
        r"disks\[0\]\.Name 'containerdisk' not found",
    ),
    "B: overcommitted beside domain": (
        machine(
            {"template": {"domain": None, "resources": {"requests": {"memory": "1024M"}}, "memory": {"guest": "2048M"}}}
        ),
        'unknown field "spec.template.resources"',
    ),
    "B: an instance's domain": (machine({**template(), "domain": {}}), 'unknown field "spec.domain"'),
    "B: kubevirt/v1alpha3": (
        machine(template(), apiVersion="kubevirt/v1alpha3"),
        "does not match the expected API version",
    ),
    "B: a name in angle brackets": (machine(template(), metadata={"name": "<vm-name>"}), "RFC 1123"),
    "no run strategy": (
        {**machine(template()), "spec": template()},
        "(?i)run ?strategy must be specified|must be specified|Running or RunStrategy",
    ),
    # KubeVirt takes the VM, and then not its instance.
    "no memory": (
        {**machine({}), "kind": "VirtualMachineInstance", "spec": {"domain": {"devices": {}}}},
        "no memory requested",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_refused_by_kubevirt(bed: Bed, what: str) -> None:
    """The claims of the table, so that nothing is called wrong that is not."""
    body, message = WRONG[what]
    kind = "virtualmachineinstances" if body["kind"] == "VirtualMachineInstance" else "virtualmachines"
    with pytest.raises(ApiError, match=message):
        bed.api.post(f"{bed.folder}/{kind}{STRICT}", body)


def test_the_control_of_the_above(bed: Bed) -> None:
    bed.api.post(f"{bed.folder}/virtualmachines{STRICT}", machine(template()))


# --- The playbook ----------------------------------------------------------------------------------------------------


@pytest.fixture
def vm1(bed: Bed) -> t.Iterator[Bed]:
    """The document's VM is called vm1, and is in the namespace default."""
    there = Bed(bed.cluster, "default")
    if there.find("vm1") is not None:
        missing("somebody has a VM default/vm1")
    yield there
    if there.find("vm1") is not None:
        there.api.delete(f"{KUBEVIRT}/namespaces/default/virtualmachines/vm1")
        task.run(kubeconfig=str(bed.cluster.kubeconfig), namespace="default", name="vm1", state="absent", wait=True)


def test_the_playbook(vm1: Bed, tmp_path: Path) -> None:
    """Its recap is the one that the document shows; then its variants with a state, and each a second time."""
    text = yaml.safe_dump(PLAYBOOK)
    halted = tmp_path / "create-vm.yaml"
    # As the page has it: the block's own text.
    (block,) = re.findall(r"^```yaml\n(---\n.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    assert yaml.safe_load(block) == yaml.safe_load(text)
    halted.write_text(block)
    assert recap(vm1, halted, tmp_path) == {"ok": 2, "changed": 1}
    vm1.comes_to("stopped", "vm1")
    assert recap(vm1, halted, tmp_path) == {"ok": 2, "changed": 0}
    for state, power in (("running", "running"), ("absent", "absent")):
        variant = tmp_path / f"{state}.yaml"
        variant.write_text(block.replace("        name: vm1\n", f"        name: vm1\n        state: {state}\n"))
        assert recap(vm1, variant, tmp_path) == {"ok": 2, "changed": 1}
        vm1.comes_to(power, "vm1")
        assert recap(vm1, variant, tmp_path) == {"ok": 2, "changed": 0}


def recap(bed: Bed, book: Path, folder: Path) -> dict[str, int]:
    """Run a playbook as the document does, with the kubeconfig in the environment; what its recap counts."""
    command = [str(Path(sys.executable).parent / "ansible-playbook"), str(book)]
    place = {"ANSIBLE_LOCAL_TEMP": str(folder), "ANSIBLE_REMOTE_TEMP": str(folder), "ANSIBLE_NOCOLOR": "1"}
    # That the interpreter is this one is the tests' need: the implicit localhost has Ansible's own.
    environment = {**os.environ, **place, "K8S_AUTH_KUBECONFIG": str(bed.cluster.kubeconfig)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(re.findall(r"(ok|changed)=(\d+)", done.stdout))
    return {key: int(value) for key, value in counts.items()}
