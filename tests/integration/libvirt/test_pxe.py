# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest without a disk that boots by network, from nothing but two declarations."""

from __future__ import annotations

import secrets
import shutil
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.tests.conftest import missing
from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import TaskError, run_one
from ansible_collections.rtvirt.core.tests.integration.task import Module

network = Module("libvirt_network").run

#: Document 001's.
MAC = "de:00:00:00:00:de"
SCRIPT = """#!ipxe
kernel vmlinuz initrd=initrd.img console=ttyS0 quiet rtvirt.pxe=yes
initrd initrd.img
boot
"""


@pytest.fixture
def tftp(bed: Bed, guest_files: dict[str, str]) -> Path:
    """A folder with the tests' guest and a script of iPXE that loads it."""
    if not Path("/usr/lib/ipxe/qemu/efi-virtio.rom").exists():
        missing("QEMU has no iPXE: install ipxe-qemu (tests/harness/system-packages test)")
    folder = bed.folder / "tftp"
    folder.mkdir(mode=0o755)
    for name, source in (("vmlinuz", guest_files["bzimage"]), ("initrd.img", guest_files["initrd"])):
        shutil.copy(source, folder / name)
    (folder / "boot.ipxe").write_text(SCRIPT)
    (folder / "boot.ipxe").chmod(0o644)
    return folder


def declared_vm(bed: Bed, name: str) -> dict[str, t.Any]:
    interface = {
        "name": "pxe",
        "bridge": {},
        "macAddress": MAC,
        "bootOrder": 1,
        "network": {"libvirt": {"network": name}},
    }
    return bed.bare(memory="256Mi", cpu_model="qemu64", interfaces=[interface])


def test_a_guest_boots_by_network(bed: Bed, tftp: Path) -> None:
    prefix, name = f"198.18.{secrets.randbelow(256)}", bed.name("net")
    vm = declared_vm(bed, name)
    with pytest.raises(
        TaskError, match=rf"^interfaces\[0\].network.libvirt.network: this host has no network '{name}'"
    ):
        run_one(**vm, state="running")
    assert bed.power() == "absent"

    ipv4 = {
        "address": f"{prefix}.1/24",
        "dhcp": {"hosts": [{"mac": MAC, "address": f"{prefix}.77", "name": "node1"}]},
        "pxe": {"tftp_root": str(tftp), "boot_file": "boot.ipxe"},
    }
    network(name=name, bridge=f"rtv{bed.prefix[-6:]}", ipv4=ipv4)
    started = time.monotonic()
    run_one(**vm, state="running")
    facts = bed.facts()
    assert "rtvirt.pxe=yes" in facts["cmdline"].split()
    assert (facts["nics"], facts["disks"]) == (f"eth0:{MAC}", "")
    assert time.monotonic() - started < 60
    assert run_one(**vm, state="running")["changed"] is False
    assert network(name=name, ipv4=ipv4)["changed"] is False
