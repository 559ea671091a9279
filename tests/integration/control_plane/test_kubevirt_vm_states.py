# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each state from each other state: check mode says what the run then does, and a second run does nothing."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.tests.integration.control_plane.bed import Bed, changed_for_good, schedule
from ansible_collections.rtvirt.core.tests.integration.control_plane.task import TaskError, play, run_one

CURRENT = ("absent", "stopped", "running", "paused")
WANTED = ("present", "running", "started", "stopped", "paused", "restarted", "absent")
PREDICTED = ("name", "namespace", "changed", "actions", "changes", "conflicts", "adopted", "restart_required", "diff")

ACTIONS: dict[tuple[str, str], list[str]] = {
    ("absent", "present"): ["create"],
    ("absent", "running"): ["create"],
    ("absent", "stopped"): ["create"],
    ("absent", "paused"): ["create", "start paused"],
    ("absent", "restarted"): ["create"],
    ("absent", "absent"): [],
    ("stopped", "present"): [],
    ("stopped", "running"): ["start"],
    ("stopped", "stopped"): [],
    ("stopped", "paused"): ["start paused"],
    ("stopped", "restarted"): ["start"],
    ("stopped", "absent"): ["delete"],
    ("running", "present"): [],
    ("running", "running"): [],
    ("running", "stopped"): ["stop"],
    ("running", "paused"): ["pause"],
    ("running", "restarted"): ["restart"],
    ("running", "absent"): ["delete"],
    ("paused", "present"): [],
    ("paused", "running"): ["unpause"],
    ("paused", "stopped"): ["stop"],
    ("paused", "paused"): [],
    ("paused", "restarted"): ["restart"],
    ("paused", "absent"): ["delete"],
}


def word(state: str) -> str:
    return "running" if state == "started" else state


def expected(current: str, wanted: str) -> str:
    if wanted == "present":
        return "stopped" if current == "absent" else current
    return "running" if wanted in ("restarted", "started") else wanted


def bring(bed: Bed, state: str, **options: t.Any) -> None:
    if state != "absent":
        run_one(**bed.bare(state=state, wait=True, **options))
        bed.comes_to(state)


def outcome(result: dict[str, t.Any]) -> dict[str, t.Any]:
    return {key: result[key] for key in PREDICTED}


@pytest.mark.parametrize("wanted", WANTED)
@pytest.mark.parametrize("current", CURRENT)
def test_state_from_state(bed: Bed, current: str, wanted: str) -> None:
    bring(bed, current)
    options = bed.bare(state=wanted)
    actions = ACTIONS[current, word(wanted)]

    before = bed.versions()
    predicted = run_one(check=True, **options)
    assert bed.versions() == before
    assert predicted["actions"] == actions
    assert predicted["changed"] == bool(actions)

    done = run_one(**options)
    assert outcome(done) == outcome(predicted)
    assert bool(done["diff"]) == done["changed"]
    bed.comes_to(expected(current, wanted))

    if wanted == "restarted":
        return
    after = bed.versions()
    for check in (True, False):
        with bed.requests() as requests:
            again = run_one(check=check, **options)
        assert (again["changed"], again["actions"], again["changes"], again["diff"]) == (False, [], [], [])
        assert requests.counts() == {"list virtualmachines": 1}
    assert bed.versions() == after


@pytest.mark.parametrize("wait", [True, False], ids=["waited", "at once"])
@pytest.mark.parametrize("wanted", ["running", "stopped", "paused", "restarted", "absent"])
@pytest.mark.parametrize("current", CURRENT)
def test_the_result_has_the_state_that_was_come_to(bed: Bed, current: str, wanted: str, wait: bool) -> None:
    """Check mode as well: the state is the one that the VM is on its way to."""
    bring(bed, current)
    options = bed.bare(state=wanted, wait=wait)
    predicted = run_one(check=True, **options)
    done = run_one(**options)
    assert done["state"] == expected(current, wanted)
    assert predicted["state"] == done["state"]


@pytest.mark.parametrize("current", CURRENT)
def test_a_run_that_waits_ends_when_it_is_there(bed: Bed, current: str) -> None:
    for wanted in ("running", "paused", "stopped", "restarted", "absent"):
        bring(bed, current)
        done = run_one(**bed.bare(state=wanted, wait=True))
        # "Stopped" and the conditions of a VM are written some time after its instance is gone, or has changed.
        vmi = bed.vmi()
        if wanted in ("absent", "stopped"):
            assert vmi is None
            assert (bed.find() is None) == (wanted == "absent")
        else:
            assert vmi is not None
            assert vmi["status"]["phase"] == "Running"
            assert bed.condition("Paused" if wanted == "paused" else "Ready") == "True"
        assert done["state"] == expected(current, wanted)


def test_restarted_restarts_each_time(bed: Bed) -> None:
    instances = set()
    for _turn in range(3):
        done = run_one(**bed.bare(state="restarted", wait=True))
        assert done["changed"]
        vmi = bed.vmi()
        assert vmi is not None
        instances.add(vmi["metadata"]["uid"])
    assert len(instances) == 3


def test_a_new_vm_is_halted(bed: Bed) -> None:
    done = run_one(**bed.bare())
    assert bed.vm()["spec"]["runStrategy"] == "Halted"
    assert "running" not in bed.vm()["spec"]
    assert done["state"] == "stopped"
    bed.comes_to("stopped")


@pytest.mark.parametrize("current", ["stopped", "running", "paused"])
def test_present_changes_the_vm_and_not_its_power(bed: Bed, current: str) -> None:
    bring(bed, current)
    instance = (bed.vmi() or {}).get("metadata", {}).get("uid")
    done = run_one(**bed.bare(labels={"app": "db"}, hostname="other"))
    assert done["actions"] == ["update"]
    bed.versions()
    assert bed.power() == current
    assert (bed.vmi() or {}).get("metadata", {}).get("uid") == instance


def test_a_vm_that_others_start_and_stop_is_left_so(bed: Bed) -> None:
    """present has no say in the power, whoever was the last to say something."""
    run_one(**bed.bare(state="running", wait=True))
    bed.act("stop")
    bed.comes_to("stopped")
    assert run_one(**bed.bare())["changed"] is False
    bed.act("start")
    bed.comes_to("running")
    assert run_one(**bed.bare())["changed"] is False
    assert bed.power() == "running"


STRATEGIES: list[tuple[dict[str, t.Any], str, str, str]] = [
    # as declared; a new VM; one that is stopped; one that runs
    ({"run_strategy": "Always"}, "running", "running", "running"),
    ({"run_strategy": "Halted"}, "stopped", "stopped", "stopped"),
    ({"run_strategy": "Manual"}, "stopped", "stopped", "running"),
    # To change to one of these is to start, says virt-controller.
    ({"run_strategy": "RerunOnFailure"}, "running", "running", "running"),
    ({"run_strategy": "Once"}, "running", "running", "running"),
    ({"running": True}, "running", "running", "running"),
    ({"running": False}, "stopped", "stopped", "stopped"),
]


@pytest.mark.parametrize(("strategy", "new", "_stopped", "_running"), STRATEGIES, ids=str)
def test_a_new_vm_with_a_strategy(bed: Bed, strategy: dict[str, t.Any], new: str, _stopped: str, _running: str) -> None:
    options = bed.bare(**strategy)
    predicted = run_one(check=True, **options)
    done = run_one(**options, wait=True)
    assert outcome(done) == outcome(predicted)
    bed.comes_to(new)
    wanted = strategy.get("run_strategy") or ("Always" if strategy["running"] else "Halted")
    assert bed.vm()["spec"].get("runStrategy") == wanted
    before = bed.versions()
    with bed.requests() as requests:
        assert run_one(**options)["changed"] is False
    assert requests.counts() == {"list virtualmachines": 1}
    assert bed.versions() == before


@pytest.mark.parametrize(("strategy", "_new", "stopped", "running"), STRATEGIES, ids=str)
def test_present_follows_only_an_explicit_strategy(
    bed: Bed, strategy: dict[str, t.Any], _new: str, stopped: str, running: str
) -> None:
    """As KubeVirt has it: with Manual a VM stays as it is."""
    for current, after in (("stopped", stopped), ("running", running)):
        bring(bed, current)
        options = bed.bare(**strategy)
        before = bed.versions()
        predicted = run_one(check=True, **options)
        assert bed.versions() == before
        done = run_one(**options, wait=True)
        assert outcome(done) == outcome(predicted)
        assert done["state"] == after
        bed.comes_to(after)
        bed.versions()
        assert bed.power() == after
        assert run_one(**options)["changed"] is False
        run_one(**bed.bare(state="absent", wait=True))


@pytest.mark.parametrize("strategy", ["Always", "RerunOnFailure", "Once", "Manual"])
def test_a_vm_that_was_stopped_is_not_started_by_its_old_strategy(bed: Bed, strategy: str) -> None:
    """Not by present, which says nothing of power where no strategy is declared."""
    run_one(**bed.bare(state="running", run_strategy=strategy, wait=True))
    run_one(**bed.bare(state="stopped", wait=True))
    done = run_one(**bed.bare(wait=True, hostname="other"))
    assert done["state"] == "stopped"
    bed.versions()
    assert bed.power() == "stopped"


@pytest.mark.parametrize("strategy", ["Always", "Manual", "RerunOnFailure", "Once"])
@pytest.mark.parametrize("wanted", ["stopped", "running", "paused", "restarted"])
def test_a_state_beside_a_strategy(bed: Bed, strategy: str, wanted: str) -> None:
    """The state wins, and once it is reached, nothing is to be done."""
    for current in ("absent", "running", "stopped"):
        bring(bed, current, run_strategy=strategy)
        options = bed.bare(state=wanted, run_strategy=strategy, wait=True)
        if (strategy, wanted, current) == ("Once", "restarted", "running"):
            # KubeVirt knows no restart of these.
            before = bed.versions()
            with pytest.raises(TaskError, match=r"Once"):
                run_one(**{**options, "hostname": "other"})
            assert bed.versions() == before
            run_one(**bed.bare(state="absent", wait=True))
            continue
        done = run_one(**options)
        bed.comes_to(expected(current, wanted))
        bed.versions()
        assert bed.power() == expected(current, wanted)
        assert done["state"] == expected(current, wanted)
        if wanted != "restarted":
            again = run_one(**options)
            assert (again["changed"], again["actions"]) == (False, [])
        run_one(**bed.bare(state="absent", wait=True))


@pytest.mark.parametrize("before", STRATEGIES, ids=lambda one: str(one[0]))
def test_from_a_strategy_to_each_other(bed: Bed, before: tuple[dict[str, t.Any], str, str, str]) -> None:
    """The older `running` and `runStrategy` may not stand side by side, whichever comes after the other."""
    for after, *_powers in STRATEGIES:
        run_one(**bed.bare(**before[0]))
        bed.versions()
        run_one(**bed.bare(**after))
        wanted = after.get("run_strategy") or ("Always" if after["running"] else "Halted")
        assert bed.vm()["spec"].get("runStrategy") == wanted
        run_one(**bed.bare(state="absent", wait=True))


@pytest.mark.parametrize("running", [True, False])
def test_a_vm_in_the_old_form_is_left_so(bed: Bed, running: bool) -> None:
    """Somebody's `running: true` says the same as Always: no reason to write."""
    manifest = bed.manifest()
    manifest["spec"]["running"] = running
    del manifest["spec"]["runStrategy"]
    bed.create(manifest)
    bed.comes_to("running" if running else "stopped")
    before = bed.versions()
    for options in ({}, {"running": running}, {"run_strategy": "Always" if running else "Halted"}):
        done = run_one(**bed.bare(**options))
        assert (done["changed"], done["actions"]) == (False, [])
    assert bed.versions() == before
    run_one(**bed.bare(state="stopped" if running else "running", wait=True))
    bed.comes_to("stopped" if running else "running")


def test_check_mode_writes_nothing_but_dry_runs(bed: Bed) -> None:
    """The server has a say in what is predicted, and keeps nothing of it."""
    with bed.requests() as requests:
        run_one(check=True, **bed.bare())
    assert requests.of("create", "virtualmachines")
    assert not changed_for_good(requests)
    run_one(**bed.bare())
    with bed.requests() as requests:
        run_one(check=True, **bed.bare(hostname="other"))
        run_one(check=True, **bed.bare(state="running"))
    assert requests.of("patch", "virtualmachines")
    assert requests.of("update", "virtualmachines/start")
    assert not changed_for_good(requests.of("patch"))
    assert not changed_for_good(requests.of("create"))


def test_check_mode_tells_what_the_server_would_refuse(bed: Bed) -> None:
    options = bed.bare(spec={"domain": {"devices": {"noSuchField": True}}})
    with pytest.raises(Exception, match="noSuchField") as predicted:
        run_one(check=True, **options)
    with pytest.raises(Exception, match="noSuchField") as done:
        run_one(**options)
    assert str(predicted.value) == str(done.value)
    assert bed.names() == []


def test_a_paused_start_is_paused_before_the_guest_runs(bed: Bed) -> None:
    run_one(**bed.bare(state="paused", wait=True, annotations=schedule(agent_after="0")))
    assert bed.power() == "paused"
    # The simulated agent says something as soon as the guest has run.
    assert bed.condition("AgentConnected") is None


def test_states_through_a_playbook(bed: Bed, tmp_path: t.Any) -> None:
    tasks = [{"rtvirt.core.kubevirt_vm": bed.bare(state=state, wait=True)} for state in WANTED]
    results = play(tmp_path, *tasks).results
    assert [result["changed"] for result in results] == [True, True, False, True, True, True, True]
    assert [result["result"]["state"] for result in results] == [
        "stopped", "running", "running", "stopped", "paused", "running", "absent",
    ]  # fmt: skip
    predicted = play(tmp_path, tasks[1], check=True).results[0]
    assert predicted["result"]["actions"] == ["create"]
    assert bed.power() == "absent"
