# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walk a plan: make the files, define the domain, change it live, and bring its power where it should be.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import time
import typing as t
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError, WaitError
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.connection import doing
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.domains import observe
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.drift import Change
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.live import apply_live, can_be_live
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.plan import VmPlan
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.volumes import VolumeStep, apply_volume, remove_files
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.waiting import (
    addresses,
    agent_answers,
    wait_until,
    watching,
)
from ansible_collections.rtvirt.core.plugins.module_utils._vm.lifecycle import Step, power_steps
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.document import to_text
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import pod_spec

try:
    import libvirt
except ImportError:  # connection.py tells
    pass

__all__ = ["Outcome", "Waits", "apply_power", "define", "host_lock", "predict"]

_LOCK = "/run/lock/rtvirt-placement.lock"


@dataclass(frozen=True)
class Waits:
    """How long and what for. Times in seconds.

    :ivar force: pull the plug of a guest that did not shut down in time.
    """

    wait: bool = True
    timeout: float = 120
    wait_for: tuple[str, ...] = ()
    force: bool = False


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
    def steps(self) -> list[Step]:
        """The plan's steps of power; a restart instead where pending changes need one and it is allowed."""
        plan = self.plan
        was = "stopped" if plan.existing is None else plan.existing.power
        restart = bool(self.pending) and plan.allow_restart and was != "stopped" and "shut down" not in plan.power
        return power_steps(was, plan.wanted, restart=True) if restart else plan.power


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
    live = [change for change in plan.pending if plan.complete is not None and can_be_live(change, plan.complete)]
    if live:
        outcome.actions.append("change live")
    outcome.pending = [change for change in plan.pending if change not in live]
    outcome.actions += outcome.steps
    if any(step.startswith("start") for step in outcome.steps):
        outcome.pending = plan.compared.saved
    if plan.undefine:
        outcome.actions.append("undefine")
        outcome.actions += [f"remove {path}" for path in plan.remove]
    return outcome


def define(connection: t.Any, plan: VmPlan) -> Outcome:
    """Files and definition, and what a running guest takes of it."""
    outcome = Outcome(plan)
    made: list[str] = []
    try:
        for step in plan.volumes:
            new = not os.path.lexists(step.path)
            if step.action != "grow" or not _grow_live(plan, step):
                apply_volume(step, vm_name=plan.name)
            made += [step.path] if new else []
        if made:
            with doing(f"define {plan.domain_name}"):
                # While nothing refers to the files, a libvirtd that is gone is one that they can be removed for.
                connection.getLibVersion()
    except RtvirtError:
        remove_files(made)
        raise
    try:
        handle = _define(connection, plan)
    except RtvirtError:
        # A libvirtd that died before it answered may have the definition.
        if connection.isAlive():
            remove_files(made)
        raise
    outcome.actions = _definition_actions(plan)
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
    if plan.autostart is not None:
        actions.append("set autostart" if plan.autostart else "unset autostart")
    return actions


def _define(connection: t.Any, plan: VmPlan) -> t.Any:
    if plan.definition is None:
        return None if plan.existing is None else plan.existing.handle
    with doing(f"define {plan.domain_name}"):
        xml = to_text(plan.definition)
        return connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)


def _grow_live(plan: VmPlan, step: VolumeStep) -> bool:
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
    definition = observe(handle).definition
    with doing("count the host's CPUs"):
        cpus = len(connection.getCPUMap()[1])
    outcome.pending = apply_live(handle, pending, definition=definition, running=running, host_cpus=cpus)
    if len(outcome.pending) < len(pending):
        outcome.actions.append("change live")


def apply_power(connection: t.Any, outcomes: t.Sequence[Outcome], waits: Waits) -> None:
    """Bring the power of all VMs where it should be: those that go down do so together, then the others come up.

    :raises RtvirtError: naming the VM; the outcomes say what was done by then.
    """
    steps = {id(outcome): outcome.steps for outcome in outcomes}
    with watching(connection):
        going = [outcome for outcome in outcomes if "shut down" in steps[id(outcome)]]
        for outcome in going:
            _shut_down(connection, outcome, resume="resume" in steps[id(outcome)])
        # What comes up again, or is removed, must be down first.
        must = [o for o in going if waits.wait or o.plan.undefine or steps[id(o)][-1] != "shut down"]
        _wait_down(connection, must, waits)
        for outcome in outcomes:
            _bring_up(connection, outcome, steps[id(outcome)])
        if waits.wait:
            for outcome in outcomes:
                _wait_for(connection, outcome, waits)
    for outcome in outcomes:
        if outcome.plan.undefine:
            _undefine(outcome)


def _handle(connection: t.Any, outcome: Outcome) -> t.Any:
    with doing(f"find {outcome.plan.domain_name}"):
        return connection.lookupByName(outcome.plan.domain_name)


def _shut_down(connection: t.Any, outcome: Outcome, *, resume: bool) -> None:
    handle = _handle(connection, outcome)
    if resume:
        with doing(f"resume {outcome.plan.domain_name}"):
            handle.resume()
        outcome.actions.append("resume")
    with contextlib.suppress(libvirt.libvirtError):
        # Not answered by a guest that is booting or hangs: the wait tells.
        handle.shutdown()
    outcome.actions.append("shut down")


def _wait_down(connection: t.Any, outcomes: list[Outcome], waits: Waits) -> None:
    deadline = time.monotonic() + waits.timeout
    for outcome in outcomes:
        handle = _handle(connection, outcome)
        grace = pod_spec(outcome.plan.document).get("terminationGracePeriodSeconds")
        left = deadline - time.monotonic() if grace is None else min(deadline - time.monotonic(), grace)
        name = outcome.plan.domain_name
        if wait_until(functools.partial(_is_down, handle), timeout=max(0.0, left)):
            continue
        if not waits.force:
            raise WaitError(
                f"{name} did not shut down within {waits.timeout:g} s, it is {observe(handle).state}: "
                "its guest may ignore the power button; give it longer by wait_timeout, or set force to pull its plug"
            )
        with doing(f"stop {name}"):
            handle.destroy()
        outcome.actions.append("force off")


def _is_down(handle: t.Any) -> bool:
    try:
        return not handle.isActive()
    except libvirt.libvirtError as error:
        # A transient domain is gone when it stops.
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return True
        raise


def _bring_up(connection: t.Any, outcome: Outcome, steps: list[Step]) -> None:
    name = outcome.plan.domain_name
    after = steps[steps.index("shut down") + 1 :] if "shut down" in steps else steps
    for step in after:
        handle = _handle(connection, outcome)
        with doing(f"{step} {name}"):
            if step == "resume" and observe(handle).state == "pmsuspended":
                handle.pMWakeup()
            elif step == "resume":
                handle.resume()
            elif step == "pause":
                handle.suspend()
            else:
                handle.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED if step == "start paused" else 0)
        outcome.actions.append(step)
        if step.startswith("start"):
            # Nothing, but where it goes on from a saved state, with the old definition.
            outcome.pending = outcome.plan.compared.saved


def _wait_for(connection: t.Any, outcome: Outcome, waits: Waits) -> None:
    if not waits.wait_for or outcome.plan.state not in ("present", "running", "restarted"):
        return
    handle = _handle(connection, outcome)
    name = outcome.plan.domain_name
    if not handle.isActive():
        return

    def gone() -> str | None:
        if handle.isActive():
            return None
        return f"{name} stopped while waiting for its {' and '.join(waits.wait_for)}: it is {observe(handle).state}"

    checks: dict[str, t.Callable[[], bool]] = {
        "agent": lambda: agent_answers(handle),
        "address": lambda: bool(addresses(handle)),
    }
    for what in waits.wait_for:
        if not wait_until(checks[what], timeout=waits.timeout, failed=gone):
            remedy = (
                "is qemu-guest-agent installed and running in the guest?"
                if what == "agent"
                else "no lease, agent or ARP entry names one; a user-mode network shows none without the agent"
            )
            raise WaitError(f"{name} is {observe(handle).state} but has no {what} after {waits.timeout:g} s: {remedy}")


def _undefine(outcome: Outcome) -> None:
    """Remove the domain; its firmware's variables and TPM go only with its volumes."""
    plan = outcome.plan
    if plan.existing is None:
        return
    flags = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    flags |= libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    flags |= libvirt.VIR_DOMAIN_UNDEFINE_NVRAM if plan.remove_state else libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
    flags |= libvirt.VIR_DOMAIN_UNDEFINE_TPM if plan.remove_state else libvirt.VIR_DOMAIN_UNDEFINE_KEEP_TPM
    if plan.existing.persistent:
        with doing(f"undefine {plan.domain_name}"):
            plan.existing.handle.undefineFlags(flags)
    outcome.actions.append("undefine")
    outcome.actions += [f"remove {path}" for path in remove_files(plan.remove)]
