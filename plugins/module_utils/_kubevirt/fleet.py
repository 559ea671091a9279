# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All VMs of a task: planned from one look at the cluster, tried, and applied several at a time.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import functools
import json
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import objects
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.apply import apply_vm
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.outcome import Outcome, Settings
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.plan import (
    VmPlan,
    plan_leaving,
    plan_power,
    plan_vm,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.refusal import explained
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import ApiError, Session
from ansible_collections.rtvirt.core.plugins.module_utils._vm import lifecycle
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import Manifest

__all__ = ["apply_all", "plan_all", "try_shapes"]


def plan_all(
    session: Session,
    manifests: t.Sequence[Manifest],
    state: lifecycle.State,
    *,
    power_alone: t.Sequence[bool],
    reclaim_after: int,
) -> list[VmPlan]:
    """A plan for each VM.

    :arg reclaim_after: seconds that a VM is kept which is to be absent.
    :arg power_alone: whether nothing is declared of a VM but its power state.
    :raises DeclarationError: with the problems of all of them: no namespace, no such VM, …
    """
    missing = [
        Problem(manifest.option_path(("metadata", "namespace")), "is missing: write the namespace of the VM")
        for manifest in manifests
        if not manifest.namespace
    ]
    if missing:
        raise DeclarationError(dict.fromkeys(missing))
    found = objects.read_all(session, objects.VMS, ((str(one.namespace), one.name) for one in manifests))
    plans: list[VmPlan] = []
    problems: list[Problem] = []
    for manifest, power in zip(manifests, power_alone):
        namespace = str(manifest.namespace)
        planned = plan_power if power else plan_vm
        if state in lifecycle.LEAVING:
            planned = functools.partial(plan_leaving, reclaim_after=reclaim_after, now=time.time())
        try:
            plans.append(planned(manifest, namespace, found.get((namespace, manifest.name)), state))
        except DeclarationError as error:
            problems += error.problems
    if problems:
        raise DeclarationError(dict.fromkeys(problems))
    return plans


def try_shapes(session: Session, plans: t.Sequence[VmPlan], *, go_on: bool) -> None:
    """Have the server check one VM of each kind by a dry run, before any is touched.

    The VMs of a fleet differ in names, addresses and the like. What the server has to say of the fields themselves
    (unknown ones, gates that are off, quotas aside) it says of the first of them.

    :arg go_on: leave what is no mistake of a declaration (a quota, a right) to the VM that it concerns.
    :raises DeclarationError: for what the server refuses.
    """
    problems: list[Problem] = []
    seen: set[str] = set()
    for plan in plans:
        body = plan.document if plan.live is None else plan.patch
        shape = json.dumps([plan.namespace, plan.live is None, _shape(body)], sort_keys=True)
        if not body or shape in seen:
            continue
        seen.add(shape)
        try:
            if plan.live is None:
                session.create(objects.object_path(objects.VMS, plan.namespace), body)
            else:
                session.patch(objects.object_path(objects.VMS, plan.namespace, plan.name), body)
        except ApiError as error:
            refusal = explained(error, plan.manifest)
            if isinstance(refusal, DeclarationError):
                problems += refusal.problems
            # A conflict is settled when the VM's turn comes.
            elif error.status != 409 and not go_on:
                raise refusal from error
    if problems:
        raise DeclarationError(dict.fromkeys(problems))


def _shape(value: t.Any) -> t.Any:
    """A document without its texts."""
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shape(item) for item in value]
    return "" if isinstance(value, str) else value


def apply_all(
    session: Session, plans: t.Sequence[VmPlan], settings: Settings, *, concurrency: int, go_on: bool
) -> list[Outcome]:
    """Apply plans, ``concurrency`` at a time; what fails has its ``error``.

    :arg go_on: whether the others are done although one has failed. Otherwise no further one is begun.
    """
    outcomes = [Outcome(plan, plan.live) for plan in plans]
    failed = threading.Event()

    def apply_one(outcome: Outcome) -> None:
        if failed.is_set() and not go_on:
            outcome.error = RtvirtError(f"{outcome.plan.name}: left as it is, as another VM has failed")
            return
        try:
            apply_vm(session, outcome, settings)
        except RtvirtError as error:
            outcome.error = error
            failed.set()

    with ThreadPoolExecutor(max_workers=concurrency) as pool:
        list(pool.map(apply_one, outcomes))
    return outcomes
