# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests with vhost-user interfaces: started, or stopped again where no switch connects to their sockets.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

QEMU opens each socket and waits for its client before it does anything else, for ever if need be, and libvirt waits
for QEMU.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils._errors import WaitError

try:
    import libvirt
except ImportError:  # connection.py tells
    pass

__all__ = ["sockets", "start"]

#: State of a socket of which a client is at the other end (``SS_CONNECTED`` of linux/net.h, as /proc/net/unix has it).
_CONNECTED = "03"

#: Seconds until it is looked again at a start that takes longer: by now the switch may have come, or QEMU be there.
_TICK = 1.0


def sockets(domain: ET.Element) -> list[str]:
    """The sockets that a domain's QEMU waits at."""
    found = domain.findall("devices/interface[@type='vhostuser']/source[@mode='server']")
    return [source.get("path", "") for source in found]


def start(handle: t.Any, flags: int, waited_for: t.Sequence[str], seconds: float) -> None:
    """Start a domain.

    :arg waited_for: its sockets.
    :arg seconds: how long to wait for the switch.
    :raises WaitError: where it has not connected by then; the domain is stopped again.
    :raises libvirt.libvirtError: as libvirt has it.
    """
    if not waited_for:
        handle.createWithFlags(flags)
        return
    lonely: list[str] = []
    started = threading.Event()

    def give_up() -> None:
        patience = seconds
        while not started.wait(patience):
            lonely[:] = _unconnected(waited_for)
            patience = _TICK
            if lonely:
                with contextlib.suppress(libvirt.libvirtError):
                    # Ends the call that waits, with an error that says nothing of why.
                    handle.destroy()

    watcher = threading.Thread(target=give_up, daemon=True)
    watcher.start()
    failed: libvirt.libvirtError | None = None
    try:
        handle.createWithFlags(flags)
    except libvirt.libvirtError as error:
        failed = error
    finally:
        started.set()
        watcher.join()
    if lonely:
        told = "; ".join(f"{path} ({_port_of(path)})" for path in lonely)
        message = f"{handle.name()} was stopped again, as no switch has connected to {told} within {seconds:g} s"
        raise WaitError(message) from failed
    if failed is not None:
        raise failed


def _unconnected(paths: t.Sequence[str]) -> list[str]:
    """The sockets without a client; all of them where the hypervisor is another machine."""
    with open("/proc/net/unix", encoding="utf-8", errors="surrogateescape") as table:
        rows = [line.split() for line in table]
    connected = {row[7] for row in rows if len(row) > 7 and row[5] == _CONNECTED}
    return [path for path in paths if path not in connected]


def _port_of(path: str) -> str:
    """What Open vSwitch on this machine knows of a socket, in words."""
    command = ["ovs-vsctl", "--timeout=5", "--bare", "--columns=name", "find", "Interface"]
    try:
        done = subprocess.run(
            [*command, f"options:vhost-server-path={json.dumps(path)}"], capture_output=True, text=True, check=False
        )
    except OSError:
        return "is there a switch that has a port for it?"
    if done.returncode:
        return "Open vSwitch's database does not answer: does it run?"
    port = done.stdout.strip()
    if not port:
        return "no port of Open vSwitch has it: declare one with rtvirt.core.ovs_bridges"
    return f"port {port} of Open vSwitch has it: does ovs-vswitchd run, and may it write to the socket?"
