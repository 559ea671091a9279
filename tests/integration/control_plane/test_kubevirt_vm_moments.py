# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders that come while KubeVirt is still at the one before, and what its webhooks make of a declaration."""

from __future__ import annotations

import pytest

from ansible_collections.rtvirt.core.tests.control_plane.api import Object
from ansible_collections.rtvirt.core.tests.integration.control_plane.bed import Bed, schedule, until
from ansible_collections.rtvirt.core.tests.integration.control_plane.task import TaskError, run, run_one

SLOW = schedule(stop_after="3")


def test_a_restart_while_a_restart_is_under_way(bed: Bed) -> None:
    """virt-api answers 500: an action is already underway."""
    run_one(**bed.bare(state="running", annotations=SLOW, wait=True))
    first = bed.vmi()
    assert run_one(**bed.bare(state="restarted", annotations=SLOW))["actions"] == ["restart"]
    done = run_one(**bed.bare(state="restarted", annotations=SLOW, wait=True))
    assert (done["actions"], bed.power()) == (["restart"], "running")
    assert (bed.vmi() or {})["metadata"]["uid"] != (first or {})["metadata"]["uid"]


def test_a_stop_while_a_restart_is_under_way(bed: Bed) -> None:
    """virt-api takes it, and the second half of the restart starts the VM again."""
    run_one(**bed.bare(state="running", annotations=SLOW, wait=True))
    run_one(**bed.bare(state="restarted", annotations=SLOW))
    assert run_one(**bed.bare(state="stopped", annotations=SLOW, wait=True))["actions"] == ["stop"]
    with pytest.raises(AssertionError, match="waited"):
        until("it runs again", lambda: bed.vmi() is not None, patience=5)


@pytest.mark.parametrize("absent", [False, True])
def test_a_vm_that_would_run_is_stopped_before_it_does(bed: Bed, absent: bool) -> None:
    """virt-api refuses to stop what has no instance."""
    disk = {"name": "a", "disk": {}, "volume": {"dataVolume": {"name": "vm-a"}}}
    template = {"metadata": {"name": "vm-a", "annotations": schedule(outcome="never")}, "spec": volume("")["spec"]}
    declared = {"disks": [disk], "data_volume_templates": [template]}
    options = bed.bare(run_strategy="RerunOnFailure", **declared)
    run_one(**{**options, "state": "running"})
    until("its volume is filled", lambda: bed.printable() == "Provisioning", patience=20)
    if absent:
        done = run_one(**bed.bare(state="absent", delete_volumes=False, wait=True))
        assert (done["actions"], bed.find()) == (["stop", "delete"], None)
    else:
        assert run_one(**{**options, "state": "stopped", "wait": True})["actions"][-1] == "stop"
        assert bed.vm()["spec"]["runStrategy"] == "Halted"


@pytest.mark.parametrize("strategy", ["Manual", "RerunOnFailure"])
def test_a_start_while_the_guest_stops(bed: Bed, strategy: str) -> None:
    """At its end virt-api answers 500, as the stop has not been seen to yet."""
    options = bed.bare(run_strategy=strategy, annotations=SLOW)
    run_one(**{**options, "state": "running", "wait": True})
    assert run_one(**{**options, "state": "stopped"})["actions"][-1] == "stop"
    assert run_one(**{**options, "state": "running", "wait": True})["actions"][-1] == "start"
    assert bed.power() == "running"


def test_a_pause_while_the_guest_starts(bed: Bed) -> None:
    options = bed.bare(annotations=schedule(run_after="3"))
    run_one(**{**options, "state": "running"})
    assert run_one(check=True, **{**options, "state": "paused"})["actions"] == ["pause"]
    assert run_one(**{**options, "state": "paused", "wait": True})["actions"] == ["pause"]
    assert bed.power() == "paused"


def test_a_vm_that_never_ran_is_mended(bed: Bed) -> None:
    """The instance that is stopped counts as a failed start to KubeVirt, which waits before the next one."""
    run_one(**bed.bare(state="running", annotations=schedule(outcome="image-pull-back-off")))
    until("there is no image", lambda: bed.printable() == "ImagePullBackOff")
    mended = bed.bare(state="restarted", annotations=schedule(outcome="running"), wait=True)
    assert run_one(**mended)["state"] == "running"
    assert bed.condition("Ready") == "True"


def test_preconditions_are_looked_at_before_the_vm_is_stopped(bed: Bed) -> None:
    run_one(**bed.bare(state="running", wait=True))
    options = bed.bare(state="absent", delete_volumes=False)
    with pytest.raises(TaskError, match=r"uid|UID"):
        run_one(**options, delete_options={"preconditions": {"uid": "0"}})
    assert bed.power() == "running"
    version = bed.vm()["metadata"]["resourceVersion"]
    done = run_one(**options, delete_options={"preconditions": {"resourceVersion": version}}, wait=True)
    assert done["actions"] == ["stop", "delete"]
    assert bed.find() is None


def test_nobody_is_kept_waiting_by_another_namespace(bed: Bed) -> None:
    own = bed.bare()
    vms = [{"name": "vm", "namespace": "rtvirt-no-such"}, {"name": own.pop("name")}]
    with pytest.raises(TaskError, match="rtvirt-no-such") as failed:
        run(**own, vms=vms, continue_on_error=True)
    assert [(one["namespace"], one["actions"]) for one in failed.value.result["vms"]] == [
        ("rtvirt-no-such", []),
        (bed.namespace, ["create"]),
    ]


def test_a_type_that_kubevirt_infers_is_no_change(bed: Bed) -> None:
    """Its webhook writes a name in place of ``inferFromVolume``, and takes neither back."""
    types = f"/apis/instancetype.kubevirt.io/v1beta1/namespaces/{bed.namespace}/virtualmachineinstancetypes"
    for name in ("small", "large"):
        kind = {"apiVersion": "instancetype.kubevirt.io/v1beta1", "kind": "VirtualMachineInstancetype"}
        bed.api.post(
            types, {**kind, "metadata": {"name": name}, "spec": {"cpu": {"guest": 1}, "memory": {"guest": "1Gi"}}}
        )
        bed.api.post(f"/apis/cdi.kubevirt.io/v1beta1/namespaces/{bed.namespace}/datavolumes", volume(name))
    disks = [{"name": name, "disk": {}, "volume": {"dataVolume": {"name": name}}} for name in ("small", "large")]
    options = bed.bare(memory=None, cpu_cores=None, disks=disks)
    run_one(**options, instancetype={"inferFromVolume": "small"})
    assert bed.vm()["spec"]["instancetype"]["name"] == "small"
    again = run_one(**options, instancetype={"inferFromVolume": "small"})
    assert (again["changed"], again["conflicts"]) == (False, [])
    assert run_one(**options, instancetype={"inferFromVolume": "large"})["actions"] == ["update"]
    assert bed.vm()["spec"]["instancetype"]["name"] == "large"


def volume(name: str) -> Object:
    prefix = "instancetype.kubevirt.io/default-instancetype"
    labels = {prefix: name, f"{prefix}-kind": "VirtualMachineInstancetype"}
    return {
        "apiVersion": "cdi.kubevirt.io/v1beta1",
        "kind": "DataVolume",
        "metadata": {"name": name, "labels": labels},
        "spec": {"source": {"blank": {}}, "storage": {"resources": {"requests": {"storage": "1Gi"}}}},
    }
