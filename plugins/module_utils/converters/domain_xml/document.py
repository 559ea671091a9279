# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VirtualMachine and its placement to libvirt's domain XML.

The result is a complete ``<domain>`` in libvirt's own order and units, which validates against libvirt's RNG schema.
What libvirt fills in by itself (UUID, MAC and PCI addresses) is left to it.
"""

from __future__ import annotations

import typing as t
import uuid
import xml.etree.ElementTree as ET
from dataclasses import replace

from ansible_collections.rtvirt.core.plugins.module_utils.converters import defaults
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml import (
    devices,
    disks,
    interfaces,
    io_threads,
    numa,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.cpu import cpu_elements
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import (
    Context,
    container,
    el,
    strip_absent,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.firmware import firmware_elements
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.memory import memory_elements
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import pod_spec
from ansible_collections.rtvirt.core.plugins.module_utils.converters.placement import Request

__all__ = ["complete_domain", "declared_domain", "placement_request", "to_text"]


def placement_request(spec: t.Mapping[str, t.Any], arch: str) -> Request | None:
    """What an instance spec asks of placement, None where its CPUs are not dedicated."""
    cpu = (spec.get("domain") or {}).get("cpu") or {}
    if not cpu.get("dedicatedCpuPlacement"):
        return None
    vcpus = defaults.vcpu_count(spec) or 1
    return Request(
        vcpus=vcpus,
        threads=cpu.get("threads") or 1,
        isolate_emulator=bool(cpu.get("isolateEmulatorThread")),
        io_threads=io_threads.thread_count(spec, vcpus, arch),
        numa_passthrough=numa.passes_numa_through(spec),
        siblings=(cpu.get("libvirt") or {}).get("threadPolicy") == "require",
    )


def complete_domain(document: t.Mapping[str, t.Any], context: Context) -> ET.Element:
    """The domain to create for a VirtualMachine, defaults included.

    :raises ConversionError: a quantity or CPU set that cannot be read; admission finds these before.
    """
    spec = defaults.with_defaults(pod_spec(document), arch=context.arch, virt_type=context.virt_type)
    return strip_absent(_domain(spec, replace(context, complete=True)))


def declared_domain(document: t.Mapping[str, t.Any], context: Context) -> ET.Element:
    """Only what a VirtualMachine declares, with marks (``ABSENT``) for what it rules out. No valid domain by itself."""
    spec = {"domain": {}, **defaults.without_nulls(pod_spec(document))}
    return _domain(spec, replace(context, complete=False))


def to_text(root: ET.Element) -> str:
    """XML as libvirt prints it: two spaces a level."""
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _domain(spec: dict[str, t.Any], context: Context) -> ET.Element:
    firmware = spec["domain"].get("firmware") or {}
    complete = context.complete
    return el(
        "domain",
        {"type": context.virt_type},
        el("name", None, context.domain_name) if complete else None,
        None if firmware.get("uuid") is None else el("uuid", None, str(uuid.UUID(str(firmware["uuid"])))),
        *memory_elements(spec, context),
        *cpu_elements(spec, context),
        *firmware_elements(spec, context),
        container(
            "devices",
            *disks.disk_elements(spec, context),
            *interfaces.interface_elements(spec, context),
            *devices.device_elements(spec, context),
        ),
    )
