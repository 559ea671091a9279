# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether real time is in force: on a host, and for the VMs that run on it, by what its kernel tells.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Nothing is asked of libvirt or of a declaration: it is the same for VMs of libvirt, of KubeVirt and of others.
"""

from __future__ import annotations

import re
import time
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._host.facts import kernel_facts
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.running_vms import RunningVm, Thread
from ansible_collections.rtvirt.core.plugins.module_utils.converters.cpuset import format_ranges, parse

__all__ = ["Finding", "isolated_cpus", "on_host", "on_vm"]

_CPUS = "/sys/devices/system/cpu"

#: Seconds in which interrupts are counted.
_WINDOW = 1.0

#: Values by which the kernel interrupts or moves what runs: file, what is wrong with it, the values that are right.
_SETTINGS = (
    ("/proc/sys/kernel/sched_rt_runtime_us", "the kernel takes CPUs from real-time threads", ["-1"]),
    ("/proc/sys/kernel/numa_balancing", "the kernel moves memory between nodes", ["0"]),
    # With 2 all pages are parted again, and then it stands still.
    ("/sys/kernel/mm/ksm/run", "the kernel merges pages (KSM)", ["0", "2"]),
)


class Finding(t.NamedTuple):
    """What keeps real time from being in force.

    :ivar about: ``host``, or a VM's name.
    """

    about: str
    message: str


def isolated_cpus(host: Host) -> frozenset[int]:
    """Those that the kernel keeps others from: by ``isolcpus``, or as an isolated partition of cpusets (Linux 6.8)."""
    return parse(host.word(f"{_CPUS}/isolated")) | parse(host.word("/sys/fs/cgroup/cpuset.cpus.isolated"))


def on_host(host: Host, isolated: frozenset[int]) -> t.Iterator[Finding]:
    kernel = kernel_facts(host)
    if not kernel["realtime"]:
        yield Finding("host", f"the kernel {kernel['release']} is no real-time one")
    if not isolated:
        yield Finding("host", "no CPU is isolated")
    ticking = isolated - parse(host.word(f"{_CPUS}/nohz_full").replace("(null)", ""))
    if ticking:
        yield Finding("host", f"the timer ticks on CPUs {format_ranges(ticking)}, which are not in nohz_full")
    for path, told, right in _SETTINGS:
        value = host.word(path)
        # A kernel without it does not do it.
        if value and value not in right:
            yield Finding("host", f"{path} is {value}, not {' or '.join(right)}: {told}")
    slow = [
        cpu
        for cpu in sorted(isolated)
        if host.word(f"{_CPUS}/cpu{cpu}/cpufreq/scaling_governor") not in ("", "performance")
    ]
    if slow:
        yield Finding("host", f"CPUs {format_ranges(slow)} change their frequency: the governor is not performance")
    for interrupt, cpus in _interrupts(host, isolated).items():
        yield Finding("host", f"interrupt {interrupt} came to CPUs {format_ranges(cpus)}, which are isolated")


def on_vm(
    host: Host, vm: RunningVm, every: t.Mapping[str, t.Sequence[Thread]], isolated: frozenset[int]
) -> t.Iterator[Finding]:
    """:arg every: the threads of all VMs by their names."""
    mine = [one for one in every[vm.name] if one.is_realtime]
    if not mine:
        yield Finding(vm.name, "no vCPU has a real-time scheduler")
    for one in mine:
        where = f"vCPU {one.vcpu} ({one.scheduler} {one.priority})"
        if len(one.cpus) > 1:
            yield Finding(vm.name, f"{where} is not pinned: it may run on CPUs {format_ranges(one.cpus)}")
            continue
        if not one.cpus <= isolated:
            yield Finding(vm.name, f"{where} is on CPU {format_ranges(one.cpus)}, which is not isolated")
        for name, theirs in every.items():
            beside = sorted({other.name for other in theirs if other is not one and other.cpus & one.cpus})
            if beside:
                told = f"{', '.join(beside)} of {name} may run there too"
                yield Finding(vm.name, f"{where} has not CPU {format_ranges(one.cpus)} for itself: {told}")
    swapped = vm.swapped(host)
    if swapped:
        yield Finding(vm.name, f"{swapped} KiB of its memory are swapped out")


def _interrupts(host: Host, cpus: frozenset[int]) -> dict[str, list[int]]:
    """Devices' interrupts that come to these CPUs, but for those of devices that VMs have: ``24 (nvme0q3)``."""
    before = _counts(host)
    time.sleep(_WINDOW)
    after = _counts(host)
    came = {
        name: [cpu for cpu in sorted(cpus) if counts.get(cpu, 0) > before.get(name, counts).get(cpu, 0)]
        for name, counts in after.items()
    }
    return {name: where for name, where in came.items() if where}


def _counts(host: Host) -> dict[str, dict[int, int]]:
    """/proc/interrupts: the interrupts with numbers, and how often each has come to each CPU."""
    lines = (host.read("/proc/interrupts") or "").splitlines()
    cpus = [int(number) for number in re.findall(r"CPU(\d+)", lines[0])] if lines else []
    found = {}
    for line in lines[1:]:
        number, _colon, rest = line.partition(":")
        words = rest.split()
        if number.strip().isdigit() and len(words) > len(cpus) and not words[-1].startswith("vfio"):
            found[f"{number.strip()} ({words[-1]})"] = dict(zip(cpus, map(int, words)))
    return found
