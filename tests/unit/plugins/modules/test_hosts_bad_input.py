# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What users get wrong about hosts, each through main(): told by path, kind and what would be right.

No case may end in a traceback, and none may so much as touch the host: no file, no attribute, and no tool but to read.
"""

from __future__ import annotations

import enum
import importlib
import shutil
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

from ansible_collections.rtvirt.core.plugins.module_utils._host import task
from ansible_collections.rtvirt.core.plugins.module_utils._host.topology import Topology
from ansible_collections.rtvirt.core.plugins.module_utils.converters.cpuset import format_ranges
from ansible_collections.rtvirt.core.plugins.modules import host as host_module
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host import bootloader_tools as boot
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host import (
    test_default_kernel,
    test_host,
    test_hugepages,
    test_mediated_devices,
    test_nested_kvm,
    test_realtime,
    test_tuned,
    test_vfio,
    test_watchdog,
)
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.test_isolation import LARGE, PLAIN, topology
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.test_vfio import (
    BRIDGE,
    DISK,
    NEIGHBOUR,
    NIC,
    SECOND,
    VGA,
    VIRTIO,
)
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.tree import Tree

Options = dict[str, t.Any]
Make = t.Callable[[Path], Tree]


class Kind(enum.Enum):
    """Who refuses, and of what: it decides how a failure tells its path."""

    SPEC = "Ansible, by the argument spec: the message names the option"
    DECLARATION = "the module, for what is declared: a problem with the option's path"
    HOST = "the module, for what the host is or has: the message names what of it"


class Row(t.NamedTuple):
    """:ivar path: the option's, or the host's file or tool.
    :ivar remedy: words of what would be right.
    """

    module: str
    options: Options
    tree: Make
    path: str
    kind: Kind
    remedy: str


class Exit(Exception):  # noqa: N818  it is how a module ends
    """The module ended, with this result."""

    def __init__(self, result: dict[str, t.Any]) -> None:
        super().__init__(str(result))
        self.result = result


class Touched(Exception):  # noqa: N818  it ends a run, and is no error
    """The module wanted to write."""


#: What only reads.
READING = {
    ("grubby", "--info=ALL"),
    ("grubby", "--default-kernel"),
    ("grub2-mkconfig", "--help"),
    ("rpm-ostree", "kargs"),
    ("systemctl", "is-enabled", "watchdog.service"),
    ("systemctl", "is-active", "watchdog.service"),
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> t.Callable[[str, Options, Tree], dict[str, t.Any]]:
    """Runs a module with a task's options on a tree, and returns how it failed."""

    def fail(_module: AnsibleModule, msg: str, **result: t.Any) -> t.NoReturn:
        raise Exit({"failed": True, "msg": msg, **result})

    def leave(_module: AnsibleModule, **result: t.Any) -> t.NoReturn:
        raise Exit({"failed": False, **result})

    monkeypatch.setattr(AnsibleModule, "fail_json", fail)
    monkeypatch.setattr(AnsibleModule, "exit_json", leave)

    def main(module: str, options: Options, machine: Tree) -> dict[str, t.Any]:
        def touch(*arguments: t.Any) -> t.NoReturn:
            raise Touched(arguments)

        for name in ("apply", "tell", "settle"):
            monkeypatch.setattr(machine, name, touch)
        monkeypatch.setattr(task, "Host", lambda: machine)
        code = importlib.import_module(f"ansible_collections.rtvirt.core.plugins.modules.{module}")
        with patch_module_args(options), pytest.raises(Exit) as ended:
            code.main()
        return ended.value.result

    return main


def bytes_of(machine: Tree) -> dict[str, object]:
    """All there is, with where links lead."""
    return {
        str(path): path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        for path in machine.root.rglob("*")
    }


# Hosts


def having(make: Make, files: t.Mapping[str, str | None]) -> Make:
    """A host with other files; None for those that it has not."""

    def made(root: Path) -> Tree:
        machine = make(root)
        for path, text in files.items():
            if text is not None:
                machine.put(path, text)
            elif (machine.root / path.lstrip("/")).is_dir():
                shutil.rmtree(machine.root / path.lstrip("/"))
            else:
                (machine.root / path.lstrip("/")).unlink()
        machine.ran.clear()
        return machine

    return made


def after(make: Make, act: t.Callable[[t.Any], object]) -> Make:
    """A host to which something has happened."""

    def made(root: Path) -> Tree:
        machine = make(root)
        act(machine)
        machine.ran.clear()
        return machine

    return made


def cpus(of: Topology) -> Make:
    """A host with these CPUs."""

    def made(root: Path) -> Tree:
        machine = Tree(root)
        machine.put("/sys/devices/system/cpu/online", format_ranges(of.online))
        for core in of.cores:
            for cpu in core:
                machine.put(f"/sys/devices/system/cpu/cpu{cpu}/topology/core_cpus_list", format_ranges(core))
        for node, there in of.nodes.items():
            machine.put(f"/sys/devices/system/node/node{node}/cpulist", format_ranges(there))
        return machine

    return made


def watched(root: Path) -> Tree:
    machine = test_watchdog.Machine(root)
    machine.put("/usr/sbin/watchdog", "")
    return machine


def redhat(root: Path) -> Tree:
    """With an argument of somebody else's in the second entry alone."""
    return boot.redhat(root, "ro quiet", second="ro quiet isolcpus=1")


def kernels(root: Path) -> Tree:
    return test_default_kernel.with_kernels(boot.debian(root))


def coreos(root: Path) -> Tree:
    return test_default_kernel.with_kernels(boot.coreos(root))


def amd(root: Path) -> Tree:
    return test_nested_kvm.Machine(root, flag="svm", loaded="0")


def no_virtualization(root: Path) -> Tree:
    return test_nested_kvm.Machine(root, flag="sse2")


def no_systemd(root: Path) -> Tree:
    return test_hugepages.Kernel(root, systemd=False)


debian, whole, pages = boot.debian, test_host.laid_out, test_hugepages.Kernel
cards, by_tuned, realtime = test_vfio.Machine, test_tuned.Machine, test_realtime.Machine
SPEC, DECLARATION, HOST = Kind

# Options, by module


def args(*arguments: t.Any, **more: t.Any) -> Options:
    return {"args": list(arguments), **more}


def line(args: Options, path: str, remedy: str, tree: Make = debian, kind: Kind = DECLARATION) -> Row:
    return Row("kernel_cmdline", args, tree, path, kind, remedy)


def pools(*rows: tuple[t.Any, ...], **more: t.Any) -> Options:
    """Pools as (size, count) or (size, count, node)."""
    return {"pools": [dict(zip(("size", "count", "node"), row)) for row in rows], **more}


def huge(options: Options, path: str, remedy: str, tree: Make = pages, kind: Kind = DECLARATION) -> Row:
    return Row("hugepages", options, tree, path, kind, remedy)


def divided(of: Topology, options: Options, path: str, remedy: str) -> Row:
    return Row("rt_host_prep", options, cpus(of), path, DECLARATION, remedy)


def prep(options: Options, tree: Make, path: str, remedy: str, kind: Kind = DECLARATION) -> Row:
    return Row("rt_host_prep", options, tree, path, kind, remedy)


def devices(*selectors: Options, **more: t.Any) -> Options:
    return {"devices": [*selectors], **more}


def bound(options: Options, path: str, remedy: str, tree: Make = cards, kind: Kind = DECLARATION) -> Row:
    return Row("iommu_vfio", options, tree, path, kind, remedy)


def needed(address: str, tree: Make, why: str) -> Row:
    """A device that the host cannot be without."""
    return bound(devices({"address": address}), "devices[0]", f"{address}: {why}: leave it out", tree)


def fed(options: Options, path: str, remedy: str, tree: Make = watched, kind: Kind = DECLARATION) -> Row:
    return Row("watchdog", options, tree, path, kind, remedy)


def virtual_gpus(root: Path) -> Tree:
    return test_mediated_devices.Machine(root)


def made(devices: list[Options], path: str, remedy: str, tree: Make = virtual_gpus, **more: t.Any) -> Row:
    return Row("mediated_devices", {"devices": devices, **more}, tree, path, DECLARATION, remedy)


GPU = {"uuid": test_mediated_devices.ONE, "parent": test_mediated_devices.CARD, "type": "nvidia-35"}
ONE = pools(("2M", 1))
CARD = devices({"address": NIC})
RECORD = "/var/lib/rtvirt/{}.json"

TABLE: dict[str, Row] = {
    # kernel_cmdline
    "argument that is empty": line(args(""), "args[0]", "leave it out"),
    "argument of spaces": line(args("  "), "args[0]", "leave it out"),
    "two arguments in one": line(args("quiet", "isolcpus=2 nohz_full=2"), "args[1]", "an item of its own"),
    "YAML's None": line(args("None"), "args[0]", "in quotes"),
    "YAML's True": line(args("quiet", "True"), "args[1]", "in quotes"),
    "no name": line(args("=on"), "args[0]", "write name or name=value"),
    "the end of arguments": line(args("--"), "args[0]", "write name or name=value"),
    "an option's dash": line(args("-x"), "args[0]", "write name or name=value"),
    "a variable": line(args("a=$b"), "args[0]", "'a=$b' has $, which boot loaders take for their own syntax"),
    "a command": line(args("a=`b`"), "args[0]", "has `, which boot loaders take for their own syntax"),
    "double quotes": line(args('a="b"'), "args[0]", 'has ", which boot loaders take for their own syntax'),
    "single quotes": line(args("a='b'"), "args[0]", "has ', which boot loaders take for their own syntax"),
    "a backslash": line(args("a=b\\c"), "args[0]", "which boot loaders take for their own syntax"),
    "a semicolon": line(args("a=b;c"), "args[0]", "has ;, which boot loaders take for their own syntax"),
    "a disk of GRUB": line(args("a=(hd0)"), "args[0]", "has ( ), which boot loaders take for their own syntax"),
    "a comment": line(args("a=b#c"), "args[0]", "has #, which boot loaders take for their own syntax"),
    "two values of one name": line(args("isolcpus=2", "isolcpus=3"), "args[1]", "the kernel takes one isolcpus"),
    "one console twice": line(args("console=tty0", "console=tty0"), "args[1]", "leave one out"),
    "dash and underscore": line(args("rcu-nocbs=2", "rcu_nocbs=3"), "args[1]", "the kernel takes one rcu_nocbs"),
    "one size twice": line(
        args("hugepagesz=1G", "hugepages=1", "hugepagesz=1G", "hugepages=2"), "args[2]", "leave one out"
    ),
    "arguments to remove": line(args("quiet", state="absent"), "args", "removes all that the owner set"),
    "no arguments": line(args(), "args", "write arguments, or state: absent"),
    "nothing but nothing": line(args(state="exact"), "args", "write arguments"),
    "a state that is none": line(args("quiet", state="gone"), "state", "present, absent, exact", kind=SPEC),
    "an option that is none": line(args("quiet", arguments="x"), "arguments", "args, owner, state", kind=SPEC),
    "a mapping for a list": line({"args": {"a": 1}}, "args", "list", kind=SPEC),
    "somebody else's value": line(
        args("quiet", "isolcpus=2"), "args[1]", "remove that, or have kernel_cmdline replace it", redhat
    ),
    "TuneD's value": line(
        args("nohz_full=2", "skew_tick=0"),
        "args[1]",
        "let one of them set it",
        having(debian, {"/etc/tuned/bootcmdline": 'TUNED_BOOT_CMDLINE="skew_tick=1"\n'}),
    ),
    "systemd-boot": line(
        args("quiet"),
        "/boot/loader/loader.conf",
        "managed here",
        having(debian, {"/boot/loader/loader.conf": ""}),
        HOST,
    ),
    "no boot loader": line(args("quiet"), "boot loader", "update-grub (Debian, Ubuntu)", boot.Machine, HOST),
    "a menu without a kernel": line(
        args("quiet"), "/boot/grub/grub.cfg", "Run update-grub", having(debian, {"/boot/grub/grub.cfg": ""}), HOST
    ),
    "a record that somebody has broken": line(
        args("quiet"),
        RECORD.format("kernel_cmdline"),
        "repair it, or remove it",
        having(debian, {RECORD.format("kernel_cmdline"): "["}),
        HOST,
    ),
    # default_kernel
    "no kernel": Row("default_kernel", {}, kernels, "kernel", DECLARATION, "write a release, or realtime"),
    "a kernel that is not there": Row(
        "default_kernel",
        {"kernel": "5.4"},
        kernels,
        "kernel",
        DECLARATION,
        "installed: 6.1.0-28-amd64, 6.1.0-28-rt-amd64",
    ),
    "a kernel that grubby does not know": Row(
        "default_kernel",
        {"kernel": "5.4"},
        lambda root: test_default_kernel.with_kernels(boot.redhat(root)),
        "kernel",
        DECLARATION,
        "installed: 6.1.0-28-amd64, 6.1.0-28-rt-amd64",
    ),
    "a kernel to remove": Row(
        "default_kernel", {"kernel": "realtime", "state": "absent"}, kernels, "kernel", DECLARATION, "leave it out"
    ),
    "no real-time kernel": Row(
        "default_kernel",
        {"kernel": "realtime"},
        having(kernels, {"/boot/config-6.1.0-28-rt-amd64": ""}),
        "kernel",
        DECLARATION,
        "Debian's linux-image-rt, kernel-rt",
    ),
    "a host of one kernel": Row(
        "default_kernel", {"kernel": "realtime"}, coreos, "rpm-ostree", HOST, "rpm-ostree override replaces it"
    ),
    "a kernel's state": Row(
        "default_kernel", {"kernel": "realtime", "state": "latest"}, kernels, "state", SPEC, "present, absent"
    ),
    # hugepages
    "no pools": huge(pools(), "pools", "write pools, or state: absent"),
    "pools to remove": huge(pools(("2M", 1), state="absent"), "pools", "it gives back all"),
    "a size in words": huge(pools(("two", 1)), "pools[0].size", "such as 2M or 1G"),
    "a size that is empty": huge(pools(("2M", 1), ("", 1)), "pools[1].size", "such as 2M or 1G"),
    "a size below zero": huge(pools(("-2M", 1)), "pools[0].size", "such as 2M or 1G"),
    "a size of terabytes": huge(pools(("2T", 1)), "pools[0].size", "such as 2M or 1G"),
    "a size that the CPU has not": huge(pools(("4M", 1)), "pools[0].size", "it has 2M, 1G"),
    "a count below zero": huge(pools(("2M", -1)), "pools[0].count", "write 0 or more"),
    "a count in words": huge(pools(("2M", "all")), "count", "int", kind=SPEC),
    "a pool without a count": huge(
        {"pools": [{"size": "2M"}]}, "pools", "missing required arguments: count", kind=SPEC
    ),
    "a node that is not there": huge(pools(("2M", 1, 7)), "pools[0].node", "there are 0, 1"),
    "a node below zero": huge(pools(("2M", 1, -1)), "pools[0].node", "there are 0, 1"),
    "a pool of a node twice": huge(pools(("2M", 1, 0), ("2M", 2, 0)), "pools[1]", "leave one out"),
    "a pool twice": huge(pools(("2M", 1), ("2M", 2)), "pools[1]", "leave one out"),
    "with a node and without": huge(pools(("2M", 1), ("2M", 2, 0)), "pools[1].node", "give each pool its node"),
    "all of a node": huge(pools(("1G", 16, 0)), "pools[0].count", "reserve fewer pages, or lower reserve"),
    "all of all nodes": huge(pools(("1G", 32)), "pools[0].count", "reserve fewer pages, or lower reserve"),
    "a reserve in words": huge({**ONE, "reserve": "much"}, "reserve", "write a number with a suffix of Ki Mi Gi"),
    "a reserve below zero": huge({**ONE, "reserve": "-1Gi"}, "reserve", "-1Gi"),
    "a default size that is none": huge({**ONE, "default_size": "3"}, "default_size", "such as 2M or 1G"),
    "a default size of others": huge({**ONE, "default_size": "4M"}, "default_size", "has pages of 2M, 1G"),
    "a default size by a unit": huge(
        {**ONE, "default_size": "1G", "at_boot": "service"}, "default_size", "take kernel_args, or leave it out"
    ),
    "a wait below zero": huge({**ONE, "wait_timeout": -1}, "wait_timeout", "write 0 or more"),
    "mounts without systemd": huge(pools(("1G", 1), mounts=True), "mounts", "switch it off", no_systemd),
    "a unit without systemd": huge(
        pools(("1G", 1), at_boot="service", mounts=False), "at_boot", "switch it off", no_systemd
    ),
    "a kernel without huge pages": huge({**ONE, "mounts": False}, "pools", "boot one with CONFIG_HUGETLBFS", Tree),
    # rt_host_prep
    "no CPUs": divided(PLAIN, {}, "isolated_cpus", "write CPUs such as 2-7, or auto"),
    "a CPU that is not there": divided(PLAIN, {"isolated_cpus": "4"}, "isolated_cpus", "this host has 0-3"),
    "CPUs that are not there": divided(PLAIN, {"isolated_cpus": "2-9"}, "isolated_cpus", "CPU 4-9 is not there"),
    "a housekeeper that is not there": divided(
        PLAIN, {"housekeeping_cpus": "8"}, "housekeeping_cpus", "this host has 0-3"
    ),
    "a range backwards": divided(PLAIN, {"isolated_cpus": "3-1"}, "isolated_cpus", "1-3"),
    "a CPU in words": divided(PLAIN, {"isolated_cpus": "a"}, "isolated_cpus", "such as"),
    "a CPU below zero": divided(PLAIN, {"isolated_cpus": "-1"}, "isolated_cpus", "write 1 for one CPU"),
    "an empty list": divided(PLAIN, {"isolated_cpus": ""}, "isolated_cpus", "write CPUs such as 2-7, or auto"),
    "no housekeeper": divided(PLAIN, {"housekeeping_cpus": ""}, "housekeeping_cpus", "write CPUs such as 2-7, or auto"),
    "a list that takes all back": divided(PLAIN, {"isolated_cpus": "0-1,^0-1"}, "isolated_cpus", "or auto"),
    "a CPU on both sides": divided(
        PLAIN, {"isolated_cpus": "2-3", "housekeeping_cpus": "0-2"}, "housekeeping_cpus", "choose one side"
    ),
    "a CPU on neither side": divided(
        PLAIN, {"isolated_cpus": "2", "housekeeping_cpus": "0-1"}, "housekeeping_cpus", "leave this option out"
    ),
    "all CPUs": divided(PLAIN, {"isolated_cpus": "0-3"}, "isolated_cpus", "keep at least CPU 0"),
    "the boot's CPU": divided(PLAIN, {"isolated_cpus": "0"}, "isolated_cpus", "isolate others"),
    "another housekeeper than CPU 0": divided(PLAIN, {"housekeeping_cpus": "1"}, "housekeeping_cpus", "isolate others"),
    "all keep house": divided(PLAIN, {"housekeeping_cpus": "0-3"}, "housekeeping_cpus", "too many keep house"),
    "all cores keep house": divided(
        PLAIN, {"isolated_cpus": "auto", "housekeeping_cores": 4}, "isolated_cpus", "too many keep house"
    ),
    "no core keeps house": divided(
        PLAIN, {"isolated_cpus": "auto", "housekeeping_cores": 0}, "housekeeping_cores", "write 1 or more"
    ),
    "one CPU": divided(topology(1), {"isolated_cpus": "auto"}, "isolated_cpus", "this host has too few"),
    "half of cores": divided(LARGE, {"isolated_cpus": "1-3"}, "isolated_cpus", "take whole cores, or set split_cores"),
    "the first threads": divided(LARGE, {"housekeeping_cpus": "0-7"}, "housekeeping_cpus", "(0,8; 1,9"),
    "CPUs to remove": prep({"isolated_cpus": "2", "state": "absent"}, realtime, "isolated_cpus", "leave it out"),
    "a profile to remove": prep({"tuned_profile": "x", "state": "absent"}, by_tuned, "tuned_profile", "leave it out"),
    "cores in words": prep(
        {"isolated_cpus": "auto", "housekeeping_cores": "some"}, realtime, "housekeeping_cores", "int", SPEC
    ),
    "a workload that is none": prep(
        {"isolated_cpus": "auto", "workload": "games"}, realtime, "workload", "realtime, dpdk", SPEC
    ),
    "TuneD that does it already": prep(
        {"isolated_cpus": "auto"},
        having(realtime, {"/etc/tuned/active_profile": "realtime-virtual-host\n"}),
        "tuned_profile",
        "have TuneD do it, or choose another profile",
    ),
    "TuneD that is not there": prep(
        {"isolated_cpus": "auto", "tuned_profile": "realtime"}, realtime, "tuned_profile", "install the package tuned"
    ),
    "a profile that is not there": prep(
        {"isolated_cpus": "auto", "tuned_profile": "realtme"},
        by_tuned,
        "tuned_profile",
        "or take one of cpu-partitioning",
    ),
    "a file of somebody else": prep(
        {"isolated_cpus": "auto"},
        having(realtime, {test_realtime.SYSCTL: "vm.swappiness = 1\n"}),
        test_realtime.SYSCTL,
        "move it away",
        HOST,
    ),
    # iommu_vfio
    "no devices": bound(devices(), "devices", "write devices, or state: absent"),
    "devices to remove": bound({**CARD, "state": "absent"}, "devices", "it gives back all devices"),
    "a selector of nothing": bound(devices({}), "devices[0]", "write address, id, class or driver"),
    "half an address": bound(devices({"address": "3:0"}), "devices[0].address", "write one such as 0000:03:00.0"),
    "an interface": bound(devices({"address": "eth0"}), "devices[0].address", "write one such as 0000:03:00.0"),
    "a ninth function": bound(devices({"address": "0000:03:00.9"}), "devices[0].address", "such as 0000:03:00.0"),
    "half an id": bound(devices({"id": "8086"}), "devices[0].id", "write one such as 8086:10d3"),
    "an id of C": bound(devices({"id": "0x8086:0x10d3"}), "devices[0].id", "write one such as 8086:10d3"),
    "a class in words": bound(devices({"class": "network"}), "devices[0].class", "write one such as 0200"),
    "a card that is not there": bound(
        devices({"address": NIC}, {"address": "0000:99:00.0"}), "devices[1]", "see rtvirt.core.host_info"
    ),
    "a driver of nothing": bound(devices({"driver": "mlx5_core"}), "devices[0]", "see rtvirt.core.host_info"),
    "an option of devices": bound(devices({"adress": NIC}), "adress", "address, class, driver, id", kind=SPEC),
    "a method that is none": bound({**CARD, "method": "xen"}, "method", "driver_override, ids", kind=SPEC),
    "half a group": bound(
        devices({"address": NEIGHBOUR}),
        "devices",
        "0000:05:00.1 (igb), and a group goes to a VM as a whole: declare all of it, or leave it out",
    ),
    "ids of a twin": bound(
        {**CARD, "method": "ids"},
        "method",
        f"{SECOND} is a 8086:10d3 too, and would go along: declare it as well, or take driver_override",
    ),
    "no IOMMU": bound(
        CARD, "devices", "switch it on there (VT-d, AMD-Vi, SMMU)", having(cards, {"/sys/kernel/iommu_groups": None})
    ),
    "the default route": needed(NIC, after(cards, test_vfio.has_default_route), "enp3s0 has the default route"),
    "a virtio card's route": needed(
        VIRTIO, after(cards, test_vfio.is_a_virtio_card_with_a_route), "enp9s0 has the default route"
    ),
    "an address": needed(NIC, after(cards, test_vfio.has_address), "enp3s0 has an address"),
    "an address of IPv6": needed(NIC, after(cards, test_vfio.has_address_of_ipv6), "enp3s0 has an address"),
    "a bond": needed(NIC, after(cards, test_vfio.is_in_a_bond), "enp3s0 is part of bond0"),
    "a VLAN": needed(NIC, after(cards, test_vfio.carries_a_vlan), "enp3s0 carries enp3s0.7"),
    "a mounted disk": needed(DISK, after(cards, test_vfio.is_mounted), "nvme0n1p1 is mounted on /"),
    "a mounted disk of two paths": needed(
        DISK, after(cards, test_vfio.is_mounted_by_two_paths), "nvme0n1p1 is mounted on /"
    ),
    "swap": needed(DISK, after(cards, test_vfio.is_swap), "nvme0n1p1 is swap"),
    "a disk under LVM": needed(DISK, after(cards, test_vfio.is_held), "nvme0n1p1 is used by dm-0"),
    "the boot's graphics": needed(
        VGA, after(cards, test_vfio.is_the_boot_vga), "it is the graphics card that the host has booted with"
    ),
    "a management controller": needed(
        NIC, after(cards, test_vfio.is_of_a_bmc), "it is a part of the machine's management controller (BMC)"
    ),
    "driverctl's driver": needed(
        NIC,
        having(cards, {f"/etc/driverctl.d/pci-{NIC}": "uio_pci_generic\n"}),
        f"driverctl gives it to uio_pci_generic at each boot (driverctl unset-override {NIC} would end that)",
    ),
    "ids of somebody else": bound(
        devices({"id": "8086:10d3"}, method="ids"),
        "method",
        "/etc/modprobe.d/gpu.conf sets ids of vfio-pci too, of which the last counts alone: declare its devices here",
        having(cards, {"/etc/modprobe.d/gpu.conf": "options vfio_pci disable_vga=1 ids=10de:128b\n"}),
    ),
    "a bridge": needed(BRIDGE, cards, "it is a bridge, behind which other devices are"),
    # nested_kvm
    "a CPU that cannot": Row(
        "nested_kvm", {}, no_virtualization, "enabled", DECLARATION, "switch it on there, or leave"
    ),
    "nesting in words": Row("nested_kvm", {"enabled": "maybe"}, amd, "enabled", SPEC, "boolean"),
    "nesting of somebody else": Row(
        "nested_kvm",
        {},
        having(amd, {"/etc/modprobe.d/kvm.conf": "options kvm-amd nested=0\n"}),
        "enabled",
        DECLARATION,
        "/etc/modprobe.d/kvm.conf sets nested of kvm_amd already: let one of them set it",
    ),
    # mediated_devices
    "a device without a card": Row(
        "mediated_devices", {"devices": [{"uuid": "x", "type": "y"}]}, virtual_gpus, "parent", SPEC, "missing required"
    ),
    "a name for a UUID": made([{**GPU, "uuid": "gpu0"}], "devices[0].uuid", "such as 6f4a52f8-"),
    "a UUID in braces": made([{**GPU, "uuid": f"{{{GPU['uuid']}}}"}], "devices[0].uuid", GPU["uuid"]),
    "a UUID twice": made([GPU, GPU], "devices", "is declared 2 times"),
    "a card that makes none": made(
        [{**GPU, "parent": "0000:02:00.0"}], "devices[0].parent", "those that do: 0000:3b:00.0, 0000:5e:00.0"
    ),
    "no card that makes any": made(
        [GPU], "devices[0].parent", "is the card's driver loaded?", having(virtual_gpus, {"/sys/class/mdev_bus": None})
    ),
    "a type by its other name": made(
        [{**GPU, "type": "GRID T4-1Q"}], "devices[0].type", "nvidia-35 (GRID T4-1Q), nvid"
    ),
    "more than fit": made(
        [{**GPU, "uuid": GPU["uuid"][:-1] + digit} for digit in "12345"], "devices", "has room for 4 more of nvidia-35"
    ),
    "no mdevctl": made(
        [GPU],
        "devices",
        "which is not installed: the role mediated_devices does that",
        having(virtual_gpus, {"/usr/sbin/mdevctl": None}),
    ),
    "one of somebody else": made(
        [GPU],
        "devices[0].uuid",
        "was not made here: nvidia-36 of 0000:5e:00.0",
        after(virtual_gpus, lambda machine: machine.make(GPU["uuid"], test_mediated_devices.OTHER, "nvidia-36")),
    ),
    "one that somebody has defined": made(
        [GPU],
        "devices[0].uuid",
        "is defined by /etc/mdevctl.d/0000:5e:00.0/",
        having(virtual_gpus, {f"/etc/mdevctl.d/0000:5e:00.0/{GPU['uuid']}": "{}"}),
    ),
    "one that somebody has defined in capitals": made(
        [GPU],
        "devices[0].uuid",
        "already, which was not written here",
        having(virtual_gpus, {f"/etc/mdevctl.d/0000:3b:00.0/{GPU['uuid'].upper()}": "{}"}),
    ),
    "attributes of one that is there": made(
        [{**GPU, "attributes": {"nvidia/vgpu_params": "x=1"}}],
        "devices[0].attributes",
        "leave them out, or remove it (mdevctl stop)",
        after(virtual_gpus, lambda machine: machine.make(GPU["uuid"])),
    ),
    "an attribute that is none": made(
        [{**GPU, "attributes": {"vgpu_params": "x=1"}}],
        "devices[0].attributes.vgpu_params",
        "is no attribute of nvidia-35",
        after(virtual_gpus, lambda machine: machine.make(test_mediated_devices.TWO)),
    ),
    "an attribute that is no text": made(
        [{**GPU, "attributes": {"nvidia/vgpu_params": True}}],
        "devices[0].attributes.nvidia/vgpu_params",
        "is True: write text, such as '1'",
    ),
    "none present": made([], "devices", "write devices, or state: absent to remove them"),
    "some absent": made([GPU], "devices", "it removes all that were made", state="absent"),
    # watchdog
    "no time": fed({"timeout": 0}, "timeout", "write 1 or more seconds"),
    "a time below zero": fed({"timeout": -3}, "timeout", "write 1 or more seconds"),
    "no interval": fed({"interval": 0, "feeder": "daemon"}, "interval", "write 1 or more seconds"),
    "no time to reboot": fed({"reboot_timeout": 0}, "reboot_timeout", "write 1 or more seconds"),
    "fed too late": fed({"interval": 30, "feeder": "daemon"}, "interval", "feed more often"),
    "systemd's tests": fed({"tests": {"ping": "10.0.0.1"}}, "tests", "set feeder: daemon, or leave them out"),
    "a feeder that is none": fed({"feeder": "cron"}, "feeder", "systemd, daemon", kind=SPEC),
    "a watchdog that is not there": fed({"identity": "softdog"}, "identity", "this machine has 'i6300ESB timer'"),
    "no watchdog": fed(
        {}, "identity", "declare one for the VM, or set driver", having(watched, {"/sys/class/watchdog": None})
    ),
    "which of two": fed(
        {},
        "identity",
        "write which of 'i6300ESB timer', 'iTCO_wdt'",
        after(watched, lambda machine: machine.device("watchdog1", "iTCO_wdt")),
    ),
    "a second feeder": fed(
        {}, "feeder", "let one of them do it", after(watched, lambda machine: machine.holds(7, True))
    ),
    "no daemon": fed({"feeder": "daemon"}, "feeder", "install the package watchdog", test_watchdog.Machine),
    "no systemd": fed({}, "systemd", "which starts what feeds a watchdog", having(watched, {"/run": None}), HOST),
    # host
    "a part of a part": Row("host", {"hugepages": ONE["pools"]}, whole, "hugepages", SPEC, "dict"),
    "a part that is none": Row("host", {"huge_pages": ONE}, whole, "huge_pages", SPEC, "hugepages"),
    "one part's argument and another's": Row(
        "host",
        {"rt_host_prep": {"isolated_cpus": "auto"}},
        after(
            whole,
            lambda machine: test_host.carry_out(
                test_host.kernel_cmdline, {"args": ["nohz_full=3"], "state": "present", "owner": "mine"}, machine
            ),
        ),
        "rt_host_prep.kernel_args[2]",
        DECLARATION,
        "owner 'mine' has set 'nohz_full=3': let one of them set it",
    ),
}


def refused(result: dict[str, t.Any], path: str, kind: Kind, remedy: str) -> None:
    """Whether a module has refused that, of this kind, with these words."""
    assert result["failed"]
    message: str = result["msg"]
    assert "Traceback" not in message
    if kind is DECLARATION:
        told = [problem["message"] for problem in result["problems"] if problem["path"] == path]
        assert [one for one in told if remedy in one], result["problems"]
    else:
        assert "problems" not in result
        assert path in message
        assert remedy in message


@pytest.mark.parametrize("check", [False, True], ids=["", "in check mode"])
@pytest.mark.parametrize("what", TABLE)
def test_it_is_refused_and_nothing_is_touched(
    run: t.Callable[[str, Options, Tree], dict[str, t.Any]], what: str, check: bool, tmp_path: Path
) -> None:
    row = TABLE[what]
    machine = row.tree(tmp_path)
    machine.ran.clear()
    before = bytes_of(machine)
    refused(run(row.module, {**row.options, "_ansible_check_mode": check}, machine), row.path, row.kind, row.remedy)
    assert bytes_of(machine) == before
    assert {*machine.ran} <= READING


PARTS = [what for what, row in TABLE.items() if row.module in host_module.ARGUMENTS]


@pytest.mark.parametrize("what", PARTS)
def test_host_refuses_it_by_the_parts_name(
    run: t.Callable[[str, Options, Tree], dict[str, t.Any]], what: str, tmp_path: Path
) -> None:
    row = TABLE[what]
    machine = row.tree(tmp_path)
    machine.ran.clear()
    before = bytes_of(machine)
    path = f"{row.module}.{row.path}" if row.kind is DECLARATION else row.path
    refused(run("host", {row.module: row.options}, machine), path, row.kind, row.remedy)
    assert bytes_of(machine) == before
    assert {*machine.ran} <= READING


GOOD: dict[str, tuple[str, Options, Make]] = {
    "arguments": ("kernel_cmdline", args("quiet", "nohz_full=2"), debian),
    "a kernel": ("default_kernel", {"kernel": "realtime"}, kernels),
    "pages": ("hugepages", pools(("1G", 4, 0)), pages),
    "pages without systemd": ("hugepages", pools(("1G", 4), mounts=False), no_systemd),
    "CPUs": ("rt_host_prep", {"isolated_cpus": "auto"}, realtime),
    "a card": ("iommu_vfio", CARD, cards),
    "nesting": ("nested_kvm", {}, amd),
    "a virtual GPU": ("mediated_devices", {"devices": [GPU]}, virtual_gpus),
    "a watchdog": ("watchdog", {}, watched),
    "a host": ("host", {"rt_host_prep": {"isolated_cpus": "auto"}, "hugepages": ONE}, whole),
}


@pytest.mark.parametrize("what", GOOD)
def test_what_is_right_goes_on_to_the_host(
    run: t.Callable[[str, Options, Tree], dict[str, t.Any]], what: str, tmp_path: Path
) -> None:
    """The control of this file: without it, a module that refuses all would pass."""
    module, options, make = GOOD[what]
    with pytest.raises(Touched):
        run(module, options, make(tmp_path))


def test_the_table_is_as_large_as_was_promised() -> None:
    assert len(TABLE) >= 60
    assert {row.module for row in TABLE.values()} == {module for module, _options, _make in GOOD.values()}


def test_a_task_without_root_is_told_what_it_lacks(
    run: t.Callable[[str, Options, Tree], dict[str, t.Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Tree(tmp_path)

    def closed(*_arguments: t.Any) -> t.NoReturn:
        raise PermissionError(13, "Permission denied", "/var/lib/rtvirt")

    monkeypatch.setattr(machine, "names", closed)
    result = run("hugepages", {"pools": [{"size": "2M", "count": 1}]}, machine)
    assert result["msg"] == "/var/lib/rtvirt: Permission denied: run the task as root (become: true)"
