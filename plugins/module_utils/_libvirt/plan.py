# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From declarations and a host as it is to a plan for each VM. Reads files, changes nothing.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import os
import typing as t
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field, replace

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.context import context_for
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.domains import Domain, dedicated_cpus
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.drift import Change, reconcile
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.host_check import (
    Settings,
    check_host,
    page_size,
    volume_path,
)
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.record import (
    Record,
    read_record,
    redacted,
    write_record,
)
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.volumes import VolumeStep, is_layer, plan_volumes
from ansible_collections.rtvirt.core.plugins.module_utils._vm.lifecycle import (
    Power,
    State,
    Step,
    power_steps,
    wanted_power,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.document import (
    complete_domain,
    declared_domain,
    domain_name,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import Context
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import Manifest, pod_spec
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path
from ansible_collections.rtvirt.core.plugins.module_utils.converters.placement import PlacementError
from ansible_collections.rtvirt.core.plugins.module_utils.converters.quantity import to_bytes

__all__ = ["Planner", "VmPlan"]

_POD: Path = ("spec", "template", "spec")


@dataclass
class VmPlan:
    """What brings one VM to its declaration.

    :ivar existing: the domain as it was found, None for a VM to create.
    :ivar definition: the XML to define, None where the persistent definition stays.
    :ivar changes: differences of the persistent definition.
    :ivar pending: differences of the QEMU that runs; what cannot be changed live needs a restart.
    :ivar complete: what a new domain of this declaration would be.
    :ivar wanted: the power state that it should have, None for the one that it has.
    :ivar power: steps that bring the power state, as far as no restart is needed.
    :ivar remove_state: whether firmware variables and TPM state go with the domain.
    :ivar remove: files that go with it; those of its disks that stay are in ``keep``.
    """

    name: str
    namespace: str | None
    domain_name: str
    state: State
    document: dict[str, t.Any]
    existing: Domain | None = None
    definition: ET.Element | None = None
    complete: ET.Element | None = None
    changes: list[Change] = field(default_factory=list)
    pending: list[Change] = field(default_factory=list)
    volumes: list[VolumeStep] = field(default_factory=list)
    wanted: Power | None = None
    power: list[Step] = field(default_factory=list)
    allow_restart: bool = False
    autostart: bool | None = None
    adopted: bool = False
    undefine: bool = False
    remove_state: bool = False
    remove: list[str] = field(default_factory=list)
    keep: list[str] = field(default_factory=list)

    @property
    def before(self) -> ET.Element | None:
        """The persistent definition as it was found."""
        return None if self.existing is None else self.existing.definition

    @property
    def after(self) -> ET.Element | None:
        """The persistent definition as it will be."""
        return None if self.undefine else self.before if self.definition is None else self.definition


class Planner:
    """Plans the VMs of one task, one after the other: CPUs that one is given are taken for the next.

    :arg domains: every domain of the host where placement is needed, else those that are declared.
    """

    def __init__(
        self, host: Host, settings: Settings, domains: t.Mapping[str, Domain], isolated: frozenset[int]
    ) -> None:
        self._host = host
        self._settings = settings
        self._domains = domains
        self._pool = host.pool(settings.cpu_pool, isolated)
        self._placed: dict[str, frozenset[int]] = {}
        self._pages: dict[int, int] = {}

    def plan(self, manifest: Manifest, prefix: str = "") -> VmPlan:
        """:raises DeclarationError: for what this host cannot do, or what a VM to create lacks."""
        name = domain_name(manifest.document)
        existing = self._domains.get(name)
        settings, state = self._settings, self._settings.state
        plan = VmPlan(manifest.name, manifest.namespace, name, state, manifest.document, existing)
        plan.allow_restart = settings.allow_restart
        if state == "absent":
            return self._plan_absent(plan)
        problems = check_host(manifest, prefix, self._host, settings, existing)
        if problems:
            raise DeclarationError(problems)
        context = self._context(manifest, prefix, existing)
        complete = plan.complete = complete_domain(manifest.document, context)
        self._plan_volumes(plan, manifest, prefix, context)
        self._plan_definition(plan, context, complete)
        plan.wanted = wanted_power(state, manifest.document, exists=existing is not None)
        current = "stopped" if existing is None else existing.power
        plan.power = power_steps(current, plan.wanted, restart=state == "restarted")
        self._check_pages(plan, complete, manifest, prefix)
        if settings.autostart is not None and settings.autostart != (existing is not None and existing.autostart):
            plan.autostart = settings.autostart
        return plan

    def _plan_absent(self, plan: VmPlan) -> VmPlan:
        if plan.existing is None:
            return plan
        plan.undefine = True
        plan.remove_state = self._settings.delete_volumes
        plan.power = power_steps(plan.existing.power, "stopped", restart=False)
        record = plan.existing.record
        created = set(record.created) if record else set()
        seeds = set(record.seeds) if record else set()
        attached = [source.get("file", "") for source in plan.existing.definition.findall("devices/disk/source[@file]")]
        # What was made for a disk that is no longer declared is ours still.
        for path in dict.fromkeys([*attached, *(path for path in sorted(created | seeds) if os.path.exists(path))]):
            goes = path in seeds or (path in created and self._settings.delete_volumes)
            (plan.remove if goes else plan.keep).append(path)
        return plan

    def _context(self, manifest: Manifest, prefix: str, existing: Domain | None) -> Context:
        try:
            context = context_for(
                manifest.document,
                self._host,
                virt_type=self._settings.virt_type,
                volume_dir=self._settings.volume_dir,
                pool=self._pool,
                taken=self._taken(domain_name(manifest.document)),
                # Only a pool that the user names is kept free of floating vCPUs.
                reserve_pool=self._settings.cpu_pool is not None,
                definition=None if existing is None else existing.definition,
            )
        except PlacementError as error:
            path = prefix + manifest.option_path((*_POD, "domain", "cpu", "dedicatedCpuPlacement"))
            raise DeclarationError([Problem(path, error.message)]) from error
        if context.placement is not None:
            self._placed[context.domain_name] = context.placement.dedicated
        return context

    def _taken(self, name: str) -> frozenset[int]:
        """CPUs that other VMs hold: by pins in force, by those of stopped domains, and by plans of this task."""
        taken: frozenset[int] = frozenset().union(*self._placed.values())
        for other in self._domains.values():
            if other.name != name and other.name not in self._placed:
                for document in (other.definition, other.running):
                    taken |= frozenset() if document is None else dedicated_cpus(document)
        return taken

    def _check_pages(self, plan: VmPlan, complete: ET.Element, manifest: Manifest, prefix: str) -> None:
        """Huge pages for a guest that is about to start: QEMU's own message would come when all else is done."""
        spec = pod_spec(manifest.document)
        page = page_size(spec)
        restarts = plan.allow_restart and bool(plan.pending)
        if page is None or not (restarts or {"start", "start paused"} & set(plan.power)):
            return
        size = to_bytes(page)
        needed = int(complete.findtext("memory", "0")) * 1024 // size
        held = 0 if plan.existing is None else _pages_held(plan.existing.running, size)
        free = self._host.free_pages.get(size, 0) + held - self._pages.get(size, 0)
        if needed > free:
            path = prefix + manifest.option_path((*_POD, "domain", "memory", "hugepages", "pageSize"))
            message = f"{plan.name} needs {needed} free pages of {page} to start, the host has {max(0, free)}"
            raise DeclarationError([Problem(path, f"{message}: reserve more (vm.nr_hugepages)")])
        self._pages[size] = self._pages.get(size, 0) + needed - held

    def _plan_volumes(self, plan: VmPlan, manifest: Manifest, prefix: str, context: Context) -> None:
        if not self._settings.local:
            return
        volumes = pod_spec(manifest.document).get("volumes") or []
        record = plan.existing.record if plan.existing else None
        before = {} if record is None else {v["name"]: v for v in pod_spec(record.manifest).get("volumes") or []}
        now = {volume["name"]: volume for volume in pod_spec(redacted(manifest.document)).get("volumes") or []}
        changed = {name for name, volume in now.items() if before.get(name) != volume}
        definition = plan.before
        sources = [] if definition is None else definition.findall("devices/disk/source")
        attached = {source.get("file", "") for source in sources}
        plan.volumes, problems = plan_volumes(volumes, context, changed, self._host.qemu_user, attached)
        if problems:
            raise DeclarationError(
                Problem(volume_path(manifest, prefix, problem.path), problem.message) for problem in problems
            )

    def _plan_definition(self, plan: VmPlan, context: Context, complete: ET.Element) -> None:
        existing = plan.existing
        record = existing.record if existing else None
        before = Record({}) if record is None else record
        now = Record(
            manifest=redacted(plan.document),
            created=_and_new(before.created, plan.volumes, "create"),
            seeds=_and_new(before.seeds, plan.volumes, "seed"),
            shared_cpus=context.shared_cpus,
        )
        if existing is None:
            plan.definition = complete
            write_record(plan.definition, now)
            return
        declared = last = _declared(plan.document, context, self._settings.virt_type)
        if record is not None and (record.manifest != now.manifest or record.shared_cpus != now.shared_cpus):
            last = _declared(record.manifest, self._last_context(record, existing, context), self._settings.virt_type)
            devices = last.find("devices")
            if devices is not None and devices.find("interface") is not None:
                # No longer declared is back to the default, which is an interface too.
                devices.extend(complete.findall("devices/interface"))
        definition, plan.changes = reconcile(
            existing.definition, complete=complete, declared=declared, last=last, is_layer=is_layer
        )
        if existing.running is not None:
            running = _as_asked(existing.running, existing.definition, complete, plan.document)
            _merged, plan.pending = reconcile(
                running, complete=complete, declared=declared, last=last, is_layer=is_layer
            )
        for step in plan.volumes:
            if step.action == "seed":
                seed = Change(
                    f"volumes[{step.volume['name']}]", "older cloud-init data", "the declared cloud-init data"
                )
                plan.changes.append(seed)
                plan.pending += [seed] if existing.running is not None else []
        # A domain that fits is not written to, not even to be remembered; what was declared must not be forgotten.
        plan.adopted = record is None
        # The same in other words (1Gi for 1024Mi) need not be remembered.
        forgotten = record is not None and (
            bool(plan.volumes)
            or replace(record, manifest={}) != replace(now, manifest={})
            or record.manifest.get("metadata") != now.manifest.get("metadata")
            or ET.tostring(last) != ET.tostring(declared)
        )
        if forgotten and not plan.changes:
            plan.changes.append(Change("metadata", "an older declaration", "this declaration"))
        if plan.changes or not existing.persistent:
            write_record(definition, now)
            plan.definition = definition

    def _last_context(self, record: Record, existing: Domain, context: Context) -> Context:
        """What the last declaration was converted with: the pins that are there are its own."""
        try:
            last = context_for(
                record.manifest,
                self._host,
                virt_type=self._settings.virt_type,
                volume_dir=self._settings.volume_dir,
                pool=self._host.topology.cpus,
                definition=existing.definition,
            )
        except PlacementError:
            return context
        return replace(last, shared_cpus=record.shared_cpus)


def _pages_held(running: ET.Element | None, size: int) -> int:
    """Huge pages that a guest gives back when it stops."""
    if running is None or running.find("memoryBacking/hugepages") is None:
        return 0
    return int(running.findtext("memory", "0")) * 1024 // size


def _and_new(paths: tuple[str, ...], steps: list[VolumeStep], action: str) -> tuple[str, ...]:
    return tuple(sorted({*paths, *(step.path for step in steps if step.action == action)}))


def _declared(document: dict[str, t.Any], context: Context, virt_type: str) -> ET.Element:
    declared = declared_domain(document, context)
    if virt_type == "auto":
        declared.attrib.pop("type", None)
    return declared


#: Sections of the XML that libvirt shows otherwise while a guest runs than they were asked for, with the parts of the
#: declaration that they come from.
_EXPANDED = {"cpu": ("cpu",), "os": ("firmware", "machine")}


def _as_asked(
    running: ET.Element, definition: ET.Element, complete: ET.Element, document: t.Mapping[str, t.Any]
) -> ET.Element:
    """The running XML with its CPU and firmware as they were asked for, where libvirt has expanded them.

    A running guest shows host-model as the model and features that it came to, and firmware as the files that were
    chosen. What is declared is in force if the guest was started with the same declaration of it, which its own copy of
    the record tells; without a record, what is defined is taken to be.
    """
    started = read_record(running)
    result = ET.Element(running.tag, running.attrib)
    for child in running:
        asked = None
        if child.tag in _EXPANDED:
            parts = _EXPANDED[child.tag]
            if started is None:
                asked = definition.find(child.tag)
            elif _parts(started.manifest, parts) == _parts(document, parts):
                asked = complete.find(child.tag)
        result.append(child if asked is None else asked)
    return result


def _parts(document: t.Mapping[str, t.Any], names: tuple[str, ...]) -> list[t.Any]:
    domain = pod_spec(document).get("domain") or {}
    return [domain.get(name) for name in names]
