# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory: its size, limit, backing and the host nodes it comes from."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils.converters import cpuset, defaults, quantity
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml import numa
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import (
    Context,
    container,
    el,
    kib,
    switched,
)

__all__ = ["memory_elements", "shares_memory"]


def memory_elements(spec: dict[str, t.Any], context: Context) -> list[ET.Element | None]:
    domain = spec["domain"]
    # One huge page is what a new guest gets, and that stands in a complete document.
    amount = defaults.declared_memory(spec)
    limit = ((domain.get("resources") or {}).get("limits") or {}).get("memory")
    return [
        None if amount is None else el("memory", {"unit": "KiB"}, kib(quantity.to_bytes(amount))),
        None if limit is None else _hard_limit(quantity.to_bytes(limit), context),
        _backing(spec, domain, context),
        _numatune(spec, context),
    ]


def _hard_limit(limit: int, context: Context) -> ET.Element:
    """The limit of the whole QEMU: the guest's, and what QEMU itself needs.

    Without it the kernel would kill a guest that uses all of its memory. KubeVirt adds an overhead to a pod's limit as
    well: 8 MiB for each vCPU, page tables of 1/512 of the memory, and a fixed part, here 256 MiB.
    """
    overhead = limit // 512 + context.vcpus * 8 * 2**20 + 256 * 2**20
    return el("memtune", None, el("hard_limit", {"unit": "KiB"}, kib(limit + overhead)))


def _backing(spec: dict[str, t.Any], domain: dict[str, t.Any], context: Context) -> ET.Element | None:
    memory = domain.get("memory") or {}
    page = (memory.get("hugepages") or {}).get("pageSize")
    realtime = (domain.get("cpu") or {}).get("realtime") is not None
    locked = (memory.get("libvirt") or {}).get("locked")
    # A memfd is memory that QEMU can hand to another process, and needs no hugetlbfs mount.
    memfd = page is not None or shares_memory(domain)
    return container(
        "memoryBacking",
        None if page is None else el("hugepages", None, *_pages(page, numa.host_nodes(spec, context.placement))),
        el("nosharepages") if realtime else None,
        switched("locked", locked),
        el("source", {"type": "memfd"}) if memfd else None,
        el("access", {"mode": "shared"}) if shares_memory(domain) else None,
        el("allocation", {"mode": "immediate"}) if numa.host_nodes(spec, context.placement) else None,
    )


def _pages(page: str, nodes: tuple[int, ...]) -> list[ET.Element]:
    nodeset = cpuset.format_ranges(range(len(nodes))) if nodes else None
    return [el("page", {"size": kib(quantity.to_bytes(page)), "unit": "KiB", "nodeset": nodeset})]


def shares_memory(domain: dict[str, t.Any]) -> bool:
    """Whether another process maps the guest's memory: virtiofsd does, and the switch behind vhost-user."""
    devices = domain.get("devices") or {}
    vhostuser = any("vhostuser" in interface for interface in devices.get("interfaces") or [])
    return vhostuser or bool(devices.get("filesystems"))


def _numatune(spec: dict[str, t.Any], context: Context) -> ET.Element | None:
    placement = context.placement
    if placement is None:
        return None
    nodes = numa.host_nodes(spec, placement)
    nodeset = cpuset.format_ranges(placement.nodes)
    if not nodes:
        # Near the vCPUs, not near the emulator thread that happens to touch a page first; never a reason to fail.
        return el("numatune", None, el("memory", {"mode": "preferred", "nodeset": placement.nodes[0]}))
    return el(
        "numatune",
        None,
        el("memory", {"mode": "strict", "nodeset": nodeset}),
        *[el("memnode", {"cellid": cell, "mode": "strict", "nodeset": node}) for cell, node in enumerate(nodes)],
    )
