# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are somebody else's, or have become so: they are never removed or replaced."""

from __future__ import annotations

import hashlib
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import TaskError, run_one
from ansible_collections.rtvirt.core.tests.integration.libvirt.test_images import Server, serving

THEIRS = b"somebody's data"

#: What ssh and netcat are to a remote libvirtd, without a second host.
BRIDGE = f"""#!{sys.executable}
import os, socket, threading
server = socket.socket(socket.AF_UNIX)
server.connect("/run/libvirt/libvirt-sock")
def forward():
    while data := os.read(0, 65536):
        server.sendall(data)
    server.shutdown(socket.SHUT_WR)
threading.Thread(target=forward, daemon=True).start()
while data := server.recv(65536):
    os.write(1, data)
"""


@pytest.fixture
def server() -> t.Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def remote(bed: Bed) -> str:
    """A URI that names another host."""
    bridge = bed.folder / "bridge"
    bridge.write_text(BRIDGE)
    bridge.chmod(0o755)
    return f"qemu+ext://elsewhere/system?command={bridge}"


def test_absent_from_another_machine_touches_no_file_of_this_one(bed: Bed, remote: str) -> None:
    run_one(**bed.bare(disks=[bed.disk("root")], cloud_init={"hostname": "one"}))
    files = bed.files()
    with pytest.raises(TaskError, match=r"^delete_volumes: would remove files of this machine"):
        run_one(name=bed.name(), state="absent", delete_volumes=True, uri=remote)
    assert list(bed.domains()) == [bed.name()]
    run_one(name=bed.name(), state="absent", uri=remote)
    assert bed.files() == files


def test_a_file_that_appears_during_a_download_stays(bed: Bed, server: Server) -> None:
    image = bytes(1 << 20)
    target = bed.folder / "root.img"
    server.files["/image.raw"] = image
    server.before = lambda: target.write_bytes(THEIRS)
    checksum = f"sha256:{hashlib.sha256(image).hexdigest()}"
    with pytest.raises(TaskError, match="File exists"):
        run_one(**bed.bare(disks=[bed.disk("root", image=f"{server.url}/image.raw", checksum=checksum)]))
    assert target.exists()
    assert target.read_bytes() == THEIRS


def test_a_link_that_leads_nowhere_stays(bed: Bed) -> None:
    (bed.folder / "root.img").symlink_to("/mnt/not-mounted/root.img")
    with pytest.raises(TaskError):
        run_one(**bed.bare(disks=[bed.disk("root")]))
    assert (bed.folder / "root.img").is_symlink()


def test_a_disk_that_moved_to_another_vm_stays(bed: Bed) -> None:
    """As docs/libvirt.md says: absent looks only at the disks that the domain still has."""
    run_one(**bed.bare("a", disks=[bed.disk("root"), bed.disk("data")]))
    run_one(**bed.bare("a", disks=[bed.disk("root")]))
    moved = bed.disk("data")
    moved["volume"]["hostDisk"] = {"path": str(bed.folder / "data.img"), "type": "Disk"}
    run_one(**bed.bare("b", disks=[moved], state="running"))
    run_one(name=bed.name("a"), state="absent", delete_volumes=True)
    assert "data.img" in bed.files()


def test_a_disk_that_another_vm_shares_stays(bed: Bed) -> None:
    shared = {**bed.disk("shared"), "shareable": True}
    for short in ("a", "b"):
        run_one(**bed.bare(short, disks=[shared]))
    run_one(name=bed.name("a"), state="absent", delete_volumes=True)
    assert "shared.img" in bed.files()


def test_a_disk_under_another_vms_layer_stays(bed: Bed) -> None:
    run_one(**bed.bare("a", disks=[bed.disk("base")]))
    layer = bed.disk("layer", format="qcow2", backingFile=str(bed.folder / "base.img"))
    run_one(**bed.bare("b", disks=[layer]))
    run_one(name=bed.name("a"), state="absent", delete_volumes=True)
    assert "base.img" in bed.files()


def test_a_disk_under_a_snapshot_that_is_kept_stays(bed: Bed) -> None:
    run_one(**bed.bare(disks=[bed.disk("root")]))
    bed.domain().snapshotCreateXML("<domainsnapshot><name>top</name></domainsnapshot>", 16)  # disk only
    gone = run_one(name=bed.name(), state="absent", delete_volumes=True)
    kept = [Path(path).name for path in gone["volumes_kept"]]
    # Either both go or both stay: the layer alone is worth nothing.
    assert bed.files() in ([], ["root.img", "root.top"]), kept


def test_a_disk_with_a_snapshot_grows_where_the_guest_sees_it(bed: Bed) -> None:
    options = bed.bare(disks=[bed.disk("root", format="qcow2")], state="running")
    run_one(**options)
    bed.domain().snapshotCreateXML("<domainsnapshot><name>top</name></domainsnapshot>", 16)
    options["disks"][0]["volume"]["hostDisk"]["capacity"] = "16Mi"
    run_one(**options)
    assert bed.domain().blockInfo(bed.xml().find("devices/disk/source").get("file"))[0] == 16 << 20
    assert run_one(**options)["changed"] is False
