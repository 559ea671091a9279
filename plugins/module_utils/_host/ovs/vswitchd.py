# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ovs-vswitchd: whether it runs, as which of the programs that are installed, and how it is started anew.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Debian and Ubuntu have a program without DPDK and one with it, and a link of update-alternatives to one of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host

__all__ = [
    "Vswitchd",
    "alternatives",
    "choose",
    "datapath_ports",
    "has_dpdk",
    "read_vswitchd",
    "restart",
    "what_it_said",
]

_PID = "/run/openvswitch/ovs-vswitchd.pid"
_LOG = "/var/log/openvswitch/ovs-vswitchd.log"
_LINK = "ovs-vswitchd"

#: The program that the distribution prefers.
AUTO = "auto"

#: Its unit on Debian, Ubuntu, Fedora, RHEL and SUSE; the script is for Debian without systemd.
_UNIT = "ovs-vswitchd.service"
_SCRIPT = "/etc/init.d/openvswitch-switch"

_SERIOUS = re.compile(r"\|(?:ERR|EMER)\|(.*)")
_PORT = re.compile(r"^ {4}(\S+) \d+/(\d+):", re.MULTILINE)


@dataclass(frozen=True)
class Vswitchd:
    """The process that runs.

    :ivar mark: its number and start, which no other process has.
    :ivar has_dpdk: whether its program has DPDK, which may be another than the one that is installed now.
    :ivar lacks: what its DPDK cannot be without, and has not loaded; empty for nothing.
    """

    mark: str
    has_dpdk: bool
    lacks: str


def read_vswitchd(host: Host) -> Vswitchd | None:
    """None where none runs. The database goes on saying what it was told by one that has died."""
    pid = host.word(_PID)
    if not pid or not host.word(f"/proc/{pid}/comm").startswith("ovs-vswitchd"):
        return None
    # After a name that may hold spaces: the state, and as the 22nd field the start.
    fields = host.word(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] == "Z":
        return None
    try:
        has = has_dpdk(host, f"/proc/{pid}/exe")
    except RtvirtError:
        # It has ended since.
        return None
    return Vswitchd(f"{pid}.{fields[19]}", has, _lacks(host.read(f"/proc/{pid}/maps") or ""))


def _lacks(maps: str) -> str:
    """DPDK whose parts are libraries takes the memory of ports from one that a package may leave out."""
    shared = "/librte_mempool.so" in maps
    return "librte_mempool_ring" if shared and "/librte_mempool_ring.so" not in maps else ""


def datapath_ports(host: Host) -> set[str]:
    """The ports that are in a datapath: one whose configuration failed is not, and has no error in the database.

    :raises RtvirtError: where ovs-vswitchd does not answer.
    """
    ran = host.run("ovs-appctl", "--timeout=10", "-t", "ovs-vswitchd", "dpif/show")
    if ran.status:
        raise RtvirtError(f"ovs-vswitchd does not answer: {ran.errors.strip() or 'it does not run'}")
    return {match[1] for match in _PORT.finditer(ran.output)}


def has_dpdk(host: Host, program: str = _LINK) -> bool:
    """Whether a program has DPDK; by default the one that is started next time."""
    return "DPDK" in host.run(program, "--version").output


def alternatives(host: Host) -> tuple[str, list[str]]:
    """The program that is chosen (``auto`` for the one that the distribution prefers), and those that there are."""
    if not host.has_tool("update-alternatives"):
        return AUTO, []
    lines = [line.partition(": ") for line in host.run("update-alternatives", "--query", _LINK).output.splitlines()]
    said = {name: value for name, _colon, value in lines}
    chosen = said.get("Value", AUTO) if said.get("Status") == "manual" else AUTO
    return chosen, [value for name, _colon, value in lines if name == "Alternative"]


def choose(host: Host, program: str) -> None:
    host.must_run("update-alternatives", *(["--auto", _LINK] if program == AUTO else ["--set", _LINK, program]))


def restart(host: Host) -> None:
    """:raises RtvirtError: where it does not start, or nothing is known that starts it."""
    if host.runs_systemd():
        # One that has died too often is not started otherwise.
        host.run("systemctl", "reset-failed", _UNIT)
        host.must_run("systemctl", "restart", _UNIT)
    elif host.exists(_SCRIPT):
        host.must_run(_SCRIPT, "restart")
    else:
        raise RtvirtError(
            f"neither systemd runs here nor is there {_SCRIPT}: nothing is known that starts Open vSwitch"
        )


def what_it_said(host: Host) -> str:
    """Its last errors, of its log."""
    lines = (host.read(_LOG) or "").splitlines()[-200:]
    found = [match[1] for match in map(_SERIOUS.search, lines) if match]
    return "; ".join(dict.fromkeys(found[-4:])) or f"see {_LOG}"
