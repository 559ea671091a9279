# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each state from each other state: check mode says what the run then does, and a second run does nothing."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import play, run_one

# A guest without a system hears no power button: it is pulled at once.
PULL = {"force": True, "wait_timeout": 0}
PREDICTED = ("name", "domain", "changed", "actions", "changes", "adopted", "restart_required", "state", "diff")
LIBVIRT_STATES = {"running": "running", "paused": "paused", "stopped": "shutoff", "absent": "absent"}
STATES = ("present", "running", "stopped", "paused", "restarted", "absent")

STEPS: dict[tuple[str, str], list[str]] = {
    ("absent", "present"): ["define"],
    ("absent", "running"): ["define", "start"],
    ("absent", "stopped"): ["define"],
    ("absent", "paused"): ["define", "start paused"],
    ("absent", "restarted"): ["define", "start"],
    ("absent", "absent"): [],
    ("stopped", "present"): [],
    ("stopped", "running"): ["start"],
    ("stopped", "stopped"): [],
    ("stopped", "paused"): ["start paused"],
    ("stopped", "restarted"): ["start"],
    ("stopped", "absent"): ["undefine"],
    ("running", "present"): [],
    ("running", "running"): [],
    ("running", "stopped"): ["shut down"],
    ("running", "paused"): ["pause"],
    ("running", "restarted"): ["shut down", "start"],
    ("running", "absent"): ["shut down", "undefine"],
    ("paused", "present"): [],
    ("paused", "running"): ["resume"],
    ("paused", "stopped"): ["resume", "shut down"],
    ("paused", "paused"): [],
    ("paused", "restarted"): ["resume", "shut down", "start"],
    ("paused", "absent"): ["resume", "shut down", "undefine"],
}


def bring(bed: Bed, state: str) -> None:
    if state != "absent":
        run_one(**bed.bare(state=state))
    assert bed.power() == state


def expected(current: str, wanted: str) -> str:
    if wanted == "present":
        return "stopped" if current == "absent" else current
    return "running" if wanted == "restarted" else wanted


def outcome(result: dict[str, t.Any]) -> dict[str, t.Any]:
    return {key: result[key] for key in PREDICTED}


@pytest.mark.parametrize("wanted", STATES)
@pytest.mark.parametrize("current", LIBVIRT_STATES)
def test_state_from_state(bed: Bed, current: str, wanted: str) -> None:
    bring(bed, current)
    before = None if current == "absent" else bed.text(running=True)
    options = bed.bare(state=wanted, **PULL)

    predicted = run_one(check=True, **options)
    assert bed.power() == current
    assert before is None or bed.text(running=True) == before
    assert predicted["actions"] == STEPS[current, wanted]

    done = run_one(**options)
    # Whether a guest obeys cannot be known before.
    assert "force off" not in predicted["actions"]
    assert ("force off" in done["actions"]) == ("shut down" in done["actions"])
    done["actions"] = [action for action in done["actions"] if action != "force off"]
    assert outcome(done) == outcome(predicted)
    assert done["changed"] == bool(STEPS[current, wanted])
    assert bool(done["diff"]) == done["changed"]
    assert bed.power() == expected(current, wanted)
    assert done["state"] == LIBVIRT_STATES[expected(current, wanted)]

    if wanted != "restarted":
        for check in (True, False):
            again = run_one(check=check, **options)
            assert (again["changed"], again["actions"], again["diff"]) == (False, [], [])
        assert bed.power() == expected(current, wanted)


def test_restarted_restarts_each_time(bed: Bed) -> None:
    options = bed.bare(state="restarted", **PULL)
    processes = set()
    for _turn in range(3):
        assert run_one(**options)["changed"]
        processes.add(bed.qemu())
    assert len(processes) == 3


@pytest.mark.parametrize(
    ("strategy", "new", "stopped", "running"),
    [
        ({"runStrategy": "Always"}, "running", "running", "running"),
        ({"runStrategy": "Halted"}, "stopped", "stopped", "stopped"),
        ({"runStrategy": "Manual"}, "stopped", "stopped", "running"),
        ({"runStrategy": "RerunOnFailure"}, "running", "stopped", "running"),
        ({"runStrategy": "Once"}, "running", "stopped", "running"),
        ({"running": True}, "running", "running", "running"),
        ({"running": False}, "stopped", "stopped", "stopped"),
    ],
    ids=str,
)
def test_present_follows_only_an_explicit_run_strategy(
    bed: Bed, strategy: dict[str, t.Any], new: str, stopped: str, running: str
) -> None:
    options = bed.bare(definition={"spec": strategy}, **PULL)
    run_one(**options)
    assert bed.power() == new
    for current, after in (("stopped", stopped), ("running", running)):
        run_one(**bed.bare(state=current, definition={"spec": strategy}, **PULL))
        run_one(**options)
        assert bed.power() == after


def test_states_through_a_playbook(bed: Bed) -> None:
    tasks = [{"rtvirt.core.libvirt_vm": bed.bare(virt_type="qemu", state=state, **PULL)} for state in STATES]
    results = play(bed.folder, *tasks).results
    assert [result["changed"] for result in results] == [True, True, True, True, True, True]
    assert [result["result"]["state"] for result in results] == [
        "shutoff", "running", "shutoff", "paused", "running", "absent",
    ]  # fmt: skip
    predicted = play(bed.folder, tasks[1], check=True).results[0]
    assert predicted["result"]["actions"] == ["define", "start"]
    assert bed.power() == "absent"


def test_autostart_is_set_and_unset(bed: Bed) -> None:
    run_one(**bed.bare())
    assert not bed.domain().autostart()
    assert run_one(**bed.bare(autostart=True))["actions"] == ["set autostart"]
    assert bed.domain().autostart()
    assert run_one(**bed.bare())["changed"] is False
    assert bed.domain().autostart()
    predicted = run_one(check=True, **bed.bare(autostart=False))
    assert predicted["actions"] == run_one(**bed.bare(autostart=False))["actions"] == ["unset autostart"]
    assert not bed.domain().autostart()
