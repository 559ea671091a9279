# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Act on the power of one VM, and know a refusal from a success.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import objects, status
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.outcome import Outcome, Settings
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.plan import Action
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.refusal import explained
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import ApiError, Session
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at

__all__ = ["act", "restart", "stopping_time", "takes_longer"]

#: Seconds that an action is tried again while KubeVirt is still busy with the one before.
_BUSY = 30.0

#: Seconds that a guest may take to stop where its VM does not say (DefaultGracePeriodSeconds of KubeVirt's API), and
#: that KubeVirt may take for the rest. A pod that hangs is killed 15 s after the guest's time.
_GRACE, _ENDING = 30.0, 60.0

_PAUSE = 0.2

#: What virt-api says of an action that a run strategy never takes, however long it is asked.
_NEVER = "does not support manual"

#: What it says, with status 500, while actions before have not been seen to.
_UNDERWAY = "already underway"


def act(session: Session, outcome: Outcome, action: Action, settings: Settings) -> None:
    """An action on the power state. A refusal is never taken for success: the VM is looked at again."""
    if session.dry_run and outcome.plan.live is None:
        # There is no VM yet that the server could try it on.
        outcome.actions.append(action)
        return
    if action == "stop" and not session.dry_run:
        _let_restart_end(session, outcome)
    begun, patience = time.monotonic(), _BUSY
    if action == "restart":
        outcome.old_uid = _instance_uid(session, outcome.key, begun + patience)
    while True:
        try:
            session.act(*_request(outcome.key, action, settings))
            outcome.actions.append(action)
            return
        except ApiError as error:
            starting = action == "pause" and (error.status == 404 or "not running" in error.message)
            if error.status != 409 and _UNDERWAY not in error.message and not starting:
                raise explained(error, outcome.plan.manifest) from error
            refusal = error
        underway = _UNDERWAY in refusal.message
        if session.dry_run and (starting or underway):
            # For real it is waited until the VM takes it.
            outcome.actions.append(action)
            return
        outcome.vm = objects.read_one(session, objects.VMS, outcome.key)
        if outcome.vm is None:
            raise RtvirtError(f"{outcome.plan.name}: {action}: somebody has deleted it meanwhile")
        if action == "restart" and underway and status.power_of(outcome.vm) == "running":
            # By somebody else, or by our own order, whose answer was lost: the next instance is of what was declared.
            outcome.actions.append(action)
            return
        if (
            action != "restart"
            and status.power_of(outcome.vm) == outcome.plan.wanted
            and not status.is_going(outcome.vm)
        ):
            # Somebody else's doing, or our own, whose answer was lost on the way.
            outcome.actions += [action] if refusal.tries > 1 else []
            return
        if action == "stop" and "not running" in refusal.message and _halt(session, outcome):
            outcome.actions.append(action)
            return
        going = status.is_going(outcome.vm) or underway
        if going and patience == _BUSY:
            # Whoever stops it, its guest has its time.
            patience = stopping_time(objects.read_one(session, objects.VMIS, outcome.key))
        rising = starting and status.power_of(outcome.vm) == "running"
        passing = (going or rising or "modified" in refusal.message) and _NEVER not in refusal.message
        if not passing or time.monotonic() > begun + patience:
            state = status.described(outcome.vm, objects.read_one(session, objects.VMIS, outcome.key))
            raise RtvirtError(f"{outcome.plan.name}: {action}: {refusal.message} ({state})", **refusal.details)
        time.sleep(_PAUSE)


def _let_restart_end(session: Session, outcome: Outcome) -> None:
    """A stop of a VM with Always is taken while a restart is under way, whose second half then starts it again."""
    until = None
    while outcome.vm is not None and status.strategy_of(outcome.vm) == "Always" and status.is_restarting(outcome.vm):
        if until is None:
            until = time.monotonic() + stopping_time(objects.read_one(session, objects.VMIS, outcome.key))
        if time.monotonic() > until:
            return
        time.sleep(_PAUSE)
        outcome.vm = objects.read_one(session, objects.VMS, outcome.key)


def _halt(session: Session, outcome: Outcome) -> bool:
    """Halt a VM that would run again, and has no instance that virt-api would stop; whether that was done."""
    vm = outcome.vm
    if vm is None or status.strategy_of(vm) != "RerunOnFailure" or mapping_at(vm, "status").get("created"):
        return False
    metadata = {"resourceVersion": vm["metadata"]["resourceVersion"]}
    try:
        path = objects.object_path(objects.VMS, *outcome.key)
        outcome.vm = session.patch(path, {"metadata": metadata, "spec": {"runStrategy": "Halted"}})
    except ApiError as error:
        if error.status != 409:
            raise explained(error, outcome.plan.manifest) from error
        return False
    return True


def stopping_time(vmi: dict[str, t.Any] | None) -> float:
    """Seconds until an instance that is stopped is gone, at most."""
    grace = mapping_at(vmi, "spec").get("terminationGracePeriodSeconds")
    return _ENDING + (_GRACE if grace is None else float(grace))


def restart(session: Session, outcome: Outcome, settings: Settings) -> None:
    """A restart for what was changed: a paused VM comes back paused, which KubeVirt's own restart does not know."""
    # What was read before may have been paused, or let go on, since.
    was = outcome.plan.wanted or ("stopped" if outcome.vm is None else status.power_of(outcome.vm))
    actions: tuple[Action, ...] = ("stop", "start paused") if was == "paused" else ("restart",)
    for action in actions:
        if session.dry_run and action == "start paused":
            # The stop before was only tried.
            outcome.actions.append(action)
        else:
            act(session, outcome, action, settings)
    if not session.dry_run:
        outcome.vm = objects.read_one(session, objects.VMS, outcome.key)


def takes_longer(session: Session, outcome: Outcome, grace_period: int | None) -> bool:
    """Whether a VM that is stopping was given more time than it is to have."""
    if grace_period is None or outcome.vm is None or not status.is_going(outcome.vm):
        return False
    spec = mapping_at(objects.read_one(session, objects.VMIS, outcome.key), "spec")
    return int(spec.get("terminationGracePeriodSeconds") or 0) > grace_period


def _instance_uid(session: Session, key: objects.Key, until: float) -> str | None:
    """The instance to be ended by a restart; of a VM that was just started it may not be there yet."""
    while True:
        vmi = objects.read_one(session, objects.VMIS, key)
        if vmi is not None or session.dry_run or time.monotonic() > until:
            return mapping_at(vmi, "metadata").get("uid")
        time.sleep(_PAUSE)


def _request(key: objects.Key, action: Action, settings: Settings) -> tuple[str, dict[str, t.Any]]:
    if action in ("pause", "unpause"):
        return objects.action_path(objects.VMIS, key, action), {}
    if action == "start paused":
        return objects.action_path(objects.VMS, key, "start"), {"paused": True}
    options: dict[str, t.Any] = {}
    if action == "stop" and settings.grace_period is not None:
        options["gracePeriod"] = settings.grace_period
    return objects.action_path(objects.VMS, key, action), options
