# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walk a plan as far as the definition: make the files, define the domain, and change a running guest live.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import typing as t
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt import deletion, domains, volumes
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.connection import doing
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.live import apply_live, can_be_live
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.plan import VmPlan
from ansible_collections.rtvirt.core.plugins.module_utils._plan import Change
from ansible_collections.rtvirt.core.plugins.module_utils._vm import lifecycle
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.document import to_text

try:
    import libvirt
except ImportError:  # connection.py tells
    pass

__all__ = ["Outcome", "define", "host_lock", "predict"]

_LOCK = "/run/lock/rtvirt-placement.lock"


@dataclass
class Outcome:
    """What was done to one VM.

    :ivar pending: differences that the running guest did not take: it needs a restart for them.
    """

    plan: VmPlan
    actions: list[str] = field(default_factory=list)
    pending: list[Change] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return bool(self.actions)

    @property
    def steps(self) -> list[lifecycle.Step]:
        """The plan's steps of power; a restart instead where pending changes need one and it is allowed."""
        plan = self.plan
        if plan.existing is None or not plan.restarts(self.pending):
            return plan.power
        return lifecycle.power_steps(plan.existing.power, plan.wanted, restart=True)


@contextlib.contextmanager
def host_lock(needed: bool) -> t.Iterator[None]:
    """One task of the host at a time: two that place at once would see the same CPUs free."""
    if not needed:
        yield
        return
    try:
        # Reading is enough to lock, and allowed for a file that another user made.
        handle = os.open(_LOCK, os.O_RDONLY if os.path.exists(_LOCK) else os.O_RDONLY | os.O_CREAT, 0o644)
    except OSError as error:
        raise RtvirtError(f"lock the placement of CPUs: {error}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def predict(plan: VmPlan) -> Outcome:
    """What applying the plan will do, as far as it can be known; the same words as applying it gives."""
    outcome = Outcome(plan, _definition_actions(plan))
    live = _live_changes(plan)
    if live:
        outcome.actions.append("change live")
    outcome.pending = [change for change in plan.pending if change not in live]
    outcome.actions += outcome.steps
    if any(step.startswith("start") for step in outcome.steps):
        outcome.pending = plan.compared.saved
    if plan.mark is not None:
        outcome.actions.append("soft delete")
    if plan.undefine:
        outcome.actions.append("undefine")
        outcome.actions += [f"remove {path}" for path in plan.remove]
    return outcome


def _live_changes(plan: VmPlan) -> list[Change]:
    if plan.existing is None or plan.after is None:
        return []
    return [change for change in plan.pending if can_be_live(plan.existing.handle, change, plan.after)]


def define(connection: t.Any, plan: VmPlan) -> Outcome:
    """Files and definition, and what a running guest takes of it."""
    outcome = Outcome(plan)
    made: list[str] = []
    try:
        for step in plan.volumes:
            new = not os.path.lexists(step.path)
            if step.action != "grow" or not _grow_live(plan, step):
                volumes.apply_volume(step, vm_name=plan.name)
            made += [step.path] if new else []
        if made:
            with doing(f"define {plan.domain_name}"):
                # While nothing refers to the files, a libvirtd that is gone is one that they can be removed for.
                connection.getLibVersion()
    except RtvirtError:
        volumes.remove_files(made)
        raise
    try:
        handle = _define(connection, plan)
    except RtvirtError:
        # A libvirtd that died before it answered may have the definition.
        if connection.isAlive():
            volumes.remove_files(made)
        raise
    outcome.actions = _definition_actions(plan)
    if plan.restores:
        deletion.erase_mark(handle)
    if plan.autostart is not None:
        with doing(f"set autostart of {plan.domain_name}"):
            handle.setAutostart(int(plan.autostart))
    if plan.pending and plan.existing is not None and plan.existing.running is not None:
        _apply_live(connection, handle, plan.existing.running, outcome)
    return outcome


def _definition_actions(plan: VmPlan) -> list[str]:
    actions = [str(step) for step in plan.volumes]
    if plan.definition is not None:
        actions.append("define" if plan.existing is None else "redefine")
    if plan.restores:
        actions.append("restore")
    if plan.autostart is not None:
        actions.append("set autostart" if plan.autostart else "unset autostart")
    return actions


def _define(connection: t.Any, plan: VmPlan) -> t.Any:
    if plan.definition is None:
        return None if plan.existing is None else plan.existing.handle
    with doing(f"define {plan.domain_name}"):
        xml = to_text(plan.definition)
        return connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)


def _grow_live(plan: VmPlan, step: volumes.VolumeStep) -> bool:
    """Grow a disk of a running guest; whether the guest has it."""
    if plan.existing is None or plan.existing.running is None:
        return False
    for disk in plan.existing.running.findall("devices/disk"):
        source, target = disk.find("source"), disk.find("target")
        if source is not None and target is not None and source.get("file") == step.path:
            with doing(f"grow {step.path}"):
                size, unit = step.size or 0, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES
                plan.existing.handle.blockResize(target.get("dev"), size, unit)
            return True
    return False


def _apply_live(connection: t.Any, handle: t.Any, running: ET.Element, outcome: Outcome) -> None:
    pending = outcome.plan.pending
    definition = domains.observe(handle).definition
    with doing("count the host's CPUs"):
        cpus = len(connection.getCPUMap()[1])
    outcome.pending = apply_live(handle, pending, definition=definition, running=running, host_cpus=cpus)
    if len(outcome.pending) < len(pending):
        outcome.actions.append("change live")
