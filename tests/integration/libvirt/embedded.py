# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs declarations one after the other against libvirt's QEMU driver embedded in this process.

The harness' libvirtd runs without control groups (tests/harness/libvirtd says why). This is the same driver and the
same QEMU with control groups, in a process of its own: a process that has embedded it can open nothing else.

Reads a list of declarations as JSON; prints, for each, what check mode foresaw, what was done, what was done again, and
the limits in force.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import threading
import typing as t
from pathlib import Path

import libvirt

from ansible_collections.rtvirt.core.tests.integration.libvirt.task import run_one

# "cpu" is not to be had without "cpuacct" here, nor either without the others that libvirt sets up.
CONFIGURATION = """
cgroup_controllers = [ "cpu", "cpuacct", "devices", "freezer", "memory" ]
user = "root"
group = "root"
remember_owner = 0
stdio_handler = "file"
"""


@contextlib.contextmanager
def events() -> t.Iterator[None]:
    """The driver reads its guests' monitors by the event loop of its process.

    The loop ends before the process does: a thread of libvirt's that outlives Python's may crash it.
    """
    ended = threading.Event()

    def handle() -> None:
        while not ended.is_set():
            libvirt.virEventRunDefaultImpl()

    libvirt.virEventRegisterDefaultImpl()
    # It wakes up to see that it is to end.
    libvirt.virEventAddTimeout(100, lambda *_: None, None)
    thread = threading.Thread(target=handle)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def limits(domain: libvirt.virDomain) -> dict[str, int]:
    live = libvirt.VIR_DOMAIN_AFFECT_LIVE
    return {
        "global_quota": domain.schedulerParametersFlags(live)["global_quota"],
        "hard_limit": domain.memoryParameters(live)["hard_limit"],
    }


def main() -> None:
    declarations = json.load(sys.stdin)
    results: list[dict[str, t.Any]] = []
    # The path of a socket has room for a short one only.
    with tempfile.TemporaryDirectory() as folder, events():
        (Path(folder) / "etc").mkdir()
        (Path(folder) / "etc/qemu.conf").write_text(CONFIGURATION)
        uri = f"qemu:///embed?root={folder}"
        connection = libvirt.open(uri)
        try:
            for declaration in declarations:
                options = {**declaration, "uri": uri, "volume_dir": folder}
                foreseen = run_one(check=True, **options)
                done = run_one(**options)
                again = run_one(**options)
                in_force = limits(connection.lookupByName(options["name"]))
                results.append({"foreseen": foreseen, "done": done, "again": again, "limits": in_force})
        finally:
            for domain in connection.listAllDomains():
                # One that failed to start is there and not running: what it failed of is to be seen.
                if domain.isActive():
                    domain.destroy()
                domain.undefine()
            connection.close()
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
