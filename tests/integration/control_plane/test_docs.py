# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/kubevirt.md and docs/migration.md promise: their tasks, the Role, and tasks of older collections."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.rtvirt.core.tests.control_plane.api import Api, ApiError, Object
from ansible_collections.rtvirt.core.tests.control_plane.cluster import Cluster
from ansible_collections.rtvirt.core.tests.integration.control_plane import task
from ansible_collections.rtvirt.core.tests.integration.control_plane.bed import LAST_APPLIED, Bed, until
from ansible_collections.rtvirt.core.tests.integration.control_plane.kubevirt import add_definition
from ansible_collections.rtvirt.core.tests.integration.control_plane.task import TaskError, run, run_one
from ansible_collections.rtvirt.core.tests.integration.control_plane.test_info import info

DOCS = Path(__file__).resolve().parents[3] / "docs"
MODULE = "rtvirt.core.kubevirt_vm"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def blocks(page: str) -> t.Iterator[t.Any]:
    text = (DOCS / f"{page}.md").read_text()
    for block in re.findall(r"^```yaml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        yield yaml.safe_load(block)


def tasks(value: t.Any) -> t.Iterator[Object]:
    if isinstance(value, dict):
        if MODULE in value:
            yield value
        value = list(value.values())
    for item in value if isinstance(value, list) else ():
        yield from tasks(item)


TASKS = {f"{page}: {one['name']}": one[MODULE] for page in ("kubevirt", "migration") for one in tasks([*blocks(page)])}
#: Those of a VM that goes, and those that are about its power alone, declare none.
LEAVING = [name for name, options in TASKS.items() if options.get("state") in ("absent", "reclaimed")]
DECLARING = [
    name
    for name, options in TASKS.items()
    if name not in LEAVING and options.keys() - {"name", "namespace", "state", "wait"}
]


@pytest.fixture
def types(simulator: Cluster) -> None:
    """The instance type and preference that the pages name; KubeVirt refuses a VM of those that are not there."""
    sizes = {"cpu": {"guest": 1}, "memory": {"guest": "64Mi"}}
    for kind, name, spec in (("Instancetype", "u1.medium", sizes), ("Preference", "fedora", {})):
        kind = f"VirtualMachineCluster{kind}"
        body = {"apiVersion": "instancetype.kubevirt.io/v1beta1", "kind": kind, "metadata": {"name": name}}
        create(simulator.api, f"/apis/instancetype.kubevirt.io/v1beta1/{kind.lower()}s", {**body, "spec": spec})


def create(api: Api, path: str, body: Object) -> None:
    try:
        api.post(path, body)
    except ApiError as error:
        # Another test has made it.
        if error.status != 409:
            raise


@pytest.mark.parametrize("name", DECLARING)
def test_a_task_of_the_pages_is_accepted(bed: Bed, types: None, name: str) -> None:
    """By the server's dry run."""
    options = {**TASKS[name], "kubeconfig": str(bed.cluster.kubeconfig), "namespace": bed.namespace}
    for interface in options.get("interfaces") or []:
        if "multus" in interface["network"]:
            add_definition(bed, interface["network"]["multus"]["networkName"])
    options["definition"] = {
        **options.get("definition", {}),
        "metadata": options.get("definition", {}).get("metadata", {}),
    }
    result = run(check=True, **options)
    assert {action for vm in result["vms"] for action in vm["actions"]} == {"create"}


@pytest.mark.parametrize("name", LEAVING)
def test_a_task_of_the_pages_takes_a_vm_away(bed: Bed, name: str) -> None:
    """Here there is none of that name."""
    options = {**TASKS[name], "kubeconfig": str(bed.cluster.kubeconfig), "namespace": bed.namespace}
    assert run(**options)["changed"] is False


def test_power_alone(bed: Bed) -> None:
    """A task that says nothing but which VM leaves all that was declared of it."""
    run_one(**bed.bare(cpu_cores=2, labels={"app": "web"}))
    before = bed.vm()
    (alone,) = [options for name, options in TASKS.items() if name not in (*DECLARING, *LEAVING)]
    options = {**alone, "kubeconfig": str(bed.cluster.kubeconfig), "namespace": bed.namespace, "name": "vm"}
    result = run_one(**options)
    assert (result["actions"], result["changes"]) == (["start"], [])
    after = bed.vm()
    assert after["spec"]["template"] == before["spec"]["template"]
    assert after["metadata"]["annotations"][LAST_APPLIED] == before["metadata"]["annotations"][LAST_APPLIED]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    assert run_one(**options)["changed"] is False
    with pytest.raises(TaskError, match="there is no such VM"):
        run_one(**{**options, "name": "other"})


def test_the_role_is_enough(simulator: Cluster, bed: Bed, tmp_path: Path) -> None:
    """Everything that the modules do, by a user who has nothing but the page's Role."""
    (role,) = [block for block in blocks("kubevirt") if isinstance(block, dict) and block.get("kind") == "Role"]
    folder = f"{RBAC}/namespaces/{bed.namespace}"
    simulator.api.post(f"{folder}/roles", role)
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role["metadata"]["name"]}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "editor"}
    body = {"metadata": {"name": "rtvirt-vms"}, "roleRef": reference, "subjects": [subject]}
    simulator.api.post(f"{folder}/rolebindings", body)
    kubeconfig = simulator.write_kubeconfig(tmp_path / "kubeconfig", simulator.token_of("editor"))
    editor = simulator.api_with(kubeconfig)
    until("the role counts", lambda: allowed(editor, f"{bed.folder}/virtualmachines"))

    volume = {"source": {"blank": {}}, "storage": {"resources": {"requests": {"storage": "1Gi"}}}}
    declared = {
        "data_volume_templates": [{"metadata": {"name": "vm-a"}, "spec": volume}],
        "disks": [{"name": "a", "disk": {}, "volume": {"dataVolume": {"name": "vm-a"}}}],
        "kubeconfig": str(kubeconfig),
    }

    def as_editor(**options: t.Any) -> dict[str, t.Any]:
        return run_one(**{**bed.bare(**declared, **options), "wait": True})

    for check in (True, False):
        assert run_one(check=check, **bed.bare(**declared))["actions"] == ["create"]
    assert as_editor(state="running", wait_for=["ready", "agent", "address"])["actions"] == ["start"]
    assert only_guest(info(bed, kubeconfig=str(kubeconfig), namespace=bed.namespace, guest_agent=True)) == "vm"
    for state, action in (("paused", "pause"), ("running", "unpause"), ("restarted", "restart"), ("stopped", "stop")):
        assert as_editor(state=state)["actions"] == [action], state
    assert as_editor(cpu_cores=2)["actions"] == ["update"]
    with pytest.raises(TaskError, match="not stopped within 0 s"):
        as_editor(cpu_cores=2, state="stopped", wait_timeout=0)
    gone = as_editor(state="absent", delete_volumes=False)
    assert (gone["actions"], gone["volumes_kept"]) == (["delete"], ["vm-a"])


def allowed(api: t.Any, path: str) -> bool:
    try:
        api.get(path)
    except ApiError as error:
        if error.status != 403:
            raise
        return False
    return True


def only_guest(result: dict[str, t.Any]) -> str:
    (vm,) = result["vms"]
    return str(vm["guest"]["hostname"])


#: The examples of kubevirt.core 2.3.0's and of the old module's documentation, in an order in which they make sense.
THEIRS: list[tuple[dict[str, t.Any], list[str]]] = [
    (
        {
            "state": "present",
            "run_strategy": "Always",
            "labels": {"app": "test"},
            "instancetype": {"name": "u1.medium"},
            "preference": {"name": "fedora"},
            "spec": {
                "domain": {
                    "devices": {"interfaces": [{"name": "default", "masquerade": {}}, {"name": "bridge", "bridge": {}}]}
                },
                "networks": [{"name": "default", "pod": {}}, {"name": "bridge", "multus": {"networkName": "kindexgw"}}],
                "volumes": [
                    {"containerDisk": {"image": "quay.io/containerdisks/fedora:latest"}, "name": "containerdisk"},
                    {"cloudInitNoCloud": {"userData": "#cloud-config\n# nothing"}, "name": "cloudinit"},
                ],
            },
            "wait": True,
            "wait_sleep": 1,
            "wait_timeout": 60,
            "hidden_fields": ["metadata.managedFields"],
            "force": False,
        },
        ["create"],
    ),
    ({"state": "stopped", "wait": True}, ["stop"]),
    ({"state": "started", "wait": True}, ["start"]),
    ({"state": "restarted", "wait": True}, ["restart"]),
    ({"state": "stopped", "grace_period_seconds": 0, "wait": True}, ["stop"]),
    ({"state": "absent", "delete_options": {"propagationPolicy": "Foreground"}, "wait": True}, ["delete"]),
]


def test_tasks_of_kubevirt_core_keep(bed: Bed, types: None) -> None:
    add_definition(bed, "kindexgw")
    given = {"kubeconfig": str(bed.cluster.kubeconfig), "namespace": bed.namespace, "name": "testvm"}
    for options, actions in THEIRS:
        result = run_one(**given, **options)
        assert result["actions"] == actions, options
        if options["state"] == "present":
            assert result["kind"] == "VirtualMachine"
            assert result["metadata"]["name"] == "testvm"
            assert result["status"]["printableStatus"]


def test_tasks_of_the_old_module_keep(bed: Bed, tmp_path: Path) -> None:
    """The migration page's task, as a task of a playbook."""
    name = "migration: A task of those days, but for the module's name"
    options = {**TASKS[name], "kubeconfig": str(bed.cluster.kubeconfig), "namespace": bed.namespace}
    first, again = task.play(tmp_path, {MODULE: options}, {MODULE: options}).results
    assert first["result"]["actions"] == ["create"], first
    assert first["result"]["state"] == "running"
    assert again["changed"] is False
    pod = bed.pod("myvm")
    assert pod["domain"]["memory"]["hugepages"] == {"pageSize": "2Mi"}
    assert pod["domain"]["resources"]["limits"]["cpu"] == "3"
