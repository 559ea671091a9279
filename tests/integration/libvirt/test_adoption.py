# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains that virsh or virt-manager made: declaring what they have changes nothing of them."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.recorder import stamps, writes
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import TaskError, run_one

#: As virt-install writes it, more or less.
FOREIGN = """
<domain type='qemu'>
  <name>{name}</name>
  <title>Somebody's VM</title>
  <description>not of this collection</description>
  <metadata><note xmlns='http://example.com/note'>keep me</note></metadata>
  <memory unit='MiB'>96</memory>
  <currentMemory unit='MiB'>96</currentMemory>
  <vcpu placement='static' cpuset='0-1'>2</vcpu>
  <os><type arch='x86_64' machine='{machine}'>hvm</type><boot dev='hd'/><boot dev='cdrom'/></os>
  <features><acpi/><apic/>{features}</features>
  <cpu mode='custom' match='exact'><model fallback='forbid'>qemu64</model>
    <topology sockets='1' dies='1' cores='2' threads='1'/>
  </cpu>
  <clock offset='utc'><timer name='rtc' tickpolicy='catchup'/><timer name='hpet' present='no'/></clock>
  <on_reboot>restart</on_reboot><on_crash>restart</on_crash>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none'/><source file='{folder}/own.img'/><target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='{folder}/second.img'/>
      <target dev='{second}' bus='{bus}'/><serial>S2</serial>
    </disk>
    <disk type='file' device='cdrom'><driver name='qemu' type='raw'/><target dev='{cd}' bus='{bus}'/><readonly/></disk>
    <interface type='bridge'><mac address='52:54:00:aa:bb:01'/><source bridge='br9'/><model type='virtio'/></interface>
    <interface type='user'><mac address='52:54:00:aa:bb:02'/><model type='e1000'/></interface>
    <serial type='pty'/><console type='pty'/>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <graphics type='vnc' autoport='yes' passwd='secret'/>
    <video><model type='cirrus'/></video>
    <watchdog model='i6300esb' action='reset'/>
    <memballoon model='virtio'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>
"""
MACHINES = {
    "pc": {"machine": "pc", "second": "hda", "bus": "ide", "cd": "hdb", "features": "<pae/>"},
    "q35": {"machine": "q35", "second": "sda", "bus": "sata", "cd": "sdb", "features": "<vmport state='off'/>"},
}


def foreign(bed: Bed, machine: str) -> Path:
    for disk in ("own", "second"):
        (bed.folder / f"{disk}.img").write_bytes(disk.encode() * 1000 + bytes(1 << 20))
    bed.connection.defineXML(FOREIGN.format(name=bed.name(), folder=bed.folder, **MACHINES[machine]))
    return Path(f"/etc/libvirt/qemu/{bed.name()}.xml")


def what_it_has(bed: Bed, machine: str) -> dict[str, t.Any]:
    """A declaration of what the foreign domain has, in the collection's words."""

    def disk(name: str, **given: t.Any) -> dict[str, t.Any]:
        return {"name": name, "volume": {"hostDisk": {"path": f"{bed.folder}/{name}.img", "type": "Disk"}}, **given}

    disks = [disk("own", disk={"bus": "virtio"}, cache="none")]
    if machine == "q35":
        disks.append(disk("second", disk={"bus": "sata"}, serial="S2"))
    return {
        "name": bed.name(),
        "memory": "96Mi",
        "cpu_cores": 2,
        "cpu_model": "qemu64",
        "machine_type": machine,
        "disks": disks,
        "interfaces": [
            {"name": "lan", "bridge": {}, "model": "virtio", "network": {"libvirt": {"bridge": "br9"}}},
            {"name": "nat", "masquerade": {}, "model": "e1000", "network": {"pod": {}}},
        ],
        "clock": {"utc": {}, "timer": {"rtc": {"tickPolicy": "catchup"}, "hpet": {"present": False}}},
        "watchdog": {"name": "dog", "i6300esb": {"action": "reset"}},
        "autoattach_graphics_device": True,
        "autoattach_mem_balloon": True,
        "autoattach_serial_console": True,
        "spec": {"domain": {"features": {"acpi": {}, "apic": {}}, "devices": {"rng": {}}}},
    }


@pytest.mark.parametrize("machine", MACHINES)
def test_a_name_alone_changes_nothing(bed: Bed, machine: str) -> None:
    definition = foreign(bed, machine)
    before = stamps(definition, bed.folder)
    for state in ("present", "stopped"):
        with writes() as calls:
            result = run_one(name=bed.name(), state=state)
        assert (result["changed"], result["adopted"], result["changes"], calls) == (False, True, [], [])
    assert stamps(definition, bed.folder) == before
    assert "secret" not in str(result)


@pytest.mark.parametrize("machine", MACHINES)
def test_declaring_what_it_has_changes_nothing(bed: Bed, machine: str) -> None:
    definition = foreign(bed, machine)
    before = stamps(definition, bed.folder)
    for check in (True, False):
        with writes() as calls:
            result = run_one(check=check, **what_it_has(bed, machine))
        assert result["changes"] == []
        assert (result["changed"], result["adopted"], result["actions"], calls) == (False, True, [], [])
    assert stamps(definition, bed.folder) == before


@pytest.mark.parametrize("machine", MACHINES)
def test_one_declared_difference_is_the_only_change(bed: Bed, machine: str) -> None:
    foreign(bed, machine)
    before = bed.xml()
    result = run_one(**{**what_it_has(bed, machine), "watchdog": {"name": "dog", "i6300esb": {"action": "poweroff"}}})
    assert [(change["path"], change["before"], change["after"]) for change in result["changes"]] == [
        ("devices/watchdog/@action", "reset", "poweroff")
    ]
    assert (result["adopted"], result["actions"]) == (True, ["redefine"])
    after = bed.xml()
    for tag in ("title", "description", "uuid", "os", "features", "vcpu", "clock", "on_reboot"):
        assert b"".join(map(tostring, after.findall(tag))) == b"".join(map(tostring, before.findall(tag))), tag
    kept = [device for device in before.findall("devices/*") if device.tag != "watchdog"]
    # libvirt sorts controllers when it reads them.
    still = [device for device in after.findall("devices/*") if device.tag != "watchdog"]
    assert sorted(map(tostring, kept)) == sorted(map(tostring, still))
    assert "keep me" in bed.text()
    assert bed.domain().XMLDesc(1).count("passwd='secret'") == 1
    again = run_one(**{**what_it_has(bed, machine), "watchdog": {"name": "dog", "i6300esb": {"action": "poweroff"}}})
    assert (again["changed"], again["adopted"]) == (False, False)


def test_one_queue_is_declared_of_devices_that_have_more(bed: Bed) -> None:
    """What others have beside them stays."""
    foreign(bed, "q35")
    driver = "<driver name='vhost' queues='4' rx_queue_size='512'/>"
    bed.edit(("<model type='virtio'/>", f"<model type='virtio'/>{driver}"), ("cache='none'", "cache='none' queues='2'"))
    declared = {**what_it_has(bed, "q35"), "multiqueue": False, "block_multiqueue": False}
    result = run_one(**declared)
    assert sorted((change["path"], change["before"], change["after"]) for change in result["changes"]) == [
        ("devices/disk[own]/driver/@queues", "2", None),
        ("devices/interface[lan]/driver/@queues", "4", None),
    ]
    after = bed.xml().find("devices/interface[@type='bridge']/driver")
    assert after is not None
    assert after.attrib == {"name": "vhost", "rx_queue_size": "512"}
    assert run_one(**declared)["changed"] is False


def test_bios_is_declared_of_a_domain_with_efi(bed: Bed) -> None:
    foreign(bed, "q35")
    bed.edit(("<os>", "<os firmware='efi'>"))
    declared = {**what_it_has(bed, "q35"), "firmware": {"bootloader": "bios"}}
    result = run_one(**declared)
    assert [(change["path"], change["before"], change["after"]) for change in result["changes"]] == [
        ("os/@firmware", "efi", None)
    ]
    assert bed.xml().find("os/loader") is None
    assert run_one(**declared)["changed"] is False


def tostring(element: ET.Element) -> bytes:
    element.tail = None
    return ET.tostring(element)


def test_an_adopted_vm_runs_pauses_and_goes_and_its_disks_stay(bed: Bed) -> None:
    foreign(bed, "q35")
    bed.edit(("<interface type='bridge'>.*?</interface>", ""))
    contents = {path.name: path.read_bytes() for path in bed.folder.iterdir()}
    assert run_one(name=bed.name(), state="running")["actions"] == ["start"]
    assert run_one(name=bed.name(), state="paused")["actions"] == ["pause"]
    gone = run_one(name=bed.name(), state="absent", delete_volumes=True, force=True, wait_timeout=0)
    assert gone["actions"][-1] == "undefine"
    assert sorted(gone["volumes_kept"]) == [f"{bed.folder}/own.img", f"{bed.folder}/second.img"]
    assert {path.name: path.read_bytes() for path in bed.folder.iterdir()} == contents


def test_another_virtualization_type_is_refused(bed: Bed) -> None:
    foreign(bed, "q35")
    with pytest.raises(TaskError, match=r"^virt_type: .* is a qemu domain: remove it"):
        run_one(name=bed.name(), virt_type="kvm")
    assert run_one(name=bed.name(), virt_type="auto")["changed"] is False


def test_a_transient_domain_is_adopted(bed: Bed) -> None:
    """One made by virsh create: it has no persistent definition until one is declared."""
    machine = "<memory unit='MiB'>64</memory><os><type machine='q35'>hvm</type></os>"
    bed.connection.createXML(f"<domain type='qemu'><name>{bed.name()}</name>{machine}</domain>", 0)
    predicted = run_one(check=True, name=bed.name(), memory="64Mi")
    done = run_one(name=bed.name(), memory="64Mi")
    assert (done["actions"], done["adopted"]) == (predicted["actions"], True)
    assert bed.domain().isPersistent()
    assert run_one(name=bed.name(), memory="64Mi")["changed"] is False
    assert bed.power() == "running"
