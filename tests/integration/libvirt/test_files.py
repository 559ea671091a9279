# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files behind a VM's disks: data survives whatever happens, and nothing half made is left."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import struct
import subprocess
import typing as t
import uuid
from pathlib import Path

import libvirt
import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import TaskError, run_one

PULL = {"force": True, "wait_timeout": 0}
PATTERN = bytes(range(256)) * 4096

QEMU = "libvirt-qemu"
FURTHER = "rtvirt-test"


def fill(bed: Bed, *names: str) -> None:
    for name in names:
        with (bed.folder / name).open("r+b") as file:
            file.write(PATTERN)


def has_data(bed: Bed, name: str = "root.img") -> bool:
    return (bed.folder / name).read_bytes().startswith(PATTERN)


def with_data(bed: Bed) -> dict[str, t.Any]:
    options = bed.bare(disks=[bed.disk("root")])
    run_one(**options)
    fill(bed, "root.img")
    return options


@pytest.fixture
def small(bed: Bed) -> t.Iterator[Path]:
    """A file system with room for 4 MiB, in libvirtd's own view of the machine."""
    folder = bed.folder / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0755", "tmpfs", folder], check=True)
    yield folder
    for name, domain in bed.domains().items():
        if domain.isActive():
            domain.destroy()
        assert name
    subprocess.run(["umount", folder], check=True)


def test_data_survives_absent_and_a_new_vm(bed: Bed) -> None:
    options = with_data(bed)
    gone = run_one(**{**options, "state": "absent"})
    assert gone["volumes_kept"] == [f"{bed.folder}/root.img"]
    assert has_data(bed)
    again = run_one(**{**options, "state": "running"})
    assert again["actions"] == ["define", "start"]
    assert has_data(bed)
    # It was there before this VM, whoever made it: it is not the collection's to remove.
    gone = run_one(**{**options, "state": "absent"}, **PULL, delete_volumes=True)
    assert gone["volumes_kept"] == [f"{bed.folder}/root.img"]
    assert has_data(bed)


def test_data_survives_a_redefinition_and_a_restart(bed: Bed) -> None:
    options = with_data(bed)
    run_one(**{**options, "memory": "96Mi", "state": "running"})
    run_one(**{**options, "memory": "64Mi", "state": "restarted"}, **PULL)
    assert has_data(bed)


def test_data_survives_a_failed_start(bed: Bed) -> None:
    options = with_data(bed)
    (bed.folder / "broken").write_text("no kernel")
    kernel = {"libvirt": {"kernelPath": str(bed.folder / "broken")}}
    broken = {**options, "state": "running", "spec": {"domain": {"firmware": {"kernelBoot": kernel}}}}
    with pytest.raises(TaskError, match=f"^start {bed.name()}: .*kernel"):
        run_one(**broken)
    assert has_data(bed)
    assert bed.power() == "stopped"
    assert run_one(**{**options, "state": "running"})["actions"] == ["redefine", "start"]
    assert has_data(bed)


def test_a_failed_start_of_a_new_vm_keeps_its_disks(bed: Bed) -> None:
    """It is defined, so its files stay with it: the next run goes on from there."""
    (bed.folder / "broken").write_text("no kernel")
    kernel = {"kernelBoot": {"libvirt": {"kernelPath": str(bed.folder / "broken")}}}
    options = bed.bare(disks=[bed.disk("root")], state="running")
    with pytest.raises(TaskError, match=r"^start "):
        run_one(**options, spec={"domain": {"firmware": kernel}})
    assert bed.files() == ["broken", "root.img"]
    assert run_one(**options)["actions"] == ["redefine", "start"]


def test_too_few_hugepages_are_found_before_anything_is_made(bed: Bed, hugepages: None) -> None:
    options = bed.bare(disks=[bed.disk("root")], hugepages="2Mi", state="running")
    with pytest.raises(
        TaskError, match=r"^hugepages.* needs \d+ free pages of 2Mi .* reserve more \(vm.nr_hugepages\)"
    ):
        run_one(**{**options, "memory": "16Gi"})
    assert (bed.power(), bed.files()) == ("absent", [])
    # They are only needed by a VM that starts.
    assert run_one(**{**options, "memory": "16Gi", "state": "present"})["actions"][-1] == "define"


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_a_full_disk_leaves_nothing(bed: Bed, small: Path, image_format: str) -> None:
    image = bed.folder / "image.raw"
    image.write_bytes(PATTERN * 8)
    fits, too_big = bed.disk("fits", "1Mi"), bed.disk("big", "16Mi", image=str(image), format=image_format)
    for disk in (fits, too_big):
        disk["volume"]["hostDisk"]["path"] = str(small / f"{disk['name']}.img")
    with pytest.raises(TaskError, match="No space left on device"):
        run_one(**bed.bare(disks=[fits, too_big]))
    assert (list(small.iterdir()), bed.power()) == ([], "absent")


def test_a_full_disk_leaves_a_vm_with_data_as_it_was(bed: Bed, small: Path) -> None:
    options = with_data(bed)
    image = bed.folder / "image.raw"
    image.write_bytes(PATTERN * 8)
    before = bed.text()
    too_big = bed.disk("big", "16Mi", image=str(image))
    too_big["volume"]["hostDisk"]["path"] = str(small / "big.img")
    with pytest.raises(TaskError, match="No space left on device"):
        run_one(**{**options, "disks": [*options["disks"], bed.disk("other"), too_big]})
    assert (bed.text(), list(small.iterdir())) == (before, [])
    assert bed.files() == ["image.raw", "root.img", "small"]
    assert has_data(bed)
    assert run_one(**options)["changed"] is False


def test_a_definition_that_libvirt_refuses_leaves_nothing(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files come before the definition: what refers to them must never be there without them."""
    taken = {"smbios_uuid": str(uuid.uuid4())}
    define = libvirt.virConnect.defineXMLFlags

    def somebody_is_faster(*arguments: t.Any) -> t.Any:
        monkeypatch.undo()
        run_one(**bed.bare("other", **taken))
        return define(*arguments)

    monkeypatch.setattr(libvirt.virConnect, "defineXMLFlags", somebody_is_faster)
    options = bed.bare(disks=[bed.disk("root")], cloud_init={"hostname": "one"}, **taken)
    with pytest.raises(TaskError, match=rf"^define {bed.name()}: .*is already defined with uuid"):
        run_one(**options)
    assert (bed.power(), bed.files()) == ("absent", [])


def test_only_files_that_we_made_are_removed(bed: Bed) -> None:
    (bed.folder / "theirs.img").write_bytes(PATTERN)
    (bed.folder / "given.img").write_bytes(PATTERN)
    (bed.folder / "medium.iso").write_bytes(PATTERN)
    given = bed.disk("given")
    given["volume"]["hostDisk"] = {"path": str(bed.folder / "given.img"), "type": "Disk"}
    empty = {"name": "empty", "disk": {"bus": "virtio"}, "volume": {"emptyDisk": {"capacity": "1Gi"}}}
    medium = {"path": str(bed.folder / "medium.iso"), "type": "Disk"}
    cdrom = {"name": "cd", "cdrom": {"bus": "sata"}, "volume": {"hostDisk": medium}}
    disks = [bed.disk("ours"), bed.disk("theirs", "1Mi"), given, empty, cdrom]
    run_one(**bed.bare(disks=disks, cloud_init={"hostname": "one"}))
    theirs = ["given.img", "medium.iso", "theirs.img"]
    made = {f"{bed.name()}.cloudinit.iso", f"{bed.name()}.empty.qcow2", "ours.img"}
    assert set(bed.files()) == {*theirs, *made}
    predicted = run_one(check=True, name=bed.name(), state="absent", delete_volumes=True)
    gone = run_one(name=bed.name(), state="absent", delete_volumes=True)
    assert gone["actions"] == predicted["actions"]
    assert {Path(path).name for path in gone["volumes_kept"]} == set(theirs)
    assert bed.files() == theirs
    assert all(has_data(bed, name) for name in theirs)


def test_a_seed_goes_with_its_vm(bed: Bed) -> None:
    run_one(**bed.bare(disks=[bed.disk("root")], cloud_init={"hostname": "one"}))
    run_one(name=bed.name(), state="absent")
    assert bed.files() == ["root.img"]


def test_a_disk_grows_and_never_shrinks(bed: Bed) -> None:
    options = with_data(bed)
    assert run_one(**{**options, "disks": [bed.disk("root", "16Mi")]})["changed"] is True
    assert (bed.folder / "root.img").stat().st_size == 16 << 20
    assert has_data(bed)
    with pytest.raises(TaskError, match=r"^disks\[0\]\.volume\.hostDisk\.capacity.*is 16Mi, a disk is never shrunk"):
        run_one(**options)
    assert (bed.folder / "root.img").stat().st_size == 16 << 20


def test_a_changed_seed_is_written_anew_and_an_unchanged_one_not(bed: Bed) -> None:
    seed = bed.folder / f"{bed.name()}.cloudinit.iso"
    run_one(**bed.bare(cloud_init={"hostname": "one"}))
    inode = seed.stat().st_ino
    assert run_one(**bed.bare(cloud_init={"hostname": "one"}))["changed"] is False
    assert seed.stat().st_ino == inode
    changed = run_one(**bed.bare(cloud_init={"hostname": "two"}))
    assert changed["actions"][0] == f"seed {seed}"
    assert b"two" in seed.read_bytes()
    assert run_one(**bed.bare(cloud_init={"hostname": "two"}))["changed"] is False


def by_acl(folder: Path, uid: int) -> None:
    """What ``setfacl -m u:<uid>:x`` does (linux/posix_acl_xattr.h): version, then tag, permissions and id of each."""
    nobody = 0xFFFFFFFF
    entries = [(0x01, 7, nobody), (0x02, 1, uid), (0x04, 0, nobody), (0x10, 1, nobody), (0x20, 0, nobody)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    os.setxattr(folder, "system.posix_acl_access", acl)


def by_group(folder: Path, uid: int) -> None:
    assert uid in [pwd.getpwnam(name).pw_uid for name in grp.getgrnam(FURTHER).gr_mem]
    shutil.chown(folder, group=FURTHER)
    folder.chmod(0o710)


@pytest.fixture
def further_group() -> t.Iterator[None]:
    """A group that QEMU's user is in beside its own."""
    subprocess.run(["groupadd", "--force", "--system", "--users", QEMU, FURTHER], check=True)
    yield
    subprocess.run(["groupdel", FURTHER], check=True)


@pytest.mark.usefixtures("further_group")
@pytest.mark.parametrize("grant", [by_acl, by_group])
def test_a_folder_that_lets_qemu_in_other_than_by_its_mode(bed: Bed, grant: t.Callable[[Path, int], None]) -> None:
    folder = bed.folder / "private"
    folder.mkdir(mode=0o700)
    disk = bed.disk("root")
    disk["volume"]["hostDisk"]["path"] = f"{folder}/root.img"
    with pytest.raises(TaskError, match=f"below {folder}, which QEMU's user may not enter"):
        run_one(**bed.bare(disks=[disk]))
    grant(folder, pwd.getpwnam(QEMU).pw_uid)
    running = run_one(**bed.bare(disks=[disk], state="running"))
    assert running["state"] == "running"
