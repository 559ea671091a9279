# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest's agent does in the guest: programs that it runs, files that it reads, passwords that it sets.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import base64
import json
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import (
    DeclarationError,
    Problem,
    RtvirtError,
    WaitError,
)
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt import domains, waiting
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.connection import doing

try:
    import libvirt
    import libvirt_qemu
except ImportError:  # connection.py tells
    pass

__all__ = ["PROGRAMS", "Guest", "Ran", "running"]

#: The agent's commands for programs.
PROGRAMS = ("guest-exec", "guest-exec-status")
_FILES = ("guest-file-open", "guest-file-read", "guest-file-close")

#: Bytes of a file that are read.
_MOST = 1 << 20

#: Seconds for one answer of the agent, and for a program to end.
_PATIENCE = 10
#: The agent tells nobody that a program has ended: it has to be asked.
_PAUSE = 0.05


@dataclass(frozen=True)
class Ran:
    """A program that has run in a guest; ``code`` is None where the guest has no such program."""

    code: int | None
    output: str = ""
    errors: str = ""


def running(connection: t.Any, name: str) -> domains.Domain:
    """:raises DeclarationError: for a VM that is not there, or does not run."""
    handle = domains.handles_by_name(connection).get(name)
    domain = None if handle is None else domains.observe(handle)
    if domain is None or domain.power != "running":
        message = f"there is no VM {name!r}" if domain is None else f"{name} is {domain.state}, and its agent is asked"
        raise DeclarationError([Problem("name", f"{message}: write one that runs")])
    return domain


class Guest:
    """A running guest whose agent does what is wanted of it.

    :arg what: is wanted, in words, and ``needed`` the agent's commands for it.
    :raises RtvirtError: for one whose agent does not.
    """

    def __init__(self, handle: t.Any, what: str, needed: t.Collection[str]) -> None:
        self._handle = handle
        self.name = handle.name()
        if not waiting.agent_is_connected(handle):
            raise RtvirtError(
                f"{self.name} has no guest agent that answers: install qemu-guest-agent in the guest and start it, "
                "or have libvirt_vm wait for it (wait_for: [agent])"
            )
        commands = self._ask("guest-info")["supported_commands"]
        self._enabled = {command["name"] for command in commands if command["enabled"]}
        missing = {*needed} - self._enabled
        if missing:
            raise RtvirtError(
                f"{self.name}: its guest agent may not {what}: allow {' and '.join(sorted(missing))} in the "
                "guest, in /etc/sysconfig/qemu-ga or /etc/qemu/qemu-ga.conf (RHEL blocks them), and restart the agent"
            )

    def interfaces(self) -> dict[str, list[str]]:
        """The names of the guest's network interfaces by their MAC addresses; a bridge or VLAN has that of its port."""
        names: dict[str, list[str]] = {}
        with doing(f"ask the guest agent of {self.name} for its interfaces"):
            source = libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT
            for name, interface in self._handle.interfaceAddresses(source).items():
                names.setdefault((interface["hwaddr"] or "").lower(), []).append(name)
        return names

    def run(self, program: str, *arguments: str) -> Ran:
        """Run a program, found by the agent's PATH, to its end."""
        call = {"path": program, "arg": list(arguments), "capture-output": True}
        try:
            number = self._ask("guest-exec", call)["pid"]
        except RtvirtError as error:
            # GLib's words for it, in the agent's answer.
            if "No such file or directory" in error.message:
                return Ran(None)
            raise
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            status = self._ask("guest-exec-status", {"pid": number})
            if status["exited"]:
                return Ran(status.get("exitcode", -1), _text(status, "out-data"), _text(status, "err-data"))
            time.sleep(_PAUSE)
        raise WaitError(f"{self.name}: {program} has not ended in the guest after {_PATIENCE} s: look at the guest")

    def read(self, path: str) -> str | None:
        """A file's text, None where the guest has none, or the agent may not tell."""
        if {*_FILES} - self._enabled:
            return None
        try:
            number = self._ask("guest-file-open", {"path": path, "mode": "r"})
        except RtvirtError:
            return None
        try:
            content = self._ask("guest-file-read", {"handle": number, "count": _MOST})
        finally:
            self._ask("guest-file-close", {"handle": number})
        return base64.b64decode(content["buf-b64"]).decode(errors="replace")

    def set_password(self, user: str, password: str, *, encrypted: bool) -> None:
        flags = libvirt.VIR_DOMAIN_PASSWORD_ENCRYPTED if encrypted else 0
        try:
            with doing(f"set the password of {user} in {self.name}"):
                self._handle.setUserPassword(user, password, flags)
        except RtvirtError as error:
            # The agent says no more than that its program has failed.
            raise RtvirtError(f"{error.message}: look whether the guest has this user") from error

    def _ask(self, command: str, arguments: dict[str, t.Any] | None = None) -> t.Any:
        question = json.dumps({"execute": command, "arguments": arguments or {}})
        with doing(f"ask the guest agent of {self.name} ({command})"):
            return json.loads(libvirt_qemu.qemuAgentCommand(self._handle, question, _PATIENCE, 0))["return"]


def _text(status: t.Mapping[str, t.Any], key: str) -> str:
    return base64.b64decode(status.get(key, "")).decode(errors="replace").strip()
