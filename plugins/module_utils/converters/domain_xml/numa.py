# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a guest's memory is spread over NUMA cells that follow the host's (KubeVirt's guestMappingPassthrough)."""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils.converters import defaults, quantity
from ansible_collections.rtvirt.core.plugins.module_utils.converters.placement import Placement

__all__ = ["cell_memory", "host_nodes", "passes_numa_through"]


def passes_numa_through(spec: t.Mapping[str, t.Any]) -> bool:
    cpu = (spec.get("domain") or {}).get("cpu") or {}
    return (cpu.get("numa") or {}).get("guestMappingPassthrough") is not None


def host_nodes(spec: t.Mapping[str, t.Any], placement: Placement | None) -> tuple[int, ...]:
    """Host node of each guest cell, empty where the guest has no cells."""
    return placement.nodes if placement is not None and passes_numa_through(spec) else ()


def cell_memory(spec: t.Mapping[str, t.Any], placement: Placement | None) -> list[tuple[tuple[int, ...], int]]:
    """(vCPUs, bytes) of each guest cell: whole huge pages, those left over to the first cells, as in KubeVirt."""
    if not host_nodes(spec, placement) or placement is None:
        return []
    memory = defaults.guest_memory(spec)
    page = ((spec["domain"].get("memory") or {}).get("hugepages") or {}).get("pageSize", "4Ki")
    size = quantity.to_bytes(page)
    pages = quantity.to_bytes(memory or 0) // size
    cells = placement.cells
    each, over = divmod(pages, len(cells))
    return [(vcpus, (each + (index < over)) * size) for index, (node, vcpus) in enumerate(cells)]
