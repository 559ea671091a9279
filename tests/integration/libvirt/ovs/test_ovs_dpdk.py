# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ovs_dpdk on a real Open vSwitch: from a program without DPDK to one that is initialised, and back."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.ovs import switch
from ansible_collections.rtvirt.core.tests.integration.libvirt.ovs.switch import DPDK, ovs_dpdk
from ansible_collections.rtvirt.core.tests.integration.task import TaskError
from ansible_collections.rtvirt.core.tests.integration.waiting import until

WRITTEN = {
    "dpdk-init": "true",
    "dpdk-socket-mem": "256",
    "pmd-cpu-mask": "0x2",
    "dpdk-extra": DPDK["extra"],
    "per-port-memory": "true",
}


def refused(**options: t.Any) -> str:
    with pytest.raises(TaskError) as error:
        ovs_dpdk.run(**options)
    return error.value.msg


def state() -> tuple[t.Any, ...]:
    """What must stay where nothing is done."""
    return switch.pid(), switch.written(), switch.column("Open_vSwitch", ".", "external_ids"), switch.other_config()


@pytest.mark.usefixtures("bare")
def test_from_a_program_without_dpdk_and_back() -> None:
    before = state()
    predicted = ovs_dpdk.run(check=True, **DPDK)
    assert (predicted["changed"], predicted["other_config"], predicted["restart_required"]) == (True, WRITTEN, True)
    assert state() == before

    staged = ovs_dpdk.run(**DPDK)
    assert {key: staged[key] for key in predicted if key != "warnings"} == {
        key: value for key, value in predicted.items() if key != "warnings"
    }
    assert (switch.other_config(), switch.pid()) == (WRITTEN, before[0])
    assert ovs_dpdk.run(**DPDK)["changed"] is False

    done = ovs_dpdk.run(**DPDK, allow_restart=True)
    assert (done["restarted"], done["restart_required"], done["dpdk_initialized"]) == (True, False, True)
    assert done["dpdk_version"].startswith("DPDK ")
    running = state()
    again = ovs_dpdk.run(**DPDK, allow_restart=True)
    assert (again["changed"], again["restarted"], again["diff"]) == (False, False, [])
    assert state() == running

    gone = ovs_dpdk.run(state="absent", allow_restart=True)
    assert (gone["restarted"], gone["dpdk_initialized"], switch.other_config()) == (True, False, {})
    assert "rtvirt" not in str(switch.column("Open_vSwitch", ".", "external_ids"))
    assert ovs_dpdk.run(state="absent")["changed"] is False
    chosen = Path("/etc/alternatives/ovs-vswitchd").readlink()
    assert chosen == Path("/usr/lib/openvswitch-switch/ovs-vswitchd")


@pytest.mark.usefixtures("dpdk")
def test_what_needs_no_restart_is_done_in_the_switch_that_runs() -> None:
    process = switch.pid()
    switch.vsctl("set", "Open_vSwitch", ".", "other_config:max-idle=5000", "other_config:pmd-cpu-mask=2")
    # The same CPUs in other words.
    assert ovs_dpdk.run(**DPDK)["changed"] is False
    live = {**DPDK, "other_config": {"per-port-memory": True, "pmd-sleep-max": 100, "pmd-auto-lb": True}}
    changed = ovs_dpdk.run(**live)
    assert (changed["changed"], changed["restart_required"]) == (True, False)
    # By the name that 3.1 has.
    assert switch.other_config()["pmd-maxsleep"] == "100"
    assert ovs_dpdk.run(**live)["changed"] is False
    ovs_dpdk.run(**DPDK)
    assert switch.other_config() == {**WRITTEN, "pmd-cpu-mask": "2", "max-idle": "5000"}
    assert switch.pid() == process
    switch.vsctl("remove", "Open_vSwitch", ".", "other_config", "max-idle")


@pytest.mark.usefixtures("dpdk")
def test_a_restart_is_pending_until_somebody_does_it() -> None:
    process = switch.pid()
    more = {**DPDK, "socket_mem": [128]}
    assert ovs_dpdk.run(**more)["restart_required"] is True
    again = ovs_dpdk.run(**more)
    assert (again["changed"], again["restart_required"], switch.pid()) == (False, True, process)
    switch.restart()
    assert ovs_dpdk.run(**more)["restart_required"] is False
    ovs_dpdk.run(**DPDK, allow_restart=True)


@pytest.mark.usefixtures("dpdk")
def test_memory_that_is_not_there_is_refused_before_the_restart() -> None:
    before = state()
    message = refused(**{**DPDK, "socket_mem": [90000]}, allow_restart=True)
    assert message.startswith("socket_mem[0]: is 90000 MiB, and node 0 has ")
    assert state() == before


@pytest.mark.usefixtures("dpdk")
def test_a_switch_that_dpdk_takes_down_gets_its_former_settings_back() -> None:
    before = switch.other_config()
    message = refused(**{**DPDK, "extra": "--no-pci --no-such-argument"}, allow_restart=True)
    assert "the switch was given its former settings" in message
    assert "Unable to initialize DPDK" in message
    assert switch.other_config() == before
    assert ovs_dpdk.run(**DPDK)["dpdk_initialized"] is True


@pytest.mark.usefixtures("dpdk")
def test_settings_that_were_staged_and_take_the_switch_down() -> None:
    """The way back leads to what the process had that ran, and not to what the database had by then."""
    before = switch.other_config()
    bad = {**DPDK, "extra": "--no-pci --no-such-argument"}
    assert ovs_dpdk.run(**bad)["restart_required"] is True
    assert "the switch was given its former settings" in refused(**bad, allow_restart=True)
    assert switch.other_config() == before
    assert ovs_dpdk.run(**DPDK)["dpdk_initialized"] is True


@pytest.mark.usefixtures("bare")
def test_a_switch_that_runs_and_that_dpdk_takes_down() -> None:
    """A program that has DPDK initialises it when it is told, and ends where it cannot."""
    switch.choose("/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk")
    switch.restart()
    message = refused(**{**DPDK, "extra": "--no-pci --no-such-argument"}, wait_timeout=5)
    assert "the switch was given its former settings" in message
    assert switch.other_config() == {}
    until("it runs", lambda: switch.vsctl("show"))
    process = switch.pid()
    # And without a restart where it can.
    done = ovs_dpdk.run(**DPDK)
    assert (done["dpdk_initialized"], done["restart_required"], switch.pid()) == (True, False, process)


@pytest.mark.usefixtures("dpdk")
def test_a_switch_that_has_died() -> None:
    """Its database goes on saying that DPDK is initialised."""
    switch.kill()
    assert switch.vsctl("--no-wait", "get", "Open_vSwitch", ".", "dpdk_initialized") == "true"
    assert "ovs-vswitchd does not run" in refused(**DPDK) or ovs_dpdk.run(**DPDK)["restart_required"] is True
    assert ovs_dpdk.run(**DPDK, allow_restart=True)["dpdk_initialized"] is True


@pytest.mark.usefixtures("dpdk")
def test_a_database_that_is_down() -> None:
    switch.harness("stop")
    try:
        message = refused(**DPDK)
    finally:
        switch.harness("start")
    assert message.startswith("Open vSwitch's database does not answer (")
