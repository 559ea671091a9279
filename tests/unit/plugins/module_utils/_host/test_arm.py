# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of arm64, with pages of 64 KiB: what is x86's own is not set there. No such host runs here; these are files."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.rtvirt.core.plugins.module_utils._host.kernel_arguments import conflicts
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks import (
    iommu_vfio,
    kernel_cmdline,
    nested_kvm,
    rt_host_prep,
)
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.bootloader_tools import debian
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.tree import Tree, carry_out

NIC = "0000:03:00.0"
CPUINFO = """processor	: 0
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics
CPU implementer	: 0x41
CPU architecture: 8
"""
#: As Linux names them since 6.11.
INTERRUPTS = " 11: 0 GICv3  27 Level  arch_timer\n 45: 12 ITS-PCI-MSIX-0000:01:00.0   0 Edge   nvme0q0\n"


def with_arm(host: Tree) -> Tree:
    host.put("/proc/cpuinfo", CPUINFO)
    host.put("/proc/interrupts", INTERRUPTS)
    host.put("/proc/meminfo", "MemTotal: 134217728 kB\nHugepagesize:     524288 kB\n")
    host.put("/sys/devices/system/cpu/online", "0-3\n")
    host.put("/sys/devices/system/node/node0/cpulist", "0-3\n")
    for cpu in range(4):
        host.put(f"/sys/devices/system/cpu/cpu{cpu}/topology/core_cpus_list", f"{cpu}\n")
    return host


def predict(task: t.Any, host: Tree, **options: t.Any) -> dict[str, t.Any]:
    """What a task would do, its other options at their defaults."""
    defaults = {name: one.get("default") for name, one in task.ARGUMENTS.items()}
    return carry_out(task, {**defaults, **options}, host, check=True)


@pytest.fixture
def host(tmp_path: Path) -> Tree:
    return with_arm(Tree(tmp_path))


@pytest.mark.parametrize("groups", [True, False])
def test_a_device(host: Tree, groups: bool) -> None:
    device = f"/sys/bus/pci/devices/{NIC}"
    for name, text in (
        ("vendor", "0x8086"),
        ("device", "0x1572"),
        ("class", "0x020000"),
        ("driver_override", "(null)"),
    ):
        host.put(f"{device}/{name}", f"{text}\n")
    host.put("/sys/firmware/acpi/tables/IORT", "")
    if groups:
        host.put("/sys/kernel/iommu_groups/14/type", "DMA\n")
        os.symlink("../../../kernel/iommu_groups/14", host.root / device.lstrip("/") / "iommu_group")
    done = predict(iommu_vfio, host, devices=[{"address": NIC, "id": None, "class": None, "driver": None}])
    assert done["kernel_args"] == ["iommu.passthrough=1"]
    assert done["warnings"] == []


def test_a_realtime_host(host: Tree) -> None:
    done = predict(rt_host_prep, host, isolated_cpus="2-3")
    assert "nohz_full=2-3" in done["kernel_args"]
    assert [one for one in done["kernel_args"] if one.startswith(("tsc", "intel", "amd"))] == []


def test_nesting_is_a_kernel_argument(host: Tree) -> None:
    with pytest.raises(DeclarationError, match=r"enabled: on arm .* kvm-arm\.mode=nested to kernel_cmdline"):
        predict(nested_kvm, host, enabled=True)
    assert predict(nested_kvm, host, enabled=False)["changed"] is False


def test_huge_pages_that_no_size_is_said_of(tmp_path: Path) -> None:
    """They are of 512M there, and 2M are others."""
    host = with_arm(debian(tmp_path, settings='GRUB_CMDLINE_LINUX="hugepages=4"\n'))
    wanted = ["hugepagesz=2M", "hugepages=512"]
    assert predict(kernel_cmdline, host, args=wanted)["changed"] is True
    with pytest.raises(DeclarationError, match="'hugepages=4' is there already"):
        predict(kernel_cmdline, host, args=["hugepagesz=512M", "hugepages=16"])
    assert conflicts(["hugepages=4"], wanted) == [("hugepages=512", "hugepages=4")]
