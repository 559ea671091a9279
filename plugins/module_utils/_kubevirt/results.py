# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task returns of its VMs.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.comparison import Difference
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.managers import manager_of
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.outcome import Outcome
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.record import (
    LAST_APPLIED,
    declared_part,
    read_deletion,
    read_record,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.status import (
    addresses,
    conditions,
    power_of,
    restart_required,
    strategy_of,
)
from ansible_collections.rtvirt.core.plugins.module_utils._vm import lifecycle, secrets
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at

__all__ = ["describe_outcome", "describe_vm", "diff_of", "shown"]

#: Annotations that hold a whole manifest as text, cloud-init's data in it: our record, and what kubectl leaves.
_RECORDS = (LAST_APPLIED, secrets.KUBECTL_RECORD)


def shown(document: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """An object as a result has it: without secrets, our record, and the bookkeeping of field managers."""
    result: dict[str, t.Any] = secrets.unprinted(dict(document or {}))
    mapping_at(result, "metadata").pop("managedFields", None)
    for record in _RECORDS:
        mapping_at(result, "metadata", "annotations").pop(record, None)
    return result


def describe_outcome(outcome: Outcome) -> dict[str, t.Any]:
    """The result of one VM."""
    plan = outcome.plan
    result: dict[str, t.Any] = {
        "name": plan.name,
        "namespace": plan.namespace,
        "changed": bool(outcome.actions),
        "actions": outcome.actions,
        "changes": [_described(one) for one in plan.differences],
        "conflicts": [_conflict(one, plan.live or {}) for one in plan.differences if one.drifted],
        "adopted": plan.adopted,
        "restart_required": outcome.restart_required,
    }
    if outcome.error is not None:
        result["error"] = outcome.error.message
    if plan.state in lifecycle.LEAVING:
        gone = "absent" if outcome.error is None else "deleting"
        return {**result, "state": gone, "volumes_kept": outcome.volumes_kept}
    there = None if outcome.vm is None else power_of(outcome.vm)
    state = there if outcome.error is not None else plan.wanted or there
    status = mapping_at(outcome.vm, "status").get("printableStatus")
    result |= {"state": state, "printable_status": status, "addresses": addresses(outcome.vmi)}
    return {**result, **_term(outcome.vm)}


def _term(vm: dict[str, t.Any] | None) -> dict[str, str]:
    """When a VM was deleted that is kept for a term, and until when that is."""
    deletion = read_deletion(vm)
    return {} if deletion is None else deletion.described()


def describe_vm(vm: dict[str, t.Any], vmi: dict[str, t.Any] | None, guest: dict[str, t.Any]) -> dict[str, t.Any]:
    """What is known of a VM.

    :arg guest: what its guest agent says, empty where it was not asked.
    """
    metadata, status = mapping_at(vm, "metadata"), mapping_at(vmi, "status")
    told = {key: value for key, value in guest.items() if key not in ("apiVersion", "kind", "metadata")}
    system = status.get("guestOSInfo")
    return {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "state": "deleting" if metadata.get("deletionTimestamp") else power_of(vm),
        "status": mapping_at(vm, "status").get("printableStatus"),
        "run_strategy": strategy_of(vm),
        "managed": read_record(vm) is not None,
        "restart_required": restart_required(vm),
        "labels": mapping_at(metadata, "labels"),
        "conditions": list(dict.fromkeys(text for thing in (vmi, vm) for text, _why in conditions(thing))),
        "phase": status.get("phase"),
        "node": status.get("nodeName"),
        "addresses": addresses(vmi),
        "guest": {"os": system, **told} if system else told,
        "vmi": shown(vmi),
        **_term(vm),
    }


def diff_of(outcome: Outcome) -> dict[str, t.Any]:
    """Ansible's diff: what is declared of the VM, before and after."""
    plan = outcome.plan
    after: dict[str, t.Any] = (
        {} if plan.state in lifecycle.LEAVING else plan.comparison.merged or declared_part(plan.document)
    )
    return {
        "before_header": f"{plan.namespace}/{plan.name} (cluster)",
        "after_header": f"{plan.namespace}/{plan.name} (declared)",
        "before": shown(declared_part(plan.live or {})),
        "after": shown(after),
    }


def _described(one: Difference) -> dict[str, t.Any]:
    return {"path": one.path, "before": one.before, "after": one.after}


def _conflict(one: Difference, live: dict[str, t.Any]) -> dict[str, t.Any]:
    """A field that we had set, which someone has changed since: who and when."""
    return {"path": one.path, "found": one.before, **manager_of(live, one.place)}
