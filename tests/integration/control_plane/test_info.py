# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubevirt_vm_info: what it finds, what it says of it, and what it asks the server for."""

from __future__ import annotations

import contextlib
import io
import json
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.rtvirt.core.plugins.modules import kubevirt_vm_info
from ansible_collections.rtvirt.core.tests.control_plane.api import Object
from ansible_collections.rtvirt.core.tests.control_plane.cluster import Cluster
from ansible_collections.rtvirt.core.tests.integration.control_plane import task
from ansible_collections.rtvirt.core.tests.integration.control_plane.bed import Bed, schedule
from ansible_collections.rtvirt.core.tests.integration.control_plane.conftest import clear
from ansible_collections.rtvirt.core.tests.integration.control_plane.task import TaskError

SECRET = "correct horse battery staple"
NOBODY = "rtvirt-test-nobody-has-this-name"


def info(bed: Bed, **options: t.Any) -> dict[str, t.Any]:
    """Run the module in this process. :raises TaskError: for what it refuses."""
    printed = io.StringIO()
    given = {"kubeconfig": str(bed.cluster.kubeconfig), **options, "_ansible_check_mode": False}
    with patch_module_args(given), contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        kubevirt_vm_info.main()
    result: dict[str, t.Any] = json.loads(printed.getvalue())
    assert "exception" not in result, result
    if result.get("failed"):
        raise TaskError(result)
    assert result["changed"] is False
    return result


def only(result: dict[str, t.Any]) -> dict[str, t.Any]:
    (vm,) = result["vms"]
    return t.cast("dict[str, t.Any]", vm)


def names(result: dict[str, t.Any]) -> list[str]:
    return [vm["name"] for vm in result["vms"]]


@pytest.fixture
def second(control_plane: Cluster, namespace: str) -> t.Iterator[Bed]:
    """One more namespace."""
    name = f"{namespace}-b"
    control_plane.api.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield Bed(control_plane, name)
    clear(control_plane, name)


def labelled(manifest: Object, **labels: str) -> Object:
    return {**manifest, "metadata": {**manifest["metadata"], "labels": labels}}


def test_a_stopped_vm(bed: Bed) -> None:
    bed.create(labelled(bed.manifest("quiet"), app="web"))
    bed.comes_to("stopped", "quiet")
    vm = only(info(bed, namespace=bed.namespace))
    assert (vm["name"], vm["namespace"]) == ("quiet", bed.namespace)
    assert (vm["state"], vm["status"], vm["run_strategy"]) == ("stopped", "Stopped", "Halted")
    assert (vm["phase"], vm["node"], vm["addresses"], vm["guest"], vm["vmi"]) == (None, None, [], {}, {})
    assert (vm["managed"], vm["restart_required"], vm["labels"]) == (False, False, {"app": "web"})
    assert any(text.startswith("Ready=False (VMINotExists") for text in vm["conditions"])


def test_a_running_vm_with_an_agent(bed: Bed) -> None:
    task.run_one(**bed.bare(state="running", wait=True, wait_for=["ready", "agent", "address"]))
    result = info(bed, namespace=bed.namespace, name="vm")
    vm = only(result)
    there = bed.vmi()
    assert there is not None
    assert (vm["state"], vm["phase"], vm["managed"]) == ("running", "Running", True)
    assert vm["node"] == there["status"]["nodeName"]
    assert vm["addresses"] == there["status"]["interfaces"][0]["ipAddresses"]
    assert vm["guest"] == {"os": there["status"]["guestOSInfo"]}
    assert {"Ready=True", "AgentConnected=True"} <= set(vm["conditions"])
    assert vm["vmi"]["metadata"]["uid"] == there["metadata"]["uid"]
    assert "managedFields" not in vm["vmi"]["metadata"]
    (resource,) = result["resources"]
    assert (resource["apiVersion"], resource["kind"]) == ("kubevirt.io/v1", "VirtualMachine")
    assert resource["status"]["printableStatus"] == "Running"
    assert resource["spec"] == bed.vm()["spec"]
    assert result["api_found"] is True


def test_guest_agents_are_asked_where_one_is_connected(simulator: Cluster, bed: Bed) -> None:
    bed.create(bed.manifest("with", strategy="Always"))
    manifest = bed.manifest("without", strategy="Always")
    manifest["spec"]["template"]["metadata"] = {"annotations": schedule(agent_after="never")}
    bed.create(manifest)
    for name in ("with", "without"):
        bed.comes_to("running", name)
    with bed.requests() as requests:
        asked, silent = info(bed, namespace=bed.namespace, guest_agent=True)["vms"]
    assert asked["guest"]["hostname"] == "with"
    assert asked["guest"]["os"]["id"] == "debian"
    assert silent["guest"] == {}
    assert requests.of(resource="virtualmachineinstances/guestosinfo").counts() == {
        "get virtualmachineinstances/guestosinfo": 1
    }


def test_what_was_changed_and_waits_for_a_restart(bed: Bed) -> None:
    task.run_one(**bed.bare(state="running", wait=True, cpu_cores=1))
    task.run_one(**bed.bare(cpu_cores=2))
    vm = only(info(bed, namespace=bed.namespace))
    assert vm["restart_required"] is True
    assert any(text.startswith("RestartRequired=True (") for text in vm["conditions"])


def test_a_paused_vm(simulator: Cluster, bed: Bed) -> None:
    task.run_one(**bed.bare(state="paused", wait=True))
    bed.comes_to("paused")
    vm = only(info(bed, namespace=bed.namespace))
    assert (vm["state"], vm["status"]) == ("paused", "Paused")


def test_names_and_selectors(bed: Bed) -> None:
    for name, tier in (("a", "front"), ("b", "back"), ("c", "back")):
        bed.create(labelled(bed.manifest(name), tier=tier, test=bed.namespace))
    here: dict[str, t.Any] = {"namespace": bed.namespace}
    assert names(info(bed, **here)) == ["a", "b", "c"]
    assert names(info(bed, **here, name="b")) == ["b"]
    assert names(info(bed, **here, names=["c", "a", "none"])) == ["a", "c"]
    assert names(info(bed, **here, names=[])) == []
    assert names(info(bed, **here, label_selectors=["tier=back"])) == ["b", "c"]
    assert names(info(bed, **here, label_selectors=["tier in (front,back)", "tier!=back"])) == ["a"]
    assert names(info(bed, **here, label_selectors=["tier=back"], names=["a", "b"])) == ["b"]
    assert names(info(bed, **here, label_selectors=["tier=back"], name="c")) == ["c"]
    assert names(info(bed, **here, field_selectors=["metadata.name=a"])) == ["a"]
    assert names(info(bed, **here, field_selectors=["metadata.name!=a"], names=["a", "b"])) == ["b"]
    with pytest.raises(TaskError, match="field label not supported"):
        info(bed, **here, field_selectors=["spec.running=true"])


def test_there_is_none(bed: Bed) -> None:
    for where in ({"namespace": bed.namespace}, {"namespace": NOBODY}, {"namespace": bed.namespace, "name": "vm"}):
        result = info(bed, **where)
        assert (result["vms"], result["resources"]) == ([], [])
    assert info(bed, name=NOBODY)["vms"] == []


def test_all_namespaces(simulator: Cluster, bed: Bed, second: Bed) -> None:
    for one in (bed, second):
        one.create(labelled(one.manifest("same", strategy="Always"), test=bed.namespace))
        one.comes_to("running", "same")
    selector = {"label_selectors": [f"test={bed.namespace}"]}
    found = info(bed, **selector)
    assert [(vm["namespace"], vm["name"]) for vm in found["vms"]] == [
        (bed.namespace, "same"),
        (second.namespace, "same"),
    ]
    for vm, one in zip(found["vms"], (bed, second)):
        there = one.vmi("same")
        assert there is not None
        assert vm["vmi"]["metadata"]["uid"] == there["metadata"]["uid"]
    assert [vm["namespace"] for vm in info(bed, name="same", **selector)["vms"]] == [bed.namespace, second.namespace]


def test_one_list_of_vms_and_one_of_instances(simulator: Cluster, bed: Bed) -> None:
    for name in ("a", "b", "c"):
        bed.create(bed.manifest(name, strategy="Always" if name == "a" else "Halted"))
    bed.comes_to("running", "a")
    with bed.requests() as requests:
        info(bed, namespace=bed.namespace)
    assert requests.counts() == {"list virtualmachines": 1, "list virtualmachineinstances": 1}
    bed.act("stop", "a")
    bed.comes_to("stopped", "a")
    with bed.requests() as requests:
        info(bed, namespace=bed.namespace)
    assert requests.counts() == {"list virtualmachines": 1}


def test_secrets_are_not_shown(bed: Bed) -> None:
    """Wherever KubeVirt and kubectl keep the user data: in the VM, its instance, its annotation of kubectl apply."""
    source = {"cloudInitNoCloud": {"userData": f"#cloud-config\npassword: {SECRET}\n"}}
    task.run_one(**bed.bare(disks=[{"name": "seed", "disk": {"bus": "virtio"}, "volume": source}], state="running"))
    bed.edit({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(source)}}})
    bed.comes_to("running")
    result = info(bed, namespace=bed.namespace)
    assert only(result)["vmi"]["spec"]["volumes"][0]["name"] == "seed"
    assert SECRET not in json.dumps(result)


class TestWaiting:
    def test_until_it_is_ready(self, simulator: Cluster, bed: Bed) -> None:
        manifest = bed.manifest(strategy="Always")
        manifest["spec"]["template"]["metadata"] = {"annotations": schedule(run_after="2")}
        bed.create(manifest)
        vm = only(info(bed, namespace=bed.namespace, wait=True, running=True))
        assert (vm["state"], vm["phase"]) == ("running", "Running")
        assert "Ready=True" in vm["conditions"]

    def test_until_it_is_stopped(self, bed: Bed) -> None:
        bed.create(bed.manifest(strategy="Always"))
        bed.comes_to("running")
        bed.act("stop")
        vm = only(info(bed, namespace=bed.namespace, name="vm", wait=True, running=False))
        assert (vm["state"], vm["vmi"]) == ("stopped", {})

    def test_for_one_that_is_not_there_yet(self, bed: Bed) -> None:
        later = threading.Timer(1, bed.create, [bed.manifest(strategy="Always")])
        later.start()
        assert only(info(bed, namespace=bed.namespace, name="vm", wait=True))["state"] == "running"
        later.join()

    def test_for_one_that_will_not_run(self, simulator: Cluster, bed: Bed) -> None:
        manifest = bed.manifest(strategy="Always")
        manifest["spec"]["template"]["metadata"] = {"annotations": schedule(outcome="image-pull-back-off")}
        bed.create(manifest)
        begin = time.monotonic()
        with pytest.raises(TaskError, match=rf"{bed.namespace}/vm: will not run: (ErrImagePull|ImagePullBackOff)"):
            info(bed, namespace=bed.namespace, wait=True)
        assert time.monotonic() - begin < 60

    def test_not_for_ever(self, bed: Bed) -> None:
        bed.create(bed.manifest())
        bed.comes_to("stopped")
        with pytest.raises(TaskError, match=r"vm: not ready within 1 s: status Stopped, no instance"):
            info(bed, namespace=bed.namespace, wait=True, wait_timeout=1)
        with pytest.raises(TaskError, match=r"none: not ready within 0 s: there is no such VM"):
            info(bed, namespace=bed.namespace, name="none", wait=True, wait_timeout=0)

    def test_for_none_is_no_wait(self, bed: Bed) -> None:
        assert info(bed, namespace=bed.namespace, wait=True)["vms"] == []


class TestRefusals:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"name": "a", "names": ["b"]}, "names: stands beside name"),
            ({"running": True}, "running: says what to wait for: set wait"),
            ({"wait_timeout": -1}, "wait_timeout: is -1"),
        ],
    )
    def test_options_that_contradict_each_other(self, bed: Bed, options: dict[str, t.Any], message: str) -> None:
        with pytest.raises(TaskError, match=message):
            info(bed, **options)

    def test_a_user_without_rights(self, simulator: Cluster, bed: Bed, tmp_path: Path) -> None:
        kubeconfig = str(simulator.write_kubeconfig(tmp_path / "kubeconfig", simulator.token_of("nobody")))
        with pytest.raises(TaskError, match=r'User "nobody" cannot list resource "virtualmachines".*cluster scope'):
            info(bed, kubeconfig=kubeconfig)
        with pytest.raises(TaskError, match=rf'cannot list resource "virtualmachines".*"{bed.namespace}"') as refused:
            info(bed, kubeconfig=kubeconfig, namespace=bed.namespace)
        assert refused.value.result["status"] == 403
        with pytest.raises(TaskError, match='cannot get resource "virtualmachines"'):
            info(bed, kubeconfig=kubeconfig, namespace=bed.namespace, name="vm")

    def test_who_may_not_list_everything_is_told_to_name_a_namespace(
        self, simulator: Cluster, bed: Bed, tmp_path: Path
    ) -> None:
        kubeconfig = str(simulator.write_kubeconfig(tmp_path / "kubeconfig", simulator.token_of("nobody")))
        with pytest.raises(TaskError, match=r"^namespace: write one that you may list: "):
            info(bed, kubeconfig=kubeconfig)


def test_tasks_of_kubevirt_core_keep(bed: Bed) -> None:
    """All of its options at once, and what its users read of the answer; defaults by module_defaults' group."""
    bed.create(labelled(bed.manifest("testvm", strategy="Always"), app="test"))
    options = {
        "api_version": "kubevirt.io/v1",
        "name": "testvm",
        "namespace": bed.namespace,
        "label_selectors": ["app=test"],
        "field_selectors": [],
        "running": True,
        "wait": True,
        "wait_sleep": 1,
        "wait_timeout": 60,
        "hidden_fields": ["metadata.managedFields"],
    }
    result = info(bed, **options)
    assert result["resources"][0]["metadata"]["name"] == "testvm"
    assert result["resources"][0]["status"]["ready"] is True


def test_as_a_task(bed: Bed, tmp_path: Path) -> None:
    bed.create(bed.manifest())
    given = {"kubeconfig": str(bed.cluster.kubeconfig)}
    asked = {"rtvirt.core.kubevirt_vm_info": {"namespace": bed.namespace}}
    played = task.play(
        tmp_path, {**asked, "module_defaults": {"group/rtvirt.core.kubevirt": given}}, check=True, verbose=True
    )
    assert names(played.results[0]) == ["vm"]
    token = bed.cluster.token
    assert not token or token not in played.output
