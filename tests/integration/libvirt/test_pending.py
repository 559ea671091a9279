# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running guest lacks is told on every run until it is restarted, and what it does by itself is no lack."""

from __future__ import annotations

import subprocess
import time
import typing as t

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import TaskError, run_one
from ansible_collections.rtvirt.core.tests.integration.libvirt.test_odd_input import refusal

PULL = {"force": True, "wait_timeout": 0}

#: What the guest was started with, and what is declared then.
LATER: dict[str, tuple[dict[str, t.Any], dict[str, t.Any]]] = {
    "watchdog taken away": ({"watchdog": {"name": "dog", "i6300esb": {"action": "poweroff"}}}, {}),
    "watchdog added": ({}, {"watchdog": {"name": "dog"}}),
    "CPU model no longer declared": ({"cpu_model": "qemu64"}, {}),
    "more memory": ({}, {"memory": "96Mi"}),
    "cloud-init data": ({"cloud_init": {"hostname": "one"}}, {"cloud_init": {"hostname": "two"}}),
    "clock": ({"clock": {"timezone": "Europe/Berlin"}}, {}),
    "balloon back": ({"autoattach_mem_balloon": False}, {}),
}


@pytest.mark.parametrize("change", LATER)
def test_a_change_is_pending_until_the_restart(bed: Bed, change: str) -> None:
    before, after = LATER[change]
    run_one(**bed.bare(**before, state="running"))
    options = bed.bare(**after)
    first = run_one(**options)
    assert (first["changed"], first["restart_required"]) == (True, True)
    again = run_one(**options)
    assert (again["changed"], again["restart_required"]) == (False, True)
    assert [item["path"] for item in again["pending"]] == [item["path"] for item in first["pending"]]
    restarted = run_one(**options, allow_restart=True, **PULL)
    assert restarted["actions"] == ["shut down", "force off", "start"]
    assert run_one(**options)["restart_required"] is False


def test_a_disk_that_the_guest_holds_on_to_is_pending_until_the_restart(bed: Bed) -> None:
    """A guest without a system does not let go of a device."""
    run_one(**bed.bare(disks=[bed.disk("root"), bed.disk("data")], state="running"))
    options = bed.bare(disks=[bed.disk("root")])
    assert run_one(**options)["restart_required"] is True
    assert "data.img" in bed.text(running=True)
    assert run_one(**options)["restart_required"] is True


def test_a_clock_that_the_guest_sets_is_no_change(bed: Bed) -> None:
    """libvirt keeps an offset clock's adjustment as the guest sets it: no reason to restart the guest."""
    options = bed.bare(clock={"utc": {"offsetSeconds": 3600}}, state="running")
    run_one(**options)
    process = bed.qemu()
    deadline = time.monotonic() + 20
    while "adjustment='3600'" in bed.text(running=True):
        assert time.monotonic() < deadline
        for port, value in ((0x70, 4), (0x71, 5)):  # CMOS: hours = 5, unless the firmware comes in between
            command = ["virsh", "qemu-monitor-command", bed.name(), "--hmp", f"o/b {port:#x} {value}"]
            subprocess.run(command, check=True, capture_output=True)
        time.sleep(0.5)
    assert run_one(**options)["restart_required"] is False
    assert run_one(**options, allow_restart=True, **PULL)["changed"] is False
    assert bed.qemu() == process


@pytest.mark.parametrize("state", ["running", "paused", "restarted"])
def test_a_start_from_a_saved_state_tells_what_it_lacks(bed: Bed, state: str) -> None:
    run_one(**bed.bare(state="running"))
    bed.domain().managedSave(0)
    run_one(**bed.bare(memory="96Mi"))
    options = bed.bare(memory="96Mi", state=state)
    predicted = run_one(check=True, **options)
    done = run_one(**options)
    lacks = bed.xml(running=True).findtext("memory") != str(96 << 10)
    assert (predicted["restart_required"], done["restart_required"]) == (lacks, lacks)
    assert run_one(**bed.bare(memory="96Mi"))["restart_required"] is lacks


def test_an_interface_with_the_same_address_is_the_same_interface(bed: Bed) -> None:
    """Adopting a domain must not give it a second interface with the address of the first."""
    nic = "<interface type='user'><mac address='52:54:00:aa:bb:02'/><model type='virtio'/></interface>"
    system = "<memory unit='MiB'>64</memory><os><type machine='q35'>hvm</type></os>"
    bed.connection.defineXML(f"<domain type='qemu'><name>{bed.name()}</name>{system}<devices>{nic}</devices></domain>")
    interface = {"name": "a", "masquerade": {}, "macAddress": "52:54:00:aa:bb:02", "network": {"pod": {}}}
    run_one(name=bed.name(), interfaces=[interface])
    assert len(bed.xml().findall("devices/interface")) == 1


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"manifest": null}', '{"manifest": {"spec": 1}}'])
def test_a_record_that_cannot_be_read_breaks_nothing(bed: Bed, free_cpus: None, text: str) -> None:
    """It stands in the domain's metadata, where everybody may write; least of all may it stop another VM."""
    run_one(**bed.bare(cpu_cores=1, dedicated_cpus=True, cpu_pool="0-1"))
    bed.edit((r">[^<]*</rtvirt:vm>", f">{text}</rtvirt:vm>"))
    run_one(**bed.bare("other", cpu_cores=1, dedicated_cpus=True, cpu_pool="0-1"))
    for options in (bed.bare(memory="96Mi"), {"name": bed.name(), "state": "absent"}):
        # Refused by name, if not adopted anew.
        assert bed.name() in (refusal(**options) or bed.name())


def test_a_failed_start_tells_what_was_done_before(bed: Bed) -> None:
    common = {key: value for key, value in bed.bare().items() if key != "name"}
    (bed.folder / "broken").write_text("no kernel")
    kernel = {"kernelBoot": {"libvirt": {"kernelPath": str(bed.folder / "broken")}}}
    vms = [{"name": bed.name("good")}, {"name": bed.name("bad"), "spec": {"domain": {"firmware": kernel}}}]
    with pytest.raises(TaskError) as caught:
        run_one(**common, state="running", vms=vms)
    assert bed.power("good") == "running"
    assert [vm["actions"] for vm in caught.value.result["vms"]] == [["define", "start"], ["define"]]
