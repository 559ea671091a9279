# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task verify_realtime: whether real time is in force on a host and for its VMs, and how late it is.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import (
    ConversionError,
    DeclarationError,
    Problem,
    RtvirtError,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.latency import Latency, measure
from ansible_collections.rtvirt.core.plugins.module_utils._host.running_vms import Thread, running_vms
from ansible_collections.rtvirt.core.plugins.module_utils._host.task import Planned, Result
from ansible_collections.rtvirt.core.plugins.module_utils._host.verification import (
    Finding,
    Seen,
    fair_server,
    isolated_cpus,
    on_host,
    on_vm,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters.cpuset import format_ranges, parse

ARGUMENTS: dict[str, t.Any] = {
    "vms": {"type": "list", "elements": "str", "default": []},
    "isolated_cpus": {"type": "str"},
    "measure": {
        "type": "dict",
        "options": {
            "seconds": {"type": "int", "default": 60},
            "limit": {"type": "int"},
            "cpus": {"type": "str"},
        },
    },
    "report_only": {"type": "bool", "default": False},
}


def plan(params: t.Mapping[str, t.Any], host: Host) -> Planned:
    """:raises DeclarationError: for VMs that do not run here, and for CPUs that are not there or cannot be measured."""
    every = [(vm, vm.threads(host)) for vm in running_vms(host)]
    names = [vm.name for vm, _threads in every]
    problems = [
        Problem(f"vms[{index}]", f"no VM {name!r} runs on this host: {', '.join(names) or 'none does'}")
        for index, name in enumerate(params["vms"])
        if name not in names
    ]
    online = parse(host.word("/sys/devices/system/cpu/online"))
    busy = frozenset(cpu for _vm, threads in every for one in threads if one.is_realtime for cpu in one.cpus)
    isolated = isolated_cpus(host) & online
    if params["isolated_cpus"]:
        isolated = _cpus("isolated_cpus", params["isolated_cpus"], online, problems)
    measured: frozenset[int] = frozenset()
    if params["measure"]:
        measured = _to_measure(host, params["measure"], isolated, busy, online, problems)
    if problems:
        raise DeclarationError(problems)
    chosen = [
        (vm, threads)
        for vm, threads in every
        if (vm.name in params["vms"] if params["vms"] else any(one.is_realtime for one in threads))
    ]

    def look(*, apply: bool) -> Result:
        findings = [*on_host(host, isolated, busy)]
        for vm, threads in chosen:
            findings += on_vm(host, vm, threads, every, isolated)
        latencies: list[Latency] = []
        if apply and measured:
            latencies = _measured(host, measured, params["measure"], findings)
        result = _described(isolated, chosen, findings, latencies)
        if findings and not params["report_only"]:
            told = "; ".join(f"{one.about}: {one.message}" for one in findings)
            raise RtvirtError(f"real time is not in force, {len(findings)} findings: {told}", **result)
        unmeasured = "nothing is measured: no isolated CPU is free of real-time VMs"
        warnings = [
            unmeasured if params["measure"] and not measured else None,
            fair_server(host, isolated & (isolated_cpus(host) | busy)),
        ]
        return {**result, "warnings": [warning for warning in warnings if warning]}

    return Planned(lambda: look(apply=False), lambda: look(apply=True))


def _cpus(option: str, given: str, online: frozenset[int], problems: list[Problem]) -> frozenset[int]:
    """CPUs that are written out."""
    try:
        cpus = parse(given)
    except ConversionError as error:
        problems.append(Problem(option, error.message))
        return frozenset()
    if cpus - online:
        told = f"CPUs {format_ranges(cpus - online)} are not online: online are {format_ranges(online)}"
        problems.append(Problem(option, told))
    return cpus


def _to_measure(
    host: Host,
    given: t.Mapping[str, t.Any],
    isolated: frozenset[int],
    busy: frozenset[int],
    online: frozenset[int],
    problems: list[Problem],
) -> frozenset[int]:
    """The CPUs that are measured: isolated ones that no real-time vCPU has, whose guest would be disturbed."""
    for option in ("seconds", "limit"):
        if given[option] is not None and given[option] < 1:
            problems.append(Problem(f"measure.{option}", f"is {given[option]}: write 1 or more"))
    if not host.has_tool("cyclictest"):
        problems.append(Problem("measure", "needs cyclictest: install rt-tests (realtime-tests on Red Hat's systems)"))
    if not given["cpus"]:
        return isolated - busy
    cpus = _cpus("measure.cpus", given["cpus"], online, problems)
    if cpus & busy:
        told = f"CPUs {format_ranges(cpus & busy)} are of real-time VMs: leave them out"
        problems.append(Problem("measure.cpus", told))
    return cpus


def _measured(host: Host, cpus: frozenset[int], given: t.Mapping[str, t.Any], findings: list[Finding]) -> list[Latency]:
    """What was measured; what went wrong, and what was too late, is among the findings."""
    try:
        latencies = measure(host, cpus, given["seconds"])
    except RtvirtError as error:
        findings.append(Finding("host", error.message))
        return []
    findings += [
        Finding("host", f"CPU {one.cpu} woke up {one.max} us late, and {given['limit']} is the limit")
        for one in latencies
        if given["limit"] is not None and one.max > given["limit"]
    ]
    return latencies


def _described(
    isolated: frozenset[int],
    vms: Seen,
    findings: t.Sequence[Finding],
    latencies: t.Sequence[Latency],
) -> Result:
    return {
        "changed": False,
        "passed": not findings,
        "findings": [one._asdict() for one in findings],
        "isolated": format_ranges(isolated),
        "vms": [
            {"name": vm.name, "vcpus": [_vcpu(one) for one in threads if one.vcpu is not None]} for vm, threads in vms
        ],
        "latencies": [one._asdict() for one in latencies],
    }


def _vcpu(one: Thread) -> Result:
    return {
        "vcpu": one.vcpu,
        "cpus": format_ranges(one.cpus),
        "scheduler": one.scheduler,
        "priority": one.priority,
    }
