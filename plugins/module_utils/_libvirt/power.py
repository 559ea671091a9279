# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the power of VMs where their plans want it, wait for it, and remove those that are to go.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import contextlib
import functools
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import WaitError
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt import (
    apply,
    deletion,
    domains,
    vhostuser,
    volumes,
    waiting,
)
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.connection import doing
from ansible_collections.rtvirt.core.plugins.module_utils._vm import lifecycle
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import pod_spec

try:
    import libvirt
except ImportError:  # connection.py tells
    pass

__all__ = ["Waits", "apply_power"]


@dataclass(frozen=True)
class Waits:
    """How long and what for. Times in seconds.

    :ivar force: pull the plug of a guest that did not shut down in time.
    """

    wait: bool = True
    timeout: float = 120
    wait_for: tuple[str, ...] = ()
    force: bool = False


def apply_power(connection: t.Any, outcomes: t.Sequence[apply.Outcome], waits: Waits) -> None:
    """Bring the power of all VMs where it should be: those that go down do so together, then the others come up.

    :raises RtvirtError: naming the VM; the outcomes say what was done by then.
    """
    steps = {id(outcome): outcome.steps for outcome in outcomes}
    if not any(steps.values()) and not waits.wait_for and not any(outcome.plan.leaves for outcome in outcomes):
        return
    with waiting.watching(connection) as watch:
        going = [outcome for outcome in outcomes if "shut down" in steps[id(outcome)]]
        for outcome in going:
            _shut_down(connection, outcome, resume="resume" in steps[id(outcome)])
        # What comes up again, or is removed or kept for a term, must be down first.
        must = [o for o in going if waits.wait or o.plan.leaves or steps[id(o)][-1] != "shut down"]
        _wait_down(connection, must, watch, waits)
        for outcome in outcomes:
            _bring_up(connection, outcome, steps[id(outcome)], waits)
        if waits.wait and waits.wait_for:
            _wait_for(connection, outcomes, watch, waits)
    for outcome in outcomes:
        if outcome.plan.undefine:
            _undefine(outcome)
        elif outcome.plan.mark is not None:
            deletion.write_mark(_handle(connection, outcome), outcome.plan.mark)
            outcome.actions.append("soft delete")


def _handle(connection: t.Any, outcome: apply.Outcome) -> t.Any:
    # A transient domain that stops cannot be looked up any more.
    if outcome.plan.existing is not None:
        return outcome.plan.existing.handle
    with doing(f"find {outcome.plan.domain_name}"):
        return connection.lookupByName(outcome.plan.domain_name)


def _shut_down(connection: t.Any, outcome: apply.Outcome, *, resume: bool) -> None:
    handle = _handle(connection, outcome)
    if resume:
        with doing(f"resume {outcome.plan.domain_name}"):
            _resume(handle)
        outcome.actions.append("resume")
    with contextlib.suppress(libvirt.libvirtError):
        # Not answered by a guest that is booting or hangs: the wait tells.
        handle.shutdown()
    outcome.actions.append("shut down")


def _resume(handle: t.Any) -> None:
    if handle.state()[0] == libvirt.VIR_DOMAIN_PMSUSPENDED:
        handle.pMWakeup()
    else:
        handle.resume()


def _wait_down(connection: t.Any, outcomes: list[apply.Outcome], watch: waiting.Watch, waits: Waits) -> None:
    begun = time.monotonic()
    for outcome in outcomes:
        handle = _handle(connection, outcome)
        grace = pod_spec(outcome.plan.document).get("terminationGracePeriodSeconds")
        limit, option = waits.timeout, "wait_timeout"
        if grace is not None and grace < limit:
            limit, option = grace, "termination_grace_period_seconds"
        name = outcome.plan.domain_name
        if watch.until(functools.partial(_is_down, handle), timeout=max(0.0, begun + limit - time.monotonic())):
            continue
        if not waits.force:
            raise WaitError(
                f"{name} did not shut down within {limit:g} s, it is {domains.observe(handle).state}: "
                f"its guest may ignore the power button; give it longer by {option}, or set force to pull its plug"
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


def _bring_up(connection: t.Any, outcome: apply.Outcome, steps: list[lifecycle.Step], waits: Waits) -> None:
    name = outcome.plan.domain_name
    after = steps[steps.index("shut down") + 1 :] if "shut down" in steps else steps
    for step in after:
        handle = _handle(connection, outcome)
        with doing(f"{step} {name}"):
            if step == "resume":
                _resume(handle)
            elif step == "pause":
                handle.suspend()
            else:
                flags = libvirt.VIR_DOMAIN_START_PAUSED if step == "start paused" else 0
                vhostuser.start(handle, flags, _sockets(outcome), waits.timeout)
        outcome.actions.append(step)
        if step.startswith("start"):
            # Nothing, but where it goes on from a saved state, with the old definition.
            outcome.pending = outcome.plan.compared.saved


def _sockets(outcome: apply.Outcome) -> list[str]:
    definition = outcome.plan.after
    return [] if definition is None else vhostuser.sockets(definition)


def _wait_for(connection: t.Any, outcomes: t.Sequence[apply.Outcome], watch: waiting.Watch, waits: Waits) -> None:
    """Wait until every VM that is up has what is waited for, all of them within the one timeout."""
    begun = time.monotonic()
    handles = {
        outcome.plan.domain_name: _handle(connection, outcome)
        for outcome in outcomes
        if outcome.plan.state in ("present", "running", "restarted") and _is_up(outcome)
    }

    def gone() -> str | None:
        for name, handle in handles.items():
            if not handle.isActive():
                waited = " and ".join(waits.wait_for)
                return f"{name} stopped while waiting for its {waited}: it is {domains.observe(handle).state}"
            if "agent" in waits.wait_for and not waiting.has_agent_channel(handle):
                return f"wait_for: {name} has no channel {waiting.AGENT_CHANNEL} for an agent to answer by"
        return None

    checks: dict[str, t.Callable[[t.Any], bool]] = {"agent": waiting.agent_answers, "address": waiting.has_address}
    for name, handle in handles.items():
        for what in waits.wait_for:
            left = max(0.0, begun + waits.timeout - time.monotonic())
            if not watch.until(functools.partial(checks[what], handle), timeout=left, failed=gone):
                state = domains.observe(handle).state
                raise WaitError(f"{name} is {state} but has no {what} after {waits.timeout:g} s: {_REMEDIES[what]}")


_REMEDIES = {
    "agent": "is qemu-guest-agent installed and running in the guest?",
    "address": "no lease, agent or ARP entry names one; a user-mode network shows none without the agent",
}


def _is_up(outcome: apply.Outcome) -> bool:
    """Whether a VM is up now, by what was done to it."""
    ups = [action != "shut down" for action in outcome.actions if action in (*_UP, "shut down")]
    plan = outcome.plan
    return ups[-1] if ups else plan.existing is not None and plan.existing.power == "running"


_UP = ("start", "resume")


def _undefine(outcome: apply.Outcome) -> None:
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
    outcome.actions += [f"remove {path}" for path in volumes.remove_files(plan.remove)]
