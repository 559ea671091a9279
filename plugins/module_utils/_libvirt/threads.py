# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The threads of a QEMU that runs on this machine: where they may run, and how they are scheduled.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

libvirt reports the pins that it set; the kernel alone knows what is in force.
"""

from __future__ import annotations

import os
import pathlib
import re
import typing as t

__all__ = ["vcpu_threads"]

_PID_FILES = pathlib.Path("/run/libvirt/qemu")

#: QEMU's name of a vCPU's thread, with debug-threads=on as libvirt starts it.
_VCPU = re.compile(r"^CPU (\d+)/")

_POLICIES = {
    os.SCHED_OTHER: "other",
    os.SCHED_FIFO: "fifo",
    os.SCHED_RR: "rr",
    os.SCHED_BATCH: "batch",
    os.SCHED_IDLE: "idle",
}


def vcpu_threads(domain_name: str) -> list[dict[str, t.Any]]:
    """The vCPU threads by index; empty where the QEMU is not on this machine, or not visible."""
    try:
        pid = int((_PID_FILES / f"{domain_name}.pid").read_text())
        tasks = list(pathlib.Path(f"/proc/{pid}/task").iterdir())
    except (OSError, ValueError):
        return []
    threads = []
    for task in tasks:
        try:
            match = _VCPU.match((task / "comm").read_text())
            if match:
                threads.append(_describe(int(match.group(1)), int(task.name)))
        except OSError:
            # A thread may end while it is looked at.
            continue
    return sorted(threads, key=lambda thread: t.cast(int, thread["vcpu"]))


def _describe(vcpu: int, thread: int) -> dict[str, t.Any]:
    return {
        "vcpu": vcpu,
        "thread": thread,
        "cpus": sorted(os.sched_getaffinity(thread)),
        "scheduler": _POLICIES.get(os.sched_getscheduler(thread), "unknown"),
        "priority": os.sched_getparam(thread).sched_priority,
    }
