# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three-way comparison, on domains as libvirt itself prints them."""

from __future__ import annotations

import copy
import re
import typing as t
import xml.etree.ElementTree as ET

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.domains import disk_targets
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.drift import reconcile
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.identity import find
from ansible_collections.rtvirt.core.plugins.module_utils._plan import Change

Options = dict[str, t.Any]
Changes = dict[str, tuple[t.Union[str, None], t.Union[str, None]]]


def disk(name: str = "root", **more: t.Any) -> Options:
    volume = {"hostDisk": {"path": f"/srv/{name}.img", "type": "Disk"}}
    return {"name": name, "disk": {"bus": "virtio"}, "volume": volume, **more}


def nic(name: str = "lan", source: Options | None = None, **more: t.Any) -> Options:
    return {"name": name, "bridge": {}, "network": {"libvirt": source or {"network": "default"}}, **more}


VM: Options = {
    "cpu_cores": 2,
    "memory": "1Gi",
    "machine_type": "q35",
    "disks": [disk(cache="none"), disk("data")],
    "interfaces": [nic(), nic("wan", {"bridge": "br0"})],
    "watchdog": {"name": "dog", "i6300esb": {"action": "poweroff"}},
    "autoattach_mem_balloon": False,
}
DEDICATED: Options = {"cpu_cores": 1, "dedicated_cpus": True}
NUMA: Options = {**DEDICATED, "hugepages": "2Mi", "numa_passthrough": True}
REALTIME: Options = {**NUMA, "realtime": True}


class Bench:
    """One VM: made of a declaration, lived in, declared again."""

    def __init__(self, convert: t.Callable[..., t.Any], stored: t.Callable[[ET.Element], ET.Element]) -> None:
        self._convert = convert
        self.stored = stored

    def made(self, options: Options) -> ET.Element:
        """The domain as libvirt has it after a while: addresses, a machine's version, and what its user added."""
        domain = self.stored(self._convert(options).complete)
        domain.find("os/type").set("machine", "pc-q35-7.2")
        domain.find("cpu").set("check", "partial")
        for number, device in enumerate(domain.findall("devices/*")):
            if device.tag in ("disk", "interface", "memballoon", "watchdog", "rng"):
                ET.SubElement(device, "address", {"type": "pci", "bus": "0x01", "slot": f"0x{number:02x}"})
            if device.tag == "interface" and device.find("mac") is None:
                device.insert(0, ET.Element("mac", {"address": f"52:54:00:00:00:{number:02x}"}))
        domain.find("devices").extend(
            ET.fromstring(device)
            for device in (
                "<disk type='file'><source file='/srv/foreign.img'/><target dev='vdx' bus='virtio'/></disk>",
                "<interface type='bridge'><mac address='52:54:00:ff:ff:ff'/><source bridge='br9'/></interface>",
                "<sound model='ich9'/>",
            )
        )
        ET.SubElement(domain, "metadata").append(ET.Element("{https://example.com/x}other"))
        ET.SubElement(domain, "seclabel", {"type": "dynamic"})
        return domain

    def again(
        self, domain: ET.Element, options: Options, last: Options | None = None
    ) -> tuple[ET.Element, list[Change]]:
        targets = disk_targets(domain)
        now = self._convert(options, disk_targets=targets)
        before = None if last is None else self._convert(last, disk_targets=targets).declared
        return reconcile(domain, complete=now.complete, declared=now.declared, last=before)

    def settled(self, domain: ET.Element, options: Options) -> bool:
        """Whether a domain needs no more change, not even after libvirt has printed it anew."""
        printed = self.stored(domain)
        return all(self.again(each, options, last)[1] == [] for each in (domain, printed) for last in (None, options))


@pytest.fixture
def bench(convert: t.Callable[..., t.Any], stored: t.Callable[[ET.Element], ET.Element]) -> Bench:
    return Bench(convert, stored)


def shown(changes: list[Change]) -> Changes:
    return {change.path: (change.before, change.after) for change in changes}


def only_below(changes: list[Change], paths: list[str]) -> bool:
    """Whether every change is at one of the paths or below it, and every path has one."""
    found = [[path for path in paths if re.match(rf"{re.escape(path)}(?=[/\[]|$)", change.path)] for change in changes]
    return all(found) and {path for each in found for path in each} == set(paths)


def text(element: ET.Element | None) -> str:
    assert element is not None
    return ET.canonicalize(ET.tostring(element, encoding="unicode"), strip_text=True)


# --- Nothing to do ---------------------------------------------------------------------------------------------------

KINDS: dict[str, Options] = {
    "the least": {},
    "the usual": VM,
    "real-time, one vCPU": REALTIME,
    "real-time, two vCPUs": {**REALTIME, "cpu_cores": 2},
    "real-time of some": {**REALTIME, "cpu_cores": 3, "realtime_mask": "1-2"},
    "every switch off": {
        "autoattach_graphics_device": False,
        "autoattach_serial_console": False,
        "autoattach_pod_interface": False,
        "autoattach_mem_balloon": False,
    },
    "CPU features": {"cpu_features": [{"name": "vmx", "policy": "disable"}, {"name": "pcid"}], "cpu_model": "Nehalem"},
    "devices": {
        "host_devices": [{"name": "nic", "pci": "0000:3b:00.1"}],
        "gpus": [{"name": "gpu", "mdev": "4b20d080-1b54-4048-85b3-a6a62d165c01"}],
        "cloud_init": {"hostname": "vm1"},
        "spec": {
            "domain": {
                "devices": {
                    "inputs": [{"name": "pointer", "type": "tablet"}],
                    "filesystems": [{"name": "src", "virtiofs": {}}],
                    "tpm": {"persistent": True},
                    "rng": {},
                }
            },
            "volumes": [{"name": "src", "libvirt": {"directory": "/srv/src"}}],
        },
    },
    "queues": {**VM, "multiqueue": True, "block_multiqueue": True},
    "queues of one vCPU": {**VM, "cpu_cores": 1, "multiqueue": True},
    "I/O threads": {**VM, "io_threads_policy": "auto"},
    "clocks": {"clock": {"timezone": "Asia/Tokyo", "timer": {"hpet": {"present": False}, "kvm": {}}}},
    "no ACPI": {"spec": {"domain": {"features": {"acpi": {"enabled": False}}}}},
    "a TPM that forgets": {"spec": {"domain": {"devices": {"tpm": {"persistent": False}}}}},
    "a quota": {"cpu_cores": 2, "resources": {"limits": {"cpu": "1500m"}}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_libvirt_and_others_add_is_no_difference(bench: Bench, kind: str) -> None:
    domain = bench.made(KINDS[kind])
    before = text(domain)
    for last in (None, KINDS[kind]):
        _merged, changes = bench.again(domain, KINDS[kind], last)
        assert changes == []
    assert text(domain) == before


def test_nothing_declared_is_nothing_changed(bench: Bench) -> None:
    """Whatever the domain is, and however much a new one would differ."""
    domain = bench.made({**VM, "cpu_model": "host-passthrough", "autoattach_graphics_device": False})
    merged, changes = bench.again(domain, {"memory": "1Gi"})
    assert changes == []
    assert text(merged) == text(domain)


# --- Edited by hand --------------------------------------------------------------------------------------------------


def put(path: str, name: str, value: str) -> t.Callable[[ET.Element], None]:
    """Edits an attribute, or with no name the text."""

    def edit(domain: ET.Element) -> None:
        element = domain.find(path)
        assert element is not None, path
        if name:
            element.set(name, value)
        else:
            element.text = value

    return edit


def drop(path: str) -> t.Callable[[ET.Element], None]:
    def edit(domain: ET.Element) -> None:
        parent, element = domain.find(f"{path}/.."), domain.find(path)
        assert parent is not None
        assert element is not None
        parent.remove(element)

    return edit


ROOT = "devices/disk/alias[@name='ua-disk-root']/.."
WAN = "devices/interface/alias[@name='ua-net-wan']/.."

EDITS: dict[str, tuple[Options, t.Callable[[ET.Element], None], Changes]] = {
    "memory": (VM, put("memory", "", "2097152"), {"memory": ("2097152", "1048576")}),
    "vCPUs": (VM, put("vcpu", "", "4"), {"vcpu": ("4", "2")}),
    "topology": (VM, put("cpu/topology", "cores", "1"), {"cpu/topology/@cores": ("1", "2")}),
    "cache": (VM, put(f"{ROOT}/driver", "cache", "unsafe"), {"devices/disk[root]/driver/@cache": ("unsafe", "none")}),
    "file": (
        VM,
        put(f"{ROOT}/source", "file", "/srv/other.img"),
        {"devices/disk[root]/source/@file": ("/srv/other.img", "/srv/root.img")},
    ),
    "bus": (
        VM,
        put(f"{ROOT}/target", "bus", "sata"),
        {"devices/disk[root]/target/@bus": ("sata", "virtio")},
    ),
    "bridge": (
        VM,
        put(f"{WAN}/source", "bridge", "br1"),
        {"devices/interface[wan]/source/@bridge": ("br1", "br0")},
    ),
    "type of a network": (
        VM,
        put(WAN, "type", "user"),
        {"devices/interface[wan]/@type": ("user", "bridge")},
    ),
    "watchdog": (VM, put("devices/watchdog", "action", "none"), {"devices/watchdog/@action": ("none", "poweroff")}),
    "balloon": (VM, put("devices/memballoon", "model", "virtio"), {"devices/memballoon/@model": ("virtio", "none")}),
    "pin": (
        DEDICATED,
        put("cputune/vcpupin", "cpuset", "0-7"),
        {"cputune/vcpupin[0]/@cpuset": ("0-7", "1")},
    ),
    "scheduler": (
        REALTIME,
        put("cputune/vcpusched", "priority", "50"),
        {
            "cputune/vcpusched": (
                '<vcpusched vcpus="0" scheduler="fifo" priority="50" />',
                '<vcpusched vcpus="0" scheduler="fifo" priority="1" />',
            )
        },
    ),
    "page size": (
        REALTIME,
        put("memoryBacking/hugepages/page", "size", "1048576"),
        {
            "memoryBacking/hugepages/page": (
                '<page size="1048576" unit="KiB" nodeset="0" />',
                '<page size="2048" unit="KiB" nodeset="0" />',
            )
        },
    ),
    "PMU": (REALTIME, put("features/pmu", "state", "on"), {"features/pmu/@state": ("on", "off")}),
}


@pytest.mark.parametrize("what", EDITS)
def test_a_declared_value_that_was_edited_is_brought_back(bench: Bench, what: str) -> None:
    options, edit, expected = EDITS[what]
    before = bench.made(options)
    domain = copy.deepcopy(before)
    edit(domain)
    merged, changes = bench.again(domain, options, options)
    assert shown(changes) == expected
    if what != "bus":  # another bus, another address
        assert text(merged) == text(before)
    assert bench.settled(merged, options)


TAKEN_AWAY: dict[str, tuple[Options, str, str]] = {
    "a disk": (VM, ROOT, "devices/disk[root]"),
    "an interface": (VM, WAN, "devices/interface[wan]"),
    "the watchdog": (VM, "devices/watchdog", "devices/watchdog"),
    "a pin": (DEDICATED, "cputune/vcpupin", "cputune/vcpupin[0]"),
    "all tuning": (REALTIME, "cputune", "cputune"),
    "memory backing": (REALTIME, "memoryBacking", "memoryBacking"),
    "NUMA cells": (REALTIME, "cpu/numa", "cpu/numa"),
}


@pytest.mark.parametrize("what", TAKEN_AWAY)
def test_what_was_taken_away_comes_back(bench: Bench, what: str) -> None:
    options, path, changed = TAKEN_AWAY[what]
    domain = bench.made(options)
    drop(path)(domain)
    merged, changes = bench.again(domain, options, options)
    assert only_below(changes, [changed])
    assert all(change.before is None and change.after for change in changes)
    assert bench.settled(merged, options)


@pytest.mark.parametrize(
    ("options", "added"),
    [
        ({"autoattach_graphics_device": False}, "<graphics type='vnc' port='-1'/>"),
        ({"autoattach_serial_console": False}, "<serial type='pty'><target port='0'/></serial>"),
    ],
)
def test_what_is_ruled_out_is_taken_away(bench: Bench, options: Options, added: str) -> None:
    domain = bench.made(options)
    domain.find("devices").append(ET.fromstring(added))
    merged, changes = bench.again(domain, options)
    assert [(change.path, change.after) for change in changes] == [(f"devices/{ET.fromstring(added).tag}", None)]
    assert bench.settled(merged, options)


# --- Declared once, and no more --------------------------------------------------------------------------------------

without = {key: value for key, value in VM.items() if key not in ("watchdog", "autoattach_mem_balloon")}

DROPPED: dict[str, tuple[Options, Options, list[str], list[str]]] = {
    # last, now, the paths that change, and XPath that must not be found any more
    "a cache": ({"disks": [disk(cache="none")]}, {"disks": [disk()]}, ["devices/disk[root]/driver/@cache"], []),
    "a serial": (
        {"disks": [disk(serial="A1")]},
        {"disks": [disk()]},
        ["devices/disk[root]/serial"],
        ["devices/disk/serial"],
    ),
    "a disk": (
        {"disks": [disk(), disk("data")]},
        {"disks": [disk()]},
        ["devices/disk[data]"],
        ["devices/disk/source[@file='/srv/data.img']"],
    ),
    "an interface": ({"interfaces": [nic(), nic("wan")]}, {"interfaces": [nic()]}, ["devices/interface[wan]"], []),
    "the watchdog": (
        {**without, "watchdog": {"name": "dog"}},
        without,
        ["devices/watchdog"],
        ["devices/watchdog"],
    ),
    "a host device": (
        {"host_devices": [{"name": "nic", "pci": "0000:3b:00.1"}]},
        {},
        ["devices/hostdev[nic]"],
        ["devices/hostdev"],
    ),
    "a model goes back to the default": ({"cpu_model": "host-passthrough"}, {}, ["cpu/@mode"], []),
    "no balloon goes back to the default": ({"autoattach_mem_balloon": False}, {}, ["devices/memballoon/@model"], []),
    "no graphics goes back to the default": (
        {"autoattach_graphics_device": False},
        {},
        ["devices/graphics", "devices/video"],
        [],
    ),
    "a limit of memory": ({"memory_limit": "2Gi"}, {}, ["memtune"], ["memtune"]),
    "huge pages": ({"hugepages": "2Mi"}, {}, ["memoryBacking"], ["memoryBacking"]),
    "locked memory": ({"memory_locked": True}, {}, ["memoryBacking"], ["memoryBacking"]),
    "locked memory beside huge pages": (
        {"memory_locked": True, "hugepages": "2Mi"},
        {"hugepages": "2Mi"},
        ["memoryBacking/locked"],
        ["memoryBacking/locked"],
    ),
    "real-time": (
        REALTIME,
        NUMA,
        ["cputune/vcpusched", "features/pmu", "memoryBacking/nosharepages"],
        ["cputune/vcpusched", "features/pmu", "memoryBacking/nosharepages"],
    ),
    "dedicated CPUs": (
        DEDICATED,
        {"cpu_cores": 1},
        ["cputune", "features/kvm", "numatune"],
        ["cputune", "features/kvm", "numatune"],
    ),
    "a CPU feature": (
        {"cpu_features": [{"name": "vmx"}, {"name": "pcid"}]},
        {"cpu_features": [{"name": "vmx"}]},
        ["cpu/feature[pcid]"],
        ["cpu/feature[@name='pcid']"],
    ),
    "a boot order": (
        {"disks": [disk(bootOrder=1)]},
        {"disks": [disk()]},
        ["devices/disk[root]/boot"],
        ["devices/disk/boot"],
    ),
    "a timer": (
        {"clock": {"utc": {}, "timer": {"hpet": {"present": False}}}},
        {"clock": {"utc": {}}},
        ["clock/timer[hpet]"],
        ["clock/timer"],
    ),
    "a Hyper-V switch": (
        {"spec": {"domain": {"features": {"hyperv": {"relaxed": {}, "vapic": {}}}}}},
        {"spec": {"domain": {"features": {"hyperv": {"relaxed": {}}}}}},
        ["features/hyperv/vapic"],
        ["features/hyperv/vapic"],
    ),
    "a quota": (
        {"cpu_cores": 2, "resources": {"limits": {"cpu": 1}}},
        {"cpu_cores": 2},
        ["cputune"],
        ["cputune"],
    ),
}


@pytest.mark.parametrize("what", DROPPED)
def test_what_is_declared_no_more_is_removed_or_defaulted(bench: Bench, what: str) -> None:
    last, now, paths, gone = DROPPED[what]
    domain = bench.made(last)
    merged, changes = bench.again(domain, now, last)
    assert only_below(changes, paths), changes
    assert [path for path in gone if merged.find(path) is not None] == []
    assert merged.find("devices/disk/source[@file='/srv/foreign.img']") is not None
    assert merged.find("devices/interface/source[@bridge='br9']") is not None
    assert bench.settled(merged, now)
    # Without the memory of what was declared last, it is the user's own and stays.
    assert bench.again(domain, now)[1] == []


# --- Declared anew ---------------------------------------------------------------------------------------------------


def test_a_new_disk_is_added_and_the_others_keep_their_names(bench: Bench) -> None:
    domain = bench.made({"disks": [disk()]})
    now = {"disks": [disk("first"), disk()]}
    merged, changes = bench.again(domain, now, {"disks": [disk()]})
    assert [change.path for change in changes] == ["devices/disk[first]"]
    names = {s.find("source").get("file"): s.find("target").get("dev") for s in merged.findall("devices/disk")}
    assert names == {"/srv/root.img": "vda", "/srv/first.img": "vdb", "/srv/foreign.img": "vdx"}
    assert bench.settled(merged, now)


def test_a_renamed_device_is_another_device(bench: Bench) -> None:
    last, now = {"interfaces": [nic("lan")]}, {"interfaces": [nic("net")]}
    merged, changes = bench.again(bench.made(last), now, last)
    assert sorted(change.path for change in changes) == ["devices/interface[lan]", "devices/interface[net]"]
    assert bench.settled(merged, now)


def test_all_of_real_time_is_added_to_a_plain_vm(bench: Bench) -> None:
    last = {"cpu_cores": 1}
    merged, _changes = bench.again(bench.made(last), REALTIME, last)
    for path in ("cputune/vcpupin", "cputune/vcpusched", "features/pmu", "memoryBacking/nosharepages", "cpu/numa/cell"):
        assert merged.find(path) is not None, path
    assert bench.settled(merged, REALTIME)


def test_mac_address_that_is_declared_replaces_that_of_libvirt(bench: Bench) -> None:
    domain = bench.made({"interfaces": [nic()]})
    given = domain.find("devices/interface/mac").get("address")
    now = {"interfaces": [nic(macAddress="02:00:00:00:00:01")]}
    merged, changes = bench.again(domain, now)
    assert shown(changes) == {"devices/interface[lan]/mac/@address": (given, "02:00:00:00:00:01")}
    assert bench.settled(merged, now)


# --- A domain that others made ----------------------------------------------------------------------------------------

FOREIGN = """
<domain type='kvm'>
  <name>vm1</name>
  <memory unit='KiB'>1048576</memory>
  <vcpu placement='static'>2</vcpu>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><boot dev='hd'/></os>
  <cpu mode='host-model' check='partial'><topology sockets='1' dies='1' cores='2' threads='1'/></cpu>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw' cache='none'/><source file='/srv/root.img'/><target dev='vda' bus='virtio'/>
      <address type='pci' slot='0x04'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='/srv/data.img'/><target dev='vdb' bus='virtio'/>
    </disk>
    <interface type='network'>
      <mac address='52:54:00:aa:bb:cc'/><source network='default'/><model type='virtio'/>
    </interface>
    <interface type='bridge'>
      <mac address='52:54:00:aa:bb:cd'/><source bridge='br0'/><model type='virtio'/>
    </interface>
    <watchdog model='i6300esb' action='poweroff'/>
    <memballoon model='none'/>
    <hostdev mode='subsystem' type='pci' managed='yes'>
      <source><address domain='0x0000' bus='0x3b' slot='0x00' function='0x1'/></source>
    </hostdev>
  </devices>
</domain>
"""


@pytest.mark.parametrize(
    "options",
    [
        VM,
        {**VM, "host_devices": [{"name": "nic", "pci": "3b:00.1"}]},
        {"disks": [disk("data")]},
        {"interfaces": [nic("x")]},
    ],
)
def test_a_domain_of_others_is_adopted_without_a_change(bench: Bench, options: Options) -> None:
    domain = ET.fromstring(FOREIGN)
    merged, changes = bench.again(domain, options)
    assert changes == []
    assert text(merged) == text(domain)


def test_a_device_of_others_is_changed_in_its_place(bench: Bench) -> None:
    domain = ET.fromstring(FOREIGN)
    merged, changes = bench.again(domain, {"disks": [disk(cache="writeback")], "interfaces": [nic(model="e1000")]})
    assert shown(changes) == {
        "devices/disk[root]/driver/@cache": ("none", "writeback"),
        "devices/interface[lan]/model/@type": ("virtio", "e1000"),
    }
    assert len(merged.findall("devices/disk")) == 2
    assert merged.find("devices/interface/mac").get("address") == "52:54:00:aa:bb:cc"


def test_two_interfaces_of_one_network_are_two(bench: Bench) -> None:
    domain = ET.fromstring(FOREIGN)
    options = {"interfaces": [nic("a"), nic("b")]}
    merged, changes = bench.again(domain, options)
    assert [(change.path, change.before) for change in changes] == [("devices/interface[b]", None)]
    assert len(merged.findall("devices/interface")) == 3
    assert bench.settled(merged, options)


def test_user_networks_of_a_domain_of_others_are_told_apart_from_none(bench: Bench) -> None:
    domain = ET.fromstring(FOREIGN)
    options = {"interfaces": [{"name": "nat", "masquerade": {}, "network": {"pod": {}}}]}
    merged, changes = bench.again(domain, options)
    assert [change.path for change in changes] == ["devices/interface[nat]"]
    assert len(merged.findall("devices/interface")) == 3


# --- Values that stand for others ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("had", "declared", "after"),
    [
        ("pc-q35-7.2", "q35", None),
        ("pc-q35-7.2", "pc-q35-7.2", None),
        ("pc-q35-7.2", "pc-q35-8.0", "pc-q35-8.0"),
        ("pc-q35-7.2", "pc", "pc"),
        ("pc-i440fx-7.2", "pc", None),
        ("pc-i440fx-7.2", "q35", "q35"),
        ("pc-q35-7.2", "pc-q35-7.20", "pc-q35-7.20"),
    ],
)
def test_a_family_of_machines_keeps_the_version(bench: Bench, had: str, declared: str, after: str | None) -> None:
    domain = bench.made({})
    domain.find("os/type").set("machine", had)
    merged, changes = bench.again(domain, {"machine_type": declared})
    assert shown(changes) == ({} if after is None else {"os/type/@machine": (had, after)})
    assert merged.find("os/type").get("machine") == (after or had)


def test_current_memory_follows_the_memory(bench: Bench) -> None:
    domain = bench.made({"memory": "1Gi"})
    assert domain.findtext("currentMemory") == "1048576"
    merged, changes = bench.again(domain, {"memory": "2Gi"})
    assert shown(changes) == {"memory": ("1048576", "2097152")}
    assert merged.findtext("currentMemory") == "2097152"


def test_a_balloon_that_is_blown_up_stays_so(bench: Bench) -> None:
    domain = bench.made({"memory": "1Gi"})
    domain.find("currentMemory").text = "524288"
    merged, _changes = bench.again(domain, {"memory": "1Gi", "watchdog": {"name": "dog"}})
    assert merged.findtext("currentMemory") == "524288"


def test_memory_in_another_unit_is_the_same(bench: Bench) -> None:
    """As a user writes it in virsh edit; libvirt itself prints KiB."""
    domain = bench.made({"memory": "1Gi"})
    domain.find("memory").set("unit", "GiB")
    domain.find("memory").text = "1"
    assert bench.again(bench.stored(domain), {"memory": "1Gi"})[1] == []


def test_boot_order_of_devices_replaces_that_of_the_firmware(bench: Bench) -> None:
    """libvirt refuses both at once."""
    domain = bench.made({"disks": [disk()]})
    assert domain.find("os/boot") is not None
    now = {"disks": [disk(bootOrder=1)]}
    merged, changes = bench.again(domain, now)
    assert [change.path for change in changes] == ["devices/disk[root]/boot"]
    assert merged.find("os/boot") is None
    assert bench.settled(merged, now)


def test_order_of_the_firmware_stays_where_no_device_has_one(bench: Bench) -> None:
    domain = bench.made({"disks": [disk()]})
    merged, _changes = bench.again(domain, {"disks": [disk(cache="none")]})
    assert merged.find("os/boot").get("dev") == "hd"


def test_an_image_of_firmware_is_looked_up_anew_when_secure_boot_changes(bench: Bench) -> None:
    options = {"firmware": {"bootloader": "efi", "secure_boot": False, "smm": True}}
    domain = bench.made(options)
    for loader in domain.findall("os/loader"):
        domain.find("os").remove(loader)
    loader = ET.SubElement(domain.find("os"), "loader", {"readonly": "yes", "type": "pflash", "secure": "no"})
    loader.text = "/usr/share/OVMF/OVMF_CODE_4M.fd"
    ET.SubElement(domain.find("os"), "nvram").text = "/var/lib/libvirt/qemu/nvram/vm1_VARS.fd"
    now = {"firmware": {"bootloader": "efi", "secure_boot": True, "smm": True}}
    merged, changes = bench.again(domain, now, options)
    assert "os/firmware/feature[secure-boot]/@enabled" in {change.path for change in changes}
    loader = merged.find("os/loader")
    assert (loader.text, loader.attrib) == (None, {"secure": "yes"})
    assert merged.findtext("os/nvram") == "/var/lib/libvirt/qemu/nvram/vm1_VARS.fd"


def test_schedulers_are_one_setting_however_libvirt_splits_them(bench: Bench) -> None:
    options = {**REALTIME, "cpu_cores": 3}
    domain = bench.made(options)
    for element in domain.findall("cputune/vcpusched"):
        domain.find("cputune").remove(element)
    for vcpus in ("1-2", "0"):
        domain.find("cputune").append(ET.Element("vcpusched", {"vcpus": vcpus, "scheduler": "fifo", "priority": "1"}))
    assert bench.again(bench.stored(domain), options)[1] == []


def test_a_scheduler_of_one_vcpu_too_many_is_taken_away(bench: Bench) -> None:
    options = {**REALTIME, "cpu_cores": 2, "realtime_mask": "1"}
    domain = bench.made(options)
    domain.find("cputune").append(ET.Element("vcpusched", {"vcpus": "0", "scheduler": "fifo", "priority": "1"}))
    merged, changes = bench.again(domain, options, options)
    assert [change.path for change in changes] == ["cputune/vcpusched"]
    assert [element.get("vcpus") for element in merged.findall("cputune/vcpusched")] == ["1"]


# --- Which is which --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parent", "wanted", "found"),
    [
        ("<a><disk><alias name='ua-disk-x'/></disk></a>", "<disk><alias name='ua-disk-x'/></disk>", 0),
        ("<a><disk><alias name='ua-disk-y'/></disk></a>", "<disk><alias name='ua-disk-x'/></disk>", None),
        (
            "<a><disk><source file='/a'/></disk></a>",
            "<disk><source file='/a'/><alias name='ua-disk-x'/></disk>",
            0,
        ),
        (
            "<a><disk><source file='/a'/><alias name='ua-disk-y'/></disk></a>",
            "<disk><source file='/a'/><alias name='ua-disk-x'/></disk>",
            None,
        ),
        ("<a><disk/></a>", "<disk><alias name='ua-disk-x'/></disk>", None),
        ("<a><timer name='pit'/><timer name='rtc'/></a>", "<timer name='rtc'/>", 1),
        (
            "<a><controller type='usb' index='0'/><controller type='scsi'/></a>",
            "<controller type='scsi' index='0'/>",
            1,
        ),
        (
            "<a><channel><target name='org.qemu.guest_agent.0'/></channel></a>",
            "<channel><target name='com.redhat.spice.0'/></channel>",
            None,
        ),
        ("<a><vcpu/></a>", "<memory/>", None),
    ],
)
def test_find(parent: str, wanted: str, found: int | None) -> None:
    root = ET.fromstring(parent)
    assert find(root, ET.fromstring(wanted)) is (None if found is None else root[found])


def test_all_of_what_is_ruled_out_goes_at_once(bench: Bench) -> None:
    domain = bench.made({"autoattach_graphics_device": False})
    screens = ("<graphics type='vnc' passwd='hunter2'/>", "<graphics type='spice'/>", "<video/>", "<video/>")
    domain.find("devices").extend(map(ET.fromstring, screens))
    merged, changes = bench.again(domain, {"autoattach_graphics_device": False})
    assert [change.path for change in changes] == ["devices/graphics"] * 2 + ["devices/video"] * 2
    assert merged.find("devices/graphics") is None
    assert "hunter2" not in str(changes)
    assert bench.settled(merged, {"autoattach_graphics_device": False})


@pytest.mark.parametrize("last", [None, {"hugepages": "1Gi", "memory": "8Gi"}])
def test_memory_that_nobody_declares_stays_beside_huge_pages(bench: Bench, last: Options | None) -> None:
    """A page is the memory of a new VM only."""
    domain = bench.made({"hugepages": "1Gi", "memory": "8Gi"})
    merged, changes = bench.again(domain, {"hugepages": "1Gi", "memory": None}, last)
    assert (changes, merged.findtext("memory")) == ([], str(8 << 20))


def test_what_libvirt_chose_for_efi_goes_with_it(bench: Bench) -> None:
    efi: Options = {"firmware": {"bootloader": "efi", "secure_boot": False}}
    domain = bench.made(efi)
    for element in domain.findall("os/loader"):
        domain.find("os").remove(element)
    ET.SubElement(domain.find("os"), "loader", {"readonly": "yes", "type": "pflash"}).text = "/usr/share/OVMF/CODE.fd"
    ET.SubElement(domain.find("os"), "nvram").text = "/var/lib/libvirt/qemu/nvram/vm1_VARS.fd"
    merged, _changes = bench.again(domain, {"firmware": {"bootloader": "bios"}}, efi)
    assert [merged.find(f"os/{tag}") for tag in ("loader", "nvram")] == [None, None]
    assert merged.find("os").get("firmware") is None


@pytest.mark.parametrize(
    ("path", "added", "options"),
    [
        (
            "devices/serial",
            "<log file='/var/log/x' append='on'/>",
            {"spec": {"domain": {"devices": {"logSerialConsole": False}}}},
        ),
        ("devices/disk", "<shareable/>", {"disks": [disk(shareable=False)]}),
        ("devices/disk", "<readonly/>", {"disks": [{**disk(), "disk": {"bus": "virtio", "readonly": False}}]}),
    ],
)
def test_what_is_declared_off_is_turned_off(bench: Bench, path: str, added: str, options: Options) -> None:
    domain = bench.made(options)
    tag = ET.fromstring(added).tag
    assert domain.find(f"{path}/{tag}") is None
    domain.find(path).insert(0, ET.fromstring(added))
    merged, changes = bench.again(domain, options)
    assert [change.path.rpartition("/")[2] for change in changes] == [tag]
    assert merged.find(f"{path}/{tag}") is None
    assert bench.settled(merged, options)
