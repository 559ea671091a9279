# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt_vm_info: what it says of a domain, declared again, is no change of it."""

from __future__ import annotations

import contextlib
import io
import json
import typing as t
from pathlib import Path

import libvirt
import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.rtvirt.core.plugins.modules import libvirt_vm_info
from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.recorder import writes
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import TaskError, run_one
from ansible_collections.rtvirt.core.tests.integration.libvirt.test_adoption import MACHINES, foreign
from ansible_collections.rtvirt.core.tests.integration.libvirt.test_unchanged import DECLARATIONS, disks

#: Options that a manifest does not hold.
SETTINGS = ("virt_type", "cpu_pool", "volume_dir")


def info(*names: str) -> list[dict[str, t.Any]]:
    printed = io.StringIO()
    streams, ended = contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit)
    with patch_module_args({"names": list(names)}), streams, ended:
        libvirt_vm_info.main()
    result: dict[str, t.Any] = json.loads(printed.getvalue())
    if result.get("failed"):
        raise TaskError(result)
    assert result["changed"] is False
    return t.cast("list[dict[str, t.Any]]", result["vms"])


def check_declared_again(name: str, **settings: t.Any) -> None:
    with writes() as calls:
        manifest = info(name)[0]["manifest"]
        for check in (True, False):
            again = run_one(check=check, definition=manifest, **settings)
            assert (again["changes"], again["actions"], again["changed"]) == ([], [], False)
    # Reading a scheduler or the agent is no write.
    assert calls == []


#: Parts of a domain as others write them; an empty string is the barest domain.
PARTS: dict[str, dict[str, str]] = {
    "bare": {},
    "bare pc": {"machine": "pc"},
    "vcpus": {"extra": "<vcpu>4</vcpu>"},
    "vcpus to be plugged": {"extra": "<vcpu current='1'>4</vcpu>"},
    "fallback": {"cpu": "<cpu mode='custom' match='exact'><model fallback='allow'>qemu64</model></cpu>"},
    "minimum": {"cpu": "<cpu mode='custom' match='minimum'><model>qemu64</model></cpu>"},
    "dies": {
        "extra": "<vcpu>4</vcpu>",
        "cpu": "<cpu mode='maximum'><topology sockets='1' dies='2' cores='2' threads='1'/></cpu>",
    },
    "pins": {
        "extra": "<vcpu>2</vcpu><cputune><vcpupin vcpu='0' cpuset='0'/><vcpupin vcpu='1' cpuset='1'/></cputune>"
    },
    "emulator pin": {
        "extra": "<vcpu>1</vcpu><cputune><vcpupin vcpu='0' cpuset='1'/><emulatorpin cpuset='0'/></cputune>"
    },
    "scheduler": {"extra": "<cputune><vcpusched vcpus='0' scheduler='fifo' priority='5'/></cputune>"},
    "huge pages": {
        "extra": "<memoryBacking><hugepages><page size='2048' unit='KiB'/></hugepages></memoryBacking>"
    },
    "efi": {"features": "<features><acpi/></features>", "os": " firmware='efi'"},
    "ide": {
        "machine": "pc",
        "devices": "<disk type='file'><source file='{folder}/a.img'/><target dev='hda' bus='ide'/></disk>",
    },
    "io_uring": {
        "devices": "<disk type='file' device='disk'><driver name='qemu' type='raw' io='io_uring'/>"
        "<source file='{folder}/a.img'/><target dev='vda' bus='virtio'/></disk>"
    },
    "unsafe": {
        "devices": "<disk type='file' device='disk'><driver name='qemu' type='raw' cache='unsafe'/>"
        "<source file='{folder}/a.img'/><target dev='vda' bus='virtio'/></disk>"
    },
    "qcow2 device": {
        "devices": "<disk type='block' device='disk'><driver name='qemu' type='qcow2'/><source dev='/dev/zero'/>"
        "<target dev='vda' bus='virtio'/></disk>"
    },
    "shared disk": {
        "devices": "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{folder}/a.img'/>"
        "<target dev='vda' bus='virtio'/><shareable/></disk>"
    },
    "empty tray": {"devices": "<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>"},
    "others' alias": {
        "devices": "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{folder}/a.img'/>"
        "<target dev='vda' bus='virtio'/><alias name='ua-my-Root_Disk'/></disk>"
    },
    "scsi of another model": {
        "devices": "<controller type='scsi' model='lsilogic'/><disk type='file' device='disk'>"
        "<driver name='qemu' type='raw'/><source file='{folder}/a.img'/><target dev='sda' bus='scsi'/></disk>"
    },
    "interface": {"devices": "<interface type='user'><model type='virtio'/></interface>"},
    "two interfaces of one network": {
        "devices": "<interface type='network'><source network='none'/><model type='virtio'/></interface>" * 2
    },
    "interface of a rare model": {"devices": "<interface type='user'><model type='vmxnet3'/></interface>"},
    "macvtap": {"devices": "<interface type='direct'><source dev='eth9' mode='vepa'/></interface>"},
}  # fmt: skip


def define(bed: Bed, machine: str = "q35", extra: str = "", cpu: str = "", **parts: str) -> None:
    (bed.folder / "a.img").write_bytes(bytes(1 << 20))
    devices = parts.get("devices", "").format(folder=bed.folder)
    system = f"<os{parts.get('os', '')}><type machine='{machine}'>hvm</type></os>"
    bed.connection.defineXML(
        f"<domain type='qemu'><name>{bed.name()}</name><memory unit='MiB'>96</memory>{extra}{system}"
        f"{parts.get('features', '')}{cpu}<devices>{devices}</devices></domain>"
    )


@pytest.mark.parametrize("part", PARTS)
def test_a_foreign_domain_declared_as_it_is_read(bed: Bed, free_cpus: None, part: str) -> None:
    define(bed, **PARTS[part])
    check_declared_again(bed.name())


@pytest.mark.parametrize("machine", MACHINES)
def test_an_adopted_domain_declared_as_it_is_read(bed: Bed, machine: str) -> None:
    foreign(bed, machine)
    vm = info(bed.name())[0]
    assert (vm["managed"], vm["state"], vm["guest"], vm["vcpu_threads"]) == (False, "shutoff", {}, [])
    assert "secret" not in str(vm)
    check_declared_again(bed.name())


@pytest.mark.parametrize("declaration", [*DECLARATIONS, "disks"])
def test_a_managed_domain_declared_as_it_is_read(bed: Bed, free_cpus: None, declaration: str) -> None:
    options = bed.bare(**{**DECLARATIONS, "disks": disks(bed)}[declaration])
    name = run_one(**options)["domain"]
    try:
        assert info(name)[0]["managed"] is True
        check_declared_again(name, **{key: options[key] for key in SETTINGS if key in options})
    finally:
        # A domain with a namespace has not the bed's prefix.
        if not name.startswith(bed.prefix):
            bed.connection.lookupByName(name).undefine()


def test_secrets_are_never_lost_for_their_hashes(bed: Bed) -> None:
    """The manifest of a managed VM has hashes for cloud-init's data: they are not what the guest shall read."""
    run_one(**bed.bare(cloud_init={"user_data": {"password": "correct horse"}}))
    manifest = info(bed.name())[0]["manifest"]
    assert "correct horse" not in json.dumps(manifest)
    with contextlib.suppress(TaskError):
        run_one(definition=manifest, volume_dir=str(bed.folder))
    (seed,) = bed.folder.iterdir()
    assert b"correct horse" in seed.read_bytes()
    assert b"sha256:" not in seed.read_bytes()


def test_names_that_are_not_there_and_none_at_all(bed: Bed) -> None:
    run_one(**bed.bare())
    assert info("rtvirt-test-rev-nobody") == []
    assert [vm["domain"] for vm in info("rtvirt-test-rev-nobody", bed.name())] == [bed.name()]
    assert info() == []


def test_a_running_vm(bed: Bed) -> None:
    run_one(**bed.bare(cpu_cores=2, state="running"))
    vm = info(bed.name())[0]
    assert (vm["state"], [thread["vcpu"] for thread in vm["vcpu_threads"]]) == ("running", [0, 1])
    assert {thread["scheduler"] for thread in vm["vcpu_threads"]} == {"other"}
    assert Path(f"/proc/{bed.qemu()}/task/{vm['vcpu_threads'][0]['thread']}").exists()
    bed.domain().destroyFlags(libvirt.VIR_DOMAIN_DESTROY_DEFAULT)
    assert info(bed.name())[0]["vcpu_threads"] == []


def test_a_domain_that_ends_while_all_are_read(bed: Bed, ends_when_listed: t.Callable[[t.Any], None]) -> None:
    run_one(**bed.bare("stays"))
    ends_when_listed(bed.transient("ends"))
    assert [one["domain"] for one in info(bed.name("stays"), bed.name("ends"))] == [bed.name("stays")]
    # CPUs of all domains count here.
    ends_when_listed(bed.transient("ends"))
    assert run_one(**bed.bare("placed", dedicated_cpus=True, cpu_pool="0", cpu_cores=1))["changed"] is True
