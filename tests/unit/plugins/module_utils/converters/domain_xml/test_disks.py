# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks, CD-ROMs, LUNs and their I/O threads."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml import io_threads
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.disks import volume_file
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import Context


def disk(name: str = "root", bus: str | None = "virtio", kind: str = "disk", **more: t.Any) -> dict[str, t.Any]:
    volume = {"hostDisk": {"path": f"/srv/{name}.img", "type": "Disk"}}
    return {"name": name, kind: {} if bus is None else {"bus": bus}, "volume": volume, **more}


DISK = "devices/disk[alias/@name='ua-disk-root']"

FACTS: dict[str, tuple[dict[str, t.Any], list[str]]] = {
    "no disk": ({}, ["not(devices/disk)", "not(devices/controller[@type='scsi'])"]),
    "a disk": (
        {"disks": [disk()]},
        [
            f"{DISK}[@type='file'][@device='disk']",
            f"{DISK}/driver[@name='qemu'][@type='raw'][@discard='unmap'][@error_policy='stop']",
            f"not({DISK}/driver/@cache)",
            f"not({DISK}/driver/@queues)",
            f"not({DISK}/driver/@iothread)",
            f"{DISK}/source/@file = '/srv/root.img'",
            f"{DISK}/target[@dev='vda'][@bus='virtio']",
            f"not({DISK}/readonly)",
            f"not({DISK}/boot)",
            "not(iothreads)",
        ],
    ),
    "bus by default": ({"disks": [disk(bus=None)]}, [f"{DISK}/target[@dev='sda'][@bus='sata']"]),
    "virtio-scsi beyond the letters of one controller": (
        {
            "disks": [
                {"name": "cd", "cdrom": {"bus": "sata"}},
                *(disk(f"d{index}", "scsi", volume={"emptyDisk": {"capacity": "1Gi"}}) for index in range(7)),
            ]
        },
        ["count(devices/controller[@type='scsi'][@model='virtio-scsi']) = 2"],
    ),
    "virtio-scsi": (
        {"disks": [disk(bus="scsi")]},
        [
            f"{DISK}/target[@dev='sda'][@bus='scsi']",
            f"{DISK}/driver/@discard = 'unmap'",
            "devices/controller[@type='scsi'][@index='0']/@model = 'virtio-scsi'",
            "not(devices/controller[@type='scsi']/driver)",
        ],
    ),
    "queues of disks": (
        {"cpu_cores": 4, "block_multiqueue": True, "disks": [disk(), disk("data", "scsi"), disk("slow", "sata")]},
        [
            f"{DISK}/driver/@queues = '4'",
            "devices/controller[@type='scsi']/driver/@queues = '4'",
            "not(devices/disk[alias/@name='ua-disk-data']/driver/@queues)",
            "not(devices/disk[alias/@name='ua-disk-slow']/driver/@queues)",
        ],
    ),
    "no queues of disks": ({"cpu_cores": 4, "block_multiqueue": False, "disks": [disk()]}, ["not(//driver/@queues)"]),
    "qcow2": (
        {
            "disks": [
                disk(
                    volume={
                        "hostDisk": {"path": "/srv/root.qcow2", "type": "Disk"},
                        "libvirt": {"format": "qcow2"},
                    }
                )
            ]
        },
        [f"{DISK}/driver/@type = 'qcow2'", f"{DISK}/source/@file = '/srv/root.qcow2'"],
    ),
    "a block device": (
        {"disks": [disk(volume={"libvirt": {"device": "/dev/vg/root"}})]},
        [f"{DISK}/@type = 'block'", f"{DISK}/source/@dev = '/dev/vg/root'", f"{DISK}/driver/@type = 'raw'"],
    ),
    "a LUN": (
        {"disks": [disk(bus="scsi", kind="lun", volume={"libvirt": {"device": "/dev/sdb"}})]},
        [f"{DISK}[@type='block'][@device='lun']", f"{DISK}/driver/@discard = 'unmap'"],
    ),
    "emptyDisk": (
        {"disks": [disk(volume={"emptyDisk": {"capacity": "1Gi"}})]},
        [f"{DISK}/source/@file = '/srv/vms/vm1.root.qcow2'", f"{DISK}/driver/@type = 'qcow2'"],
    ),
    "cloud-init": (
        {"cloud_init": {"hostname": "vm1"}},
        [
            "devices/disk/source/@file = '/srv/vms/vm1.cloudinit.iso'",
            "devices/disk[@device='disk']/target/@bus = 'virtio'",
            "devices/disk/driver/@type = 'raw'",
            "devices/disk/readonly",
        ],
    ),
    "CD-ROM": (
        {"disks": [disk("iso", bus=None, kind="cdrom")]},
        [
            "devices/disk[@device='cdrom']/target[@bus='sata'][@dev='sda']",
            "devices/disk/readonly",
            "not(devices/disk/driver/@discard)",
            "not(devices/disk/driver/@error_policy)",
        ],
    ),
    "CD-ROM with an open tray": (
        {"disks": [disk("iso", kind="cdrom", bus="sata", cdrom={"bus": "sata", "tray": "open"})]},
        ["devices/disk/target/@tray = 'open'"],
    ),
    "read-only": (
        {"disks": [disk(disk={"bus": "virtio", "readonly": True})]},
        [f"{DISK}/readonly"],
    ),
    "shareable": ({"disks": [disk(shareable=True)]}, [f"{DISK}/shareable", f"{DISK}/driver/@cache = 'none'"]),
    "driver's settings": (
        {"disks": [disk(cache="none", io="native", errorPolicy="report", serial="WD-1.2_3", bootOrder=3)]},
        [
            f"{DISK}/driver[@cache='none'][@io='native'][@error_policy='report']",
            f"{DISK}/serial = 'WD-1.2_3'",
            f"{DISK}/boot/@order = '3'",
        ],
    ),
    "block size": (
        {"disks": [disk(blockSize={"custom": {"logical": 512, "physical": 4096}})]},
        [f"{DISK}/blockio[@logical_block_size='512'][@physical_block_size='4096']"],
    ),
    "boot order": (
        {
            "disks": [disk(bootOrder=2)],
            "interfaces": [{"name": "lan", "masquerade": {}, "network": {"pod": {}}, "bootOrder": 1}],
        },
        [f"{DISK}/boot/@order = '2'", "devices/interface/boot/@order = '1'", "not(os/boot)"],
    ),
    "disks of several buses": (
        {"disks": [disk("a"), disk("b", "scsi"), disk("c", "sata"), disk("d", "usb"), disk("e")]},
        [
            "devices/disk[alias/@name='ua-disk-a']/target/@dev = 'vda'",
            "devices/disk[alias/@name='ua-disk-b']/target/@dev = 'sda'",
            "devices/disk[alias/@name='ua-disk-c']/target/@dev = 'sdb'",
            "devices/disk[alias/@name='ua-disk-d']/target/@dev = 'sdc'",
            "devices/disk[alias/@name='ua-disk-e']/target/@dev = 'vdb'",
            "devices/controller[@type='usb']/@model = 'qemu-xhci'",
        ],
    ),
    "more disks than letters": (
        {"disks": [disk(f"d{number}", "scsi") for number in range(703)]},
        [
            "devices/disk[alias/@name='ua-disk-d25']/target/@dev = 'sdz'",
            "devices/disk[alias/@name='ua-disk-d26']/target/@dev = 'sdaa'",
            "devices/disk[alias/@name='ua-disk-d27']/target/@dev = 'sdab'",
            "devices/disk[alias/@name='ua-disk-d702']/target/@dev = 'sdaaa'",
        ],
    ),
    "one I/O thread": (
        {"io_threads_policy": "shared", "disks": [disk("a"), disk("b"), disk("c", "sata")]},
        [
            "iothreads = '1'",
            "devices/disk[alias/@name='ua-disk-a']/driver/@iothread = '1'",
            "devices/disk[alias/@name='ua-disk-b']/driver/@iothread = '1'",
            "not(devices/disk[alias/@name='ua-disk-c']/driver/@iothread)",
        ],
    ),
    "as many I/O threads as disks": (
        {"io_threads_policy": "auto", "cpu_cores": 2, "disks": [disk("a"), disk("b"), disk("c")]},
        [
            "iothreads = '3'",
            "devices/disk[alias/@name='ua-disk-a']/driver/@iothread = '1'",
            "devices/disk[alias/@name='ua-disk-c']/driver/@iothread = '3'",
        ],
    ),
    "an I/O thread of its own": (
        {"disks": [disk("a"), disk("b", dedicatedIOThread=True)]},
        [
            "iothreads = '2'",
            "devices/disk[alias/@name='ua-disk-a']/driver/@iothread = '1'",
            "devices/disk[alias/@name='ua-disk-b']/driver/@iothread = '2'",
        ],
    ),
    "a policy without a disk": ({"io_threads_policy": "shared"}, ["iothreads = '1'"]),
}


@pytest.mark.parametrize("what", FACTS)
def test_disks(convert: t.Callable[..., t.Any], what: str) -> None:
    options, facts = FACTS[what]
    convert(options).holds(*facts)


def test_disk_names_are_kept_whoever_has_them(convert: t.Callable[..., t.Any]) -> None:
    """A disk that was removed leaves its name; a disk that is not ours holds its own."""
    options = {"disks": [disk("new"), disk("data"), disk("newer")]}
    convert(options, disk_targets={"data": "vdc", "/vda": "vda", "gone": "vdb"}).holds(
        "devices/disk[alias/@name='ua-disk-data']/target/@dev = 'vdc'",
        "devices/disk[alias/@name='ua-disk-new']/target/@dev != 'vda'",
        "devices/disk[alias/@name='ua-disk-newer']/target/@dev != 'vda'",
        "count(devices/disk/target[@dev='vdc']) = 1",
    )


def test_a_disk_that_changes_its_bus_gets_another_name(convert: t.Callable[..., t.Any]) -> None:
    convert({"disks": [disk(bus="scsi")]}, disk_targets={"root": "vda"}).holds(
        f"{DISK}/target[@dev='sda'][@bus='scsi']"
    )


def test_files_of_two_vms_are_never_the_same() -> None:
    """A VM's name may hold dashes, and a volume's too: vm + a-b is not vm-a + b."""
    volumes = {"vm": "a-b", "vm-a": "b"}
    files = {
        volume_file({"name": volume, "emptyDisk": {"capacity": "1Gi"}}, Context(domain_name=name))
        for name, volume in volumes.items()
    }
    assert len(files) == 2


def pool(policy: str | None, disks: int, *, own: int = 0, isolated: bool = False, size: int = 0) -> dict[str, t.Any]:
    """An instance spec of so many virtio disks, the last of them with threads of their own."""
    names = [f"d{number}" for number in range(disks + own)]
    items = [{"name": name, "disk": {"bus": "virtio"}} for name in names[:disks]]
    items += [{"name": name, "disk": {"bus": "virtio"}, "dedicatedIOThread": True} for name in names[disks:]]
    domain: dict[str, t.Any] = {"devices": {"disks": items}, "cpu": {"isolateEmulatorThread": isolated}}
    if policy:
        domain["ioThreadsPolicy"] = policy
    if size:
        domain["ioThreads"] = {"supplementalPoolThreadCount": size}
    return {"domain": domain}


@pytest.mark.parametrize(
    ("spec", "vcpus", "threads", "count"),
    [
        (pool(None, 2), 2, [], 0),
        (pool("shared", 3), 2, [1, 1, 1], 1),
        (pool("auto", 3), 2, [1, 2, 3], 3),
        (pool("auto", 3), 1, [1, 2, 1], 2),
        (pool("auto", 3, isolated=True), 4, [1, 1, 1], 1),
        (pool("supplementalPool", 3, size=2), 4, [1, 2, 1], 2),
        (pool("supplementalPool", 1, size=4), 4, [1], 4),
        (pool(None, 0, own=2), 2, [1, 2], 2),
        (pool(None, 1, own=1), 2, [1, 2], 2),
        (pool("shared", 1, own=2), 2, [1, 2, 3], 3),
        (pool("auto", 0), 2, [], 1),
    ],
)
def test_io_threads(spec: dict[str, t.Any], vcpus: int, threads: list[int], count: int) -> None:
    assigned = io_threads.assign(spec, vcpus, "x86_64")
    assert [assigned[name] for name in sorted(assigned)] == threads
    assert io_threads.thread_count(spec, vcpus, "x86_64") == count


def test_a_lun_of_virtio_has_an_io_thread() -> None:
    disks = [{"name": name, kind: {"bus": bus}} for name, kind, bus in (("a", "lun", "virtio"), ("b", "disk", "scsi"))]
    spec = {"domain": {"devices": {"disks": disks}, "ioThreadsPolicy": "shared"}}
    assert io_threads.assign(spec, 1, "x86_64") == {"a": 1}
