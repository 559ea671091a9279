# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walk the plan of one VM: create or patch it, act on its power, delete it.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

In check mode the same requests go out as dry runs, so that the server itself says what it would refuse.
"""

from __future__ import annotations

import time

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import objects, status, volumes
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.outcome import Outcome, Settings
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.plan import plan_vm
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.power import (
    act,
    restart,
    stopping_time,
    takes_longer,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.refusal import explained
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import ApiError, Session
from ansible_collections.rtvirt.core.plugins.module_utils._vm import lifecycle
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at

__all__ = ["apply_vm"]

_CONFLICTS = 5

#: Seconds that virt-controller is given to look at a new version of a VM.
_SETTLING = 5.0

_PAUSE = 0.2

#: Actions after which no instance is left that could lack anything.
_RENEWING = frozenset(("create", "start", "start paused", "stop", "restart"))


def apply_vm(session: Session, outcome: Outcome, settings: Settings) -> None:
    """:raises RtvirtError: for what the server refuses; the outcome has what was done before."""
    plan = outcome.plan
    outcome.vm = plan.live
    if plan.state in lifecycle.LEAVING:
        _delete(session, outcome, settings)
        return
    if mapping_at(plan.live, "metadata").get("deletionTimestamp"):
        raise RtvirtError(f"{plan.name}: is being deleted: run the task again when it is gone")
    _write(session, outcome)
    for action in outcome.plan.power:
        act(session, outcome, action, settings)
    if plan.wanted == "stopped" and not outcome.plan.power and takes_longer(session, outcome, settings.grace_period):
        act(session, outcome, "stop", settings)
    _settle(session, outcome)
    if outcome.restart_required and settings.allow_restart:
        restart(session, outcome, settings)
        outcome.restart_required = False


def _write(session: Session, outcome: Outcome) -> None:
    """Create or patch; planned anew where someone else was faster."""
    for attempt in range(_CONFLICTS):
        plan = outcome.plan
        try:
            if plan.live is None:
                version = str(plan.document["apiVersion"])
                outcome.vm = session.create(
                    objects.object_path(objects.VMS, plan.namespace, version=version), plan.document
                )
                outcome.actions.append("create")
            elif plan.patch:
                outcome.vm = session.patch(objects.object_path(objects.VMS, *outcome.key), plan.patch)
                outcome.actions.append(plan.patch_action)
            return
        except ApiError as error:
            # A patch of our mark alone names no version, and nothing but the power was planned with it.
            versioned = plan.live is None or "resourceVersion" in mapping_at(plan.patch, "metadata")
            if error.status != 409 or not versioned or attempt == _CONFLICTS - 1:
                raise explained(error, plan.manifest) from error
            sent_before = error.tries > 1
        live = objects.read_one(session, objects.VMS, outcome.key)
        outcome.plan = plan_vm(plan.manifest, plan.namespace, live, plan.state)
        outcome.vm = live
        if sent_before and live is not None and not outcome.plan.patch and not outcome.plan.adopted:
            # Our own doing, whose answer was lost on the way.
            outcome.actions.append("create" if plan.live is None else plan.patch_action)


def _settle(session: Session, outcome: Outcome) -> None:
    """Find out whether the instance that runs has what was declared."""
    if _RENEWING & {*outcome.actions}:
        # What the server answered to a creation is new enough; to an action it answers nothing.
        if not session.dry_run and outcome.actions != ["create"]:
            outcome.vm = objects.read_one(session, objects.VMS, outcome.key)
        return
    if outcome.vm is None or status.power_of(outcome.vm) == "stopped":
        return
    if {"update", "restore"} & {*outcome.actions}:
        if not mapping_at(outcome.vm, "status").get("created"):
            # Nothing runs yet that could lack anything.
            return
        places = [one.place[:2] for one in outcome.plan.differences]
        if session.dry_run or ("spec", "dataVolumeTemplates") in places:
            # Of new volumes virt-controller says nothing before they are filled.
            outcome.restart_required = outcome.plan.needs_restart or status.restart_required(outcome.plan.live)
            return
        until = time.monotonic() + _SETTLING
        while outcome.vm is not None and not status.is_seen(outcome.vm) and time.monotonic() < until:
            time.sleep(_PAUSE)
            outcome.vm = objects.read_one(session, objects.VMS, outcome.key)
    # An instance counts as one of the newest version where only its type has changed.
    told = status.condition(outcome.vm, "RestartRequired").get("status") == "True"
    outcome.restart_required = status.restart_required(outcome.vm) or (told and outcome.plan.changes_type)


def _delete(session: Session, outcome: Outcome, settings: Settings) -> None:
    live = outcome.plan.live
    if live is None:
        return
    if live["metadata"].get("deletionTimestamp"):
        if not settings.delete_volumes:
            # By somebody else, or by a run of ours that was cut off.
            outcome.volumes_kept = volumes.release(session, live)
            outcome.actions += ["keep volumes"] if outcome.volumes_kept else []
        return
    # One that is brought back just now is another version.
    kept = {"resourceVersion": live["metadata"]["resourceVersion"]} if outcome.plan.state == "reclaimed" else {}
    options = {"preconditions": {"uid": live["metadata"]["uid"], **kept}, **settings.delete_options}
    outcome.orphaned = options.get("propagationPolicy") == "Orphan"
    path = objects.object_path(objects.VMS, *outcome.key)
    try:
        if not settings.delete_volumes:
            # Who may not do it learns that before the VM is stopped, which makes another version of it.
            session.trying().delete(path, options)
            outcome.volumes_kept = volumes.release(session.trying(), live)
            _keep_volumes(session, outcome, settings)
            options |= {"propagationPolicy": "Orphan", "preconditions": {"uid": live["metadata"]["uid"]}}
        session.delete(path, options)
        outcome.actions.append("delete")
    except ApiError as error:
        if error.status != 404:
            raise explained(error, outcome.plan.manifest) from error
        # Gone by somebody else's doing, or by our own, whose answer was lost on the way.
        outcome.actions += ["delete"] if error.tries > 1 else []
    if not settings.delete_volumes and not session.dry_run:
        outcome.volumes_kept = volumes.release(session, live, outcome.volumes_kept)


def _remove_ended(session: Session, outcome: Outcome) -> None:
    """Remove the instance of a Manual VM that has shut itself down, which KubeVirt keeps until the next start."""
    vmi = objects.read_one(session, objects.VMIS, outcome.key)
    if vmi is not None:
        options = {"preconditions": {"uid": vmi["metadata"]["uid"]}}
        session.delete(objects.object_path(objects.VMIS, *outcome.key), options)


def _keep_volumes(session: Session, outcome: Outcome, settings: Settings) -> None:
    """Make ready for the server to take the VM out of the owners of all that it owns.

    Its instance would be left to itself as well, and go on: so it is stopped before, where that was not asked for. One
    that still goes keeps the garbage collector from orphaning. The owner taken out here, virt-controller puts back.
    """
    # Somebody may have started or stopped it since the plan was made.
    outcome.vm = objects.read_one(session, objects.VMS, outcome.key)
    if outcome.orphaned or outcome.vm is None:
        return
    # An instance that has ended is KubeVirt's to remove, where its strategy lets that be asked for.
    over = status.is_over(outcome.vm)
    if status.power_of(outcome.vm) != "stopped" or (over and status.strategy_of(outcome.vm) == "Once"):
        act(session, outcome, "stop", settings)
    elif over:
        _remove_ended(session, outcome)
    vmi = None if session.dry_run else objects.read_one(session, objects.VMIS, outcome.key)
    patience = stopping_time(vmi)
    until = time.monotonic() + patience
    while vmi is not None:
        if time.monotonic() > until:
            message = f"stops for more than {patience:g} s: run the task again, to delete it"
            raise RtvirtError(f"{outcome.plan.name}: {message}")
        time.sleep(_PAUSE)
        vmi = objects.read_one(session, objects.VMIS, outcome.key)
