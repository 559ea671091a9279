# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How late threads of a CPU wake up, measured by cyclictest (of rt-tests).

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils.converters.cpuset import format_ranges, parse

__all__ = ["Latency", "measure"]

#: Above the vCPUs of VMs, below the kernel's own most important threads (99).
_PRIORITY = 95
#: Microseconds between two wake-ups of a thread.
_INTERVAL = 1000

#: Of a thread that has woken up at all.
_RESULT = re.compile(r"^T:\s*(\d+) .*C:\s*[1-9]\d* Min:\s*(\d+) .*Avg:\s*(\d+) .*Max:\s*(\d+)", re.MULTILINE)


class Latency(t.NamedTuple):
    """Of one CPU, in microseconds."""

    cpu: int
    min: int
    avg: int
    max: int


def measure(host: Host, cpus: t.Collection[int], seconds: int) -> list[Latency]:
    """A thread on each CPU for so long. Idle states are left as they are (``--laptop``), as VMs have them too.

    :raises RtvirtError: where cyclictest is not there, or does not say what it has measured.
    """
    order = sorted(cpus)
    own = re.search(r"^Cpus_allowed_list:\s*(\S+)", host.read("/proc/self/status") or "", re.MULTILINE)
    # Before version 2.2 it goes nowhere where itself may not be.
    widened = format_ranges({*order, *(parse(own[1]) if own else ())})
    threads = ["-a", format_ranges(order), "-t", str(len(order)), "-p", str(_PRIORITY), "-i", str(_INTERVAL)]
    ran = host.run("taskset", "-c", widened, "cyclictest", "--laptop", "-q", "-m", "-D", str(seconds), *threads)
    found = {int(thread): tuple(map(int, values)) for thread, *values in _RESULT.findall(ran.output)}
    # It goes on where a thread cannot be brought to its CPU, and measures another.
    if ran.status or "affinity" in ran.errors or len(found) != len(order):
        said = (ran.errors.strip() or ran.output.strip()).splitlines()
        raise RtvirtError(f"cyclictest has not measured all of CPUs {format_ranges(order)}: {'; '.join(said[-3:])}")
    return [Latency(cpu, *found[number]) for number, cpu in enumerate(order)]
