# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of CPUs: topology, dedicated placement, real-time, NUMA. KubeVirt's, from its vmi-create-admitter.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import fractions
import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import ConversionError
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.report import DOMAIN, Report
from ansible_collections.rtvirt.core.plugins.module_utils.converters import cpuset, defaults

__all__ = ["check_cpu"]

_POLICIES = ("force", "require", "optional", "disable", "forbid")
_CPU = (*DOMAIN, "cpu")

#: vCPUs of a q35 machine, the most of any that libvirt knows (QEMU 9.1).
_MOST_VCPUS = 4096
_RESOURCES = (*DOMAIN, "resources")

#: What KubeVirt's ParseCPUMask knows (pkg/hypervisor/common/vcpu.go); one of exclusions alone leaves none real-time.
_CLUSTER_MASK = re.compile(r"\s*(\d+|\d+-\d+|\^\d+)\s*")

#: CPUs: a quota of 1 ms (libvirt's least, formatdomain.html) in a period of 100 ms.
_LEAST_LIMIT = fractions.Fraction(1, 100)


def check_cpu(report: Report) -> None:
    cpu = report.cpu
    for part in ("cores", "sockets", "threads"):
        if cpu.get(part) is not None and cpu[part] < 1:
            report.add((*_CPU, part), f"is {cpu[part]}: write 1 or more")
    if cpu.get("model") == "" and report.backend == "libvirt":
        report.add((*_CPU, "model"), "is empty: write a model, host-model or host-passthrough, or leave it out")
    named: set[str] = set()
    for index, feature in enumerate(cpu.get("features") or []):
        if not feature.get("name"):
            report.add((*_CPU, "features", index), "has no name: write the CPU feature's")
        elif report.backend == "libvirt":
            report.once((*_CPU, "features", index), feature["name"], named, "a CPU feature has one policy")
        report.choice((*_CPU, "features", index, "policy"), feature.get("policy") or None, _POLICIES)
    amounts = _check_amounts(report)
    count = defaults.vcpu_count(report.spec) if not report.problems else None
    if count is not None and count > _MOST_VCPUS:
        largest = max(("cores", "sockets", "threads"), key=lambda part: cpu.get(part) or 0)
        at = (*_CPU, largest) if cpu.get(largest) else (*_RESOURCES, next(iter(amounts)), "cpu")
        report.add(at, f"makes {count} vCPUs: write at most {_MOST_VCPUS}")
        return
    if cpu.get("dedicatedCpuPlacement"):
        _check_dedicated(report, amounts)
    elif cpu.get("isolateEmulatorThread"):
        report.add(
            (*_CPU, "isolateEmulatorThread"),
            "needs dedicated CPUs: set dedicated_cpus (cpu.dedicatedCpuPlacement)",
        )
    _check_threads(report)
    _check_numa(report)
    _check_realtime(report)
    if report.backend == "kubevirt":
        _check_cluster_cpu(report)


def _check_cluster_cpu(report: Report) -> None:
    cpu = report.cpu
    if cpu.get("model") == "maximum":
        report.add((*_CPU, "model"), "'maximum' is a model of libvirt_vm alone: write host-model or host-passthrough")
    most = cpu.get("maxSockets") or 0
    if 0 < most < (cpu.get("sockets") or 0):
        report.add((*_CPU, "sockets"), f"is more than maxSockets, {most}: raise that, or leave it out")


def _check_amounts(report: Report) -> dict[str, t.Any]:
    """requests.cpu and limits.cpu as fractions, where they can be read."""
    amounts = {}
    for kind in ("requests", "limits"):
        at = (*_RESOURCES, kind, "cpu")
        value = report.cpus_at(at, ((report.domain.get("resources") or {}).get(kind) or {}).get("cpu"))
        if value is not None and value < 0:
            report.add(at, "is negative: write 0 or more")
        elif value is not None and value < _LEAST_LIMIT and kind == "limits" and report.backend == "libvirt":
            report.add(at, "is less than libvirt can limit to: write 10m or more, or leave it out")
        elif value is not None:
            amounts[kind] = value
    if len(amounts) == 2 and amounts["requests"] > amounts["limits"]:
        report.add((*_RESOURCES, "requests", "cpu"), "is greater than limits.cpu: raise the limit or lower the request")
    return amounts


def _check_dedicated(report: Report, amounts: dict[str, t.Any]) -> None:
    cpu = report.cpu
    for kind, value in amounts.items():
        if value.denominator != 1:
            report.add((*_RESOURCES, kind, "cpu"), "is a fraction: dedicated CPUs are whole, write a whole number")
    if len(amounts) == 2 and amounts["requests"] != amounts["limits"]:
        report.add((*_RESOURCES, "requests", "cpu"), "must equal limits.cpu with dedicated CPUs")
    topology = any(cpu.get(part) for part in ("cores", "sockets", "threads"))
    if not topology and not amounts and report.vm.get("instancetype") is None:
        report.add(
            (*_CPU, "dedicatedCpuPlacement"),
            "needs a number of CPUs: set cpu_cores, or resources.limits.cpu",
        )
    count = defaults.vcpu_count(report.spec) if not report.problems else None
    if topology and count is not None and amounts and all(value != count for value in amounts.values()):
        report.add(
            (*_RESOURCES, next(iter(amounts)), "cpu"),
            f"disagrees with the {count} vCPUs of sockets x cores x threads: leave it out, or write {count}",
        )
    if (cpu.get("threads") or 1) > 2:
        report.add((*_CPU, "threads"), f"is {cpu['threads']}: a dedicated core has at most 2 threads")
    _check_guaranteed_memory(report)


def _check_guaranteed_memory(report: Report) -> None:
    resources = report.domain.get("resources") or {}
    values = [
        report.bytes_at((*_RESOURCES, kind, "memory"), (resources.get(kind) or {}).get("memory"))
        for kind in ("requests", "limits")
    ]
    if None not in values and values[0] != values[1]:
        report.add((*_RESOURCES, "requests", "memory"), "must equal limits.memory with dedicated CPUs")


def _check_threads(report: Report) -> None:
    policy = (report.cpu.get("libvirt") or {}).get("threadPolicy")
    at = (*_CPU, "libvirt", "threadPolicy")
    report.choice(at, policy, ("prefer", "require"))
    if policy == "require" and not (report.cpu.get("dedicatedCpuPlacement") and (report.cpu.get("threads") or 1) > 1):
        report.add(at, "'require' needs dedicated CPUs and cores of two threads: set dedicated_cpus and cpu_threads: 2")


def _check_numa(report: Report) -> None:
    if (report.cpu.get("numa") or {}).get("guestMappingPassthrough") is None:
        return
    at = (*_CPU, "numa", "guestMappingPassthrough")
    if not report.cpu.get("dedicatedCpuPlacement"):
        report.add(at, "needs dedicated CPUs: set dedicated_cpus (cpu.dedicatedCpuPlacement)")
    if (report.domain.get("memory") or {}).get("hugepages") is None:
        report.add(at, "needs huge pages: set hugepages (memory.hugepages.pageSize)")


def _check_realtime(report: Report) -> None:
    realtime = report.cpu.get("realtime")
    if realtime is None:
        return
    at = (*_CPU, "realtime")
    if not report.cpu.get("dedicatedCpuPlacement"):
        report.add(at, "needs dedicated CPUs: set dedicated_cpus (cpu.dedicatedCpuPlacement)")
    if (report.cpu.get("numa") or {}).get("guestMappingPassthrough") is None:
        report.add(at, "needs NUMA passthrough: set numa_passthrough (cpu.numa.guestMappingPassthrough)")
    mask = str(realtime.get("mask") or "").strip()
    if mask:
        _check_mask(report, mask)


def _check_mask(report: Report, mask: str) -> None:
    at = (*_CPU, "realtime", "mask")
    try:
        count = defaults.vcpu_count(report.spec)
        chosen = cpuset.parse(mask, range(count or 8192))
    except ConversionError as error:
        report.add(at, error.message)
        return
    parts = mask.split(",")
    if count is not None and chosen and max(chosen) >= count:
        report.add(at, f"names vCPU {max(chosen)}, the VM has vCPUs 0-{count - 1}")
    elif not chosen:
        report.add(at, "leaves no vCPU real-time: name at least one, or leave the mask out for all")
    elif report.backend == "kubevirt" and (
        not all(_CLUSTER_MASK.fullmatch(part) for part in parts) or all("^" in part for part in parts)
    ):
        same = cpuset.format_ranges(chosen) if count is not None else "numbers and ranges"
        report.add(at, f"{mask!r} is more than KubeVirt reads, which knows 2, 0-3 and 0-3,^2: write {same}")
