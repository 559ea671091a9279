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
from ansible_collections.rtvirt.core.plugins.module_utils.converters.cpuset import format_ranges

__all__ = ["Latency", "measure"]

#: Above the vCPUs of VMs, below the kernel's own most important threads (99).
_PRIORITY = 95
#: Microseconds between two wake-ups of a thread.
_INTERVAL = 1000

_RESULT = re.compile(r"^T:\s*(\d+) .*Min:\s*(\d+) .*Avg:\s*(\d+) .*Max:\s*(\d+)", re.MULTILINE)


class Latency(t.NamedTuple):
    """Of one CPU, in microseconds."""

    cpu: int
    min: int
    avg: int
    max: int


def measure(host: Host, cpus: t.Collection[int], seconds: int) -> list[Latency]:
    """A thread on each CPU for so long.

    :raises RtvirtError: where cyclictest is not there, or does not say what it has measured.
    """
    order = sorted(cpus)
    threads = ["-a", format_ranges(order), "-t", str(len(order)), "-p", str(_PRIORITY), "-i", str(_INTERVAL)]
    printed = host.must_run("cyclictest", "-q", "-m", "-D", str(seconds), *threads)
    found = {int(thread): tuple(map(int, values)) for thread, *values in _RESULT.findall(printed)}
    if len(found) != len(order):
        raise RtvirtError(f"cyclictest has not measured all of CPUs {format_ranges(order)}: {printed.strip()[-200:]}")
    return [Latency(cpu, *found[number]) for number, cpu in enumerate(order)]
