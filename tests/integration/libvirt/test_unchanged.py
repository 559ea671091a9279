# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that changes nothing writes nothing: no call to libvirt that could write, no file touched.

Each declaration here is one that libvirt might give back in other words than it was given.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.recorder import stamps, writes
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import play, run_one

HYPERV = ("frequencies", "ipi", "reenlightenment", "relaxed", "reset", "runtime", "synic", "synictimer", "tlbflush")

DECLARATIONS: dict[str, dict[str, t.Any]] = {
    "plain": {},
    "topology": {"cpu_sockets": 2, "cpu_cores": 3, "cpu_threads": 2, "cpu_model": "qemu64"},
    "cpu features": {
        "cpu_model": "Skylake-Server",
        "cpu_features": [
            {"name": "avx512f", "policy": "disable"},
            {"name": "pdpe1gb"},
            {"name": "vmx", "policy": "optional"},
            {"name": "hle", "policy": "forbid"},
        ],
    },
    "host model": {"cpu_model": "host-model", "virt_type": "auto"},
    "memory": {"memory": "100M", "memory_limit": "1Gi", "memory_locked": True},
    "limits": {
        "resources": {"requests": {"memory": "64Mi"}, "limits": {"cpu": "1500m", "memory": "1G"}},
        "cpu_cores": 2,
    },
    "hugepages": {"hugepages": "2Mi"},
    "dedicated": {"cpu_cores": 1, "dedicated_cpus": True, "isolate_emulator_thread": True, "cpu_pool": "0-1"},
    "realtime": {
        "dedicated_cpus": True,
        "numa_passthrough": True,
        "hugepages": "2Mi",
        "realtime": True,
        "cpu_cores": 2,
        "realtime_mask": "0-1,^0",
        "cpu_pool": "0-1",
        "autoattach_mem_balloon": False,
    },
    # Two cores have none to spare for QEMU's own threads, so that both vCPUs cannot be real-time here.
    "one of two vCPUs realtime": {
        "dedicated_cpus": True,
        "numa_passthrough": True,
        "hugepages": "2Mi",
        "realtime": True,
        "realtime_mask": "1",
        "cpu_cores": 2,
        "cpu_pool": "0-1",
    },
    "shared cpus": {"cpu_pool": "1"},
    "watchdog": {"watchdog": {"name": "dog", "i6300esb": {"action": "inject-nmi"}}},
    "devices": {
        "autoattach_input_device": True,
        "spec": {
            "domain": {
                "devices": {"rng": {}, "tpm": {}, "inputs": [{"name": "keys", "type": "keyboard", "bus": "usb"}]}
            }
        },
    },
    "persistent tpm": {"spec": {"domain": {"devices": {"tpm": {"persistent": True}}}}},
    "graphics": {"autoattach_graphics_device": True, "autoattach_serial_console": False},
    "console without log": {"spec": {"domain": {"devices": {"logSerialConsole": False}}}},
    "efi": {"firmware": {"bootloader": "efi"}},
    "secure boot": {"firmware": {"bootloader": "efi", "secure_boot": True, "smm": True}},
    "bios": {"machine_type": "pc", "spec": {"domain": {"firmware": {"bootloader": {"bios": {"useSerial": True}}}}}},
    "uuid": {"spec": {"domain": {"firmware": {"uuid": "5D307CA9-B3EF-428C-8861-06E72D69F223"}}}},
    "utc clock": {
        "clock": {
            "utc": {"offsetSeconds": 3600},
            "timer": {
                "hpet": {"present": False},
                "pit": {"tickPolicy": "delay"},
                "rtc": {"tickPolicy": "catchup", "track": "guest"},
                "kvm": {},
                "hyperv": {"present": True},
            },
        }
    },
    "timezone": {"clock": {"timezone": "Europe/Berlin"}},
    "hyperv": {
        "spec": {
            "domain": {
                "features": {
                    "hyperv": {
                        **{name: {} for name in HYPERV},
                        "vapic": {"enabled": True},
                        "reset": {"enabled": False},
                        "spinlocks": {"spinlocks": 8191},
                        "vendorid": {"vendorid": "somebody"},
                    }
                }
            }
        }
    },
    "features": {"spec": {"domain": {"features": {"acpi": {}, "apic": {"enabled": True}, "kvm": {"hidden": True}}}}},
    "no acpi": {"spec": {"domain": {"features": {"acpi": {"enabled": False}}}}},
    "interfaces": {
        "multiqueue": True,
        "cpu_cores": 2,
        "interfaces": [
            {"name": "user", "masquerade": {}, "bootOrder": 3, "network": {"pod": {}}},
            {
                "name": "net",
                "bridge": {},
                "macAddress": "DE-AD-00-00-BE-AF",
                "network": {"libvirt": {"network": "none"}},
            },
            {"name": "br", "bridge": {}, "model": "e1000e", "state": "down", "network": {"libvirt": {"bridge": "br9"}}},
            {
                "name": "tap",
                "bridge": {},
                "macAddress": "02:00:00:00:00:0A",
                "network": {"libvirt": {"macvtap": {"device": "eth9", "mode": "private"}}},
            },
            {"name": "tap2", "bridge": {}, "network": {"libvirt": {"macvtap": {"device": "eth9"}}}},
            {"name": "tap3", "bridge": {}, "network": {"libvirt": {"macvtap": {"device": "eth9"}}}},
        ],
    },
    "pci device": {
        "host_devices": [{"name": "nic", "pci": "3B:00.1"}],
        "gpus": [{"name": "gpu", "pci": "0000:af:00.0"}],
    },
    "labels": {"namespace": "telco", "labels": {"app": "vnf <&>"}, "annotations": {"note": "ä €"}},
}


def disks(bed: Bed) -> dict[str, t.Any]:
    """Disks of every bus, image format and kind, and what goes with them."""
    scsi = {**bed.disk("scsi", format="qcow2"), "disk": {"bus": "scsi"}, "cache": "writeback", "serial": "S_1.2"}
    sata = {**bed.disk("sata"), "disk": {"bus": "sata"}, "bootOrder": 2, "errorPolicy": "report"}
    usb = {**bed.disk("usb"), "disk": {"bus": "usb"}}
    readonly = {**bed.disk("readonly"), "disk": {"bus": "scsi", "readonly": True}}
    first = {**bed.disk("first"), "bootOrder": 1, "io": "threads", "cache": "none", "dedicatedIOThread": True}
    blocks = {**bed.disk("blocks"), "blockSize": {"custom": {"logical": 4096, "physical": 4096}}, "shareable": True}
    empty = {"name": "empty", "disk": {"bus": "virtio"}, "volume": {"emptyDisk": {"capacity": "1Gi"}}}
    cdrom = {**bed.disk("cd"), "cdrom": {"bus": "sata"}}
    del cdrom["disk"]
    return {
        "cpu_cores": 2,
        "block_multiqueue": True,
        "io_threads_policy": "auto",
        "cloud_init": {
            "hostname": "host1",
            "users": ["default", {"name": "ada", "sudo": None}],
            "network_data": {"version": 2},
        },
        "disks": [scsi, sata, usb, readonly, first, blocks, empty, cdrom],
    }


def check_unchanged(bed: Bed, options: dict[str, t.Any]) -> None:
    created = run_one(**options)
    assert created["actions"][-1] == "define"
    definition = Path(f"/etc/libvirt/qemu/{created['domain']}.xml")
    before = stamps(definition, bed.folder)
    for check in (True, False):
        with writes() as calls:
            again = run_one(check=check, **options)
        assert (again["changes"], again["actions"], again["changed"], again["diff"]) == ([], [], False, [])
        assert again["adopted"] is False
        assert calls == []
    assert stamps(definition, bed.folder) == before


@pytest.mark.parametrize("declaration", DECLARATIONS)
def test_second_run(bed: Bed, free_cpus: None, declaration: str) -> None:
    try:
        check_unchanged(bed, bed.bare(**DECLARATIONS[declaration]))
    finally:
        # A domain with a namespace has not the bed's prefix.
        for domain in bed.connection.listAllDomains():
            if domain.name() == f"telco_{bed.name()}":
                domain.undefine()


def test_second_run_with_disks(bed: Bed) -> None:
    check_unchanged(bed, bed.bare(**disks(bed)))


@pytest.mark.parametrize("tray", ["open", "closed"])
def test_second_run_with_a_tray(bed: Bed, tray: str) -> None:
    disk = bed.disk("cd")
    cdrom = {"name": "cd", "cdrom": {"bus": "scsi", "tray": tray, "readonly": True}, "volume": disk["volume"]}
    check_unchanged(bed, bed.bare(disks=[cdrom]))


def test_second_run_of_everything_at_once(bed: Bed, free_cpus: None) -> None:
    """Parts that stand in one section of the XML are written by one part of the code each, and merged by another."""
    parts = ("realtime", "devices", "interfaces", "secure boot", "utc clock", "watchdog")
    options = bed.bare(**disks(bed))
    for part in parts:
        options.update(DECLARATIONS[part])
    check_unchanged(bed, options)


def test_second_run_of_a_running_guest(bed: Bed) -> None:
    options = bed.bare(**disks(bed), **DECLARATIONS["watchdog"], state="running")
    options["disks"] = [disk for disk in options["disks"] if disk["name"] != "usb"]
    run_one(**options)
    before = stamps(
        Path(f"/etc/libvirt/qemu/{bed.name()}.xml"), Path(f"/run/libvirt/qemu/{bed.name()}.xml"), bed.folder
    )
    for state in ("running", "present"):
        with writes() as calls:
            again = run_one(**{**options, "state": state})
        assert (again["actions"], again["changed"], again["restart_required"], calls) == ([], False, False, [])
    assert before == stamps(*(Path(path) for path in before))


def test_second_run_through_a_playbook(bed: Bed) -> None:
    task = {"rtvirt.core.libvirt_vm": bed.bare(virt_type="qemu", **disks(bed))}
    first, second = play(bed.folder, task, task).results
    assert (first["changed"], second["changed"]) == (True, False)


def test_declarations_of_the_same_thing_in_other_words(bed: Bed, free_cpus: None) -> None:
    """Quantities and CPU sets are compared by what they mean."""
    run_one(**bed.bare(cpu_cores=1, memory="128Mi", cpu_pool="0-1", dedicated_cpus=True))
    for words in ({"memory": "131072Ki", "cpu_pool": "0,1"}, {"memory": "134217728", "cpu_pool": "1,0"}):
        again = run_one(**bed.bare(cpu_cores=1, dedicated_cpus=True, **words))
        assert again["changes"] == []
