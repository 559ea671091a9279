# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task writes to the system's log: no secret, in whatever characters."""

from __future__ import annotations

import typing as t

import pytest
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args

from ansible_collections.rtvirt.core.plugins.module_utils._vm.task import Task
from ansible_collections.rtvirt.core.plugins.modules.libvirt_guest_password import ARGUMENTS


@pytest.mark.parametrize("password", ["XYZZY", 'a\\b"XYZZY', "it's\"XYZZY", "line\nXYZZY", "ä'\"XYZZY"])
def test_no_secret_is_logged(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    logged: list[str] = []
    monkeypatch.setattr(basic, "has_journal", False)
    monkeypatch.setattr(basic.syslog, "syslog", lambda _priority, text: logged.append(text))
    new: t.Any = Task
    with patch_module_args({"name": "web1", "password": password}):
        new(argument_spec=ARGUMENTS, supports_check_mode=True)
    assert len(logged) == 1
    assert "web1" in logged[0]
    assert "XYZZY" not in logged[0]
