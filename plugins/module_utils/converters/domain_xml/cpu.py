# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""vCPUs: their number, model, topology, NUMA cells, pins and schedulers."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils.converters import cpuset, defaults, quantity
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml import io_threads, numa
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import (
    Context,
    container,
    el,
    kib,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.memory import shares_memory

__all__ = ["REALTIME_PRIORITY", "cpu_elements", "realtime_vcpus"]

#: SCHED_FIFO priority of real-time vCPUs: KubeVirt's and nova's default. Above it stays room for the host's own
#: threads that a guest's progress depends on.
REALTIME_PRIORITY = 1

_HOST_MODES = ("host-model", "host-passthrough", "maximum")

#: Microseconds over which libvirt's CPU quota is counted; the kernel's own default period.
_QUOTA_PERIOD = 100000


def cpu_elements(spec: dict[str, t.Any], context: Context) -> list[ET.Element | None]:
    cpu = spec.get("domain", {}).get("cpu") or {}
    threads = io_threads.thread_count(spec, context.vcpus, context.arch)
    return [
        _vcpu(spec, context),
        el("iothreads", None, str(threads)) if threads else None,
        _cputune(spec, cpu, context),
        _cpu(spec, cpu, context),
    ]


def realtime_vcpus(cpu: t.Mapping[str, t.Any], count: int) -> frozenset[int]:
    """The vCPUs that run at a real-time priority: realtime.mask, all where it is empty.

    A mask of exclusions alone means all others, as nova has it. KubeVirt reads it as none: it is never given one.
    """
    if cpu.get("realtime") is None:
        return frozenset()
    mask = str(cpu["realtime"].get("mask") or "").strip()
    return cpuset.parse(mask, range(count)) if mask else frozenset(range(count))


def _vcpu(spec: dict[str, t.Any], context: Context) -> ET.Element | None:
    count = defaults.vcpu_count(spec)
    if count is None and context.shared_cpus is None:
        return None
    attributes = {"placement": "static", "cpuset": context.shared_cpus}
    return el("vcpu", attributes, None if count is None else str(count))


def _cputune(spec: dict[str, t.Any], cpu: dict[str, t.Any], context: Context) -> ET.Element | None:
    children: list[ET.Element | None] = []
    placement = context.placement
    if placement is not None:
        children += [el("vcpupin", {"vcpu": vcpu, "cpuset": host}) for vcpu, host in enumerate(placement.vcpus)]
        children.append(el("emulatorpin", {"cpuset": cpuset.format_ranges(placement.emulator)}))
        children += [
            el("iothreadpin", {"iothread": index + 1, "cpuset": cpuset.format_ranges(cpus)})
            for index, cpus in enumerate(placement.io_threads)
        ]
    children += [
        # One for each vCPU, as libvirt prints them.
        el("vcpusched", {"vcpus": vcpu, "scheduler": "fifo", "priority": REALTIME_PRIORITY})
        for vcpu in sorted(realtime_vcpus(cpu, context.vcpus))
    ]
    children += _quota(spec, cpu, context)
    return container("cputune", *children)


def _quota(spec: dict[str, t.Any], cpu: dict[str, t.Any], context: Context) -> list[ET.Element]:
    """A CPU limit below the number of vCPUs, as a quota over all of the domain's threads."""
    limit = ((spec["domain"].get("resources") or {}).get("limits") or {}).get("cpu")
    if limit is None or cpu.get("dedicatedCpuPlacement") or quantity.to_fraction(limit) >= context.vcpus:
        return []
    quota = int(quantity.to_fraction(limit) * _QUOTA_PERIOD)
    return [el("global_period", None, str(_QUOTA_PERIOD)), el("global_quota", None, str(quota))]


def _cpu(spec: dict[str, t.Any], cpu: dict[str, t.Any], context: Context) -> ET.Element | None:
    children: list[ET.Element | None] = []
    attributes: dict[str, str] = {}
    model = cpu.get("model")
    if model in _HOST_MODES:
        attributes = {"mode": model}
    elif model is not None:
        attributes = {"mode": "custom", "match": "exact"}
        children.append(el("model", {"fallback": "forbid"}, model))
    count = defaults.vcpu_count(spec)
    if count is not None:
        named = {part: cpu.get(part) or 1 for part in ("sockets", "cores", "threads")}
        if not any(cpu.get(part) for part in named):
            named["sockets"] = count
        children.append(el("topology", named))
    for feature in cpu.get("features") or []:
        children.append(el("feature", {"policy": feature.get("policy") or "require", "name": feature["name"]}))
    children.append(_numa(spec, context))
    if not attributes and not any(child is not None for child in children):
        return None
    return el("cpu", attributes, *children)


def _numa(spec: dict[str, t.Any], context: Context) -> ET.Element | None:
    shared = {"memAccess": "shared"} if shares_memory(spec.get("domain") or {}) else {}
    cells = [
        el("cell", {"id": index, "cpus": cpuset.format_ranges(vcpus), "memory": kib(memory), "unit": "KiB", **shared})
        for index, (vcpus, memory) in enumerate(numa.cell_memory(spec, context.placement))
    ]
    return container("numa", *cells)
