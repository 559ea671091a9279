# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks of kubevirt.core's kubevirt_vm and of the old one, with only the module's name changed; and K1 to K10.

The tasks are written anew, in the way that those collections' documentation writes them.
"""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.rtvirt.core.tests.control_plane.cluster import Cluster
from ansible_collections.rtvirt.core.tests.integration.control_plane.bed import Bed, changed_for_good, schedule, until
from ansible_collections.rtvirt.core.tests.integration.control_plane.task import TaskError, play, run, run_one

pytestmark = pytest.mark.usefixtures("simulator")

#: The options of each task, as a user of the other collection has them; {namespace} is the test's.
KUBEVIRT_CORE = """
- state: present
  name: fedora1
  namespace: {namespace}
  labels:
    app: web
  annotations:
    example.com/owner: ada
  instancetype:
    kind: VirtualMachineInstancetype
    name: small
  preference:
    kind: VirtualMachinePreference
    name: plain
  run_strategy: Always
  spec:
    domain:
      devices:
        interfaces:
          - name: default
            masquerade: {{}}
          - name: bridge-network
            bridge: {{}}
    networks:
      - name: default
        pod: {{}}
      - name: bridge-network
        multus:
          networkName: kindexgw
    volumes:
      - name: containerdisk
        containerDisk:
          image: registry.invalid/fedora:latest
      - name: cloudinit
        cloudInitNoCloud:
          userData: |-
            #cloud-config
            password: fedora
            chpasswd: {{expire: false}}
  wait: true
  wait_sleep: 1
  wait_timeout: 60
  hidden_fields:
    - metadata.managedFields
- state: present
  name: halted1
  namespace: {namespace}
  api_version: kubevirt.io/v1
  running: false
  spec:
    domain:
      memory:
        guest: 128Mi
      devices: {{}}
    terminationGracePeriodSeconds: 10
  force: true
- name: withdata
  namespace: {namespace}
  running: true
  data_volume_templates:
    - metadata:
        name: withdata-root
      spec:
        storage:
          resources:
            requests:
              storage: 1Gi
        source:
          blank: {{}}
  spec:
    domain:
      memory:
        guest: 128Mi
      devices:
        disks:
          - name: root
            disk:
              bus: virtio
    volumes:
      - name: root
        dataVolume:
          name: withdata-root
  wait: true
- generate_name: made-
  namespace: {namespace}
  run_strategy: Halted
  spec:
    domain:
      memory:
        guest: 64Mi
      devices: {{}}
- state: started
  name: halted1
  namespace: {namespace}
  wait: true
- state: restarted
  name: halted1
  namespace: {namespace}
  wait: true
- state: stopped
  name: halted1
  namespace: {namespace}
  grace_period_seconds: 5
  wait: true
- state: absent
  name: halted1
  namespace: {namespace}
  delete_options:
    propagationPolicy: Foreground
  wait: true
"""

OLD = """
- state: running
  name: myvm
  namespace: {namespace}
  memory: 64Mi
  cpu_cores: 1
  machine_type: q35
  labels:
    kubevirt.io/vm: myvm
  disks:
    - name: containerdisk
      volume:
        containerDisk:
          image: registry.invalid/cirros:latest
      disk:
        bus: virtio
  cloud_init_nocloud:
    userData: |-
      #cloud-config
      password: fedora
      chpasswd: {{ expire: False }}
  interfaces:
    - name: default
      bridge: {{}}
      network:
        pod: {{}}
    - name: mynet
      bridge: {{}}
      network:
        multus:
          networkName: mynet
  wait: true
  wait_sleep: 5
  wait_timeout: 60
- state: present
  name: mybig
  namespace: {namespace}
  memory: 2Gi
  memory_limit: 2Gi
  cpu_cores: 2
  cpu_limit: "2"
  cpu_model: host-passthrough
  cpu_features:
    - name: vmx
      policy: require
  hugepage_size: 2Mi
  smbios_uuid: 5d307ca9-b3ef-428c-8861-06e72d69f223
  hostname: mybig
  subdomain: lab
- state: present
  name: mymix
  namespace: {namespace}
  memory: 96Mi
  inline:
    metadata:
      labels:
        galaxy: milkyway
    spec:
      template:
        spec:
          terminationGracePeriodSeconds: 3
          domain:
            devices:
              autoattachMemBalloon: false
- state: present
  name: myown
  namespace: {namespace}
  resource_definition:
    spec:
      running: false
      template:
        spec:
          domain:
            memory:
              guest: 64Mi
            devices: {{}}
  merge_with: nobody
- state: stopped
  name: myvm
  namespace: {namespace}
  wait: true
- state: running
  name: myvm
  namespace: {namespace}
  wait: true
- state: absent
  name: myvm
  namespace: {namespace}
  wait: true
"""


def instancetype(bed: Bed) -> None:
    folder = f"/apis/instancetype.kubevirt.io/v1beta1/namespaces/{bed.namespace}"
    kind = {"apiVersion": "instancetype.kubevirt.io/v1beta1"}
    small = {"metadata": {"name": "small"}, "spec": {"cpu": {"guest": 1}, "memory": {"guest": "128Mi"}}}
    bed.api.post(f"{folder}/virtualmachineinstancetypes", {**kind, "kind": "VirtualMachineInstancetype", **small})
    plain = {"metadata": {"name": "plain"}, "spec": {"devices": {"preferredDiskBus": "virtio"}}}
    bed.api.post(f"{folder}/virtualmachinepreferences", {**kind, "kind": "VirtualMachinePreference", **plain})


def networks(bed: Bed) -> None:
    path = f"/apis/k8s.cni.cncf.io/v1/namespaces/{bed.namespace}/network-attachment-definitions"
    for name in ("kindexgw", "mynet"):
        kind = {"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition"}
        bed.api.post(path, {**kind, "metadata": {"name": name}, "spec": {"config": "{}"}})


def tasks(bed: Bed, text: str) -> list[dict[str, t.Any]]:
    access = {"kubeconfig": str(bed.cluster.kubeconfig)}
    options = yaml.safe_load(text.format(namespace=bed.namespace))
    for one in options:
        one.pop("merge_with", None)
    return [{"rtvirt.core.kubevirt_vm": {**access, **one}} for one in options]


def test_tasks_of_kubevirt_core(bed: Bed, tmp_path: Path) -> None:
    instancetype(bed)
    networks(bed)
    played = play(tmp_path, *tasks(bed, KUBEVIRT_CORE))
    assert [one.get("msg", "") for one in played.results if one["failed"]] == []
    assert all(one["changed"] for one in played.results)
    fedora, halted, data, made, started, restarted, stopped, absent = (one["result"] for one in played.results)
    assert fedora["metadata"]["labels"] == {"app": "web"}
    assert fedora["spec"]["template"]["metadata"]["labels"]["app"] == "web"
    assert fedora["spec"]["instancetype"]["name"] == "small"
    assert bed.power("fedora1") == "running"
    assert halted["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 10
    assert data["spec"]["dataVolumeTemplates"][0]["metadata"]["name"] == "withdata-root"
    assert made["metadata"]["name"].startswith("made-")
    assert [one["state"] for one in (started, restarted, stopped, absent)] == [
        "running",
        "running",
        "stopped",
        "absent",
    ]
    assert bed.names() == sorted(["fedora1", "withdata", made["metadata"]["name"]])
    again = play(tmp_path, *tasks(bed, KUBEVIRT_CORE)[:1], *tasks(bed, KUBEVIRT_CORE)[2:3]).results
    assert [one["changed"] for one in again] == [False, False]


def test_tasks_of_the_old_kubevirt_vm(bed: Bed, tmp_path: Path) -> None:
    networks(bed)
    played = play(tmp_path, *tasks(bed, OLD))
    assert [one.get("msg", "") for one in played.results if one["failed"]] == []
    big, mixed = bed.pod("mybig"), bed.vm("mymix")
    assert big["domain"]["memory"] == {"guest": "2Gi", "hugepages": {"pageSize": "2Mi"}}
    assert big["domain"]["resources"]["limits"] == {"cpu": "2", "memory": "2Gi"}
    assert big["domain"]["firmware"]["uuid"] == "5d307ca9-b3ef-428c-8861-06e72d69f223"
    assert mixed["metadata"]["labels"]["galaxy"] == "milkyway"
    assert mixed["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 3
    assert [one["result"]["state"] for one in played.results] == [
        "running", "stopped", "stopped", "stopped", "stopped", "running", "absent",
    ]  # fmt: skip
    pod = played.results[0]["result"]["spec"]["template"]["spec"]
    assert [one["name"] for one in pod["networks"]] == ["default", "mynet"]
    assert {one["name"] for one in pod["volumes"]} == {"containerdisk", "cloudinit"}
    again = play(tmp_path, *tasks(bed, OLD)[1:4]).results
    assert [one["changed"] for one in again] == [False] * 3


def test_the_playbook_of_the_reference_document(bed: Bed, tmp_path: Path) -> None:
    """Document 001's, word for word but for the module's name and where it goes."""
    task = {
        "kubeconfig": str(bed.cluster.kubeconfig),
        "namespace": bed.namespace,
        "name": "vm1",
        "state": "running",
        "cpu_cores": 1,
        "memory": "64Mi",
        "disks": [
            {
                "name": "containerdisk",
                "disk": {"bus": "virtio"},
                "volume": {"containerDisk": {"image": "quay.io/containerdisks/cirros:latest"}},
            }
        ],
        "wait": True,
    }
    first, second = play(tmp_path, *[{"rtvirt.core.kubevirt_vm": task}] * 2).results
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["result"]["state"] == "running"


def test_a_name_that_the_server_makes(bed: Bed) -> None:
    """Each run makes another VM, as it does with kubevirt.core."""
    options = {**bed.bare(), "name": None, "generate_name": "made-"}
    names = {run(**options)["result"]["metadata"]["name"] for _turn in range(2)}
    assert bed.names() == sorted(names)
    assert len(names) == 2
    assert run(check=True, **options)["changed"] is True
    assert len(bed.names()) == 2


# The defects of kubevirt.core that must not be ours


@pytest.mark.parametrize("state", ["present", "started", "stopped", "restarted"])
@pytest.mark.parametrize("wait", [True, False])
def test_k1_the_result_is_the_vm(bed: Bed, state: str, wait: bool) -> None:
    """K1: the result was {"results": [...]} where playbooks read result.metadata and result.spec."""
    for _turn in range(2):
        result = run(**bed.bare(state=state, wait=wait))["result"]
        vm = bed.vm()
        assert (result["apiVersion"], result["kind"]) == ("kubevirt.io/v1", "VirtualMachine")
        assert result["metadata"]["uid"] == vm["metadata"]["uid"]
        assert result["metadata"]["name"] == "vm"
        assert result["spec"]["template"] == vm["spec"]["template"]
        assert "results" not in result


def test_k2_started_waits_although_the_vm_is_starting(bed: Bed) -> None:
    """K2: a 409 of the start was an early return, before the wait."""
    options = bed.bare(state="started", annotations=schedule(run_after="3"))
    run(**options)
    done = run(**options, wait=True)
    assert bed.condition("Ready") == "True"
    assert done["result"]["state"] == "running"


def test_k3_restarted_waits_for_the_new_instance(bed: Bed) -> None:
    """K3: the old instance was still ready, and taken for the new one."""
    options = bed.bare(annotations=schedule(run_after="1", stop_after="2"), wait=True)
    run(**options, state="running")
    before = bed.vmi()
    run(**options, state="restarted")
    after = bed.vmi()
    assert before is not None
    assert after is not None
    assert before["metadata"]["uid"] != after["metadata"]["uid"]
    assert bed.condition("Ready") == "True"


def test_k4_a_conflict_is_not_always_the_state_that_was_asked_for(bed: Bed) -> None:
    """K4: each 409 was taken for "already so"; a VM whose run has ended does not run."""
    options = bed.bare(run_strategy="Once", annotations=schedule(outcome="succeeded", end_after="0"))
    run(**options)
    until("it has ended", lambda: (bed.vmi() or {"status": {}})["status"].get("phase") == "Succeeded")
    bed.versions()
    with pytest.raises(TaskError, match=r"Once|succeeded"):
        run(**options, state="started", wait=True, wait_timeout=20)


def test_k5_check_mode_knows_that_the_vm_runs(bed: Bed) -> None:
    """K5: check mode said changed of each start, stop and restart."""
    run(**bed.bare(state="started", wait=True))
    assert run(check=True, **bed.bare(state="started"))["changed"] is False
    assert run(check=True, **bed.bare(state="stopped"))["changed"] is True
    run(**bed.bare(state="stopped", wait=True))
    assert run(check=True, **bed.bare(state="stopped"))["changed"] is False


def test_k6_a_label_does_not_start_a_halted_vm(bed: Bed) -> None:
    """K6: running: true was sent with every edit."""
    bed.create(bed.manifest())
    run(**bed.bare(labels={"a": "b"}))
    bed.versions()
    assert bed.vm()["spec"]["runStrategy"] == "Halted"
    assert bed.power() == "stopped"


def test_k7_a_dropped_key_is_removed_and_lists_are_merged(bed: Bed) -> None:
    """K7: a key that was dropped from spec stayed, unchanged was reported, and lists were replaced as a whole."""
    spec: dict[str, t.Any] = {"domain": {"cpu": {"cores": 2}, "devices": {"disks": [{"name": "a", "disk": {}}]}}}
    volumes = [{"name": "a", "emptyDisk": {"capacity": "1Gi"}}]
    run(**bed.bare(spec={**spec, "volumes": volumes}))
    theirs = {"name": "b", "emptyDisk": {"capacity": "1Gi"}}
    disks = [*bed.pod()["domain"]["devices"]["disks"], {"name": "b", "disk": {}}]
    bed.edit_pod({"volumes": [*bed.pod()["volumes"], theirs], "domain": {"devices": {"disks": disks}}})
    del spec["domain"]["cpu"]
    assert run(**bed.bare(spec={**spec, "volumes": volumes}))["changed"] is True
    assert "cores" not in bed.pod()["domain"].get("cpu", {})
    assert [one["name"] for one in bed.pod()["volumes"]] == ["a", "b"]


def test_k8_a_change_is_two_requests(bed: Bed) -> None:
    """K8: a read, a strategic merge patch that is always refused, and a merge patch; the last two also for nothing."""
    run(**bed.bare())
    bed.versions()
    with bed.requests() as requests:
        run(**bed.bare(hostname="other"))
    assert requests.counts() == {"list virtualmachines": 1, "patch virtualmachines": 1}
    assert [one.code for one in requests] == [200, 200]
    with bed.requests() as requests:
        run(**bed.bare(hostname="other"))
    assert requests.counts() == {"list virtualmachines": 1}
    with bed.requests() as requests:
        run(**bed.bare("new"))
    assert len(changed_for_good(requests)) == 1
    assert {one.code for one in requests} <= {200, 201}


def test_k9_the_result_tells_of_the_end_and_a_stopped_vm_is_restarted(bed: Bed) -> None:
    """K9: the state after a start was thrown away, and a restart of a stopped VM failed with a client's exception."""
    run(**bed.bare())
    done = run(**bed.bare(state="restarted", wait=True))["result"]
    assert (done["state"], done["actions"]) == ("running", ["start"])
    assert done["status"]["printableStatus"] == "Running"
    assert done["metadata"]["resourceVersion"] != "0"
    done = run(**bed.bare(state="stopped", wait=True))["result"]
    assert done["state"] == "stopped"
    assert bed.vmi() is None


@pytest.mark.parametrize(
    "spec",
    [
        {"running": True, "template": {"spec": {"domain": {"devices": {}}}}},
        {"domain": {"devices": {"disk": []}}},
        {"domain": {"cpus": {"cores": 2}}},
    ],
    ids=str,
)
@pytest.mark.parametrize("check", [True, False])
def test_k10_a_spec_that_is_none_is_refused(bed: Bed, spec: dict[str, t.Any], check: bool) -> None:
    """K10: spec was never looked at, and public playbooks have the VM's own spec there."""
    begin = time.monotonic()
    with pytest.raises(TaskError, match=r"spec"):
        run_one(check=check, **bed.bare(spec=spec))
    assert time.monotonic() - begin < 10
    assert bed.names() == []


def test_other_options_are_refused_and_not_ignored(bed: Bed, simulator: Cluster) -> None:
    with pytest.raises(TaskError, match="ephemeral"):
        run(**bed.bare(ephemeral=True))
    assert bed.names() == []
