# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the conversion of one VM depends on, from a host and the domain that is there. Pure.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET
from dataclasses import replace

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt import domains
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils.converters import cpuset, defaults
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml import numa
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.cpu import realtime_vcpus
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.document import (
    placement_request,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import Context
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import (
    POD,
    Manifest,
    domain_name,
    mapping_at,
    pod_spec,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters.placement import Placement, place

__all__ = ["check_placement", "context_for"]


def context_for(
    document: t.Mapping[str, t.Any],
    host: Host,
    *,
    virt_type: str,
    volume_dir: str,
    pool: frozenset[int],
    taken: frozenset[int] = frozenset(),
    reserved: frozenset[int] = frozenset(),
    definition: ET.Element | None = None,
) -> Context:
    """The context of a VirtualMachine on a host.

    :arg pool: host CPUs for dedicated vCPUs; ``taken`` are those of them that other VMs hold.
    :arg reserved: host CPUs that floating vCPUs are kept out of.
    :arg definition: the domain as it is defined, whose virtualization type, disk names and valid pins are kept.
    :raises PlacementError: for more dedicated CPUs than are free.
    """
    spec = pod_spec(document)
    context = Context(
        domain_name=domain_name(document),
        arch=host.arch,
        virt_type=host.virt_type(virt_type if definition is None else str(definition.get("type"))),
        vcpus=defaults.vcpu_count(spec) or (1 if definition is None else int(definition.findtext("vcpu", "1"))),
        disk_targets={} if definition is None else domains.disk_targets(definition),
        volume_dir=volume_dir.rstrip("/"),
    )
    request = placement_request(spec, host.arch)
    if request is not None:
        current = None if definition is None else _current_pins(definition)
        return replace(context, placement=place(host.topology, request, pool=pool, taken=taken, current=current))
    everything = host.topology.cpus
    shared = everything - host.topology.siblings(reserved) or everything - reserved if reserved else frozenset()
    return replace(context, shared_cpus=cpuset.format_ranges(shared) or None)


def check_placement(manifest: Manifest, context: Context) -> None:
    """:raises DeclarationError: where QEMU's own threads have no CPU but those of real-time vCPUs, and for a NUMA cell
    without memory.
    """
    placement = context.placement
    cells = numa.cell_memory(pod_spec(manifest.document), placement)
    if any(not memory for _vcpus, memory in cells):
        path = manifest.option_path((*POD, "domain", "memory", "guest"))
        message = f"has fewer huge pages than the {len(cells)} NUMA nodes that its vCPUs are placed on"
        raise DeclarationError([Problem(path, f"{message}: write more memory, smaller pages or fewer vCPUs")])
    realtime = realtime_vcpus(mapping_at(pod_spec(manifest.document), "domain", "cpu"), context.vcpus)
    if placement is not None and placement.emulator <= {placement.vcpus[vcpu] for vcpu in realtime}:
        path = manifest.option_path((*POD, "domain", "cpu", "realtime"))
        message = "leaves QEMU's own threads no CPU but those of real-time vCPUs, which would starve them"
        remedy = "set isolate_emulator_thread, or leave a CPU out of cpu_pool"
        raise DeclarationError([Problem(path, f"{message}: {remedy}")])


def _current_pins(definition: ET.Element) -> Placement | None:
    """The pins of a domain, None where not every vCPU is pinned to one CPU."""
    pins = {
        int(pin.get("vcpu", "-1")): cpuset.parse(pin.get("cpuset", "")) for pin in definition.findall("cputune/vcpupin")
    }
    if not pins or sorted(pins) != [*range(len(pins))] or any(len(cpus) != 1 for cpus in pins.values()):
        return None
    emulator = definition.find("cputune/emulatorpin")
    return Placement(
        vcpus=tuple(next(iter(pins[vcpu])) for vcpu in sorted(pins)),
        emulator=frozenset() if emulator is None else cpuset.parse(emulator.get("cpuset", "")),
    )
