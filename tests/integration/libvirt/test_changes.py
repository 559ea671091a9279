# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of a declaration where one field of libvirt's XML cannot change alone, or must not change at all."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

import libvirt
import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import TaskError, run_one

PULL = {"force": True, "wait_timeout": 0}


def converge(bed: Bed, options: dict[str, t.Any]) -> dict[str, t.Any]:
    """Apply options as predicted, and show that a second run has nothing to do and that the VM starts."""
    predicted = run_one(check=True, **options)
    done = run_one(**options)
    assert (done["changes"], done["actions"]) == (predicted["changes"], predicted["actions"])
    assert run_one(**options)["changed"] is False
    assert run_one(**{**options, "state": "running"})["actions"] == ["start"]
    return done


def paths(result: dict[str, t.Any]) -> set[str]:
    return {change["path"] for change in result["changes"]}


@pytest.mark.parametrize("after", ["scsi", "sata", "usb"])
@pytest.mark.parametrize("before", ["virtio", "scsi", "sata"])
def test_a_disk_changes_its_bus(bed: Bed, before: str, after: str) -> None:
    disk = bed.disk("root")
    run_one(**bed.bare(disks=[{**disk, "disk": {"bus": before}}]))
    (bed.folder / "root.img").write_bytes(b"data".ljust(8 << 20))
    options = bed.bare(disks=[{**disk, "disk": {"bus": after}}])
    if before != after:
        assert "devices/disk[root]/target/@bus" in paths(converge(bed, options))
    assert bed.xml().find("devices/disk/target").get("bus") == after
    assert (bed.folder / "root.img").read_bytes().startswith(b"data")


@pytest.mark.parametrize(("before", "after"), [("q35", "pc"), ("pc", "q35")])
def test_another_family_of_machine_types_is_refused(bed: Bed, before: str, after: str) -> None:
    """Every PCI device would get another place, which guests take for other devices."""
    run_one(**bed.bare(machine_type=before, disks=[bed.disk("root")]))
    xml = ET.tostring(bed.xml())
    with pytest.raises(TaskError, match=r"^machine_type: .* declare it anew"):
        run_one(**bed.bare(machine_type=after, disks=[bed.disk("root")]))
    assert ET.tostring(bed.xml()) == xml


def test_a_family_of_machine_types_keeps_its_version(bed: Bed) -> None:
    run_one(**bed.bare(machine_type="pc-q35-6.2"))
    assert "os/type/@machine" not in paths(run_one(**bed.bare(machine_type="q35")))
    assert bed.xml().find("os/type").get("machine") == "pc-q35-6.2"


def test_dedicated_cpus_that_are_dropped_are_given_back(bed: Bed, free_cpus: None) -> None:
    run_one(**bed.bare(cpu_cores=1, dedicated_cpus=True, cpu_pool="0"))
    converge(bed, bed.bare(cpu_cores=1))
    assert bed.xml().find("cputune") is None
    other = run_one(**bed.bare("other", cpu_cores=1, dedicated_cpus=True, cpu_pool="0"))
    assert other["pins"]["vcpus"] == {"0": [0]}


def test_a_pool_that_is_dropped_no_longer_confines(bed: Bed) -> None:
    run_one(**bed.bare(cpu_cores=1, cpu_pool="0"))
    assert bed.xml().find("vcpu").get("cpuset") == "1"
    converge(bed, bed.bare(cpu_cores=1))
    assert bed.xml().find("vcpu").get("cpuset") is None


def test_a_name_alone_keeps_what_a_vm_cannot_be_without(bed: Bed) -> None:
    """Memory that is no longer declared is libvirt's to keep: there is no default that it could return to."""
    run_one(name=bed.name(), memory="64Mi", watchdog={"name": "dog", "i6300esb": {"action": "none"}})
    result = converge(bed, {"name": bed.name()})
    assert paths(result) == {"devices/watchdog"}
    assert bed.xml().findtext("memory") == str(64 << 10)


def test_a_foreign_topology_gives_way_as_a_whole(bed: Bed) -> None:
    topology = "<cpu mode='maximum'><topology sockets='1' dies='2' cores='2' threads='1'/></cpu>"
    machine = "<memory>65536</memory><vcpu>4</vcpu><os><type machine='q35'>hvm</type></os>"
    bed.connection.defineXML(f"<domain type='qemu'><name>{bed.name()}</name>{machine}{topology}</domain>")
    converge(bed, {"name": bed.name(), "cpu_cores": 2})
    assert bed.xml().findtext("vcpu") == "2"


@pytest.mark.parametrize("state", ["present", "running"])
def test_a_disk_that_a_snapshot_moved_to_its_overlay_stays_there(bed: Bed, state: str) -> None:
    """Its data is in the overlay now: brought back to the declared file, the guest would lose all written since."""
    options = bed.bare(disks=[bed.disk("root", format="qcow2")])
    run_one(**options, state="running")
    disk_only = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
    bed.domain().snapshotCreateXML("<domainsnapshot><name>overlay</name></domainsnapshot>", disk_only)
    if state == "present":
        bed.domain().destroy()
    before = bed.text()
    assert run_one(**options, state=state)["changes"] == []
    assert bed.text() == before


def test_a_renamed_disk_is_never_pulled_from_a_running_guest(bed: Bed) -> None:
    """It is the same file: live, it would be taken away and could not be given again."""
    disk = {**bed.disk("root"), "disk": {"bus": "scsi"}}
    run_one(**bed.bare(disks=[disk], state="running"))
    result = run_one(**bed.bare(disks=[{**disk, "name": "system"}]))
    sources = bed.xml(running=True).findall("devices/disk/source")
    assert [source.get("file") for source in sources] == [f"{bed.folder}/root.img"]
    assert run_one(**bed.bare(disks=[{**disk, "name": "system"}]))["changed"] is False
    assert result["restart_required"] in (True, False)


def test_a_start_from_a_saved_state_is_no_start_with_the_new_definition(bed: Bed) -> None:
    run_one(**bed.bare(state="running"))
    bed.domain().managedSave()
    options = bed.bare(memory="96Mi", state="running")
    assert run_one(**options)["restart_required"] is True
    assert bed.xml(running=True).findtext("memory") == str(64 << 10)
    assert run_one(**options, **PULL, allow_restart=True)["restart_required"] is False
    assert bed.xml(running=True).findtext("memory") == str(96 << 10)


@pytest.mark.parametrize("after", ["user", "network", "macvtap"])
def test_an_interface_changes_its_network_and_keeps_its_mac(bed: Bed, after: str) -> None:
    networks: dict[str, dict[str, t.Any]] = {
        "user": {"masquerade": {}, "network": {"pod": {}}},
        "network": {"bridge": {}, "network": {"libvirt": {"network": "none"}}},
        "macvtap": {"bridge": {}, "network": {"libvirt": {"macvtap": {"device": "eth9"}}}},
    }
    bridge = {"name": "lan", "bridge": {}, "network": {"libvirt": {"bridge": "br9"}}}
    run_one(**bed.bare(interfaces=[bridge]))
    mac = bed.xml().find("devices/interface/mac").get("address")
    options = bed.bare(interfaces=[{"name": "lan", **networks[after]}])
    run_one(**options)
    assert bed.xml().find("devices/interface/mac").get("address") == mac
    assert run_one(**options)["changed"] is False


@pytest.mark.parametrize("option", ["autoattach_input_device", "autoattach_graphics_device"])
def test_a_device_is_declared_later(bed: Bed, option: str) -> None:
    """A new VM without USB devices has no USB controller: one that gets some needs it."""
    run_one(**bed.bare())
    converge(bed, bed.bare(**{option: True}))
