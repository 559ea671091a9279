# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands in a guest, by its agent."""

from __future__ import annotations

import base64
import json
import typing as t

import libvirt_qemu

from ansible_collections.rtvirt.core.tests.integration.waiting import until


def run_in_guest(domain: t.Any, command: str, *, seconds: float = 60) -> str:
    """What a command of the guest's shell prints, its errors among it. Fails for one that fails."""
    script = {"path": "/bin/sh", "arg": ["-c", f"exec 2>&1; {command}"], "capture-output": True}
    pid = _ask(domain, "guest-exec", script)["pid"]

    def ended() -> t.Any:
        status = _ask(domain, "guest-exec-status", {"pid": pid})
        return status if status["exited"] else None

    status = until(f"{command} has ended", ended, seconds)
    printed = base64.b64decode(status.get("out-data", "")).decode()
    assert status["exitcode"] == 0, printed
    return printed


def _ask(domain: t.Any, command: str, arguments: dict[str, t.Any]) -> t.Any:
    request = json.dumps({"execute": command, "arguments": arguments})
    return json.loads(libvirt_qemu.qemuAgentCommand(domain, request, 20, 0))["return"]
