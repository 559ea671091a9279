# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wait ends when what was waited for is there, early when it will not come, and says on timeout what it saw."""

from __future__ import annotations

import threading
import time
import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import ApiError, Session
from ansible_collections.rtvirt.core.tests.integration.control_plane.bed import Bed, schedule, until
from ansible_collections.rtvirt.core.tests.integration.control_plane.task import TaskError, attempt, run, run_one

pytestmark = pytest.mark.usefixtures("simulator")


def uid(bed: Bed, name: str = "vm") -> str | None:
    return (bed.vmi(name) or {}).get("metadata", {}).get("uid")


def starting(bed: Bed, state: str = "running", **more: t.Any) -> dict[str, t.Any]:
    times = {key: more.pop(key) for key in list(more) if key.endswith("_after") or key == "outcome"}
    return bed.bare(state=state, wait=True, annotations=schedule(**times), **more)


def failure(**options: t.Any) -> tuple[TaskError, float]:
    """What the task fails with, and the seconds until it did."""
    begin = time.monotonic()
    with pytest.raises(TaskError) as failed:
        run_one(**options)
    return failed.value, time.monotonic() - begin


@pytest.fixture
def meanwhile() -> t.Iterator[t.Callable[[float, t.Callable[[], t.Any]], None]]:
    """Does something a while later."""
    timers: list[threading.Timer] = []

    def later(seconds: float, act: t.Callable[[], t.Any]) -> None:
        timers.append(threading.Timer(seconds, act))
        timers[-1].start()

    yield later
    for timer in timers:
        timer.join()


def there(bed: Bed, act: t.Callable[[], t.Any]) -> t.Callable[[], None]:
    """Does something to the VM as soon as it is there: on a machine with other work that takes its time."""

    def do() -> None:
        until("the VM is there", lambda: bed.find() is not None, patience=30)
        act()

    return do


# What is waited for


def test_ready(bed: Bed) -> None:
    begin = time.monotonic()
    done = run_one(**starting(bed, run_after="2"))
    assert time.monotonic() - begin > 2
    assert bed.condition("Ready") == "True"
    assert done["state"] == "running"
    # What the VM itself says comes a moment after its instance; kubevirt.core waited for that.
    assert done["status"]["printableStatus"] == "Running"
    assert [one["status"] for one in done["status"]["conditions"] if one["type"] == "Ready"] == ["True"]


def test_an_end_at_once_where_it_is_ready_already(bed: Bed) -> None:
    run_one(**starting(bed))
    begin = time.monotonic()
    assert run_one(**starting(bed))["changed"] is False
    assert time.monotonic() - begin < 10


def test_the_guest_agent(bed: Bed) -> None:
    run_one(**starting(bed, agent_after="3", wait_for=["agent"]))
    assert bed.condition("AgentConnected") == "True"


def test_an_address(bed: Bed) -> None:
    done = run_one(**starting(bed, run_after="1", wait_for=["address"]))
    vmi = bed.vmi()
    assert vmi is not None
    assert done["addresses"] == [vmi["status"]["interfaces"][0]["ipAddress"]]


@pytest.mark.parametrize("text", ["LiveMigratable", "LiveMigratable=True"])
def test_a_condition(bed: Bed, text: str) -> None:
    run_one(**starting(bed, run_after="1", agent_after="never", wait_for=[text]))
    assert bed.condition("LiveMigratable") == "True"


def test_the_end_of_a_condition(bed: Bed) -> None:
    """KubeVirt removes some of them where others become False."""
    run_one(**starting(bed, agent_after="2", wait_for=["agent"]))
    bed.act("softreboot", resource="virtualmachineinstances")
    run_one(**starting(bed, agent_after="2", wait_for=["AgentConnected=False"]))
    assert bed.condition("AgentConnected") is None
    run_one(**starting(bed, agent_after="2", wait_for=["agent"]))
    assert bed.condition("AgentConnected") == "True"


def test_all_of_several(bed: Bed) -> None:
    run_one(**starting(bed, agent_after="2", wait_for=["ready", "address", "agent", "LiveMigratable"]))
    assert bed.condition("AgentConnected") == "True"


@pytest.mark.parametrize(
    "option", [{"wait_for": ["Rea dy"]}, {"wait_timeout": -1}, {"unschedulable_grace": -1}], ids=str
)
def test_what_cannot_be_waited_for_is_refused_first(bed: Bed, option: dict[str, t.Any]) -> None:
    with pytest.raises(TaskError, match=next(iter(option))):
        run_one(**{**starting(bed), **option})
    assert bed.names() == []


def test_stopped_means_that_the_instance_is_gone(bed: Bed) -> None:
    run_one(**starting(bed, stop_after="3"))
    done = run_one(**starting(bed, "stopped", stop_after="3"))
    assert bed.vmi() is None
    assert done["state"] == "stopped"


def test_absent_means_that_the_vm_and_its_instance_are_gone(bed: Bed) -> None:
    run_one(**starting(bed, stop_after="2"))
    done = run_one(**bed.bare(state="absent", wait=True))
    assert (bed.find(), bed.vmi()) == (None, None)
    assert done["state"] == "absent"


def test_a_restart_means_another_instance(bed: Bed) -> None:
    """K3: the old one is ready until it is asked to go, and for a while after that."""
    run_one(**starting(bed, stop_after="2", run_after="1"))
    before = uid(bed)
    done = run_one(**starting(bed, "restarted", stop_after="2", run_after="1"))
    assert done["actions"] == ["restart"]
    assert uid(bed) not in (None, before)
    assert bed.condition("Ready") == "True"


def test_without_wait_nothing_is_waited_for(bed: Bed) -> None:
    begin = time.monotonic()
    run_one(**{**starting(bed, run_after="30", outcome="running"), "wait": False})
    assert time.monotonic() - begin < 20


def test_a_vm_that_is_just_starting_is_waited_for(bed: Bed) -> None:
    """K2: the server answers 409 to a second start, which was taken for the end of it."""
    run_one(**{**starting(bed, run_after="3"), "wait": False})
    until("there is an instance", bed.vmi)
    run_one(**starting(bed, run_after="3"))
    assert bed.condition("Ready") == "True"


def test_a_vm_that_is_just_stopping_is_started_again(bed: Bed) -> None:
    run_one(**starting(bed, stop_after="3"))
    before = uid(bed)
    bed.act("stop")
    done = run_one(**starting(bed, stop_after="3"))
    assert done["state"] == "running"
    assert uid(bed) not in (None, before)
    assert bed.condition("Ready") == "True"


def test_a_vm_that_is_just_being_deleted(bed: Bed) -> None:
    run_one(**starting(bed, stop_after="4"))
    run_one(**bed.bare(state="absent"))
    error, _seconds = failure(**starting(bed))
    assert "is being deleted" in error.msg
    begin = run_one(**bed.bare(state="absent", wait=True))
    assert bed.find() is None
    assert begin["changed"] is False


def test_many_are_waited_for_by_one_watch(bed: Bed) -> None:
    names = [f"vm{number}" for number in range(6)]
    vms = [{"name": name, "annotations": schedule(run_after=str(index / 2))} for index, name in enumerate(names)]
    options = {**starting(bed), "name": None, "vms": vms, "annotations": None}
    with bed.requests() as requests:
        result = run(**options)
        # A watch is in the log when it has ended.
        time.sleep(0.5)
    assert {vm["state"] for vm in result["vms"]} == {"running"}
    # The one look at the beginning, and one of VMs and instances each to start watching from.
    assert len(requests.of("list", "virtualmachines")) == 2
    assert len(requests.of("list", "virtualmachineinstances")) == 1
    assert not requests.of("get")
    assert all(bed.condition("Ready", name) == "True" for name in names)


# What will not come


def test_no_node_for_longer_than_the_grace(bed: Bed) -> None:
    error, seconds = failure(**starting(bed, outcome="unschedulable", unschedulable_grace=3))
    assert 3 <= seconds < 15
    assert "3 s" in error.msg
    assert "Insufficient memory" in error.msg
    assert bed.names() == ["vm"]


def test_no_node_for_a_short_while(bed: Bed, meanwhile: t.Callable[..., None]) -> None:
    """A node may come: within the grace that is nothing to fail for."""
    meanwhile(4, there(bed, lambda: bed.edit({"spec": {"runStrategy": "Halted"}})))
    error, seconds = failure(**starting(bed, outcome="unschedulable", unschedulable_grace=60, wait_timeout=6))
    assert seconds > 3
    assert "no node" not in error.msg


@pytest.mark.parametrize(
    ("outcome", "words"),
    [("image-pull-back-off", "ImagePullBackOff"), ("crash-loop", "CrashLoopBackOff")],
)
def test_what_does_not_run_fails_early(bed: Bed, outcome: str, words: str) -> None:
    error, seconds = failure(**starting(bed, outcome=outcome, wait_timeout=60))
    assert seconds < 30
    assert words in error.msg
    (vm,) = error.result["vms"]
    assert vm["error"] == error.msg
    assert vm["actions"] == ["create"]
    assert error.result["changed"] is True


def test_a_vm_that_crashes_is_not_ready_by_a_second_run(bed: Bed) -> None:
    options = starting(bed, outcome="crash-loop", wait_timeout=60)
    for _turn in range(2):
        assert "CrashLoopBackOff" in failure(**options)[0].msg


def test_a_data_volume_that_fails(bed: Bed) -> None:
    source = {"source": {"blank": {}}, "storage": {"resources": {"requests": {"storage": "1Gi"}}}}
    template = {"metadata": {"name": "root", "annotations": schedule(outcome="failed")}, "spec": source}
    disks = [{"name": "root", "disk": {}, "volume": {"dataVolume": {"name": "root"}}}]
    error, seconds = failure(**starting(bed, disks=disks, data_volume_templates=[template], wait_timeout=40))
    assert seconds < 30
    assert "DataVolumeError" in error.msg


def test_a_volume_that_is_not_there(bed: Bed) -> None:
    disks = [{"name": "root", "disk": {}, "volume": {"persistentVolumeClaim": {"claimName": "missing"}}}]
    error, seconds = failure(**starting(bed, disks=disks, wait_timeout=40))
    assert seconds < 30
    assert "missing" in error.msg or "ErrorPvcNotFound" in error.msg


def test_an_instance_that_is_not_admitted(bed: Bed) -> None:
    """The VM is, its instance is not: virt-controller's FailedCreate."""
    bed.limit("count/virtualmachineinstances.kubevirt.io", 0)
    error, seconds = failure(**starting(bed, wait_timeout=40))
    assert seconds < 30
    assert "FailedCreate" in error.msg
    assert "exceeded quota" in error.msg


def test_a_pod_that_is_not_admitted(bed: Bed) -> None:
    bed.limit("pods", 0)
    error, seconds = failure(**starting(bed, wait_timeout=40, unschedulable_grace=5))
    assert seconds < 30
    assert "exceeded quota" in error.msg


@pytest.mark.parametrize("strategy", ["Once", "Manual"])
@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
def test_a_guest_that_has_ended_and_is_not_started_again(bed: Bed, strategy: str, outcome: str) -> None:
    options = starting(bed, outcome=outcome, agent_after="never", wait_for=["agent"], run_strategy=strategy)
    error, seconds = failure(**options, wait_timeout=60)
    assert seconds < 30
    assert outcome in error.msg


@pytest.mark.parametrize(
    ("strategy", "outcome"),
    [("Once", "succeeded"), ("Once", "failed"), ("RerunOnFailure", "crash-loop"), ("Always", "crash-loop")],
)
@pytest.mark.parametrize("wait", [True, False])
def test_a_refused_start_is_no_success(bed: Bed, strategy: str, outcome: str, wait: bool) -> None:
    """K4: 409 says many things; that the VM runs is but one of them."""
    run_one(**{**starting(bed, outcome=outcome, end_after="0"), "wait": False, "run_strategy": strategy})
    if outcome == "crash-loop":
        until("it crashes", lambda: bed.printable() == "CrashLoopBackOff", patience=90)
    else:
        until("it has ended", lambda: (bed.vmi() or {"status": {}})["status"].get("phase") == outcome.capitalize())
        bed.versions()
    options = {**starting(bed, outcome=outcome, end_after="0", wait_timeout=20, run_strategy=strategy), "wait": wait}
    begun = time.monotonic()
    done, text = attempt(run_one, **options)
    if text:
        # Not asked again and again: by this strategy it never will.
        assert strategy != "Once" or time.monotonic() - begun < 15
        # In the server's words, or those of the status.
        assert any(word in text for word in ("Once", "RerunOnFailure", "CrashLoop", "succeeded", "failed"))
        assert "vm" in text
    else:
        # Nothing was waited for, and nothing was claimed to be done.
        assert not wait
        assert done["actions"] == []


def test_a_vm_that_somebody_deletes(bed: Bed, meanwhile: t.Callable[..., None]) -> None:
    meanwhile(2.5, there(bed, lambda: bed.api.delete(f"{bed.folder}/virtualmachines/vm")))
    error, seconds = failure(**starting(bed, run_after="30", wait_timeout=60))
    assert seconds < 30
    assert "deleted" in error.msg


# The timeout


def test_a_timeout_tells_what_was_seen(bed: Bed) -> None:
    error, seconds = failure(**starting(bed, outcome="never", wait_timeout=3))
    assert 3 <= seconds < 8
    for words in ("not ready within 3 s", "status Starting", "instance in phase Scheduling", "SuccessfulCreate"):
        assert words in error.msg
    assert "GuestNotRunning" in error.msg or "PodScheduled" in error.msg or "PodNotExists" in error.msg


def test_a_timeout_names_what_was_not_there(bed: Bed) -> None:
    error, _seconds = failure(**starting(bed, agent_after="never", wait_for=["address", "agent"], wait_timeout=3))
    assert "agent" in error.msg
    assert "phase Running" in error.msg


def test_a_timeout_is_for_all_vms_together(bed: Bed) -> None:
    vms = [{"name": f"vm{number}"} for number in range(4)]
    options = {**starting(bed, outcome="never", wait_timeout=4), "name": None, "vms": vms}
    begin = time.monotonic()
    with pytest.raises(TaskError) as failed:
        run(**options)
    assert time.monotonic() - begin < 12
    assert [("not ready" in vm["error"]) for vm in failed.value.result["vms"]] == [True] * 4


def test_a_stop_that_takes_too_long(bed: Bed) -> None:
    run_one(**starting(bed, stop_after="never", termination_grace_period_seconds=60))
    options = starting(bed, "stopped", stop_after="never", termination_grace_period_seconds=60, wait_timeout=3)
    error, _seconds = failure(**options)
    assert "not stopped within 3 s" in error.msg
    # With less patience it is done.
    done = run_one(**{**options, "grace_period_seconds": 0, "wait_timeout": 30})
    assert bed.vmi() is None
    assert done["state"] == "stopped"


# Watches that end


@pytest.mark.parametrize("version", ["1", "5"])
def test_a_version_that_has_expired(bed: Bed, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """The server's own 410: the first watches ask for a version that it has not any more."""
    real, seen = Session.watch, []

    def watch(session: Session, path: str, since: str, seconds: float) -> t.Iterator[dict[str, t.Any]]:
        seen.append(since)
        try:
            yield from real(session, path, version if len(seen) <= 2 else since, seconds)
        except ApiError as error:
            errors.append(error)
            raise

    errors: list[ApiError] = []
    monkeypatch.setattr(Session, "watch", watch)
    run_one(**starting(bed, run_after="3"))
    assert [error.status for error in errors[:2]] == [410, 410]
    assert len(seen) > 2
    assert bed.condition("Ready") == "True"


def test_watches_that_end_by_themselves(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server ends every watch after some time."""
    real, versions = Session.watch, []

    def watch(session: Session, path: str, since: str, seconds: float) -> t.Iterator[dict[str, t.Any]]:
        if path.endswith("virtualmachineinstances"):
            versions.append(int(since))
        yield from real(session, path, since, 1)

    monkeypatch.setattr(Session, "watch", watch)
    run_one(**starting(bed, run_after="4"))
    assert len(versions) > 2
    assert versions == sorted(versions)
