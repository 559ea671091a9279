# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders that follow one another. What virt-api makes of them: tests/integration/control_plane."""

from __future__ import annotations

import typing as t
from unittest.mock import Mock

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import power
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.outcome import Outcome
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.power import act, restart
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import ApiError


@pytest.mark.parametrize(
    ("was", "wanted", "actions"),
    [
        ("Running", "paused", ["stop", "start paused"]),
        ("Paused", "running", ["restart"]),
        ("Paused", None, ["stop", "start paused"]),
        ("Running", None, ["restart"]),
    ],
)
def test_a_restart_ends_as_it_was_to_end(was: str, wanted: t.Any, actions: list[str]) -> None:
    """The VM as it was read may have been paused, or let go on, by the order before."""
    vm = {"spec": {"runStrategy": "Always"}, "status": {"printableStatus": was}}
    outcome = Outcome(Mock(wanted=wanted, namespace="ns"), vm)
    restart(Mock(dry_run=True), outcome, Mock(grace_period=None))
    assert outcome.actions == actions


class Stopping:
    """A server that refuses a start for some seconds, as the guest of before takes them to stop."""

    dry_run = False

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float, grace: int | None) -> None:
        self.now = 0.0
        self._until = seconds
        self._vmi = {"spec": {} if grace is None else {"terminationGracePeriodSeconds": grace}}
        monkeypatch.setattr(power.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(power.time, "sleep", self._pass)

    def _pass(self, seconds: float) -> None:
        self.now += seconds

    def act(self, _path: str, _options: dict[str, t.Any]) -> None:
        if self.now < self._until:
            raise ApiError("VM is already running", status=409)

    def get(self, path: str) -> dict[str, t.Any]:
        if "virtualmachineinstances" in path:
            return self._vmi
        return {"spec": {"runStrategy": "Halted"}, "status": {"printableStatus": "Stopping", "created": True}}


@pytest.mark.parametrize(("grace", "seconds"), [(None, 60), (180, 190), (3600, 3500)])
def test_a_start_waits_as_long_as_the_guest_may_take_to_stop(
    monkeypatch: pytest.MonkeyPatch, grace: int | None, seconds: float
) -> None:
    server, outcome = Stopping(monkeypatch, seconds, grace), Outcome(Mock(wanted="paused", namespace="ns"), {})
    act(t.cast(t.Any, server), outcome, "start paused", Mock(grace_period=None))
    assert outcome.actions == ["start paused"]


def test_a_start_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    server, outcome = Stopping(monkeypatch, 1000, 30), Outcome(Mock(wanted="paused", namespace="ns"), {})
    with pytest.raises(RtvirtError, match="already running"):
        act(t.cast(t.Any, server), outcome, "start paused", Mock(grace_period=None))
    assert 80 < server.now < 100
