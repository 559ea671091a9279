# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains as libvirt has them.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import functools
import typing as t
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.connection import doing
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.deletion import Mark, read_mark
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.record import Record, read_record
from ansible_collections.rtvirt.core.plugins.module_utils._vm import lifecycle
from ansible_collections.rtvirt.core.plugins.module_utils.converters import cpuset
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import device_name
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at, pod_spec

try:
    import libvirt
except ImportError:  # connection.py tells
    pass

__all__ = ["Domain", "dedicated_cpus", "disk_files", "disk_targets", "handles_by_name", "hide_passwords", "observe"]


@dataclass(frozen=True)
class Domain:
    """One domain as it was read.

    :ivar handle: libvirt's own object.
    :ivar state: libvirt's name of the state, ``running``, ``paused``, ``shutoff``, ``crashed``, …
    :ivar definition: its persistent XML, what the next start takes.
    :ivar saved: the XML of the state that its next start goes on from (virsh managedsave), None where it boots.
    :ivar running: the XML of the QEMU that runs, None where none does.
    """

    handle: t.Any
    name: str
    uuid: str
    state: str
    persistent: bool
    autostart: bool
    definition: ET.Element
    running: ET.Element | None
    saved: ET.Element | None = None

    @property
    def power(self) -> lifecycle.Power:
        if self.running is None:
            return "stopped"
        return "paused" if self.state in ("paused", "pmsuspended") else "running"

    @functools.cached_property
    def record(self) -> Record | None:
        return read_record(self.definition)

    @functools.cached_property
    def mark(self) -> Mark | None:
        """Where it is deleted for a term."""
        return read_mark(self.definition)

    @functools.cached_property
    def dedicated_cpus(self) -> frozenset[int]:
        """Host CPUs that it holds for itself, by its definition and as it runs."""
        documents = [self.definition] if self.running is None else [self.definition, self.running]
        return frozenset(cpu for document in documents for cpu in dedicated_cpus(document))


def handles_by_name(connection: t.Any) -> dict[str, t.Any]:
    """libvirt's objects of all domains, in one call."""
    with doing("list domains"):
        return {handle.name(): handle for handle in connection.listAllDomains()}


def observe(handle: t.Any) -> Domain:
    """Read one domain whole."""
    with doing(f"read {handle.name()}"):
        state = _state_name(handle.state()[0])
        persistent = bool(handle.isPersistent())
        # Without SECURE, redefining would lose the passwords of graphics.
        definition = handle.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
        running = ET.fromstring(handle.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE)) if handle.isActive() else None
        return Domain(
            handle=handle,
            name=handle.name(),
            uuid=handle.UUIDString(),
            state=state,
            persistent=persistent,
            autostart=bool(handle.autostart()) if persistent else False,
            definition=ET.fromstring(definition),
            running=running,
            saved=_saved(handle) if running is None else None,
        )


def hide_passwords(root: ET.Element) -> None:
    """Take the passwords of graphics, which :func:`observe` reads, out of what is to be shown, in place."""
    for element in root.iter():
        if "passwd" in element.attrib:
            element.set("passwd", "********")


def dedicated_cpus(domain: ET.Element) -> frozenset[int]:
    """Host CPUs that a domain holds for itself: those that its vCPUs are pinned to one to one, and its emulator's own.

    An emulator shares the CPUs that are not dedicated, be it a single one, unless its declaration isolates it.
    """
    pins = [cpuset.parse(pin.get("cpuset", "")) for pin in domain.findall("cputune/vcpupin")]
    held = frozenset(cpu for pin in pins if len(pin) == 1 for cpu in pin)
    record, emulator = read_record(domain), domain.find("cputune/emulatorpin")
    if record is not None and emulator is not None:
        cpu = mapping_at(pod_spec(record.manifest), "domain", "cpu")
        held |= cpuset.parse(emulator.get("cpuset", "")) if cpu.get("isolateEmulatorThread") else frozenset()
    return held


def disk_targets(domain: ET.Element) -> dict[str, str]:
    """Device names of a domain's disks by their declared names; others' disks count under their own."""
    targets = {}
    for disk in domain.findall("devices/disk"):
        target = disk.find("target")
        if target is not None and target.get("dev"):
            targets[device_name(disk) or f"/{target.get('dev')}"] = target.get("dev", "")
    return targets


def disk_files(domain: ET.Element) -> list[str]:
    """Paths of the files that are a domain's disks."""
    return [source.get("file", "") for source in domain.findall("devices/disk/source[@file]")]


def _saved(handle: t.Any) -> ET.Element | None:
    if not handle.hasManagedSaveImage():
        return None
    return ET.fromstring(handle.managedSaveGetXMLDesc(libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE))


def _state_name(number: int) -> str:
    names = {
        libvirt.VIR_DOMAIN_NOSTATE: "unknown",
        libvirt.VIR_DOMAIN_RUNNING: "running",
        libvirt.VIR_DOMAIN_BLOCKED: "running",
        libvirt.VIR_DOMAIN_PAUSED: "paused",
        libvirt.VIR_DOMAIN_SHUTDOWN: "shutting down",
        libvirt.VIR_DOMAIN_SHUTOFF: "shutoff",
        libvirt.VIR_DOMAIN_CRASHED: "crashed",
        libvirt.VIR_DOMAIN_PMSUSPENDED: "pmsuspended",
    }
    return names.get(number, "unknown")
