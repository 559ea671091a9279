# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin that runs all modules."""

from __future__ import annotations

import gc
import typing as t

import pytest
from ansible.plugins.action.normal import ActionModule as NormalAction

from ansible_collections.rtvirt.core.plugins.action.libvirt_vm import ActionModule


@pytest.fixture
def action() -> ActionModule:
    return ActionModule.__new__(ActionModule)


@pytest.mark.parametrize("collects", [True, False])
def test_garbage_is_collected_afterwards(monkeypatch: pytest.MonkeyPatch, action: ActionModule, collects: bool) -> None:
    seen = []

    def run(self: NormalAction, tmp: None, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        seen.append((gc.isenabled(), task_vars))
        return {"changed": True}

    monkeypatch.setattr(NormalAction, "run", run)
    if not collects:
        gc.disable()
    try:
        assert action.run(task_vars={"a": 1}) == {"changed": True}
        assert gc.isenabled() is collects
    finally:
        gc.enable()
    assert seen == [(False, {"a": 1})]


def test_garbage_is_collected_after_a_failure(monkeypatch: pytest.MonkeyPatch, action: ActionModule) -> None:
    def run(self: NormalAction, tmp: None, task_vars: None) -> dict[str, t.Any]:
        raise RuntimeError("unreachable")

    monkeypatch.setattr(NormalAction, "run", run)
    with pytest.raises(RuntimeError, match="unreachable"):
        action.run()
    assert gc.isenabled()


def test_what_ansible_asks_of_an_action_is_as_before() -> None:
    for name in (
        "_supports_check_mode",
        "_supports_async",
        "_requires_connection",
        "TRANSFERS_FILES",
        "BYPASS_HOST_LOOP",
    ):
        assert getattr(ActionModule, name) == getattr(NormalAction, name)
