# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a declaration and a VM to actions and one patch."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.plan import VmPlan, plan_vm
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.record import LAST_APPLIED, read_record
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import from_options

Object = dict[str, t.Any]

#: How the server shows a VM in a power state: strategy, printableStatus.
SHOWN = {
    "stopped": ("Halted", "Stopped"),
    "running": ("Always", "Running"),
    "paused": ("Always", "Paused"),
}


def plan(live: Object | None, state: str = "present", **options: t.Any) -> VmPlan:
    manifest = from_options({"name": "vm", "namespace": "ns", "memory": "1Gi", **options})
    return plan_vm(manifest, "ns", live, t.cast(t.Any, state))


def there(strategy: str = "Halted", printable: str = "Stopped", **options: t.Any) -> Object:
    """A VM as this collection has made it."""
    document = json.loads(json.dumps(plan(None, **options).document))
    document["metadata"].update({"resourceVersion": "7", "uid": "u"})
    document["spec"]["runStrategy"] = strategy
    document["status"] = {
        "printableStatus": printable,
        "runStrategy": strategy,
        "created": printable != "Stopped",
    }
    return t.cast(Object, document)


@pytest.mark.parametrize(
    ("current", "state", "actions"),
    [
        ("stopped", "present", ()),
        ("stopped", "running", ("start",)),
        ("stopped", "stopped", ()),
        ("stopped", "paused", ("start paused",)),
        ("stopped", "restarted", ("start",)),
        ("stopped", "absent", ("delete",)),
        ("running", "present", ()),
        ("running", "running", ()),
        ("running", "stopped", ("stop",)),
        ("running", "paused", ("pause",)),
        ("running", "restarted", ("restart",)),
        ("running", "absent", ("delete",)),
        ("paused", "present", ()),
        ("paused", "running", ("unpause",)),
        ("paused", "stopped", ("stop",)),
        ("paused", "paused", ()),
        ("paused", "restarted", ("restart",)),
        ("paused", "absent", ("delete",)),
    ],
)
def test_power(current: str, state: str, actions: tuple[str, ...]) -> None:
    live = there(*SHOWN[current])
    assert plan(live, state).actions == actions
    assert plan(live, state, cpu_cores=2).actions == (actions if state == "absent" else ("update", *actions))


@pytest.mark.parametrize(
    ("state", "options", "strategy", "actions"),
    [
        ("present", {}, "Halted", ("create",)),
        ("stopped", {}, "Halted", ("create",)),
        ("running", {}, "Always", ("create",)),
        ("restarted", {}, "Always", ("create",)),
        ("paused", {}, "Halted", ("create", "start paused")),
        ("present", {"run_strategy": "Manual"}, "Manual", ("create",)),
        ("running", {"run_strategy": "Manual"}, "Manual", ("create", "start")),
        ("running", {"run_strategy": "RerunOnFailure"}, "RerunOnFailure", ("create",)),
        ("stopped", {"run_strategy": "Always"}, "Halted", ("create",)),
        ("running", {"run_strategy": "Halted"}, "Always", ("create",)),
        ("present", {"running": True}, "Always", ("create",)),
        ("present", {"running": False}, "Halted", ("create",)),
    ],
)
def test_a_new_vm(state: str, options: dict[str, t.Any], strategy: str, actions: tuple[str, ...]) -> None:
    result = plan(None, state, **options)
    assert result.document["spec"]["runStrategy"] == strategy
    assert "running" not in result.document["spec"]
    assert result.actions == actions


@pytest.mark.parametrize(
    ("strategy", "printable", "declared", "actions"),
    [
        # What the patch starts is not started again, and restarted still less.
        ("Halted", "Stopped", "Always", ("update",)),
        ("Halted", "Stopped", "RerunOnFailure", ("update",)),
        ("Halted", "Stopped", "Once", ("update",)),
        ("Halted", "Stopped", "Manual", ("update", "start")),
        ("Always", "Running", "Manual", ("update", "restart")),
        ("Manual", "Running", "Always", ("update", "restart")),
    ],
)
def test_restarted_with_a_new_strategy(strategy: str, printable: str, declared: str, actions: tuple[str, ...]) -> None:
    assert plan(there(strategy, printable), "restarted", run_strategy=declared).actions == actions


def test_a_restart_that_kubevirt_knows_not_is_refused() -> None:
    with pytest.raises(DeclarationError, match="Once"):
        plan(there("Once", "Running"), "restarted")


def test_a_vm_that_fits_is_not_written_to() -> None:
    live = there(labels={"a": "b"})
    result = plan(live, labels={"a": "b"})
    assert (result.patch, result.differences, result.adopted) == ({}, [], False)


@pytest.mark.parametrize("words", [{"memory": "1024Mi"}, {"memory": "1073741824"}, {"spec": {"domain": {}}}])
def test_other_words_are_not_written(words: dict[str, t.Any]) -> None:
    assert plan(there(), **words).patch == {}


def test_a_patch_names_the_version_that_it_was_made_for() -> None:
    result = plan(there(), hostname="h")
    assert result.patch["metadata"]["resourceVersion"] == "7"
    assert result.patch["spec"] == {"template": {"spec": {"hostname": "h"}}}
    assert {key for key, value in result.patch["metadata"].items() if value} == {"resourceVersion", "annotations"}
    assert {*result.patch["metadata"]["annotations"]} == {LAST_APPLIED}


def test_what_was_declared_and_is_not_any_more() -> None:
    result = plan(there(hostname="h", labels={"a": "1", "b": "2"}), labels={"a": "1"})
    assert result.patch["spec"]["template"]["spec"] == {"hostname": None}
    assert result.patch["metadata"]["labels"] == {"b": None}


def test_a_vm_of_others_is_adopted_without_a_word() -> None:
    live = there()
    live["metadata"]["annotations"] = {}
    result = plan(live)
    assert (result.adopted, result.patch) == (True, {})
    result = plan(live, hostname="h")
    assert result.adopted
    assert read_record({"metadata": result.patch["metadata"]}) is not None


def test_the_old_form_is_the_same_strategy() -> None:
    live = there("Always", "Running")
    del live["spec"]["runStrategy"]
    live["spec"]["running"] = True
    for options in ({}, {"run_strategy": "Always"}, {"running": True}):
        assert "runStrategy" not in plan(live, **options).patch.get("spec", {})
    patch = plan(live, run_strategy="Manual").patch
    assert (patch["spec"]["runStrategy"], patch["spec"]["running"]) == ("Manual", None)


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        ({"cpu_cores": 2}, True),
        ({"hostname": "h"}, True),
        ({"cpu_sockets": 2}, False),
        ({"memory": "2Gi"}, False),
        ({"node_selector": {"a": "b"}}, False),
        ({"labels": {"a": "b"}}, False),
        ({"run_strategy": "Manual"}, False),
    ],
)
def test_what_a_running_vm_does_not_take(options: dict[str, t.Any], needed: bool) -> None:
    live = there("Always", "Running", cpu_sockets=1)
    assert plan(live, **{"cpu_sockets": 1, **options}).needs_restart is needed


def test_what_the_server_alone_writes_is_not_declared() -> None:
    own = {"uid": "u", "resourceVersion": "9", "creationTimestamp": "now", "generation": 3, "managedFields": []}
    result = plan(None, definition={"metadata": own, "status": {"ready": True}})
    assert not own.keys() & result.document["metadata"].keys()
    assert "status" not in result.document


def test_only_a_vm_that_is_there_may_be_declared_in_part() -> None:
    with pytest.raises(DeclarationError, match=r"memory .* is missing: set memory, or an instancetype"):
        plan(None, memory=None)
    assert plan(there(), memory=None, labels={"a": "b"}).actions == ("update",)
    assert plan(None, memory=None, instancetype={"name": "u1.small"}).actions == ("create",)
