# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Power: every state to every other, and nothing that nobody asked for."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._vm.lifecycle import (
    STATES,
    Power,
    State,
    Step,
    power_steps,
    wanted_power,
)

POWERS: tuple[Power, ...] = ("running", "paused", "stopped")

#: (current, wanted) -> steps; and the steps with a restart.
STEPS: dict[tuple[Power, Power | None], tuple[list[Step], list[Step]]] = {
    ("running", None): ([], ["shut down", "start"]),
    ("running", "running"): ([], ["shut down", "start"]),
    ("running", "paused"): (["pause"], ["shut down", "start paused"]),
    ("running", "stopped"): (["shut down"], ["shut down"]),
    ("paused", None): ([], ["resume", "shut down", "start paused"]),
    ("paused", "running"): (["resume"], ["resume", "shut down", "start"]),
    ("paused", "paused"): ([], ["resume", "shut down", "start paused"]),
    ("paused", "stopped"): (["resume", "shut down"], ["resume", "shut down"]),
    ("stopped", None): ([], []),
    ("stopped", "running"): (["start"], ["start"]),
    ("stopped", "paused"): (["start paused"], ["start paused"]),
    ("stopped", "stopped"): ([], []),
}


@pytest.mark.parametrize(("current", "wanted"), STEPS)
def test_power_steps(current: Power, wanted: Power | None) -> None:
    plain, restarting = STEPS[(current, wanted)]
    assert power_steps(current, wanted, restart=False) == plain
    assert power_steps(current, wanted, restart=True) == restarting


def test_the_table_has_every_state() -> None:
    assert set(STEPS) == {(current, wanted) for current in POWERS for wanted in (*POWERS, None)}


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("wanted", POWERS)
@pytest.mark.parametrize("current", POWERS)
def test_the_steps_lead_there(current: Power, wanted: Power, restart: bool) -> None:
    """Each step is possible where it is taken, and the last one ends where it should."""
    moves: dict[tuple[str, str], str] = {
        ("stopped", "start"): "running",
        ("stopped", "start paused"): "paused",
        ("running", "pause"): "paused",
        ("paused", "resume"): "running",
        ("running", "shut down"): "stopped",
    }
    state: str = current
    for step in power_steps(current, wanted, restart=restart):
        state = moves[(state, step)]
    assert state == wanted


ALWAYS: dict[State, Power | None] = {
    "running": "running",
    "restarted": "running",
    "paused": "paused",
    "stopped": "stopped",
    "absent": "stopped",
    "reclaimed": "stopped",
}


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("spec", [{}, {"runStrategy": "Always"}, {"runStrategy": "Halted"}, {"running": True}])
@pytest.mark.parametrize("state", STATES)
def test_a_state_that_is_asked_for_wins_over_the_manifest(state: State, spec: dict[str, t.Any], exists: bool) -> None:
    if state != "present":
        assert wanted_power(state, {"spec": spec}, exists=exists) == ALWAYS[state]


#: The manifest's own words -> what it wants of a new VM, and of one that is there.
STRATEGIES: list[tuple[dict[str, t.Any], Power | None, Power | None]] = [
    ({}, None, None),
    ({"spec": None}, None, None),
    ({"spec": {"runStrategy": None}}, None, None),
    ({"spec": {"runStrategy": "Always"}}, "running", "running"),
    ({"spec": {"runStrategy": "Halted"}}, "stopped", "stopped"),
    ({"spec": {"runStrategy": "Manual"}}, None, None),
    ({"spec": {"runStrategy": "Once"}}, "running", None),
    ({"spec": {"runStrategy": "RerunOnFailure"}}, "running", None),
    ({"spec": {"running": True}}, "running", "running"),
    ({"spec": {"running": False}}, "stopped", "stopped"),
]


@pytest.mark.parametrize(("document", "new", "old"), STRATEGIES)
def test_present_leaves_the_power_unless_the_manifest_says_otherwise(
    document: dict[str, t.Any], new: Power | None, old: Power | None
) -> None:
    assert wanted_power("present", document, exists=False) == new
    assert wanted_power("present", document, exists=True) == old
