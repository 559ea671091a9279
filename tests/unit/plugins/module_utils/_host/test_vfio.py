# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""iommu_vfio on a tree of sysfs whose kernel is played here; a card is really bound in the lab host."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host import vfio
from ansible_collections.rtvirt.core.plugins.module_utils._host.facts import facts_of
from ansible_collections.rtvirt.core.plugins.module_utils._host.pci import Device
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks import iommu_vfio
from ansible_collections.rtvirt.core.plugins.module_utils._host.vfio import Selector
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.tree import Tree, carry_out

NIC, SECOND, NEIGHBOUR, BRIDGE, DISK, VGA, VIRTIO = (f"0000:0{bus}:00.0" for bus in (3, 4, 5, 6, 7, 8, 9))


class Machine(Tree):
    """Cards with their native drivers; a probe gives a device to the driver that it is to have.

    NEIGHBOUR's group has another device and a bridge in it.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.native: dict[str, str] = {}
        self.refuses = ""
        for address, ids, class_code, driver, group in (
            (NIC, "8086:10d3", "020000", "e1000e", 1),
            (SECOND, "8086:10d3", "020000", "e1000e", 2),
            (NEIGHBOUR, "8086:1533", "020000", "igb", 3),
            ("0000:05:00.1", "8086:1533", "020000", "igb", 3),
            (BRIDGE, "1b36:000e", "060400", "shpchp", 3),
            (DISK, "144d:a808", "010802", "nvme", 4),
            (VGA, "1234:1111", "030000", "", 5),
            (VIRTIO, "1af4:1041", "020000", "virtio-pci", 6),
        ):
            vendor, device = ids.split(":")
            folder = f"/sys/bus/pci/devices/{address}"
            self.put(f"{folder}/vendor", f"0x{vendor}\n")
            self.put(f"{folder}/device", f"0x{device}\n")
            self.put(f"{folder}/class", f"0x{class_code}\n")
            self.put(f"{folder}/numa_node", "-1\n")
            self.put(f"{folder}/driver_override", "(null)\n")
            self.put(f"/sys/kernel/iommu_groups/{group}/type", "DMA\n")
            os.symlink(f"../../../../kernel/iommu_groups/{group}", root / folder[1:] / "iommu_group")
            self.native[address] = driver
            self._drive(address, driver)
        (root / "sys/class/net").mkdir(parents=True)
        for folder, name in (
            (f"{NIC}/net", "enp3s0"),
            (f"{SECOND}/net", "enp4s0"),
            (f"{NEIGHBOUR}/net", "enp5s0f0"),
            (f"{VIRTIO}/virtio1/net", "enp9s0"),
        ):
            (root / f"sys/devices/pci0000:00/{folder}/{name}").mkdir(parents=True)
            os.symlink(f"../../devices/pci0000:00/{folder}/{name}", root / f"sys/class/net/{name}")
        self.put("/proc/cpuinfo", "vendor_id\t: GenuineIntel\n")
        self.put("/proc/net/route", "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n")
        (root / "sys/class/block").mkdir(parents=True)
        os.symlink(f"../../devices/pci0000:00/{DISK}/nvme/nvme0/nvme0n1/nvme0n1p1", root / "sys/class/block/nvme0n1p1")

    def _drive(self, address: str, driver: str) -> None:
        link = self.root / f"sys/bus/pci/devices/{address}/driver"
        if link.is_symlink():
            link.unlink()
        if driver:
            (self.root / f"sys/bus/pci/drivers/{driver}").mkdir(parents=True, exist_ok=True)
            os.symlink(f"../../drivers/{driver}", link)

    def driver(self, address: str) -> str:
        return self.target(f"/sys/bus/pci/devices/{address}/driver") or ""

    def tell(self, path: str, value: str) -> None:
        if path.endswith("/unbind"):
            self._drive(value, "")
        elif path.endswith("drivers_probe"):
            override = self.word(f"/sys/bus/pci/devices/{value}/driver_override")
            if self.refuses != value:
                self._drive(value, override if override not in ("", "(null)") else self.native[value])
        else:
            self.put(path, value.strip() + "\n" if value.strip() else "(null)\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def entry(**selector: str) -> dict[str, str | None]:
    given = {name.rstrip("_"): value for name, value in selector.items()}
    return {name: given.get(name) for name in ("address", "id", "class", "driver")}


def run(
    machine: Machine,
    *devices: dict[str, str | None],
    check: bool = False,
    state: str = "present",
    method: str = "driver_override",
) -> dict[str, t.Any]:
    return carry_out(iommu_vfio, {"devices": list(devices), "state": state, "method": method}, machine, check=check)


def test_a_card_is_bound_and_given_back(machine: Machine) -> None:
    files = machine.files()
    predicted = run(machine, entry(address=NIC), check=True)
    assert machine.files() == files
    done = run(machine, entry(address=NIC))
    assert done == predicted
    assert done["changed"]
    assert done["kernel_args"] == ["intel_iommu=on", "iommu=pt"]
    assert done["devices"] == [
        {
            "address": NIC,
            "driver_before": "e1000e",
            "driver": "vfio-pci",
            "iommu_group": 1,
            "viable": True,
            "pci_device_selector": "8086:10D3",
        }
    ]
    assert not done["reboot_required"]
    assert (machine.driver(NIC), machine.driver(SECOND)) == ("vfio-pci", "e1000e")
    assert ("modprobe", "vfio-pci") in machine.ran
    machine.ran.clear()
    assert not run(machine, entry(address=NIC))["changed"]
    assert machine.ran == []
    assert run(machine, state="absent")["changed"]
    assert machine.driver(NIC) == "e1000e"
    assert machine.files() == files
    assert not run(machine, state="absent")["changed"]


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        (entry(address="03:00.0"), [NIC]),
        (entry(id="8086:10d3"), [NIC, SECOND]),
        (entry(id="8086:10D3"), [NIC, SECOND]),
        (entry(driver="e1000*"), [NIC, SECOND]),
        (entry(id="8086:10d3", address=SECOND), [SECOND]),
        (entry(class_="0300"), [VGA]),
        (entry(class_="0108"), [DISK]),
    ],
)
def test_which_devices_are_meant(machine: Machine, selector: dict[str, str | None], chosen: list[str]) -> None:
    done = run(machine, selector)
    assert [one["address"] for one in done["devices"]] == chosen
    assert all(machine.driver(address) == "vfio-pci" for address in chosen)
    assert not run(machine, selector)["changed"]


def test_one_that_is_meant_no_more_is_given_back(machine: Machine) -> None:
    run(machine, entry(id="8086:10d3"))
    done = run(machine, entry(address=NIC))
    assert done["changed"]
    assert (machine.driver(NIC), machine.driver(SECOND)) == ("vfio-pci", "e1000e")
    assert SECOND not in (machine.read("/etc/systemd/system/rtvirt-vfio.service") or "")


def test_one_without_a_driver_has_none_afterwards(machine: Machine) -> None:
    run(machine, entry(address=VGA))
    run(machine, state="absent")
    assert machine.driver(VGA) == ""


def test_what_binds_at_boot_looks_at_what_is_there(machine: Machine) -> None:
    run(machine, entry(address=NIC))
    unit = machine.read("/etc/systemd/system/rtvirt-vfio.service") or ""
    assert '= "0x8086:0x10d3" ] || exit 1' in unit
    assert "echo 0000:03:00.0 > /sys/bus/pci/drivers_probe" in unit
    assert "$(" not in unit.replace("$$(", "")
    assert machine.read("/etc/modules-load.d/zz-rtvirt-vfio.conf").endswith("\nvfio-pci\n")
    assert ("systemctl", "enable", "rtvirt-vfio.service") in machine.ran


# By ids


def test_ids_in_the_initramfs_of_every_kernel(machine: Machine) -> None:
    machine.put("/usr/sbin/update-initramfs", "")
    files = machine.files()
    predicted = run(machine, entry(id="8086:10d3"), check=True, method="ids")
    assert machine.files() == files
    done = run(machine, entry(id="8086:10d3"), method="ids")
    assert done == predicted
    assert done["reboot_required"]
    assert machine.driver(NIC) == "e1000e"
    text = machine.read("/etc/modprobe.d/vfio.conf") or ""
    assert "options vfio-pci ids=8086:10d3\nsoftdep e1000e pre: vfio-pci\n" in text
    assert "force_load vfio-pci" in (machine.read("/etc/initramfs-tools/hooks/rtvirt-vfio") or "")
    assert (machine.root / "etc/initramfs-tools/hooks/rtvirt-vfio").stat().st_mode & 0o111
    assert machine.ran == [("update-initramfs", "-u", "-k", "all")]
    machine._drive(NIC, "vfio-pci")
    machine._drive(SECOND, "vfio-pci")
    machine.ran.clear()
    again = run(machine, entry(id="8086:10d3"), method="ids")
    assert (again["changed"], again["reboot_required"], machine.ran) == (False, False, [])
    run(machine, state="absent")
    assert machine.files() == files
    assert machine.ran == [("update-initramfs", "-u", "-k", "all"), *[("modprobe", "e1000e")] * 2]
    assert machine.driver(NIC) == "e1000e"


def test_dracut(machine: Machine) -> None:
    machine.put("/usr/sbin/dracut", "")
    run(machine, entry(id="8086:10d3"), method="ids")
    assert 'force_drivers+=" vfio-pci "' in (machine.read("/etc/dracut.conf.d/zz-rtvirt-vfio.conf") or "")
    assert machine.ran == [("dracut", "--force", "--regenerate-all")]


def test_vfio_that_is_built_in_reads_the_command_line(machine: Machine) -> None:
    machine.put("/proc/sys/kernel/osrelease", "6.8.0-45-generic\n")
    machine.put("/lib/modules/6.8.0-45-generic/modules.builtin", "kernel/drivers/vfio/pci/vfio-pci.ko\n")
    done = run(machine, entry(id="8086:10d3"), method="ids")
    assert done["kernel_args"] == ["intel_iommu=on", "iommu=pt", "vfio-pci.ids=8086:10d3"]
    assert machine.read("/etc/modprobe.d/vfio.conf") is None


def test_from_one_method_to_the_other(machine: Machine) -> None:
    run(machine, entry(id="8086:10d3"))
    assert not run(machine, entry(id="8086:10d3"), method="ids")["reboot_required"]
    assert machine.read("/etc/systemd/system/rtvirt-vfio.service") is None
    assert ("systemctl", "disable", "rtvirt-vfio.service") in machine.ran
    run(machine, entry(id="8086:10d3"))
    assert machine.read("/etc/modprobe.d/vfio.conf") is None


def test_a_vfio_conf_of_somebody_else(machine: Machine) -> None:
    machine.put("/etc/modprobe.d/vfio.conf", "options vfio-pci disable_vga=1\n")
    with pytest.raises(RtvirtError, match=r"^/etc/modprobe\.d/vfio\.conf is there, and was not written here"):
        run(machine, entry(id="8086:10d3"), method="ids")


def test_a_whole_group_goes_together(machine: Machine) -> None:
    with pytest.raises(DeclarationError, match=r"0000:05:00\.0 shares IOMMU group 3 with 0000:05:00\.1 \(igb\)"):
        run(machine, entry(address=NEIGHBOUR))
    assert machine.driver(NEIGHBOUR) == "igb"
    run(machine, entry(id="8086:1533"))
    assert machine.driver(BRIDGE) == "shpchp"


def test_an_iommu_that_is_not_in_use_yet(machine: Machine) -> None:
    for path in sorted((machine.root / "sys/kernel/iommu_groups").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    for link in machine.root.glob("sys/bus/pci/devices/*/iommu_group"):
        link.unlink()
    with pytest.raises(DeclarationError, match="has no IOMMU, or its firmware has it switched off"):
        run(machine, entry(address=NIC))
    machine.put("/sys/firmware/acpi/tables/DMAR", "")
    done = run(machine, entry(address=NIC))
    assert done["reboot_required"]
    assert done["devices"][0]["driver"] == machine.driver(NIC) == "e1000e"
    assert ("systemctl", "enable", "rtvirt-vfio.service") in machine.ran
    again = run(machine, entry(address=NIC))
    assert (again["changed"], again["reboot_required"]) == (False, True)


def test_amds_iommu_needs_no_argument(machine: Machine) -> None:
    machine.put("/proc/cpuinfo", "vendor_id\t: AuthenticAMD\n")
    assert run(machine, entry(address=NIC))["kernel_args"] == ["iommu=pt"]


def test_a_kernel_that_does_not_bind(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an override, a refused bind leaves a device without any driver (ydb nbs #5296)."""
    monkeypatch.setattr(vfio, "_PATIENCE", 0)
    machine.refuses = NIC
    with pytest.raises(RtvirtError, match=r"0000:03:00\.0: has no driver after it was given to vfio-pci"):
        run(machine, entry(address=NIC))
    machine.refuses = ""
    assert run(machine, entry(address=NIC))["changed"]
    assert machine.driver(NIC) == "vfio-pci"
    run(machine, state="absent")
    assert machine.driver(NIC) == "e1000e"


def test_a_card_that_was_taken_out(machine: Machine) -> None:
    run(machine, entry(address=NIC), entry(address=SECOND))
    (machine.root / f"sys/bus/pci/devices/{SECOND}").rename(machine.root / "gone")
    run(machine, entry(address=NIC))
    run(machine, state="absent")
    assert machine.driver(NIC) == "e1000e"


# What the host needs


def has_default_route(machine: Machine) -> None:
    machine.put("/proc/net/route", "Iface\tDestination\nenp3s0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n")


def is_a_virtio_card_with_a_route(machine: Machine) -> None:
    machine.put("/proc/net/route", "Iface\tDestination\nenp9s0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n")


def has_address(machine: Machine) -> None:
    machine.put("/proc/net/route", "Iface\tDestination\nenp3s0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n")


def has_address_of_ipv6(machine: Machine) -> None:
    machine.put("/proc/net/if_inet6", "fd000000000000000000000000000001 02 40 00 80   enp3s0\n")


def is_in_a_bond(machine: Machine) -> None:
    os.symlink("../bond0", machine.root / "sys/class/net/enp3s0/master")


def carries_a_vlan(machine: Machine) -> None:
    machine.put("/sys/class/net/enp3s0/upper_enp3s0.7", "")


def is_mounted(machine: Machine) -> None:
    machine.put("/proc/self/mounts", "/dev/nvme0n1p1 / ext4 rw 0 0\n")


def is_mounted_by_two_paths(machine: Machine) -> None:
    """The kernel's own multipath: the disk is a virtual device, its card has a hidden path to it."""
    block = machine.root / "sys/class/block"
    (block / "nvme0n1p1").unlink()
    virtual = "../../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1"
    os.symlink(virtual, block / "nvme0n1")
    os.symlink(f"{virtual}/nvme0n1p1", block / "nvme0n1p1")
    os.symlink(f"../../devices/pci0000:00/{DISK}/nvme/nvme0/nvme0c0n1", block / "nvme0c0n1")
    is_mounted(machine)


def is_swap(machine: Machine) -> None:
    machine.put("/proc/swaps", "Filename\tType\n/dev/nvme0n1p1 partition 8 0 -2\n")


def is_held(machine: Machine) -> None:
    (machine.root / "sys/devices").mkdir(parents=True, exist_ok=True)
    link = machine.root / "sys/class/block/nvme0n1p1"
    real = machine.root / f"sys/class/devices/{DISK}/nvme0n1p1/holders/dm-0"
    real.mkdir(parents=True)
    link.unlink()
    os.symlink(f"../devices/{DISK}/nvme0n1p1", link)


def is_the_boot_vga(machine: Machine) -> None:
    machine.put(f"/sys/bus/pci/devices/{VGA}/boot_vga", "1\n")


def is_of_a_bmc(machine: Machine) -> None:
    """The card's second function is the interface of IPMI."""
    folder = f"/sys/bus/pci/devices/{NIC[:-1]}1"
    for name, value in (("vendor", "0x103c"), ("device", "0x3302"), ("class", "0x0c0701")):
        machine.put(f"{folder}/{name}", f"{value}\n")


@pytest.mark.parametrize(
    ("vendor", "class_code", "driver", "bmc"),
    [
        ("103c", "0c0701", "", True),  # IPMI, whose driver is not loaded
        ("103c", "088000", "hpilo", True),
        ("1a03", "030000", "ast", True),
        ("8086", "0c0500", "i801_smbus", False),
        ("8086", "0c0330", "xhci_hcd", False),
    ],
)
def test_what_management_controllers_show(vendor: str, class_code: str, driver: str, bmc: bool) -> None:
    assert Device(NIC, vendor, "2000", class_code, driver, 1, None, ()).is_of_bmc == bmc


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (f"/etc/driverctl.d/pci-{NIC}", "vfio-pci\n"),
        ("/etc/modprobe.d/mine.conf", "options vfio-pci disable_vga=1 ids=10de:128b,8086:10D3\n"),
    ],
)
def test_what_binds_it_at_boot_beside_us(machine: Machine, path: str, text: str) -> None:
    machine.put(path, text)
    by = "driverctl" if "driverctl" in path else path
    for _run in range(2):
        (warning,) = run(machine, entry(address=NIC))["warnings"]
        assert warning == f"{NIC}: {by} binds it to vfio-pci at boot too, also after state: absent"
    assert run(machine, entry(id="8086:1533"))["warnings"] == []


def test_ids_of_ours_are_nobody_elses(machine: Machine) -> None:
    assert run(machine, entry(id="8086:10d3"), method="ids")["changed"]
    again = run(machine, entry(id="8086:10d3"), method="ids")
    assert (again["changed"], again["warnings"]) == (False, [])
    assert run(machine, entry(id="8086:10d3"))["warnings"] == []


#: As Linux 6.1 tells on a lab host of AMD, without and with intremap=off.
INTERRUPTS = (
    "  0:  100  IR-IO-APIC   2  timer\n 24:  0   PCI-MSI 16384-edge  AMD-Vi\n 25:  0  IR-PCI-MSI 81920-edge  PME\n",
    "  0:   86   IO-APIC   2  timer\n 24:  0   PCI-MSI 16384-edge  AMD-Vi\n 25:  0   PCI-MSI 81920-edge  aerdrv\n",
)
#: Of arm64, whose interrupts of devices are always apart.
GIC = " 11:  4711  GICv3  27 Level  arch_timer\n 20:  0  ITS-MSI 16384 Edge  PCIe PME\n"


@pytest.mark.parametrize(
    ("interrupts", "unsafe", "told"),
    [(INTERRUPTS[0], "N", False), (INTERRUPTS[1], "N", True), (INTERRUPTS[1], "Y", False), (GIC, "N", False)],
)
def test_interrupt_remapping_that_is_off(machine: Machine, interrupts: str, unsafe: str, told: bool) -> None:
    machine.put("/proc/interrupts", interrupts)
    machine.put("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", f"{unsafe}\n")
    warnings = run(machine, entry(address=NIC))["warnings"]
    assert ["leave intremap=off out of the kernel's arguments" in one for one in warnings] == [True] * told
    assert run(machine, state="absent")["warnings"] == []


def test_a_link_local_address_is_no_use(machine: Machine) -> None:
    machine.put("/proc/net/if_inet6", "fe800000000000005054000000000001 02 40 20 80   enp3s0\n")
    run(machine, entry(address=NIC))


def test_host_info_tells_of_groups(machine: Machine) -> None:
    devices = {one["address"]: one for one in facts_of(machine)["pci_devices"]}
    assert devices[NIC]["viable"]
    assert devices[NIC]["interfaces"] == ["enp3s0"]
    assert not devices[NEIGHBOUR]["viable"]
    assert devices[NEIGHBOUR]["in_the_way"] == ["0000:05:00.1"]
    assert devices[DISK]["pci_device_selector"] == "144D:A808"


def test_a_card_that_a_vm_has_is_not_given_back(machine: Machine) -> None:
    run(machine, entry(address=NIC))
    machine.put("/proc/4711/comm", "qemu-system-x86\n")
    (machine.root / "proc/4711/fd").mkdir()
    (machine.root / "proc/4711/fd/9").symlink_to("/dev/vfio/1")
    files = machine.files()
    for check in (True, False):
        with pytest.raises(
            DeclarationError, match=rf"devices: would give back {NIC}, which qemu-system-x86 \(4711\) has: stop"
        ):
            run(machine, state="absent", check=check)
    assert (machine.files(), machine.driver(NIC)) == (files, "vfio-pci")
    assert not run(machine, entry(address=NIC))["changed"]


def test_a_driver_that_shares_its_card_with_dpdk(machine: Machine) -> None:
    machine.native[NIC] = "mlx5_core"
    machine.tell("/sys/bus/pci/drivers_probe", NIC)
    assert "mlx5_core share a card" in run(machine, entry(address=NIC))["warnings"][0]
    assert len(run(machine, entry(address=NIC))["warnings"]) == 1
    assert run(machine, entry(address=SECOND))["warnings"] == []


def test_virtual_functions_and_mediated_devices_are_told(machine: Machine) -> None:
    devices = machine.root / "sys/bus/pci/devices"
    (devices / NIC / "virtfn0").symlink_to(f"../{SECOND}")
    (devices / SECOND / "physfn").symlink_to(f"../{NIC}")
    (devices / NIC / "mdev_supported_types/i915-GVTg_V5_4").mkdir(parents=True)
    told = {one["address"]: one for one in facts_of(machine)["pci_devices"]}
    assert (told[NIC]["virtual_functions"], told[NIC]["physical_function"]) == ([SECOND], None)
    assert (told[SECOND]["virtual_functions"], told[SECOND]["physical_function"]) == ([], NIC)
    assert (told[NIC]["mdev_types"], told[SECOND]["mdev_types"]) == (["i915-GVTg_V5_4"], [])


def test_one_that_has_its_own_driver_is_not_touched_when_it_is_given_back(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It only waited for the next boot, and somebody uses it since."""
    run(machine, entry(address=NIC))
    machine._drive(NIC, "e1000e")
    told: list[str] = []
    monkeypatch.setattr(machine, "tell", lambda path, _value: told.append(path.rpartition("/")[2]))
    done = run(machine, state="absent")
    assert done["changed"]
    assert "drivers" not in [part.get("before_header") for part in done["diff"]]
    assert (machine.driver(NIC), told) == ("e1000e", ["driver_override"])


def test_an_address_means_one_domain() -> None:
    """NVMe disks behind Intel's VMD have the domain 10000."""
    vmd = Device("10000:01:00.0", "8086", "0a54", "010802", "nvme", None, None, ())
    assert not Selector("x", address="0000:01:00.0").fits(vmd)
    assert not Selector("x", address="01:00.0").fits(vmd)
    assert Selector("x", address="10000:01:00.0").fits(vmd)
    assert list(Selector("x", address="10000:01:00.0").problems()) == []
