# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of a running VM: at once where libvirt can, else staged, reported, and done by a restart that is allowed."""

from __future__ import annotations

import os
import typing as t
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import run_one

PULL = {"force": True, "wait_timeout": 0}


def on_scsi(disk: dict[str, t.Any]) -> dict[str, t.Any]:
    """A disk that comes and goes without the guest's help."""
    return {**disk, "disk": {"bus": "scsi"}}


def cdrom(bed: Bed, medium: str) -> dict[str, t.Any]:
    path = bed.folder / medium
    path.write_bytes(medium.encode().ljust(2048 * 200))
    return {"name": "cd", "cdrom": {"bus": "sata"}, "volume": {"hostDisk": {"path": str(path), "type": "Disk"}}}


def sources(domain: ET.Element) -> list[str]:
    return [Path(source.get("file", "")).name for source in domain.findall("devices/disk/source")]


def affinities(pid: int) -> list[set[int]]:
    tasks = [task for task in Path(f"/proc/{pid}/task").iterdir() if (task / "comm").read_text().startswith("CPU ")]
    return [os.sched_getaffinity(int(task.name)) for task in tasks]


def check_live(bed: Bed, options: dict[str, t.Any]) -> dict[str, t.Any]:
    """Apply a change to a VM that runs: predicted, live, and complete."""
    process = bed.qemu()
    predicted = run_one(check=True, **options)
    done = run_one(**options)
    assert done["actions"] == predicted["actions"]
    assert done["actions"][-2:] == ["redefine", "change live"]
    assert (done["restart_required"], predicted["restart_required"], done["pending"]) == (False, False, [])
    again = run_one(**options)
    assert (again["changed"], again["restart_required"]) == (False, False)
    assert (bed.qemu(), bed.power()) == (process, "running")
    return done


def test_pins_move_at_once(bed: Bed, free_cpus: None) -> None:
    options = bed.bare(cpu_cores=1, dedicated_cpus=True, state="running")
    run_one(**options, cpu_pool="0")
    assert affinities(bed.qemu()) == [{0}]
    check_live(bed, {**options, "cpu_pool": "1"})
    assert affinities(bed.qemu()) == [{1}]
    assert bed.xml().find("cputune/vcpupin").get("cpuset") == "1"


def test_a_pin_moved_by_hand_comes_back_at_once(bed: Bed, free_cpus: None) -> None:
    """virsh vcpupin --live: the persistent definition is as declared, the running guest is not."""
    options = bed.bare(cpu_cores=1, dedicated_cpus=True, cpu_pool="1", state="running")
    run_one(**options)
    bed.domain().pinVcpuFlags(0, (True, False), 1)
    assert affinities(bed.qemu()) == [{0}]
    assert run_one(check=True, **options)["actions"] == ["change live"]
    assert run_one(**options)["actions"] == ["change live"]
    assert affinities(bed.qemu()) == [{1}]


def test_a_disk_is_added_and_removed_at_once(bed: Bed) -> None:
    first, second = on_scsi(bed.disk("first")), on_scsi(bed.disk("second"))
    run_one(**bed.bare(disks=[first], state="running"))
    done = check_live(bed, bed.bare(disks=[first, second]))
    assert done["actions"][0].startswith(f"create {bed.folder}/second.img")
    assert sources(bed.xml(running=True)) == sources(bed.xml()) == ["first.img", "second.img"]
    check_live(bed, bed.bare(disks=[first]))
    assert sources(bed.xml(running=True)) == sources(bed.xml()) == ["first.img"]
    assert (bed.folder / "second.img").exists()


def test_a_disk_that_others_attached_is_removed_at_once_when_it_is_declared_no_more(bed: Bed) -> None:
    """It has no name of ours, in the guest and in its definition."""
    both = [on_scsi(bed.disk("first")), on_scsi(bed.disk("second"))]
    run_one(**bed.bare(disks=both))
    foreign = bed.xml()
    foreign.remove(foreign.find("metadata"))
    for disk in foreign.findall("devices/disk"):
        disk.remove(disk.find("alias"))
    bed.connection.defineXML(ET.tostring(foreign, encoding="unicode")).create()
    assert run_one(**bed.bare(disks=both))["adopted"] is True
    run_one(**bed.bare(disks=both, watchdog={"name": "dog", "i6300esb": {"action": "none"}}))
    done = run_one(**bed.bare(disks=both[:1]))
    assert "change live" in done["actions"]
    assert sources(bed.xml(running=True)) == sources(bed.xml()) == ["first.img"]
    assert (bed.folder / "second.img").exists()


def test_a_disk_grows_at_once(bed: Bed) -> None:
    run_one(**bed.bare(disks=[bed.disk("root")], state="running"))
    (options := bed.bare(disks=[bed.disk("root", "16Mi")]))["state"] = "present"
    predicted = run_one(check=True, **options)
    done = run_one(**options)
    assert done["actions"][0] == f"grow {bed.folder}/root.img to 16Mi"
    assert (done["actions"], done["restart_required"]) == (predicted["actions"], False)
    assert bed.domain().blockInfo("vda")[0] == 16 << 20
    assert run_one(**options)["changed"] is False


def test_media_change_at_once(bed: Bed) -> None:
    run_one(**bed.bare(disks=[cdrom(bed, "one.iso")], state="running"))
    check_live(bed, bed.bare(disks=[cdrom(bed, "two.iso")]))
    assert sources(bed.xml(running=True)) == sources(bed.xml()) == ["two.iso"]


def test_a_removal_that_the_guest_does_not_answer_is_pending(bed: Bed) -> None:
    """A virtio disk leaves when the guest's system lets it go; here is none."""
    run_one(**bed.bare(disks=[bed.disk("first"), bed.disk("second")], state="running"))
    done = run_one(**bed.bare(disks=[bed.disk("first")]))
    assert sources(bed.xml()) == ["first.img"]
    assert sources(bed.xml(running=True)) == ["first.img", "second.img"]
    assert done["restart_required"] is True
    assert [change["path"] for change in done["pending"]] == ["devices/disk[second]"]


CHANGES: dict[str, dict[str, t.Any]] = {
    "memory": {"memory": "96Mi"},
    "cpus": {"cpu_cores": 2},
    "model": {"cpu_model": "qemu64"},
    "watchdog": {"watchdog": {"name": "dog", "i6300esb": {"action": "none"}}},
    "timer": {"clock": {"utc": {}, "timer": {"hpet": {"present": False}}}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_rest_waits_for_a_restart(bed: Bed, change: str) -> None:
    run_one(**bed.bare(state="running"))
    process, running = bed.qemu(), bed.text(running=True)
    options = {**bed.bare(), **CHANGES[change]}
    predicted = run_one(check=True, **options)
    staged = run_one(**options)
    assert staged["actions"] == predicted["actions"] == ["redefine"]
    assert staged["restart_required"] is predicted["restart_required"] is True
    assert staged["pending"]
    assert (bed.qemu(), bed.text(running=True)) == (process, running)

    for again in (run_one(check=True, **options), run_one(**options)):
        assert (again["changed"], again["restart_required"]) == (False, True)

    predicted = run_one(check=True, **options, **PULL, allow_restart=True)
    restarted = run_one(**options, **PULL, allow_restart=True)
    assert predicted["actions"] == ["shut down", "start"]
    assert restarted["actions"] == ["shut down", "force off", "start"]
    assert restarted["restart_required"] is predicted["restart_required"] is False
    assert bed.qemu() != process
    for again in (run_one(**options, allow_restart=True), run_one(**options)):
        assert (again["changed"], again["restart_required"]) == (False, False)


def test_a_paused_vm_is_paused_after_its_restart(bed: Bed) -> None:
    run_one(**bed.bare(state="paused"))
    done = run_one(**{**bed.bare(), "memory": "96Mi"}, **PULL, allow_restart=True)
    assert done["actions"] == ["redefine", "resume", "shut down", "force off", "start paused"]
    assert bed.power() == "paused"
    assert bed.xml(running=True).findtext("memory") == str(96 << 10)


def test_what_waited_is_there_after_a_start_of_any_kind(bed: Bed) -> None:
    run_one(**bed.bare(state="running"))
    bigger = {**bed.bare(), "memory": "96Mi"}
    assert run_one(**bigger)["restart_required"] is True
    done = run_one(**{**bigger, "state": "restarted"}, **PULL)
    assert done["restart_required"] is False
    assert bed.xml(running=True).findtext("memory") == str(96 << 10)
