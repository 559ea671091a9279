# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a declaration and a VM as the server has it to what is to be done. Pure.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import status
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.comparison import (
    Comparison,
    Difference,
    compare,
    merge_patch,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.record import (
    DELETION,
    LAST_APPLIED,
    declared_part,
    read_deletion,
    read_record,
    with_record,
    written,
)
from ansible_collections.rtvirt.core.plugins.module_utils._vm import lifecycle, secrets
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.cluster import lacking
from ansible_collections.rtvirt.core.plugins.module_utils._vm.deletion import Deletion
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import POD, Manifest, mapping_at

__all__ = ["Action", "VmPlan", "plan_leaving", "plan_power", "plan_vm"]

#: What is done to a VM, in KubeVirt's own words; and in Nova's, of one that is deleted for a term.
Action = t.Literal[
    "create",
    "update",
    "start",
    "start paused",
    "stop",
    "restart",
    "pause",
    "unpause",
    "delete",
    "soft delete",
    "restore",
]

#: Parts of an instance's spec that KubeVirt gives a running instance (rollout strategy LiveUpdate, its default). The
#: rest waits for a restart. Source: pkg/virt-controller/watch/vm/vm.go, the calls before setRestartRequired.
_LIVE = (
    (*POD, "affinity"),
    (*POD, "nodeSelector"),
    (*POD, "tolerations"),
    (*POD, "domain", "cpu", "sockets"),
    (*POD, "domain", "memory", "guest"),
)


#: What a VM takes CPUs, memory and devices from, beside its template.
_MATCHERS = (("spec", "instancetype"), ("spec", "preference"))

#: What a manifest has that was read from a cluster, and that no one may write.
_SERVERS_OWN = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")


@dataclass(frozen=True)
class VmPlan:
    """What brings one VM to its declaration.

    :ivar live: the VM as it was found, None for one to create.
    :ivar document: the VM to create, empty where there is one.
    :ivar patch: what makes the VM that is there the declared one, empty for nothing.
    :ivar patch_action: what the patch does.
    :ivar power: what brings its power state, after it was created or patched.
    """

    name: str
    namespace: str
    state: lifecycle.State
    manifest: Manifest
    live: dict[str, t.Any] | None
    document: dict[str, t.Any]
    comparison: Comparison = field(default_factory=lambda: Comparison({}))
    patch: dict[str, t.Any] = field(default_factory=dict)
    patch_action: Action = "update"
    power: tuple[Action, ...] = ()
    wanted: lifecycle.Power | None = None

    @property
    def actions(self) -> tuple[Action, ...]:
        if self.state in lifecycle.LEAVING:
            return () if self.live is None else ("delete",)
        first: tuple[Action, ...] = ("create",) if self.live is None else (self.patch_action,) if self.patch else ()
        return first + self.power

    @property
    def differences(self) -> list[Difference]:
        return self.comparison.differences

    @property
    def adopted(self) -> bool:
        """Whether the VM is there, and not of our making."""
        return self.live is not None and read_record(self.live) is None

    @property
    def needs_restart(self) -> bool:
        """Whether the patch holds what a running instance does not get, as far as that is known before."""
        return any(
            one.place[: len(POD)] == POD and not any(one.place[: len(live)] == live for live in _LIVE)
            for one in self.differences
        )

    @property
    def changes_type(self) -> bool:
        """Whether the patch holds another instancetype or preference."""
        return any(one.place[:2] in _MATCHERS for one in self.differences)


def plan_vm(manifest: Manifest, namespace: str, live: dict[str, t.Any] | None, state: lifecycle.State) -> VmPlan:
    """Plan one VM; the manifest was admitted, and is of this namespace.

    :raises DeclarationError: for what a VM to be made lacks, and what KubeVirt is known to refuse of this one.
    """
    declared = declared_part(manifest.document)
    wanted = lifecycle.wanted_power(state, manifest.document, exists=live is not None)
    strategy = _strategy(manifest.document, state)
    declared.setdefault("spec", {}).pop("running", None)
    declared["spec"].pop("runStrategy", None)
    if strategy is not None:
        declared["spec"]["runStrategy"] = strategy
    plan = VmPlan(manifest.name, namespace, state, manifest, live, {}, patch_action=_patch_action(live), wanted=wanted)
    if live is None:
        problems = lacking(manifest)
        if problems:
            raise DeclarationError(problems)
        document = _new(manifest, namespace, declared, strategy or ("Always" if wanted == "running" else "Halted"))
        current: lifecycle.Power = "running" if status.strategy_of(document) in status.STARTING else "stopped"
        return replace(plan, document=document, power=_power(current, wanted, restart=False))
    comparison = _compared(live, declared)
    patch = _patch(live, declared, comparison)
    after = {**live, "spec": {**mapping_at(live, "spec"), **mapping_at(comparison.merged, "spec")}}
    # A patch by which a VM that is down starts is all the restart it needs.
    restart = state == "restarted" and status.power_of(live) != "stopped"
    plan = replace(
        plan, comparison=comparison, patch=patch, power=_power(status.power_of(after), wanted, restart=restart)
    )
    _check_power(plan, after)
    return plan


def plan_power(manifest: Manifest, namespace: str, live: dict[str, t.Any] | None, state: lifecycle.State) -> VmPlan:
    """Plan the power state alone of a VM of which nothing is declared but its name.

    :raises DeclarationError: where there is no such VM, and for what KubeVirt is known to refuse of this one.
    """
    if live is None:
        message = "there is no such VM, and nothing is declared to make it of: write memory, disks, …"
        raise DeclarationError([Problem(manifest.option_path(("metadata", "name")), f"{manifest.name!r}: {message}")])
    wanted = lifecycle.wanted_power(state, {}, exists=True)
    power = _power(status.power_of(live), wanted, restart=state == "restarted")
    patch = {} if read_deletion(live) is None else _annotation(None)
    comparison = Comparison(declared_part(live))
    plan = VmPlan(
        manifest.name, namespace, state, manifest, live, {}, comparison, patch, _patch_action(live), power, wanted
    )
    _check_power(plan, live)
    return plan


def plan_leaving(
    manifest: Manifest,
    namespace: str,
    live: dict[str, t.Any] | None,
    state: lifecycle.State,
    *,
    reclaim_after: int,
    now: float,
) -> VmPlan:
    """Plan a VM that is to go, at once, after a term, or if its term is over.

    :arg reclaim_after: seconds that it is kept, 0 for none.
    :arg now: seconds since 1970.
    """
    going = VmPlan(manifest.name, namespace, state, manifest, live, {}, wanted="stopped")
    if live is None or (state == "absent" and not reclaim_after):
        return going
    deletion = read_deletion(live)
    plan = replace(going, state="present", wanted=None, comparison=Comparison(declared_part(live)))
    if state == "reclaimed":
        # Whoever has started it again has a use for it.
        over = deletion is not None and deletion.is_over(now) and status.power_of(live) == "stopped"
        return going if over or mapping_at(live, "metadata").get("deletionTimestamp") else plan
    kept = Deletion(int(now) if deletion is None else deletion.deleted, reclaim_after)
    plan = replace(
        plan,
        state="stopped",
        wanted="stopped",
        patch={} if kept == deletion else _annotation(written(kept)),
        patch_action="soft delete",
        power=_power(status.power_of(live), "stopped", restart=False),
    )
    _check_power(plan, live)
    return plan


def _patch_action(live: dict[str, t.Any] | None) -> Action:
    return "update" if read_deletion(live) is None else "restore"


def _annotation(deletion: str | None) -> dict[str, t.Any]:
    """The patch of nothing but the mark."""
    return {"metadata": {"annotations": {DELETION: deletion}}}


def _check_power(plan: VmPlan, vm: dict[str, t.Any]) -> None:
    strategy = status.strategy_of(vm)
    if "restart" in plan.power and strategy == "Once":
        message = f"KubeVirt does not restart {plan.name}, whose run strategy is Once: stop it, and start it"
        raise DeclarationError([Problem("state", message)])
    if plan.power and strategy == "WaitAsReceiver":
        # virt-api answers that it will, and does nothing.
        message = f"KubeVirt neither starts nor stops {plan.name}, whose run strategy is WaitAsReceiver"
        raise DeclarationError([Problem("state", f"{message}: write another run_strategy")])


def _strategy(document: t.Mapping[str, t.Any], state: lifecycle.State) -> str | None:
    """The declared strategy as far as the state leaves it a say: who stops a VM does not have it started by it."""
    spec = mapping_at(document, "spec")
    if spec.get("runStrategy") is None and spec.get("running") is None:
        return None
    strategy = status.strategy_of(document)
    if state in ("stopped", "paused") and strategy in status.STARTING:
        return None
    if state in ("running", "restarted", "paused") and strategy == "Halted":
        return None
    return strategy


def _new(manifest: Manifest, namespace: str, declared: dict[str, t.Any], strategy: str) -> dict[str, t.Any]:
    """The document to create. A VM is to be halted unless something says otherwise."""
    document = {key: value for key, value in manifest.document.items() if key != "status"}
    metadata = {key: value for key, value in mapping_at(document, "metadata").items() if key not in _SERVERS_OWN}
    document["metadata"] = {**metadata, "namespace": namespace}
    document["spec"] = {**mapping_at(declared, "spec"), "runStrategy": strategy}
    return with_record(document, declared)


def _compared(live: dict[str, t.Any], declared: dict[str, t.Any]) -> Comparison:
    there = declared_part(live)
    spec = mapping_at(there, "spec")
    if "running" in spec:
        # The older field says the same as a strategy; the two may not stand side by side.
        spec["runStrategy"] = status.strategy_of(live)
        del spec["running"]
    last = read_record(live)
    if last is not None and "runStrategy" not in mapping_at(declared, "spec"):
        # No longer declared, the strategy is the user's, by virtctl or the web console.
        mapping_at(last, "spec").pop("runStrategy", None)
    return compare(there, *_inferred(there, declared, last))


def _inferred(
    there: dict[str, t.Any], declared: dict[str, t.Any], last: dict[str, t.Any] | None
) -> tuple[dict[str, t.Any], dict[str, t.Any] | None]:
    """What is declared now and was last, where virt-api has put a name in place of ``inferFromVolume``.

    It takes none beside a name (pkg/instancetype/webhooks/vm), so a new one sends the name away.
    """
    now, before = dict(mapping_at(declared, "spec")), dict(mapping_at(last, "spec"))
    for _spec, part in _MATCHERS:
        wanted, found = mapping_at(now, part), mapping_at(there, "spec", part)
        if not wanted.get("inferFromVolume") or last is None:
            continue
        if before.get(part) == wanted:
            del now[part], before[part]
        elif found.get("name"):
            before[part] = found
    return {**declared, "spec": now}, None if last is None else {**last, "spec": before}


def _patch(live: dict[str, t.Any], declared: dict[str, t.Any], comparison: Comparison) -> dict[str, t.Any]:
    """The one merge patch, for the version that it was made from; empty where the VM is as declared."""
    last = read_record(live)
    # A VM that fits is not written to, not even to be remembered; what was declared must not be forgotten.
    same = not comparison.differences and (last is None or _say_the_same(last, secrets.redacted(declared)))
    if same:
        return {} if read_deletion(live) is None else _annotation(None)
    metadata = dict(live["metadata"])
    wanted = {**live, "metadata": metadata}
    record = mapping_at(metadata, "annotations").get(LAST_APPLIED)
    for key in ("labels", "annotations"):
        merged = dict(mapping_at(comparison.merged, "metadata", key))
        if merged or key in metadata:
            metadata[key] = merged
    if record is not None:
        metadata["annotations"][LAST_APPLIED] = record
    wanted["spec"] = comparison.merged.get("spec", {})
    if not any(one.place == ("spec", "runStrategy") for one in comparison.differences):
        wanted["spec"] = {
            **{key: value for key, value in wanted["spec"].items() if key != "runStrategy"},
            **{key: live["spec"][key] for key in ("running", "runStrategy") if key in live["spec"]},
        }
    patch = merge_patch(live, with_record(wanted, declared))
    patch.setdefault("metadata", {})["resourceVersion"] = live["metadata"]["resourceVersion"]
    return patch


def _say_the_same(last: dict[str, t.Any], declared: dict[str, t.Any]) -> bool:
    """Whether two declarations differ in words at most: 1Gi for 1024Mi, another order of disks."""
    return last == declared or (
        not compare(last, declared, last).differences and not compare(declared, last, declared).differences
    )


def _power(current: lifecycle.Power, wanted: lifecycle.Power | None, *, restart: bool) -> tuple[Action, ...]:
    """KubeVirt's actions from one power state to another."""
    if restart and current != "stopped":
        return ("restart",)
    wanted = wanted or current
    if current == wanted:
        return ()
    if current == "stopped":
        return ("start",) if wanted == "running" else ("start paused",)
    if wanted == "stopped":
        return ("stop",)
    return ("unpause",) if wanted == "running" else ("pause",)
