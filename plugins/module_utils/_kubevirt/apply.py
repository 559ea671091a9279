# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walk the plan of one VM: create or patch it, act on its power, delete it.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

In check mode the same requests go out as dry runs, so that the server itself says what it would refuse.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.objects import (
    VMIS,
    VMS,
    Key,
    action_path,
    object_path,
    read_one,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.plan import Action, VmPlan, plan_vm
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.refusal import explained
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import ApiError, Session
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.status import condition, described, power_of
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at

__all__ = ["Outcome", "Settings", "apply_vm"]

_CONFLICTS = 5

#: Seconds that virt-controller is given to look at a new version of a VM.
_SETTLING = 5.0

#: Seconds that an action is tried again while KubeVirt is still busy with the one before.
_BUSY = 30.0

_PAUSE = 0.2

#: Seconds that a guest may take to stop before its VM is deleted. KubeVirt's own grace is 180.
_STOPPING = 200.0

#: Actions after which no instance is left that could lack anything.
_RENEWING = frozenset(("create", "start", "start paused", "stop", "restart"))


@dataclass(frozen=True)
class Settings:
    """The options of the module that are not part of the declaration.

    :ivar delete_options: Kubernetes' DeleteOptions.
    :ivar delete_volumes: whether the DataVolumes of a VM's templates go with it.
    :ivar grace_period: seconds that a guest is given to shut down, None for its own.
    """

    allow_restart: bool = False
    delete_options: t.Mapping[str, t.Any] = field(default_factory=dict)
    delete_volumes: bool = True
    grace_period: int | None = None


@dataclass
class Outcome:
    """What was done to one VM.

    :ivar vm: the VM as the server has it now, None where there is none.
    :ivar old_uid: the instance that a restart ends.
    :ivar orphaned: whether the VM's instance was left to itself.
    :ivar volumes_kept: the DataVolumes that a deleted VM has left.
    :ivar restart_required: whether the running instance lacks something.
    """

    plan: VmPlan
    vm: dict[str, t.Any] | None = None
    vmi: dict[str, t.Any] | None = None
    actions: list[str] = field(default_factory=list)
    old_uid: str | None = None
    orphaned: bool = False
    volumes_kept: list[str] = field(default_factory=list)
    restart_required: bool = False
    error: RtvirtError | None = None

    @property
    def key(self) -> Key:
        return self.plan.namespace, self.plan.name


def apply_vm(session: Session, outcome: Outcome, settings: Settings) -> None:
    """:raises RtvirtError: for what the server refuses; the outcome has what was done before."""
    plan = outcome.plan
    outcome.vm = plan.live
    if plan.state == "absent":
        _delete(session, outcome, settings)
        return
    if mapping_at(plan.live, "metadata").get("deletionTimestamp"):
        raise RtvirtError(f"{plan.name}: is being deleted: run the task again when it is gone")
    _write(session, outcome)
    for action in outcome.plan.power:
        _act(session, outcome, action, settings)
    if plan.wanted == "stopped" and not outcome.plan.power and _takes_longer(session, outcome, settings.grace_period):
        _act(session, outcome, "stop", settings)
    _settle(session, outcome)
    if outcome.restart_required and settings.allow_restart:
        _restart(session, outcome, settings)
        outcome.restart_required = False


def _restart(session: Session, outcome: Outcome, settings: Settings) -> None:
    """A restart for what was changed: a paused VM comes back paused, which KubeVirt's own restart does not know."""
    was = "stopped" if outcome.vm is None else power_of(outcome.vm)
    actions: tuple[Action, ...] = ("stop", "start paused") if was == "paused" else ("restart",)
    for action in actions:
        _act(session, outcome, action, settings)
    if not session.dry_run:
        outcome.vm = read_one(session, VMS, outcome.key)


def _takes_longer(session: Session, outcome: Outcome, grace_period: int | None) -> bool:
    """Whether a VM that is stopping was given more time than it is to have."""
    if grace_period is None or not mapping_at(outcome.vm, "status").get("created"):
        return False
    spec = mapping_at(read_one(session, VMIS, outcome.key), "spec")
    return int(spec.get("terminationGracePeriodSeconds") or 0) > grace_period


def _write(session: Session, outcome: Outcome) -> None:
    """Create or patch; planned anew where someone else was faster."""
    for attempt in range(_CONFLICTS):
        plan = outcome.plan
        try:
            if plan.live is None:
                version = str(plan.document["apiVersion"])
                outcome.vm = session.create(object_path(VMS, plan.namespace, version=version), plan.document)
                outcome.actions.append("create")
            elif plan.patch:
                outcome.vm = session.patch(object_path(VMS, *outcome.key), plan.patch)
                outcome.actions.append("update")
            return
        except ApiError as error:
            if error.status != 409 or attempt == _CONFLICTS - 1:
                raise explained(error, plan.manifest) from error
            sent_before = error.tries > 1
        live = read_one(session, VMS, outcome.key)
        outcome.plan = plan_vm(plan.manifest, plan.namespace, live, plan.state)
        outcome.vm = live
        if sent_before and live is not None and not outcome.plan.patch and not outcome.plan.adopted:
            # Our own doing, whose answer was lost on the way.
            outcome.actions.append("create" if plan.live is None else "update")


def _act(session: Session, outcome: Outcome, action: Action, settings: Settings) -> None:
    """An action on the power state. A refusal is never taken for success: the VM is looked at again."""
    if session.dry_run and outcome.plan.live is None:
        # There is no VM yet that the server could try it on.
        outcome.actions.append(action)
        return
    until = time.monotonic() + _BUSY
    if action == "restart":
        outcome.old_uid = _instance_uid(session, outcome.key, until)
    while True:
        try:
            session.act(*_request(outcome.key, action, settings))
            outcome.actions.append(action)
            return
        except ApiError as error:
            if error.status != 409:
                raise explained(error, outcome.plan.manifest) from error
            refusal = error
        outcome.vm = read_one(session, VMS, outcome.key)
        if outcome.vm is None:
            raise RtvirtError(f"{outcome.plan.name}: {action}: somebody has deleted it meanwhile")
        if action != "restart" and power_of(outcome.vm) == outcome.plan.wanted and not _is_going(outcome.vm):
            # Somebody else's doing, or our own, whose answer was lost on the way.
            outcome.actions += [action] if refusal.tries > 1 else []
            return
        if time.monotonic() > until or not (_is_going(outcome.vm) or "modified" in refusal.message):
            state = described(outcome.vm, read_one(session, VMIS, outcome.key))
            raise RtvirtError(f"{outcome.plan.name}: {action}: {refusal.message} ({state})", **refusal.details)
        time.sleep(_PAUSE)


def _instance_uid(session: Session, key: Key, until: float) -> str | None:
    """The instance to be ended by a restart; of a VM that was just started it may not be there yet."""
    while True:
        vmi = read_one(session, VMIS, key)
        if vmi is not None or session.dry_run or time.monotonic() > until:
            return mapping_at(vmi, "metadata").get("uid")
        time.sleep(_PAUSE)


def _is_going(vm: t.Mapping[str, t.Any]) -> bool:
    """Whether KubeVirt is about to end the VM's instance, and takes no new orders until it has."""
    return mapping_at(vm, "status").get("printableStatus") in ("Stopping", "Terminating") or (
        bool(mapping_at(vm, "status").get("created")) and power_of(vm) == "stopped"
    )


def _request(key: Key, action: Action, settings: Settings) -> tuple[str, dict[str, t.Any]]:
    if action in ("pause", "unpause"):
        return action_path(VMIS, key, action), {}
    if action == "start paused":
        return action_path(VMS, key, "start"), {"paused": True}
    options: dict[str, t.Any] = {}
    if action == "stop" and settings.grace_period is not None:
        options["gracePeriod"] = settings.grace_period
    return action_path(VMS, key, action), options


def _settle(session: Session, outcome: Outcome) -> None:
    """Find out whether the instance that runs has what was declared."""
    if _RENEWING & {*outcome.actions}:
        # What the server answered to a creation is new enough; to an action it answers nothing.
        if not session.dry_run and outcome.actions != ["create"]:
            outcome.vm = read_one(session, VMS, outcome.key)
        return
    if outcome.vm is None or power_of(outcome.vm) == "stopped":
        return
    if "update" in outcome.actions:
        if session.dry_run:
            outcome.restart_required = outcome.plan.needs_restart or _required(outcome.plan.live)
            return
        until = time.monotonic() + _SETTLING
        while outcome.vm is not None and not _is_seen(outcome.vm) and time.monotonic() < until:
            time.sleep(_PAUSE)
            outcome.vm = read_one(session, VMS, outcome.key)
    outcome.restart_required = _required(outcome.vm)


def _is_seen(vm: t.Mapping[str, t.Any]) -> bool:
    """Whether virt-controller has seen the VM's newest version."""
    return _is_newest(vm, "desiredGeneration")


def _is_newest(vm: t.Mapping[str, t.Any] | None, field_name: str) -> bool:
    generation = mapping_at(vm, "status").get(field_name)
    return generation is not None and int(generation) >= int(mapping_at(vm, "metadata").get("generation") or 0)


def _required(vm: t.Mapping[str, t.Any] | None) -> bool:
    """Whether KubeVirt says that a restart is required, and one would help.

    observedGeneration is the version that the instance is of. KubeVirt 1.8 wants a restart of some instances that are
    of the newest one: it takes a number of sockets that it filled in itself for a change.
    """
    wanted = condition(vm, "RestartRequired").get("status") == "True"
    return wanted and not _is_newest(vm, "observedGeneration")


def _await_no_instance(session: Session, outcome: Outcome) -> None:
    """An instance that still goes keeps the garbage collector from orphaning what its VM owns."""
    until = time.monotonic() + _STOPPING
    while read_one(session, VMIS, outcome.key) is not None:
        if time.monotonic() > until:
            raise RtvirtError(
                f"{outcome.plan.name}: stops for more than {_STOPPING:g} s: run the task again, to delete it"
            )
        time.sleep(_PAUSE)


def _delete(session: Session, outcome: Outcome, settings: Settings) -> None:
    live = outcome.plan.live
    if live is None or live["metadata"].get("deletionTimestamp"):
        return
    options = {"preconditions": {"uid": live["metadata"]["uid"]}, **settings.delete_options}
    outcome.orphaned = options.get("propagationPolicy") == "Orphan"
    if not settings.delete_volumes:
        # The server takes the VM out of the owners of all that it owns. Taken out before, virt-controller puts it back.
        options["propagationPolicy"] = "Orphan"
        templates = mapping_at(live, "spec").get("dataVolumeTemplates") or []
        outcome.volumes_kept = [str(mapping_at(template, "metadata").get("name")) for template in templates]
        if not outcome.orphaned and power_of(live) != "stopped":
            # The instance would be orphaned as well, and go on.
            _act(session, outcome, "stop", settings)
        if not outcome.orphaned and not session.dry_run:
            _await_no_instance(session, outcome)
    try:
        session.delete(object_path(VMS, *outcome.key), options)
        outcome.actions.append("delete")
    except ApiError as error:
        if error.status != 404:
            raise explained(error, outcome.plan.manifest) from error
        # Gone by somebody else's doing, or by our own, whose answer was lost on the way.
        outcome.actions += ["delete"] if error.tries > 1 else []
