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

#: What it says where there is no instance that runs.
_NOT_RUNNING = "not running"

#: What to make of a refusal: the action is done (by ourselves, or by others), or is done by halting the VM; it is to be
#: tried again, for as long as the end of an instance may take or for less; or it is never taken.
_Verdict = t.Literal["done", "done by others", "halt", "ending", "again", "never"]


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
        refusal = _order(session, outcome, action, settings)
        # In a dry run nothing comes to its end: for real it is waited until the VM takes the action.
        if refusal is None or (session.dry_run and (_is_underway(refusal) or _is_early(action, refusal))):
            break
        outcome.vm = objects.read_one(session, objects.VMS, outcome.key)
        if outcome.vm is None:
            raise RtvirtError(f"{outcome.plan.name}: {action}: somebody has deleted it meanwhile")
        verdict = _verdict(action, refusal, outcome.vm, outcome.plan.wanted)
        if verdict == "done by others":
            return
        if verdict == "done" or (verdict == "halt" and _halt(session, outcome, outcome.vm)):
            break
        if verdict == "ending" and patience == _BUSY:
            # Whoever stops it, its guest has its time.
            patience = stopping_time(objects.read_one(session, objects.VMIS, outcome.key))
        if verdict == "never" or time.monotonic() > begun + patience:
            state = status.described(outcome.vm, objects.read_one(session, objects.VMIS, outcome.key))
            raise RtvirtError(f"{outcome.plan.name}: {action}: {refusal.message} ({state})", **refusal.details)
        time.sleep(_PAUSE)
    outcome.actions.append(action)


def _order(session: Session, outcome: Outcome, action: Action, settings: Settings) -> ApiError | None:
    """The refusal of an action that may have a reason which passes; None when it was taken.

    :raises RtvirtError: for any other refusal.
    """
    try:
        session.act(*_request(outcome.key, action, settings))
    except ApiError as error:
        if error.status != 409 and not _is_underway(error) and not _is_early(action, error):
            raise explained(error, outcome.plan.manifest) from error
        return error
    return None


def _is_underway(refusal: ApiError) -> bool:
    return _UNDERWAY in refusal.message


def _is_early(action: Action, refusal: ApiError) -> bool:
    """Whether what is to be paused has no instance that runs, or none yet."""
    return action == "pause" and (refusal.status == 404 or _NOT_RUNNING in refusal.message)


def _verdict(action: Action, refusal: ApiError, vm: dict[str, t.Any], wanted: str | None) -> _Verdict:
    power, going = status.power_of(vm), status.is_going(vm)
    if action == "restart":
        if _is_underway(refusal) and power == "running":
            # By somebody else, or by our own order, whose answer was lost: the next instance is of what was declared.
            return "done"
    elif power == wanted and not going:
        # Our own doing may be behind an answer that was lost on the way.
        return "done" if refusal.tries > 1 else "done by others"
    if _NEVER in refusal.message:
        return "never"
    if action == "stop" and _NOT_RUNNING in refusal.message and _runs_again(vm):
        return "halt"
    if going or _is_underway(refusal):
        return "ending"
    if "modified" in refusal.message or (_is_early(action, refusal) and power == "running"):
        return "again"
    return "never"


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


def _runs_again(vm: dict[str, t.Any]) -> bool:
    """Whether it would be given an instance, and has none now that virt-api would stop."""
    return status.strategy_of(vm) == "RerunOnFailure" and not mapping_at(vm, "status").get("created")


def _halt(session: Session, outcome: Outcome, vm: dict[str, t.Any]) -> bool:
    """Stop a VM without an instance for good; False when it was changed since it was read."""
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
