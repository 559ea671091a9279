# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders that follow one another. What virt-api makes of them: tests/integration/control_plane."""

from __future__ import annotations

import typing as t
from unittest.mock import Mock

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.outcome import Outcome
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.power import restart


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
