# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real Open vSwitch of the tests, by its own tools."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import typing as t
from pathlib import Path

from ansible_collections.rtvirt.core.tests.integration.task import Module
from ansible_collections.rtvirt.core.tests.integration.waiting import until

HARNESS = Path(__file__).resolve().parents[3] / "harness" / "ovs"

#: What DPDK needs on this machine: no cards, little memory for each port, and one CPU that polls.
DPDK: dict[str, t.Any] = {
    "socket_mem": [256],
    "pmd_cpus": "1",
    "extra": "--no-pci --iova-mode=va --log-level=lib.eal:info",
    "other_config": {"per-port-memory": True},
}

ovs_dpdk = Module("ovs_dpdk")
ovs_bridges = Module("ovs_bridges")


def vsctl(*arguments: str) -> str:
    command = ["ovs-vsctl", "--timeout=20", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def appctl(*arguments: str) -> str:
    return subprocess.run(["ovs-appctl", *arguments], check=True, capture_output=True, text=True).stdout


def column(table: str, row: str, name: str) -> t.Any:
    """A column's value, a map as a dict."""
    printed = json.loads(vsctl("--format=json", f"--columns={name}", "list", table, row))
    value = printed["data"][0][0]
    return dict(value[1]) if isinstance(value, list) and value[0] == "map" else value


def other_config() -> dict[str, str]:
    return dict(column("Open_vSwitch", ".", "other_config"))


def counters(interface: str) -> dict[str, int]:
    return dict(column("Interface", interface, "statistics"))


def written() -> str:
    """A number that each transaction of ovs-vsctl with a change raises."""
    return vsctl("get", "Open_vSwitch", ".", "next_cfg")


def pid() -> int:
    return int(Path("/run/openvswitch/ovs-vswitchd.pid").read_text())


def freeze() -> None:
    """Have ovs-vswitchd do nothing more until it is killed."""
    os.kill(pid(), signal.SIGSTOP)


def kill() -> None:
    """Kill ovs-vswitchd so that its monitor does not start it again."""
    victim = pid()
    os.kill(victim, signal.SIGKILL)
    until("ovs-vswitchd is gone", lambda: not Path(f"/proc/{victim}").exists())


def harness(action: str) -> None:
    subprocess.run([HARNESS, action], check=True)


def restart() -> None:
    """As an administrator does."""
    harness("stop")
    harness("start")


def empty() -> None:
    """A switch with nothing in it, that has the distribution's program and has read nothing of before."""
    choose(None)
    harness("stop")
    Path(os.path.realpath("/etc/openvswitch/conf.db")).unlink(missing_ok=True)
    harness("start")


def choose(program: str | None) -> None:
    """A program for the next start, None for the distribution's."""
    command = ["--auto", "ovs-vswitchd"] if program is None else ["--set", "ovs-vswitchd", program]
    subprocess.run(["update-alternatives", "--quiet", *command], check=True)


def without_bridges() -> None:
    vsctl(*[part for name in vsctl("list-br").split() for part in ("--", "del-br", name)] or ["show"])


class Listener:
    """The server of a socket, as QEMU is; whether a client came is all that it knows."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._socket.settimeout(20)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()

    def has_a_client(self) -> bool:
        try:
            self._socket.accept()[0].close()
        except TimeoutError:
            return False
        return True
