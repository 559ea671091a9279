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
    """:raises DeclarationError: for VMs that do not run here, and for CPUs that cannot be measured."""
    found = running_vms(host)
    every = {vm.name: vm.threads(host) for vm in found}
    problems = [
        Problem(f"vms[{index}]", f"no VM {name!r} runs on this host: {', '.join(every) or 'none does'}")
        for index, name in enumerate(params["vms"])
        if name not in every
    ]
    isolated = _isolated(host, params["isolated_cpus"], problems)
    cpus = _to_measure(host, params["measure"], isolated, every, problems) if params["measure"] else frozenset()
    if problems:
        raise DeclarationError(problems)
    wanted = params["vms"] or [name for name, threads in every.items() if any(one.is_realtime for one in threads)]
    chosen = [vm for vm in found if vm.name in wanted]

    def look(*, measured: bool) -> Result:
        findings = [*on_host(host, isolated)]
        for vm in chosen:
            findings += on_vm(host, vm, every, isolated)
        latencies = measure(host, cpus, params["measure"]["seconds"]) if cpus and measured else []
        limit = (params["measure"] or {}).get("limit")
        findings += [
            Finding("host", f"CPU {one.cpu} woke up {one.max} us late, and {limit} is the limit")
            for one in latencies
            if limit is not None and one.max > limit
        ]
        result = _described(isolated, {vm.name: every[vm.name] for vm in chosen}, findings, latencies)
        if findings and not params["report_only"]:
            told = "; ".join(f"{one.about}: {one.message}" for one in findings)
            raise RtvirtError(f"real time is not in force, {len(findings)} findings: {told}", **result)
        return result

    return Planned(lambda: look(measured=False), lambda: look(measured=True))


def _isolated(host: Host, given: str | None, problems: list[Problem]) -> frozenset[int]:
    if given is None:
        return isolated_cpus(host)
    try:
        return parse(given)
    except ConversionError as error:
        problems.append(Problem("isolated_cpus", error.message))
        return frozenset()


def _to_measure(
    host: Host,
    given: t.Mapping[str, t.Any],
    isolated: frozenset[int],
    vms: t.Mapping[str, t.Sequence[Thread]],
    problems: list[Problem],
) -> frozenset[int]:
    """The CPUs that are measured: isolated ones that no real-time vCPU has, whose guest would be disturbed."""
    for option, value in (("seconds", given["seconds"]), ("limit", given["limit"])):
        if value is not None and value < 1:
            problems.append(Problem(f"measure.{option}", f"is {value}: write 1 or more"))
    if not host.has_tool("cyclictest"):
        problems.append(Problem("measure", "needs cyclictest: install rt-tests (realtime-tests on Red Hat's systems)"))
    taken = {cpu for threads in vms.values() for one in threads if one.is_realtime for cpu in one.cpus}
    try:
        cpus = isolated - taken if given["cpus"] is None else parse(given["cpus"])
    except ConversionError as error:
        problems.append(Problem("measure.cpus", error.message))
        return frozenset()
    online = parse(host.word("/sys/devices/system/cpu/online"))
    for wrong, told in (
        (cpus - online, f"not online: online are {format_ranges(online)}"),
        (cpus & taken, "of real-time VMs: leave them out"),
    ):
        if wrong:
            problems.append(Problem("measure.cpus", f"CPUs {format_ranges(wrong)} are {told}"))
    if not cpus:
        problems.append(Problem("measure.cpus", "no isolated CPU is free of real-time VMs: write which to measure"))
    return cpus


def _described(
    isolated: frozenset[int],
    vms: t.Mapping[str, t.Sequence[Thread]],
    findings: t.Sequence[Finding],
    latencies: t.Sequence[Latency],
) -> Result:
    return {
        "changed": False,
        "passed": not findings,
        "findings": [one._asdict() for one in findings],
        "isolated": format_ranges(isolated),
        "vms": [
            {"name": name, "vcpus": [_vcpu(one) for one in threads if one.vcpu is not None]}
            for name, threads in vms.items()
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
