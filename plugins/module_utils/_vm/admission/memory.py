# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of memory: quantities, huge pages, requests and limits.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.report import DOMAIN, Report
from ansible_collections.rtvirt.core.plugins.module_utils.converters import defaults, quantity

__all__ = ["check_memory"]

_MEMORY = (*DOMAIN, "memory")
_RESOURCES = (*DOMAIN, "resources")

#: KubeVirt's least memory request (1M); QEMU boots nothing with less either.
_LEAST = 10**6
_LEAST_TO_GROW = 2**30


def check_memory(report: Report) -> None:
    resources = report.domain.get("resources") or {}
    memory = report.domain.get("memory") or {}
    at_guest = (*_MEMORY, "guest")
    guest = report.bytes_at(at_guest, memory.get("guest"))
    amounts = {
        kind: report.bytes_at((*_RESOURCES, kind, "memory"), (resources.get(kind) or {}).get("memory"))
        for kind in ("requests", "limits")
    }
    request, limit = amounts["requests"], amounts["limits"]
    for at, value in ((at_guest, guest), ((*_RESOURCES, "requests", "memory"), request)):
        if value is not None and value < _LEAST:
            report.add(at, f"is {value} bytes: write 1M or more")
    if request is not None and limit is not None and request > limit:
        report.add((*_RESOURCES, "requests", "memory"), "is greater than limits.memory: raise the limit")
    if guest is not None and limit is not None and guest > limit and report.backend == "libvirt":
        report.add(at_guest, f"is more than the memory limit {quantity.from_bytes(limit)}: the guest would be killed")
    _check_hugepages(report)
    if memory.get("maxGuest") is not None:
        _check_growth(report)


def _check_growth(report: Report) -> None:
    """Memory that a running guest can be given: KubeVirt's, of a guest that its rules let grow."""
    at = (*_MEMORY, "maxGuest")
    guest = report.bytes_at((*_MEMORY, "guest"), defaults.guest_memory(report.spec))
    most = report.bytes_at(at, report.domain["memory"]["maxGuest"])
    if most is not None and guest is not None and most < guest:
        report.add(at, "is less than the guest's memory: raise it, or leave it out")
    cannot = [key for key in ("realtime", "numa") if report.cpu.get(key)]
    cannot += ["launchSecurity"] if report.domain.get("launchSecurity") is not None else []
    for key in cannot:
        report.add(at, f"stands beside {key}: memory cannot grow then, leave maxGuest out")
    step = 2**30 if (report.domain["memory"].get("hugepages") or {}).get("pageSize") == "1Gi" else 2**21
    for place, value in (((*_MEMORY, "guest"), guest), (at, most)):
        if value is not None and value % step:
            report.add(
                place, f"is no multiple of {quantity.from_bytes(step)}: memory that can grow does so in such steps"
            )
    if guest is not None and guest < _LEAST_TO_GROW:
        report.add((*_MEMORY, "guest"), "is less than 1Gi: such a guest's memory cannot grow, leave maxGuest out")


def _check_hugepages(report: Report) -> None:
    hugepages = (report.domain.get("memory") or {}).get("hugepages")
    if hugepages is None:
        return
    at = (*_MEMORY, "hugepages", "pageSize")
    if not hugepages.get("pageSize"):
        report.add((*_MEMORY, "hugepages"), "has no pageSize: write 2Mi or 1Gi")
        return
    page = report.bytes_at(at, hugepages["pageSize"])
    if page is None:
        return
    if page == 0 or page & (page - 1) or page < 65536:
        report.add(at, f"{hugepages['pageSize']!r} is no huge page's size: write 2Mi or 1Gi")
        return
    # KubeVirt holds the request to the page size where there is one, else the guest's memory.
    request = ((report.domain.get("resources") or {}).get("requests") or {}).get("memory")
    at_request, at_guest = (*_RESOURCES, "requests", "memory"), (*_MEMORY, "guest")
    amounts = {at_request: request}
    if request is None or (report.cpu.get("numa") or {}).get("guestMappingPassthrough") is not None:
        # virt-launcher divides the guest's memory into cells of whole pages (vcpu.go, numaMapping).
        declared = (report.domain.get("memory") or {}).get("guest")
        amounts[at_guest] = declared if request is not None else defaults.guest_memory(report.spec)
    for place, amount in amounts.items() if not report.problems else ():
        memory = report.bytes_at(place, amount)
        if memory is not None and (memory % page or memory < page):
            below, above = quantity.from_bytes(memory // page * page), quantity.from_bytes((memory // page + 1) * page)
            near = f"{below} or {above}" if memory >= page else above
            report.add(place, f"{amount} is not a multiple of the page size {hugepages['pageSize']}: write {near}")
