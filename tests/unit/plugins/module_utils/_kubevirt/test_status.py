# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a status says."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.status import (
    addresses,
    condition,
    conditions,
    described,
    hindered,
    hopeless,
    is_going,
    is_over,
    is_ready,
    is_seen,
    is_stopped,
    power_of,
    restart_required,
    strategy_of,
)


def vm(strategy: str, shown: str | None, **status: t.Any) -> dict[str, t.Any]:
    own = {"printableStatus": shown, "runStrategy": strategy, **status}
    return {"spec": {"runStrategy": strategy}, "status": own}


@pytest.mark.parametrize(
    ("spec", "strategy"),
    [
        ({"runStrategy": "Once"}, "Once"),
        ({"running": True}, "Always"),
        ({"running": False}, "Halted"),
        ({}, "Halted"),
        ({"runStrategy": "", "running": True}, "Always"),
    ],
)
def test_strategy(spec: dict[str, t.Any], strategy: str) -> None:
    assert strategy_of({"spec": spec}) == strategy


@pytest.mark.parametrize(
    ("thing", "power"),
    [
        (vm("Halted", "Stopped"), "stopped"),
        (vm("Halted", "Running"), "stopped"),
        (vm("Halted", "Paused"), "stopped"),
        (vm("Always", "Stopped"), "running"),
        (vm("Always", None), "running"),
        (vm("Always", "Starting"), "running"),
        (vm("Always", "CrashLoopBackOff"), "running"),
        (vm("Always", "Paused"), "paused"),
        (vm("Manual", "Stopped"), "stopped"),
        (vm("Manual", "Running", created=True), "running"),
        # Its disks are made; without a request no instance follows (vm.go, syncRunStrategy).
        (vm("Manual", "Provisioning"), "stopped"),
        (vm("RerunOnFailure", "Provisioning"), "stopped"),
        (vm("RerunOnFailure", "Provisioning", runStrategy=None), "running"),
        (vm("Manual", "Provisioning", created=True), "running"),
        (vm("Manual", "Stopping"), "stopped"),
        (vm("Manual", "Stopped", stateChangeRequests=[{"action": "Start"}]), "running"),
        (vm("Manual", "Running", stateChangeRequests=[{"action": "Stop"}]), "stopped"),
        (vm("Manual", "Running", stateChangeRequests=[{"action": "Stop"}, {"action": "Start"}]), "running"),
        (vm("RerunOnFailure", "Stopped"), "stopped"),
        (vm("RerunOnFailure", "Running", created=True), "running"),
        (vm("Once", "Stopped", created=True), "stopped"),
        # Somebody has deleted its instance, and it gets another one.
        (vm("Once", "Stopped"), "running"),
        # virt-controller has not seen the strategy yet: it will start.
        (vm("Once", "Stopped", runStrategy="Halted"), "running"),
        (vm("RerunOnFailure", "Stopped", runStrategy="Halted"), "running"),
        ({"spec": {"runStrategy": "RerunOnFailure"}}, "running"),
        ({"spec": {"runStrategy": "Manual"}}, "stopped"),
        ({"spec": {}}, "stopped"),
    ],
)
def test_power(thing: dict[str, t.Any], power: str) -> None:
    assert power_of(thing) == power


def test_addresses() -> None:
    interfaces = [
        {"name": "a", "ipAddress": "10.0.0.1", "ipAddresses": ["10.0.0.1", "fd00::1"]},
        {"name": "b"},
        {"name": "c", "ipAddress": "10.0.0.2"},
        {"name": "d", "ipAddress": "10.0.0.1"},
    ]
    assert addresses({"status": {"interfaces": interfaces}}) == ["10.0.0.1", "fd00::1", "10.0.0.2"]
    assert addresses({"status": {"interfaces": None}}) == addresses(None) == []


@pytest.mark.parametrize(
    ("shown", "none"),
    [
        ("Starting", False),
        ("Running", False),
        ("ErrorUnschedulable", False),
        ("Provisioning", False),
        ("WaitingForVolumeBinding", False),
        ("CrashLoopBackOff", True),
        ("ImagePullBackOff", True),
        ("ErrImagePull", True),
        ("DataVolumeError", True),
        ("ErrorPvcNotFound", True),
        ("ErrorDataVolumeNotFound", True),
    ],
)
def test_hopeless(shown: str, none: bool) -> None:
    assert (hopeless(vm("Always", shown), None) is not None) == none
    assert (hindered(vm("Always", shown), None) is not None) == (shown == "ErrorUnschedulable")


@pytest.mark.parametrize(
    ("strategy", "phase", "over"),
    [
        ("Manual", "Succeeded", True),
        ("Once", "Failed", True),
        ("Always", "Succeeded", False),
        ("RerunOnFailure", "Failed", False),
        ("Manual", "Running", False),
    ],
)
def test_an_instance_that_has_ended(strategy: str, phase: str, over: bool) -> None:
    assert (hopeless(vm(strategy, "Stopped"), {"status": {"phase": phase}}) is not None) == over


def test_hindered_has_the_servers_words() -> None:
    refused = {"type": "Synchronized", "status": "False", "reason": "FailedCreate", "message": "exceeded quota"}
    text = hindered(vm("Always", "Starting"), {"status": {"conditions": [refused]}})
    assert text is not None
    assert "exceeded quota" in text
    assert hindered(vm("Always", "Starting"), {"status": {"conditions": [{**refused, "status": "True"}]}}) is None


def test_hopeless_has_the_servers_words() -> None:
    failure = {"type": "Failure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}
    text = hopeless(vm("Always", "Stopped", conditions=[failure]), None)
    assert text is not None
    assert "FailedCreate" in text
    assert "exceeded quota" in text


def test_described() -> None:
    ready = {"type": "Ready", "status": "False", "reason": "GuestNotRunning", "message": "not yet"}
    vmi = {"status": {"phase": "Scheduling", "conditions": [ready, {"type": "LiveMigratable", "status": "True"}]}}
    text = described(vm("Always", "Starting", conditions=[ready]), vmi)
    for words in ("Starting", "Scheduling", "Ready=False", "GuestNotRunning", "not yet"):
        assert words in text
    assert text.count("GuestNotRunning") == 1
    assert condition(vmi, "Ready") == ready
    assert condition(None, "Ready") == {}
    assert described(None, None)


def test_conditions_in_words() -> None:
    thing = {
        "status": {
            "conditions": [
                {"type": "Ready", "status": "True"},
                {"type": "Synchronized", "status": "False", "reason": "Failed", "message": "quota exceeded"},
            ]
        }
    }
    assert [*conditions(thing)] == [("Ready=True", False), ("Synchronized=False (Failed: quota exceeded)", True)]
    assert [*conditions(None)] == [*conditions({"status": {"conditions": None}})] == []


@pytest.mark.parametrize(
    ("vm_says", "vmi_says", "ready"), [("True", "True", True), ("True", "False", False), ("False", "True", False)]
)
def test_ready_is_what_both_say(vm_says: str, vmi_says: str, ready: bool) -> None:
    both = ({"status": {"conditions": [{"type": "Ready", "status": says}]}} for says in (vm_says, vmi_says))
    assert is_ready(*both) == ready
    assert not is_ready({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, None)


@pytest.mark.parametrize(
    ("thing", "going"),
    [
        (vm("Always", "Running", created=True), False),
        (vm("Always", "Terminating", created=True), True),
        (vm("Manual", "Stopping", created=True), True),
        (vm("Halted", "Running", created=True), True),
        (vm("Halted", "Stopped"), False),
    ],
)
def test_an_instance_that_goes(thing: dict[str, t.Any], going: bool) -> None:
    assert is_going(thing) == going


@pytest.mark.parametrize(
    ("says", "observed", "required"),
    [("True", 1, True), ("True", None, True), ("True", 2, False), ("False", 1, False), (None, 1, False)],
)
def test_a_restart_is_required_where_one_would_help(says: str | None, observed: int | None, required: bool) -> None:
    """KubeVirt 1.8 has the condition on VMs too whose instance is of the newest version."""
    found = [] if says is None else [{"type": "RestartRequired", "status": says}]
    thing = vm("Always", "Running", conditions=found, observedGeneration=observed)
    assert restart_required({**thing, "metadata": {"generation": 2}}) == required
    assert not restart_required(None)


@pytest.mark.parametrize(("desired", "seen"), [(2, True), (1, False), (None, False)])
def test_the_newest_version_is_seen(desired: int | None, seen: bool) -> None:
    assert is_seen({**vm("Always", "Running", desiredGeneration=desired), "metadata": {"generation": 2}}) == seen


@pytest.mark.parametrize("strategy", ["Manual", "Once"])
def test_a_vm_that_shut_itself_down_is_stopped(strategy: str) -> None:
    """KubeVirt keeps its instance, and goes on to call the VM created."""
    over, vmi = vm(strategy, "Stopped", created=True), {"status": {"phase": "Succeeded"}}
    assert (is_going(over), is_over(over), is_stopped(over, vmi)) == (False, True, True)
    started = vm(strategy, "Stopped", created=True, stateChangeRequests=[{"action": "Stop"}, {"action": "Start"}])
    assert (is_over(started), hopeless(started, vmi)) == (False, None)
    assert hopeless(over, vmi) == "its instance has succeeded"
    stopping = vm("Halted", "Stopped", created=True)
    assert (is_over(stopping), is_stopped(stopping, vmi), is_stopped(stopping, None)) == (False, False, False)
    assert is_stopped(vm("Halted", "Stopped"), None)
