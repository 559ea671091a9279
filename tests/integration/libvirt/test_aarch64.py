# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of aarch64: libvirt's and QEMU's own word on what is declared there.

There is none here. What is simulated is one word of the host's capabilities, its architecture; the guests are QEMU's of
aarch64, emulated. What is left out: KVM, and with it the CPU's model ``host-passthrough``.
"""

from __future__ import annotations

import libvirt
import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import run_one


@pytest.fixture(autouse=True)
def aarch64(monkeypatch: pytest.MonkeyPatch) -> None:
    read = libvirt.virConnect.getCapabilities

    def capabilities(connection: libvirt.virConnect) -> str:
        return str(read(connection)).replace("<arch>x86_64</arch>", "<arch>aarch64</arch>", 1)

    monkeypatch.setattr(libvirt.virConnect, "getCapabilities", capabilities)


def test_a_vm_runs_with_the_defaults_of_its_architecture(bed: Bed) -> None:
    root, media = bed.disk("root"), bed.disk("media")
    options = bed.bare(
        disks=[{**root, "disk": {}}, {**media, "cdrom": {}, "disk": None}],
        io_threads_policy="shared",
        autoattach_graphics_device=True,
        cloud_init={"hostname": "arm"},
        watchdog={"name": "wd", "i6300esb": {"action": "reset"}},
    )
    assert run_one(**options, state="running")["state"] == "running"
    running = bed.xml(running=True)
    assert running.find("os/type[@arch='aarch64']").get("machine").startswith("virt")
    assert "AAVMF" in running.findtext("os/loader")
    buses = {disk.find("target").get("bus"): disk.find("driver") for disk in running.findall("devices/disk")}
    assert {*buses} == {"virtio", "scsi"}
    assert buses["virtio"].get("iothread") == "1"
    again = run_one(**options, state="running")
    assert (again["changed"], again["restart_required"]) == (False, False)


def test_what_is_x86s_own_is_not_asked_for(bed: Bed) -> None:
    spec = {"domain": {"devices": {"tpm": {"persistent": True}}}}
    options = bed.bare(dedicated_cpus=True, cpu_pool="0", cpu_cores=1, spec=spec)
    assert run_one(**options, state="running")["state"] == "running"
