# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is set to that runs real-time or DPDK virtual machines, each setting with its reason. Pure.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: TuneD 2.28's profiles ``realtime-virtual-host`` and ``cpu-partitioning``, the PerformanceProfile of OpenShift's
node tuning operator, and Linux ``Documentation/admin-guide/kernel-parameters.rst``. An argument that the kernel does
not know (``amd_iommu=on``) is not among them. ``isolcpus`` names its flags, as with any flag ``domain`` is no default.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._host.isolation import Isolation
from ansible_collections.rtvirt.core.plugins.module_utils._host.record import signed
from ansible_collections.rtvirt.core.plugins.module_utils._host.settings import Settings
from ansible_collections.rtvirt.core.plugins.module_utils.converters.cpuset import format_kernel_mask, format_ranges

__all__ = ["KVM_FILE", "KVM_OPTIONS", "Features", "kernel_arguments", "settings_of"]

Workload = t.Literal["realtime", "dpdk"]


@dataclass(frozen=True)
class Argument:
    text: str
    reason: str


@dataclass(frozen=True)
class Features:
    """What the host has that a plan depends on.

    :ivar vendor: ``intel``, ``amd``, ``arm`` for all of that architecture, or ``other``, of the CPUs.
    :ivar irqbalance: whether it is installed.
    :ivar kvm_parameters: parameters that this kernel's kvm modules know, ``kvm_intel.ple_gap``.
    """

    vendor: str
    irqbalance: bool
    kvm_parameters: frozenset[str]


def kernel_arguments(cpus: Isolation, workload: Workload, vendor: str) -> list[Argument]:
    """The kernel's arguments, in their order."""
    apart, house = format_ranges(cpus.isolated), format_ranges(cpus.housekeeping)
    isolcpus = "managed_irq,domain" if workload == "realtime" else "managed_irq"
    common = [
        Argument(
            f"isolcpus={isolcpus},{apart}",
            "interrupts that the kernel places itself stay away, and the scheduler puts nothing there"
            if workload == "realtime"
            else "interrupts that the kernel places itself stay away; the scheduler still balances what is put there",
        ),
        Argument("nohz=on", "needed by nohz_full"),
        Argument(f"nohz_full={apart}", "no timer tick while one task runs"),
        Argument(f"rcu_nocbs={apart}", "RCU's callbacks run on other CPUs"),
        Argument(f"irqaffinity={house}", "interrupts go to the CPUs that keep house"),
        Argument("nosoftlockup", "a task that never gives its CPU away is what is wanted here"),
        Argument("transparent_hugepage=never", "memory is not rearranged under a guest; it has huge pages of its own"),
    ]
    pstate = {"intel": "intel_pstate=disable", "amd": "amd_pstate=disable"}.get(vendor)
    if pstate is not None:
        common.append(Argument(pstate, "the clock does not change by itself"))
    common.append(Argument("cpufreq.default_governor=performance", "nor by a governor"))
    if workload == "dpdk":
        return common
    watched = [Argument("tsc=reliable", "the clock source is not watched, which costs latency")]
    return [
        *common,
        Argument("skew_tick=1", "ticks of CPUs do not come together, and do not wait for the same locks"),
        *(watched if vendor != "arm" else []),
        Argument("rcupdate.rcu_normal_after_boot=1", "no interrupts to all CPUs for RCU's sake"),
    ]


#: Of both kinds of hosts.
_SYSCTLS = {
    "kernel.hung_task_timeout_secs": "600",
    "kernel.nmi_watchdog": "0",
    "kernel.numa_balancing": "0",
    "vm.stat_interval": "10",
    "vm.swappiness": "10",
}
_REALTIME_SYSCTLS = {"kernel.sched_rt_runtime_us": "-1", "kernel.timer_migration": "0"}

KVM_FILE = "/etc/modprobe.d/zz-rtvirt-realtime.conf"

#: Options of kvm's modules that keep a guest's CPUs from being interrupted.
KVM_OPTIONS = {"kvm.kvmclock_periodic_sync": "0", "kvm.nx_huge_pages": "0", "kvm_intel.ple_gap": "0"}


def settings_of(cpus: Isolation, workload: Workload, features: Features) -> Settings:
    """Files and attributes of a host."""
    apart, house = format_ranges(cpus.isolated), format_ranges(cpus.housekeeping)
    sysctls = {**_SYSCTLS, **(_REALTIME_SYSCTLS if workload == "realtime" else {})}
    attributes = {
        "/sys/kernel/mm/ksm/run": "2",
        "/sys/devices/virtual/workqueue/cpumask": format_kernel_mask(cpus.housekeeping),
    }
    files = {
        # Read after the distribution's own 99-sysctl.conf.
        "/etc/sysctl.d/zz-rtvirt.conf": "".join(f"-{key} = {value}\n" for key, value in sorted(sysctls.items())),
        "/etc/tmpfiles.d/zz-rtvirt.conf": "".join(f"w- {path} - - - - {value}\n" for path, value in attributes.items()),
        "/etc/systemd/system.conf.d/zz-rtvirt.conf": f"[Manager]\nCPUAffinity={house.replace(',', ' ')}\n",
    }
    options = {name: value for name, value in KVM_OPTIONS.items() if name in features.kvm_parameters}
    if options:
        lines = (f"options {name.replace('.', ' ')}={value}\n" for name, value in sorted(options.items()))
        files[KVM_FILE] = "".join(lines)
    if features.irqbalance:
        text = f"[Service]\nEnvironment=IRQBALANCE_BANNED_CPULIST={apart}\n"
        files["/etc/systemd/system/irqbalance.service.d/zz-rtvirt.conf"] = text
    live = {"/proc/sys/" + key.replace(".", "/"): value for key, value in sysctls.items()}
    return Settings(
        {path: signed("rt_host_prep", text) for path, text in files.items()},
        {**live, **attributes, "/sys/kernel/mm/transparent_hugepage/enabled": "never"},
    )
