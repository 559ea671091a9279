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

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.facts import kernel_facts
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.running_vms import RunningVm, Thread
from ansible_collections.rtvirt.core.plugins.module_utils._host.topology import read_topology
from ansible_collections.rtvirt.core.plugins.module_utils.converters.cpuset import format_ranges, parse

__all__ = ["Finding", "Seen", "fair_server", "isolated_cpus", "on_host", "on_vm"]

#: The VMs that run, with their threads.
Seen = t.Sequence[tuple[RunningVm, t.Sequence[Thread]]]

_CPUS = "/sys/devices/system/cpu"

#: Seconds in which interrupts are counted.
_WINDOW = 1.0

#: Of QEMU since Linux 6.13: KVM makes it of the vCPU that comes first, on its CPU. Without pages to recover it sleeps.
_KVM_WORKER = "kvm-nx-lpage-re"

#: Interrupts with a number that each CPU has for itself, on ARM and RISC-V: timers, counters and the guests' own.
_OF_THE_CPU = ("arch_timer", "vtimer", "ptimer", "vgic", "arm-pmu", "riscv-timer")

#: Governors that leave the frequency as it is.
_STEADY = ("", "performance", "userspace")

#: Values by which the kernel interrupts or moves what runs: file, what is wrong with it, the values that are right.
_SETTINGS = (
    ("/proc/sys/kernel/sched_rt_runtime_us", "the kernel takes CPUs from real-time threads", ["-1"]),
    ("/proc/sys/kernel/numa_balancing", "the kernel moves memory between nodes", ["0"]),
    # With 2 all pages are parted again, and then it stands still.
    ("/sys/kernel/mm/ksm/run", "the kernel merges pages (KSM)", ["0", "2"]),
)


#: Nanoseconds of each second that Linux 6.12 and later give to other tasks on a CPU whose real-time threads leave none,
#: by default 50 million, whatever ``sched_rt_runtime_us`` is (Linux ``kernel/sched/deadline.c``).
_FAIR_SERVER = "/sys/kernel/debug/sched/fair_server/cpu{}/runtime"


class Finding(t.NamedTuple):
    """What keeps real time from being in force.

    :ivar about: ``host``, or a VM's name.
    """

    about: str
    message: str


def isolated_cpus(host: Host) -> frozenset[int]:
    """Those that the kernel keeps others from: by ``isolcpus``, or as an isolated partition of cpusets (Linux 6.8)."""
    return parse(host.word(f"{_CPUS}/isolated")) | parse(host.word("/sys/fs/cgroup/cpuset.cpus.isolated"))


def on_host(host: Host, isolated: frozenset[int], busy: frozenset[int]) -> t.Iterator[Finding]:
    """:arg busy: CPUs of real-time vCPUs. Where isolation comes with a pod, devices may interrupt all others."""
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
    quiet = isolated & (isolated_cpus(host) | busy)
    slow = [cpu for cpu in quiet if host.word(f"{_CPUS}/cpu{cpu}/cpufreq/scaling_governor") not in _STEADY]
    if slow:
        yield Finding("host", f"CPUs {format_ranges(slow)} change their frequency: the governor is not performance")
    for interrupt, cpus in _interrupts(host, quiet).items():
        yield Finding("host", f"interrupt {interrupt} came to CPUs {format_ranges(cpus)}, which are isolated")


def fair_server(host: Host, cpus: frozenset[int]) -> str | None:
    """What is to be said of the kernel's fair server on these CPUs; None where it is off, or not there to be seen.

    No finding: it takes time only from a vCPU that never rests, and to turn it off has its dangers (docs/hosts.md).
    """
    there = [cpu for cpu in sorted(cpus) if host.exists(_FAIR_SERVER.format(cpu))]
    closed = ""
    try:
        there = [cpu for cpu in there if host.word(_FAIR_SERVER.format(cpu)) != "0"]
    except RtvirtError:
        # To root it answers EPERM.
        closed = "; it cannot be seen or turned off, as the kernel is locked down (Secure Boot)"
    if not there:
        return None
    where = f"CPUs {format_ranges(there)} ({_FAIR_SERVER.format('*')})"
    gives = "the kernel's fair server gives other tasks a part of each second"
    return f"{gives} on {where}, if vCPUs there never rest{closed}"


def on_vm(
    host: Host, vm: RunningVm, threads: t.Sequence[Thread], every: Seen, isolated: frozenset[int]
) -> t.Iterator[Finding]:
    """:arg every: all VMs that run, this one among them."""
    if all(one.vcpu is None for one in threads):
        # One without any threads has ended meanwhile.
        if threads:
            yield Finding(vm.name, "its vCPUs cannot be told: QEMU runs without -name debug-threads=on")
        return
    mine = [one for one in threads if one.is_realtime and one.vcpu is not None]
    if not mine:
        yield Finding(vm.name, "no vCPU has a real-time scheduler")
    for one in mine:
        where = f"vCPU {one.vcpu} ({one.scheduler} {one.priority})"
        if len(one.cpus) > 1:
            yield Finding(vm.name, f"{where} is not pinned: it may run on CPUs {format_ranges(one.cpus)}")
            continue
        cpu = format_ranges(one.cpus)
        if not one.cpus <= isolated:
            yield Finding(vm.name, f"{where} is on CPU {cpu}, which is not isolated")
        siblings = _siblings(host, one.cpus)
        if siblings - isolated:
            told = f"CPU {format_ranges(siblings - isolated)}, which is not isolated"
            yield Finding(vm.name, f"{where} shares the core of CPU {cpu} with {told}")
        for other, theirs in every:
            names = _beside(host, one, theirs, one.cpus)
            if names:
                yield Finding(
                    vm.name, f"{where} has not CPU {cpu} for itself: {names} of {other.name} may run there too"
                )
            elif other is not vm and (names := _beside(host, one, theirs, siblings)):
                yield Finding(vm.name, f"{where} shares the core of CPU {cpu} with {names} of {other.name}")
    swapped = vm.swapped(host)
    if swapped:
        yield Finding(vm.name, f"{swapped} KiB of its memory are swapped out")


def _beside(host: Host, one: Thread, theirs: t.Iterable[Thread], cpus: frozenset[int]) -> str:
    """The names of the threads that may run on some CPUs, but for that one."""
    asleep = host.word("/sys/module/kvm/parameters/nx_huge_pages") in ("N", "never")
    return ", ".join(
        sorted(
            {
                other.name
                for other in theirs
                if other is not one and other.cpus & cpus and not (asleep and other.name.startswith(_KVM_WORKER))
            }
        )
    )


def _siblings(host: Host, cpus: frozenset[int]) -> frozenset[int]:
    """The other CPUs of their cores."""
    return frozenset(cpu for core in read_topology(host).cores if core & cpus for cpu in core) - cpus


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
        if not number.strip().isdigit() or len(words) <= len(cpus):
            continue
        # Devices that share a line have commas between them; before the first there are words on the interrupt.
        first, *others = " ".join(words[len(cpus) :]).split(", ")
        devices = [first.split()[-1], *others]
        if not all(one.startswith("vfio") or one.split()[-1] in _OF_THE_CPU for one in devices):
            found[f"{number.strip()} ({', '.join(devices)})"] = dict(zip(cpus, map(int, words)))
    return found
