# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until all VMs of a task are what they are to be, by one watch; early out where one will not be.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import (
    DeclarationError,
    Problem,
    RtvirtError,
    WaitError,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import objects, status
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.outcome import Outcome
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import ApiError, Session
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.watch import Watch
from ansible_collections.rtvirt.core.plugins.module_utils._vm import lifecycle
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at

__all__ = ["Waits", "check_waits", "wait_for_all"]

_EVENTS = 5

#: VMs whose events are read when time is over.
_TOLD = 3


@dataclass(frozen=True)
class Waits:
    """:ivar seconds: how long to wait for all VMs together.
    :ivar conditions: ``ready``, ``agent``, ``address``, or ``Type`` or ``Type=Status`` of a condition.
    :ivar unschedulable_grace: seconds that a VM may be hindered: that no node has room for it, say.
    """

    seconds: int = 120
    conditions: tuple[str, ...] = ("ready",)
    unschedulable_grace: int = 30


def check_waits(waits: Waits) -> None:
    """:raises DeclarationError: for conditions and times that are none."""
    problems = [
        Problem(
            f"wait_for[{index}]", f"is {text!r}: write ready, agent, address, or a condition such as LiveMigratable"
        )
        for index, text in enumerate(waits.conditions)
        if not text.partition("=")[0].isalnum()
    ]
    problems += [
        Problem(option, f"is {value}: write 0 or more seconds")
        for option, value in (("wait_timeout", waits.seconds), ("unschedulable_grace", waits.unschedulable_grace))
        if value < 0
    ]
    if problems:
        raise DeclarationError(problems)


def wait_for_all(session: Session, outcomes: list[Outcome], waits: Waits) -> None:
    """Wait for every VM; those that will not come have their ``error`` afterwards."""
    waiting = {outcome.key: outcome for outcome in outcomes if outcome.error is None}
    if not waiting:
        return
    deadline = time.monotonic() + waits.seconds
    hindered_since: dict[t.Any, float] = {}
    with Watch(session, waiting, deadline) as watch:
        while waiting:
            left = deadline - time.monotonic()
            try:
                watch.next_change(min(left, 1.0) if hindered_since else left)
            except RtvirtError as error:
                for outcome in waiting.values():
                    outcome.error = RtvirtError(f"{outcome.plan.name}: while waiting: {error.message}", **error.details)
                return
            for key, outcome in list(waiting.items()) if watch.is_complete else ():
                vm, vmi = watch.get(objects.VMS, key), watch.get(objects.VMIS, key)
                try:
                    if _is_done(outcome, vm, vmi, waits):
                        outcome.vm, outcome.vmi = vm, vmi
                        del waiting[key]
                    elif vm is not None:
                        _check_hope(outcome, vm, vmi, hindered_since, waits)
                except WaitError as error:
                    outcome.error = error
                    outcome.vm, outcome.vmi = vm, vmi
                    del waiting[key]
            if time.monotonic() >= deadline:
                break
        states = {key: status.described(watch.get(objects.VMS, key), watch.get(objects.VMIS, key)) for key in waiting}
    for number, (key, outcome) in enumerate(waiting.items()):
        # The message has no more of them, and the server may be away.
        events = _last_events(session, outcome) if number < _TOLD else ""
        text = f"{outcome.plan.name}: not {_goal(outcome, waits)} within {waits.seconds} s: {states[key]}"
        outcome.error = WaitError(text + events)


def _is_done(outcome: Outcome, vm: dict[str, t.Any] | None, vmi: dict[str, t.Any] | None, waits: Waits) -> bool:
    if outcome.plan.state in lifecycle.LEAVING:
        return vm is None and (vmi is None or outcome.orphaned)
    if vm is None:
        raise WaitError(f"{outcome.plan.name}: somebody has deleted it meanwhile")
    wanted = outcome.plan.wanted or status.power_of(vm)
    if wanted == "stopped":
        return status.is_stopped(vm, vmi)
    if vmi is None or _is_old(outcome, vmi) or mapping_at(vmi, "status").get("phase") in ("Succeeded", "Failed"):
        return False
    if wanted == "paused":
        return status.power_of(vm) == "paused" and status.condition(vmi, "Paused").get("status") == "True"
    return all(_holds(text, vm, vmi) for text in waits.conditions)


def _is_old(outcome: Outcome, vmi: dict[str, t.Any] | None) -> bool:
    """Whether an instance is the one that another is to follow, which says nothing of that."""
    metadata = mapping_at(vmi, "metadata")
    return vmi is not None and (metadata.get("uid") == outcome.old_uid or bool(metadata.get("deletionTimestamp")))


def _holds(text: str, vm: dict[str, t.Any], vmi: dict[str, t.Any]) -> bool:
    if text == "address":
        return bool(status.addresses(vmi))
    if text == "ready":
        return status.is_ready(vm, vmi)
    name, _equals, wanted = text.partition("=")
    kind = "AgentConnected" if name == "agent" else name
    found = status.condition(vmi, kind) or status.condition(vm, kind)
    return bool(found.get("status", "False" if wanted == "False" else None) == (wanted or "True"))


def _check_hope(
    outcome: Outcome, vm: dict[str, t.Any], vmi: dict[str, t.Any] | None, since: dict[t.Any, float], waits: Waits
) -> None:
    """:raises WaitError: for a VM that will not get there by itself.

    :arg since: when each VM was first seen hindered.
    """
    name = outcome.plan.name
    if outcome.plan.state in lifecycle.LEAVING or outcome.plan.wanted == "stopped" or _is_old(outcome, vmi):
        return
    # What starts a VM stays in it until it has begun to: a strategy, or a request.
    reason = "it has stopped" if outcome.plan.wanted and status.power_of(vm) == "stopped" else status.hopeless(vm, vmi)
    if (
        reason == "CrashLoopBackOff"
        and outcome.actions
        and _last_failed(vm) in (outcome.old_uid, _last_failed(outcome.plan.live))
    ):
        # That of an instance before what was done; the next one is to show.
        return
    if reason is not None:
        raise WaitError(f"{name}: will not run: {reason}; {status.described(vm, vmi)}")
    hindrance = status.hindered(vm, vmi)
    if hindrance is None:
        since.pop(outcome.key, None)
    elif time.monotonic() - since.setdefault(outcome.key, time.monotonic()) >= waits.unschedulable_grace:
        raise WaitError(f"{name}: for {waits.unschedulable_grace} s, {hindrance}; {status.described(vm, vmi)}")


def _last_failed(vm: dict[str, t.Any] | None) -> str | None:
    """The instance that failed last."""
    uid: str | None = mapping_at(vm, "status", "startFailure").get("lastFailedVMIUID")
    return uid


def _goal(outcome: Outcome, waits: Waits) -> str:
    if outcome.plan.state in lifecycle.LEAVING:
        return "gone"
    if outcome.plan.wanted in ("stopped", "paused"):
        return outcome.plan.wanted
    return " and ".join(waits.conditions) or "running"


def _last_events(session: Session, outcome: Outcome) -> str:
    """The last events about a VM and its instance, as text to put after a message; empty where none are to be had."""
    path = f"/api/v1/namespaces/{outcome.plan.namespace}/events"
    try:
        items = session.get(path, fieldSelector=f"involvedObject.name={outcome.plan.name}").get("items") or []
    except (ApiError, RtvirtError):
        return ""
    items.sort(key=lambda item: str(item.get("lastTimestamp") or item.get("eventTime") or ""))
    told = [f"{item.get('reason')}: {item.get('message')}" for item in items[-_EVENTS:]]
    return f"; last events: {' | '.join(dict.fromkeys(told))}" if told else ""
