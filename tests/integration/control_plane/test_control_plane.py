# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control plane itself: that what the other tests stand on is there, and does what they take it for."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.tests.control_plane.api import Api, ApiError, Object
from ansible_collections.rtvirt.core.tests.control_plane.audit import Audit
from ansible_collections.rtvirt.core.tests.control_plane.cluster import Cluster
from ansible_collections.rtvirt.core.tests.integration.control_plane.bed import KUBEVIRT, until

pytestmark = pytest.mark.alone

SUBRESOURCES = "/apis/subresources.kubevirt.io/v1"
NODE = "node.rtvirt.test/"


class Vm:
    """One VM, by plain requests."""

    def __init__(self, api: Api, namespace: str, name: str = "vm") -> None:
        self.api = api
        self.name = name
        self.namespace = namespace
        self.folder = f"{KUBEVIRT}/namespaces/{namespace}"

    def create(self, strategy: str = "Always", dry_run: bool = False, cpu: Object | None = None, **schedule: str) -> Vm:
        domain: Object = {
            "memory": {"guest": "64Mi"},
            "devices": {"interfaces": [{"name": "default", "masquerade": {}}]},
        }
        if cpu:
            domain["cpu"] = cpu
        annotations = {NODE + key.replace("_", "-"): value for key, value in schedule.items()}
        spec = {"domain": domain, "networks": [{"name": "default", "pod": {}}]}
        template = {"metadata": {"annotations": annotations}, "spec": spec}
        body = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "metadata": {"name": self.name}}
        query = "?dryRun=All" if dry_run else ""
        whole = {**body, "spec": {"runStrategy": strategy, "template": template}}
        self.api.post(f"{self.folder}/virtualmachines{query}", whole)
        return self

    def act(self, action: str, resource: str = "virtualmachines") -> None:
        self.api.put(f"{SUBRESOURCES}/namespaces/{self.namespace}/{resource}/{self.name}/{action}", {})

    @property
    def vm(self) -> Object:
        return self.api.get(f"{self.folder}/virtualmachines/{self.name}")

    @property
    def vmi(self) -> Object | None:
        try:
            return self.api.get(f"{self.folder}/virtualmachineinstances/{self.name}")
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    @property
    def pods(self) -> list[Object]:
        return self.api.get(
            f"/api/v1/namespaces/{self.namespace}/pods?labelSelector=vm.kubevirt.io/name%3D{self.name}"
        )["items"]

    @property
    def phase(self) -> str | None:
        return (self.vmi or {}).get("status", {}).get("phase")

    @property
    def printable(self) -> str:
        return self.vm.get("status", {}).get("printableStatus", "")

    def condition(self, kind: str) -> str | None:
        conditions = (self.vmi or {}).get("status", {}).get("conditions") or []
        return next((one["status"] for one in conditions if one["type"] == kind), None)

    def runs(self) -> Vm:
        until("the VM runs", lambda: self.printable == "Running" and self.condition("Ready") == "True")
        return self

    def gone(self) -> bool:
        return self.vmi is None and not self.pods


@pytest.fixture
def vm(control_plane: Cluster, namespace: str) -> Vm:
    return Vm(control_plane.api, namespace)


def test_admission_is_kubevirts_own(vm: Vm) -> None:
    with pytest.raises(ApiError) as refused:
        vm.create(cpu={"cores": 1, "realtime": {}})
    assert refused.value.status == 422
    path = "spec.template.spec.domain.cpu"
    text = f"{path}.dedicatedCpuPlacement must be set to true when {path}.realtime is used"
    assert text in str(refused.value)


def test_a_dry_run_is_judged_and_not_kept(vm: Vm) -> None:
    vm.create(dry_run=True)
    with pytest.raises(ApiError, match="not found"):
        _vm = vm.vm


def test_start_and_stop(vm: Vm) -> None:
    vm.create("Halted")
    until("it is stopped", lambda: vm.printable == "Stopped")
    assert vm.phase is None
    vm.act("start")
    vm.runs()
    with pytest.raises(ApiError, match="already running"):
        vm.act("start")
    vm.act("stop")
    until("the VMI and its pod are gone", vm.gone)
    until("it is stopped", lambda: vm.printable == "Stopped")


def test_a_running_vm_looks_like_one(vm: Vm) -> None:
    begin = time.monotonic()
    vm.create().runs()
    assert time.monotonic() - begin < 5
    vmi, pod = vm.vmi, vm.pods[0]
    assert vmi is not None
    assert vmi["status"]["nodeName"] == pod["spec"]["nodeName"]
    assert vmi["status"]["interfaces"][0]["ipAddress"] == pod["status"]["podIP"]
    assert vmi["status"]["guestOSInfo"]["id"]
    assert vm.condition("AgentConnected") == "True"
    assert vm.condition("LiveMigratable") == "True"


def test_dedicated_cpus_run(vm: Vm) -> None:
    """virt-controller fails a VMI whose pod is not of the class Guaranteed."""
    cpu = {"cores": 2, "dedicatedCpuPlacement": True, "isolateEmulatorThread": True}
    vm.create(cpu=cpu).runs()
    assert vm.pods[0]["status"]["qosClass"] == "Guaranteed"


def test_pause_and_unpause(vm: Vm) -> None:
    vm.create().runs()
    vm.act("pause", "virtualmachineinstances")
    until("it is paused", lambda: vm.printable == "Paused" and vm.condition("Ready") == "False")
    with pytest.raises(ApiError, match="already paused"):
        vm.act("pause", "virtualmachineinstances")
    vm.act("unpause", "virtualmachineinstances")
    vm.runs()
    assert vm.condition("Paused") is None


def test_a_soft_reboot_loses_the_agent_for_a_while(vm: Vm) -> None:
    vm.create(agent_after="0.5").runs()
    until("the agent is there", lambda: vm.condition("AgentConnected") == "True")
    vm.act("softreboot", "virtualmachineinstances")
    assert vm.condition("AgentConnected") is None
    until("the agent is there again", lambda: vm.condition("AgentConnected") == "True")


def test_deletion_takes_everything_along(vm: Vm) -> None:
    vm.create().runs()
    vm.api.delete(f"{vm.folder}/virtualmachines/{vm.name}")
    until("the VM is gone", lambda: not vm.api.get(f"{vm.folder}/virtualmachines")["items"])
    until("the VMI and its pod are gone", vm.gone)


class TestSchedule:
    """A test's say in what happens to one VM."""

    pytestmark = pytest.mark.usefixtures("simulator")

    def test_run_after_and_agent_after(self, vm: Vm) -> None:
        vm.create(run_after="1", agent_after="never")
        until("it is on a node", lambda: vm.phase == "Scheduled")
        begin = time.monotonic()
        vm.runs()
        assert 0.5 < time.monotonic() - begin < 3
        assert vm.condition("AgentConnected") is None

    @pytest.mark.parametrize(
        ("outcome", "printable"),
        [
            ("unschedulable", "ErrorUnschedulable"),
            ("image-pull-back-off", "ImagePullBackOff"),
            ("crash-loop", "CrashLoopBackOff"),
            ("never", "Starting"),
        ],
    )
    def test_what_does_not_run(self, vm: Vm, outcome: str, printable: str) -> None:
        vm.create(outcome=outcome)
        until(f"it is {printable}", lambda: vm.printable == printable)

    @pytest.mark.parametrize(("outcome", "phase"), [("failed", "Failed"), ("succeeded", "Succeeded")])
    def test_a_guest_that_ends_by_itself(self, vm: Vm, outcome: str, phase: str) -> None:
        vm.create("Once", outcome=outcome, end_after="0.5")
        until("it runs", lambda: vm.phase == "Running")
        until("it has ended", lambda: vm.phase == phase)
        until("so has its pod", lambda: vm.pods[0]["status"]["phase"] == phase)

    def test_a_guest_that_takes_its_time(self, vm: Vm) -> None:
        vm.create(stop_after="1").runs()
        vm.act("stop")
        begin = time.monotonic()
        until("the VMI and its pod are gone", vm.gone)
        assert 0.9 < time.monotonic() - begin < 4


class TestVolumes:
    pytestmark = pytest.mark.usefixtures("simulator")

    def create(self, vm: Vm, **schedule: str) -> None:
        annotations = {NODE + key.replace("_", "-"): value for key, value in schedule.items()}
        source = {"source": {"blank": {}}, "storage": {"resources": {"requests": {"storage": "1Gi"}}}}
        template = {"metadata": {"name": "root", "annotations": annotations}, "spec": source}
        devices = {"disks": [{"name": "root", "disk": {}}]}
        spec = {
            "domain": {"memory": {"guest": "64Mi"}, "devices": devices},
            "volumes": [{"name": "root", "dataVolume": {"name": "root"}}],
        }
        body = {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "metadata": {"name": vm.name}}
        whole = {"runStrategy": "Always", "dataVolumeTemplates": [template], "template": {"spec": spec}}
        vm.api.post(f"{vm.folder}/virtualmachines", {**body, "spec": whole})

    def volumes(self, vm: Vm) -> dict[str, str]:
        path = f"/apis/cdi.kubevirt.io/v1beta1/namespaces/{vm.namespace}/datavolumes"
        return {one["metadata"]["name"]: one.get("status", {}).get("phase") for one in vm.api.get(path)["items"]}

    def claims(self, vm: Vm) -> list[Object]:
        return vm.api.get(f"/api/v1/namespaces/{vm.namespace}/persistentvolumeclaims")["items"]

    def test_the_vm_waits_for_the_import(self, vm: Vm) -> None:
        self.create(vm, run_after="1")
        until("it is provisioned", lambda: vm.printable == "Provisioning")
        vm.runs()
        assert self.volumes(vm) == {"root": "Succeeded"}

    def test_the_volume_goes_with_the_vm(self, vm: Vm) -> None:
        """Kubernetes' garbage collector does it."""
        self.create(vm)
        vm.runs()
        vm.api.delete(f"{vm.folder}/virtualmachines/{vm.name}")
        until("the volumes are gone", lambda: not self.volumes(vm) and not self.claims(vm))

    def test_a_volume_stays_when_the_vm_leaves_it_behind(self, vm: Vm) -> None:
        """Not by taking its owner away: virt-controller adopts it again within moments, as long as the VM is there."""
        self.create(vm)
        vm.runs()
        vm.act("stop")
        until("the VMI and its pod are gone", vm.gone)
        vm.api.delete(f"{vm.folder}/virtualmachines/{vm.name}", {"propagationPolicy": "Orphan"})
        until("the VM is gone", lambda: not vm.api.get(f"{vm.folder}/virtualmachines")["items"])
        time.sleep(1)
        assert self.volumes(vm) == {"root": "Succeeded"}


class TestAudit:
    def test_counts_by_verb_resource_and_agent(self, audit: Audit, vm: Vm) -> None:
        vm.api.get(f"{vm.folder}/virtualmachines")
        with audit.record() as requests:
            vm.create("Halted")
            _vms = vm.vm, vm.vm
            vm.act("start")
        vm.api.get(f"{vm.folder}/virtualmachines")
        ours = requests.by("rtvirt-tests")
        expected = {"create virtualmachines": 1, "get virtualmachines": 2, "update virtualmachines/start": 1}
        assert ours.counts() == expected
        assert len(ours.writes) == 2
        assert {one.user for one in ours} == {"admin"}
        assert requests.by("virt-api")

    def test_nothing_is_nothing(self, audit: Audit) -> None:
        with audit.record() as requests:
            pass
        assert not requests.by("rtvirt-tests")


class TestUsers:
    def test_a_user_may_what_a_role_says(self, simulator: Cluster, namespace: str, vm: Vm, tmp_path: Path) -> None:
        vm.create("Halted")
        kubeconfig = simulator.write_kubeconfig(tmp_path / "kubeconfig", simulator.token_of("viewer"))
        viewer = Vm(simulator.api_with(kubeconfig), namespace)
        with pytest.raises(ApiError) as refused:
            _vm = viewer.vm
        assert refused.value.status == 403
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "kubevirt.io:view"}
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "viewer"}
        body: Object = {"metadata": {"name": "viewer"}, "roleRef": role, "subjects": [subject]}
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"
        simulator.api.post(path, body)
        until("the role counts", lambda: viewer.vm)
        with pytest.raises(ApiError, match="cannot update resource"):
            viewer.act("start")

    @pytest.mark.parametrize("lifetime", [30, -1])
    def test_a_token_ends(self, simulator: Cluster, namespace: str, tmp_path: Path, lifetime: int) -> None:
        until(
            "there is an account", lambda: simulator.api.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default")
        )
        token = simulator.signed_token(namespace, "default", lifetime)
        api = simulator.api_with(simulator.write_kubeconfig(tmp_path / "kubeconfig", token))
        with pytest.raises(ApiError) as refused:
            api.get("/api/v1/nodes")
        # Known and not allowed to, or not known at all.
        assert refused.value.status == (403 if lifetime > 0 else 401)

    def test_the_api_server_gives_tokens(self, simulator: Cluster, namespace: str, tmp_path: Path) -> None:
        until(
            "there is an account", lambda: simulator.api.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default")
        )
        token = simulator.request_token(namespace, "default")
        api = simulator.api_with(simulator.write_kubeconfig(tmp_path / "kubeconfig", token))
        assert api.get("/apis")["groups"]


class TestFaults:
    def test_the_state_survives_the_api_server(
        self, simulator: Cluster, vm: Vm, crash: t.Callable[[str], None]
    ) -> None:
        vm.create().runs()
        crash("kube-apiserver")
        with pytest.raises(ApiError) as unreachable:
            _vms = vm.vm
        assert unreachable.value.status == 0
        simulator.restart("kube-apiserver")
        until("the VM is known", lambda: vm.printable == "Running")
        # The new server answers for what is its own before it has found the way to virt-api again.
        until("virt-api is reached through it", lambda: vm.api.get(SUBRESOURCES))
        # Everybody has found the new server: the node, virt-controller, virt-api.
        vm.act("pause", "virtualmachineinstances")
        until("it is paused", lambda: vm.printable == "Paused")

    def test_without_virt_api_nothing_is_admitted(
        self, simulator: Cluster, vm: Vm, crash: t.Callable[[str], None]
    ) -> None:
        crash("virt-api")
        with pytest.raises(ApiError, match="failed calling webhook"):
            vm.create()
        simulator.restart("virt-api")
        until("virt-api admits again", lambda: vm.create("Halted"))

    @pytest.mark.parametrize("component", ["etcd", "kube-controller-manager", "virt-controller", "node"])
    def test_everything_goes_on_afterwards(
        self, simulator: Cluster, vm: Vm, crash: t.Callable[[str], None], component: str
    ) -> None:
        crash(component)
        simulator.restart(component)
        until("the API server writes again", lambda: vm.create("Halted"))
        vm.act("start")
        vm.runs()
