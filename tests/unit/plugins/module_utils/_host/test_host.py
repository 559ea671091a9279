# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""host: all parts in one task, on a recorded machine with Debian's boot menu."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Ran
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks import host, kernel_cmdline
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host import bootloader_tools
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.test_default_kernel import with_kernels
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.tree import carry_out

MENU = "/boot/grub/grub.cfg"
CPUS = {"isolated_cpus": "auto"}
POOLS = {"pools": [{"size": "2M", "count": 16, "node": 0}], "mounts": False}
NIC = {"devices": [{"address": "0000:01:00.0"}]}
REALTIME = {"kernel": "realtime"}
ABSENT = {"state": "absent"}


class Machine(bootloader_tools.Machine):
    def tell(self, path: str, value: str) -> None:
        """Pages that are reserved are free."""
        value += "\n"
        super().tell(path, value)
        if path.endswith("/nr_hugepages"):
            super().tell(path.replace("nr_hugepages", "free_hugepages"), value)


def options(**parts: dict[str, t.Any]) -> dict[str, t.Any]:
    """The task's options as the argument spec completes them."""
    return {
        name: completed(spec["options"], parts[name]) if name in parts else None
        for name, spec in host.ARGUMENTS.items()
    }


def completed(spec: dict[str, t.Any], given: dict[str, t.Any]) -> dict[str, t.Any]:
    every = {name: given.get(name, option.get("default")) for name, option in spec.items()}
    return {
        name: [completed(spec[name]["options"], one) for one in value] if "options" in spec[name] else value
        for name, value in every.items()
    }


def run(machine: Machine, *, check: bool = False, **parts: dict[str, t.Any]) -> dict[str, t.Any]:
    return carry_out(host, options(**parts), machine, check=check)


def problems(machine: Machine, **parts: dict[str, t.Any]) -> list[str]:
    before = machine.files()
    with pytest.raises(DeclarationError) as error:
        run(machine, **parts)
    assert (machine.files(), machine.ran) == (before, [])
    return [problem.path for problem in error.value.problems]


def laid_out(root: Path) -> Machine:
    machine = bootloader_tools.debianized(Machine(root))
    with_kernels(machine)
    machine.lay_out("amd-2-nodes")
    machine.ran.clear()
    return machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return laid_out(tmp_path)


def test_all_mistakes_are_told_together(machine: Machine) -> None:
    assert problems(
        machine,
        rt_host_prep={"isolated_cpus": "7"},
        default_kernel={"kernel": "6.6.6"},
        hugepages={"pools": [{"size": "2M", "count": 1, "node": 0}, {"size": "x", "count": -1}]},
        iommu_vfio={"devices": [{"address": "0000:00:03.0"}]},
        nested_kvm=ABSENT,
    ) == [
        "rt_host_prep.isolated_cpus",
        "hugepages.pools[1].size",
        "hugepages.pools[1].count",
        "iommu_vfio.devices[0]",
        "default_kernel.kernel",
    ]


def test_an_argument_of_somebody_else(machine: Machine) -> None:
    machine.put("/etc/default/grub", 'GRUB_CMDLINE_LINUX="isolcpus=3 iommu=off"\n')
    machine.answer(["update-grub"])
    # The first of its arguments, and the second part's only one.
    places = ["rt_host_prep.kernel_args[0]", "iommu_vfio.kernel_args[0]"]
    assert problems(machine, rt_host_prep=CPUS, iommu_vfio=NIC) == places


def test_an_owner_of_the_users(machine: Machine) -> None:
    carry_out(kernel_cmdline, {"args": ["nohz_full=3"], "state": "present", "owner": "mine"}, machine)
    machine.ran.clear()
    with pytest.raises(
        DeclarationError, match=r"kernel_args\[\d\]: 'nohz_full=1,3': owner 'mine' has set 'nohz_full=3'"
    ):
        run(machine, rt_host_prep=CPUS)
    assert machine.ran == []


def test_what_is_predicted_is_done(machine: Machine) -> None:
    before = machine.files()
    parts = {"rt_host_prep": CPUS, "hugepages": POOLS, "default_kernel": REALTIME}
    predicted = run(machine, check=True, **parts)
    assert (machine.files(), machine.ran) == (before, [])
    done = run(machine, **parts)
    assert done == predicted
    assert (done["changed"], done["reboot_required"]) == (True, True)
    # For the kernel, and once for all arguments.
    assert machine.ran == [("update-grub",)] * 2
    menu = machine.read(MENU) or ""
    for argument in (*done["rt_host_prep"]["kernel_args"], *done["hugepages"]["kernel_args"]):
        assert menu.count(f" {argument}") >= 3
    assert {*done["kernel_cmdline"]["missing"]} >= {*done["hugepages"]["kernel_args"]}
    assert {one["after_header"] for one in done["diff"]} >= {"/sys/devices/system/node", "/etc/sysctl.d/zz-rtvirt.conf"}

    machine.ran.clear()
    again = run(machine, **parts)
    assert (again["changed"], again["diff"], machine.ran) == (False, [], [])


def test_devices_are_predicted(machine: Machine) -> None:
    """A tree of files has no kernel that binds them."""
    predicted = run(machine, check=True, iommu_vfio=NIC, default_kernel=REALTIME)
    assert [one["driver"] for one in predicted["iommu_vfio"]["devices"]] == ["vfio-pci"]
    assert predicted["kernel_cmdline"]["missing"] == ["iommu=pt"]
    assert predicted["reboot_required"]


def test_a_part_that_is_left_out_stays(machine: Machine) -> None:
    before = machine.files()
    run(machine, rt_host_prep=CPUS)
    alone = machine.files()
    run(machine, hugepages=POOLS)
    assert "isolcpus" in (machine.read(MENU) or "")
    run(machine, hugepages=ABSENT)
    assert machine.files() == alone
    run(machine, rt_host_prep=ABSENT)
    assert machine.files() == before


def test_without_arguments_the_boot_loader_is_left_alone(machine: Machine) -> None:
    (machine.root / MENU.lstrip("/")).unlink()
    done = run(machine, nested_kvm={}, hugepages={**POOLS, "at_boot": "none"})
    assert "kernel_cmdline" not in done


def test_pages_that_are_given_back_are_no_reason_to_reboot(machine: Machine) -> None:
    parts = {"rt_host_prep": CPUS, "hugepages": {**POOLS, "default_size": "2M"}, "iommu_vfio": ABSENT}
    menu = run(machine, **parts)["kernel_cmdline"]["entries"][0]["args"]
    machine.put("/proc/cmdline", f"BOOT_IMAGE=/vmlinuz {' '.join(menu)}\n")
    assert not run(machine, **parts)["reboot_required"]
    for beside in ({}, {"rt_host_prep": CPUS}):
        done = run(machine, hugepages={**ABSENT, "default_size": "2M"}, **beside)
        assert (done["hugepages"]["kernel_args"], done["reboot_required"]) == ([], False)
    assert "hugepages" not in (machine.read(MENU) or "")
    assert run(machine, rt_host_prep=ABSENT)["reboot_required"]


def test_tuned_takes_over_and_lets_go(machine: Machine) -> None:
    """Its arguments of before do not stand in the way of ours after it, nor does what it has running."""
    of_tuned = "isolcpus=managed_irq,domain,1,3"
    machine.put("/usr/sbin/tuned-adm", "")
    machine.put("/usr/lib/tuned/realtime-virtual-host/tuned.conf", "")
    machine.put("/etc/tuned/active_profile", "balanced\n")

    def tuned_adm(_verb: str, profile: str) -> Ran:
        machine.put("/etc/tuned/active_profile", f"{profile}\n")
        line = of_tuned if profile == "rtvirt" else ""
        machine.put("/etc/tuned/bootcmdline", f'TUNED_BOOT_CMDLINE="{line}"\n')
        return Ran(0, "", "")

    machine.has("tuned-adm", tuned_adm)
    by_tuned = {**CPUS, "tuned_profile": "realtime-virtual-host"}
    assert run(machine, rt_host_prep=by_tuned, hugepages=POOLS)["reboot_required"]
    machine.put("/proc/cmdline", f"root=UUID=1f2e ro quiet hugepagesz=2M hugepages=0:16 {of_tuned}\n")
    booted = run(machine, rt_host_prep=by_tuned, hugepages=POOLS)
    assert (booted["changed"], booted["reboot_required"]) == (False, False)
    for check in (True, False):
        own = run(machine, rt_host_prep=CPUS, hugepages=POOLS, check=check)
        assert (own["changed"], own["reboot_required"]) == (True, True)
    assert of_tuned in (machine.read(MENU) or "")


def test_tuned_sets_it_too(machine: Machine) -> None:
    machine.put("/etc/tuned/active_profile", "site\n")
    machine.put("/etc/tuned/bootcmdline", 'TUNED_BOOT_CMDLINE="nohz_full=2 skew_tick=1"\n')
    with pytest.raises(DeclarationError, match=r"'nohz_full=1,3': TuneD \(site\) sets 'nohz_full=2'"):
        run(machine, rt_host_prep=CPUS)


def test_pools_that_are_there_need_no_reboot(machine: Machine) -> None:
    done = run(machine, hugepages=POOLS)
    assert (done["changed"], done["reboot_required"]) == (True, False)
    assert done["kernel_cmdline"]["missing"] != []


def test_nothing_is_declared(machine: Machine) -> None:
    assert run(machine) == {"changed": False, "reboot_required": False, "warnings": [], "diff": []}
