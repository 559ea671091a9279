# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From declarations and a host as it is to a plan for each VM. Reads files, changes nothing.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import os
import time
import typing as t
import xml.etree.ElementTree as ET
from dataclasses import replace

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt import comparison, host_check, images
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.context import check_placement, context_for
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.deletion import Mark
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.domains import Domain, dedicated_cpus, disk_files
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.hardware import Hardware
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.plan import VmPlan
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.record import (
    Record,
    changed_seeds,
    write_record,
)
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.volumes import Attached, VolumeStep, plan_volumes
from ansible_collections.rtvirt.core.plugins.module_utils._vm import lifecycle, secrets
from ansible_collections.rtvirt.core.plugins.module_utils.converters import quantity
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml import disks
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.document import complete_domain
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import Context, device_name
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import (
    POD,
    Manifest,
    domain_name,
    has_dedicated_cpus,
    pod_spec,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters.placement import PlacementError

__all__ = ["Planner"]


class Planner:
    """Plans the VMs of one task, one after the other: CPUs that one is given are taken for the next.

    :arg domains: every domain of the host where CPUs or sockets are taken or files removed, else those declared.
    """

    def __init__(
        self,
        host: Host,
        settings: host_check.Settings,
        domains: t.Mapping[str, Domain],
        isolated: frozenset[int],
        polling: frozenset[int],
        hardware: Hardware,
    ) -> None:
        self._host = host
        self._hardware = hardware
        self._settings = settings
        self._domains = domains
        self._pool = host.pool(settings.cpu_pool, isolated)
        self._polling = polling
        self._placed: dict[str, frozenset[int]] = {}
        self._pages: dict[int, int] = {}

    def plan(self, manifest: Manifest) -> VmPlan:
        """:raises DeclarationError: for what this host cannot do, or what a VM to create lacks."""
        name = domain_name(manifest.document)
        existing = self._domains.get(name)
        settings, state = self._settings, self._settings.state
        plan = VmPlan(manifest.name, manifest.namespace, name, state, manifest.document, existing)
        plan.allow_restart = settings.allow_restart
        if state in lifecycle.LEAVING:
            return self._plan_leaving(plan)
        problems = host_check.check_host(manifest, self._host, settings, existing)
        others = [other for other in self._domains.values() if other.name != name]
        problems += [*host_check.check_sockets(manifest, others), *host_check.check_uuid(manifest, others)]
        if problems:
            raise DeclarationError(problems)
        context = self._context(manifest, existing)
        complete = plan.complete = complete_domain(manifest.document, context)
        self._plan_volumes(plan, manifest, context)
        self._plan_definition(plan, context, complete)
        plan.wanted = lifecycle.wanted_power(state, manifest.document, exists=existing is not None)
        current = "stopped" if existing is None else existing.power
        plan.power = lifecycle.power_steps(current, plan.wanted, restart=state == "restarted")
        self._check_start(plan, complete, manifest)
        self._hold(plan)
        autostart = settings.autostart
        if autostart is None and existing is not None and existing.mark is not None:
            # It comes back as it was.
            autostart = existing.mark.autostart or None
        if autostart is not None and autostart != (existing is not None and existing.autostart):
            plan.autostart = autostart
        return plan

    def _plan_leaving(self, plan: VmPlan) -> VmPlan:
        existing, now = plan.existing, time.time()
        if existing is None:
            return plan
        if plan.state == "reclaimed" and (
            # Whoever has started it again has a use for it.
            existing.mark is None or not existing.mark.is_over(now) or existing.power != "stopped"
        ):
            return plan
        if plan.state == "absent" and self._settings.reclaim_after:
            return self._plan_mark(plan, existing, now)
        return self._plan_absent(plan, existing)

    def _plan_mark(self, plan: VmPlan, existing: Domain, now: float) -> VmPlan:
        """Keep the VM for a term, stopped. One that is kept already keeps the time of its deletion."""
        if not existing.persistent:
            message = f"nothing is left of {plan.domain_name} when it stops, as it is a transient domain: leave it out"
            raise DeclarationError([Problem("reclaim_after", message)])
        mark = existing.mark or Mark(int(now), 0, existing.autostart)
        mark = replace(mark, term=self._settings.reclaim_after)
        plan.mark = None if mark == existing.mark and not existing.autostart else mark
        plan.power = lifecycle.power_steps(existing.power, "stopped", restart=False)
        return plan

    def _plan_absent(self, plan: VmPlan, existing: Domain) -> VmPlan:
        plan.undefine = True
        # Not of a VM that we have only adopted.
        plan.remove_state = self._settings.delete_volumes and existing.record is not None
        plan.power = lifecycle.power_steps(existing.power, "stopped", restart=False)
        record = existing.record or Record({})
        ours = [*record.seeds, *(record.created if self._settings.delete_volumes else ())]
        attached = disk_files(existing.definition)
        if self._settings.local:
            spared = self._files_in_use(existing, [path for path in attached if path not in ours]) if ours else set()
            plan.remove = [path for path in ours if path not in spared and os.path.lexists(path)]
            attached = list(dict.fromkeys([*attached, *(path for path in record.created if os.path.lexists(path))]))
        plan.keep = [path for path in attached if path not in plan.remove]
        return plan

    def _files_in_use(self, leaving: Domain, kept: list[str]) -> set[str]:
        """Files that other domains name, and all that these and the files kept are layers over."""
        named = set(kept)
        for other in self._domains.values():
            if other.name != leaving.name:
                named.update(disk_files(other.definition), [] if other.running is None else disk_files(other.running))
        return named.union(*(images.backing_chain(path) for path in named if os.path.exists(path)))

    def _context(self, manifest: Manifest, existing: Domain | None) -> Context:
        dedicated = has_dedicated_cpus(manifest.document)
        name = domain_name(manifest.document)
        try:
            context = context_for(
                manifest.document,
                self._host,
                virt_type=self._settings.virt_type,
                volume_dir=self._settings.volume_dir,
                pool=self._pool,
                taken=self._taken(name) if dedicated else frozenset(),
                # Only a pool that the user names is kept free of floating vCPUs.
                reserved=frozenset() if self._settings.cpu_pool is None else self._pool | self._polling,
                definition=None if existing is None else existing.definition,
            )
        except PlacementError as error:
            path = manifest.option_path((*POD, "domain", "cpu", "dedicatedCpuPlacement"))
            raise DeclarationError([Problem(path, f"{name}: {error.message}")]) from error
        if context.placement is not None:
            self._placed[name] = context.placement.dedicated
            check_placement(manifest, context)
        return context

    def _taken(self, name: str) -> frozenset[int]:
        """CPUs that other VMs hold, by pins in force, of stopped domains and of plans of this task; and a switch."""
        others = [other for other in self._domains.values() if other.name != name and other.name not in self._placed]
        return self._polling.union(*self._placed.values(), *(other.dedicated_cpus for other in others))

    def _hold(self, plan: VmPlan) -> None:
        """A guest that goes on as it runs has its CPUs until its next start."""
        running = None if plan.existing is None else plan.existing.running
        stops = plan.restarts(plan.pending) or "shut down" in plan.power
        if running is not None and not stops and plan.domain_name in self._placed:
            self._placed[plan.domain_name] |= dedicated_cpus(running)

    def _check_start(self, plan: VmPlan, complete: ET.Element, manifest: Manifest) -> None:
        """What libvirt and QEMU would refuse when the other VMs of the task are done."""
        starts = plan.restarts(plan.pending) or bool({"start", "start paused"} & set(plan.power))
        if starts or plan.definition is not None:
            problems = self._hardware.problems(manifest, complete, starts=starts)
            if problems:
                raise DeclarationError(problems)
        if starts:
            self._check_pages(plan, complete, manifest)

    def _check_pages(self, plan: VmPlan, complete: ET.Element, manifest: Manifest) -> None:
        """Huge pages for a guest that is about to start."""
        page = host_check.page_size(pod_spec(manifest.document))
        if page is None:
            return
        size = quantity.to_bytes(page)
        needed = int((complete if plan.after is None else plan.after).findtext("memory", "0")) * 1024 // size
        held = 0 if plan.existing is None else _pages_held(plan.existing.running, size)
        free = self._host.free_pages.get(size, 0) + held - self._pages.get(size, 0)
        if needed > free:
            path = manifest.option_path((*POD, "domain", "memory", "hugepages", "pageSize"))
            message = f"{plan.name} needs {needed} free pages of {page} to start, the host has {max(0, free)}"
            raise DeclarationError([Problem(path, f"{message}: reserve more (vm.nr_hugepages)")])
        self._pages[size] = self._pages.get(size, 0) + needed - held

    def _plan_volumes(self, plan: VmPlan, manifest: Manifest, context: Context) -> None:
        if not self._settings.local:
            return
        volumes = pod_spec(manifest.document).get("volumes") or []
        attached = _attached(plan.existing, manifest.document, context)
        plan.volumes, misfits = plan_volumes(volumes, context, self._host.qemu_user, attached)
        if misfits:
            raise DeclarationError(
                Problem(manifest.option_path((*POD, "volumes", *misfit.path)), misfit.message) for misfit in misfits
            )

    def _plan_definition(self, plan: VmPlan, context: Context, complete: ET.Element) -> None:
        existing = plan.existing
        before = (existing.record if existing else None) or Record({})
        now = Record(
            manifest=secrets.redacted(plan.document),
            created=_and_new(before.created, plan.volumes, "create"),
            seeds=_and_new(before.seeds, plan.volumes, "seed"),
            shared_cpus=context.shared_cpus,
        )
        if existing is None:
            write_record(complete, now)
            plan.compared = comparison.Comparison(definition=complete)
            return
        declaration = comparison.Declaration(
            document=plan.document,
            record=now,
            complete=complete,
            context=context,
            context_of=lambda record: self._older_context(record, existing, context),
            any_virt_type=self._settings.virt_type == "auto",
            # What cannot be looked at from here may be a snapshot.
            is_layer=images.is_layer if self._settings.local else lambda path, base: True,
        )
        plan.compared = comparison.compare(existing, declaration)

    def _older_context(self, record: Record, existing: Domain, context: Context) -> Context:
        """What an older declaration was converted with: the pins that are there are its own."""
        try:
            older = context_for(
                record.manifest,
                self._host,
                virt_type=self._settings.virt_type,
                volume_dir=self._settings.volume_dir,
                pool=self._host.topology.cpus,
                definition=existing.definition,
            )
        except PlacementError:
            return context
        return replace(older, shared_cpus=record.shared_cpus)


def _attached(existing: Domain | None, document: dict[str, t.Any], context: Context) -> Attached:
    now = Record(secrets.redacted(document))
    if existing is None:
        # A seed that an older VM of the name left is not this one's.
        return Attached(changed_seeds=changed_seeds(Record({}), now))
    layers: dict[str, tuple[str, str]] = {}
    volumes = {volume["name"]: volume for volume in pod_spec(document).get("volumes") or []}
    for disk in existing.definition.findall("devices/disk"):
        source, driver = disk.find("source"), disk.find("driver")
        declared = disks.volume_file(volumes.get(device_name(disk) or "", {}), context)
        file = None if source is None else source.get("file")
        if declared and file and file != declared and images.is_layer(file, declared):
            layers[declared] = (file, "qcow2" if driver is None else driver.get("type", "qcow2"))
    before = existing.record or Record({})
    return Attached(
        files=disk_files(existing.definition),
        layers=layers,
        changed_seeds=changed_seeds(before, now),
    )


def _pages_held(running: ET.Element | None, size: int) -> int:
    """Huge pages that a guest gives back when it stops."""
    if running is None or running.find("memoryBacking/hugepages") is None:
        return 0
    page = running.find("memoryBacking/hugepages/page")
    if page is not None and int(page.get("size", "0")) * 1024 != size:
        return 0
    return int(running.findtext("memory", "0")) * 1024 // size


def _and_new(paths: tuple[str, ...], steps: list[VolumeStep], action: str) -> tuple[str, ...]:
    return tuple(sorted({*paths, *(step.path for step in steps if step.action == action)}))
