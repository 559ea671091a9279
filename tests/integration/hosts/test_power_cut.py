# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The power is cut while what the machine boots from is written. It boots, and the next run completes."""

from __future__ import annotations

from ansible_collections.rtvirt.core.tests.integration.hosts.lab import LabHost

ARGS = ["isolcpus=managed_irq,domain,1,3", "rcu_nocbs=1,3"]


def test_while_the_boot_menu_is_written(lab: LabHost) -> None:
    was = lab.shell("stat -c %z /boot/grub/grub.cfg")
    lab.cut_power_when(f'[ "$(stat -c %z /boot/grub/grub.cfg)" != "{was}" ]', "kernel_cmdline", args=ARGS)
    lab.start()
    done = lab.run("kernel_cmdline", args=ARGS)
    assert done["missing"] == ([] if ARGS[0] in lab.shell("cat /proc/cmdline") else ARGS)
    assert all(entry["args"][-2:] == ARGS for entry in done["entries"])
    assert not lab.run("kernel_cmdline", args=ARGS)["changed"]
    lab.run("kernel_cmdline", state="absent")
    assert lab.shell("grep -c isolcpus /boot/grub/grub.cfg || true") == "0"


def test_while_the_initramfs_is_rebuilt(lab: LabHost) -> None:
    options = {"devices": [{"id": "8086:10d3"}], "method": "ids"}
    lab.cut_power_when("ls /boot/initrd.img-*.new >/dev/null 2>&1", "iommu_vfio", **options)
    lab.start()
    done = lab.run("iommu_vfio", **options)
    assert done["reboot_required"] or {one["driver"] for one in done["devices"]} == {"vfio-pci"}
    for image in lab.shell("ls /boot/initrd.img-*").split():
        assert "etc/modprobe.d/vfio.conf" in lab.shell(f"lsinitramfs {image}"), image
    assert not lab.run("iommu_vfio", **options)["changed"]
