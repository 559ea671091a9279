# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""rt_host_prep on a tree of files; its settings are seen at work in the lab host."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.kernel_arguments import problems_of
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks import rt_host_prep
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.tree import Tree, carry_out

DEFAULTS: dict[str, t.Any] = {name: option.get("default") for name, option in rt_host_prep.ARGUMENTS.items()}
SYSCTL = "/etc/sysctl.d/zz-rtvirt.conf"


class Machine(Tree):
    def __init__(self, root: Path, vendor: str = "GenuineIntel") -> None:
        super().__init__(root)
        self.told: list[str] = []
        self.refuses = ""
        self.put("/sys/devices/system/cpu/online", "0-3\n")
        for cpu in range(4):
            self.put(f"/sys/devices/system/cpu/cpu{cpu}/topology/core_cpus_list", f"{cpu}\n")
        self.put("/sys/devices/system/node/node0/cpulist", "0-1\n")
        self.put("/sys/devices/system/node/node1/cpulist", "2-3\n")
        self.put("/sys/devices/system/node/node2/cpulist", "\n")
        self.put("/proc/cpuinfo", f"processor\t: 0\nvendor_id\t: {vendor}\n")
        self.put("/proc/sys/kernel/timer_migration", "1\n")
        self.put("/proc/sys/kernel/sched_rt_runtime_us", "950000\n")
        self.put("/proc/sys/vm/swappiness", "60\n")
        self.put("/sys/kernel/mm/ksm/run", "0\n")
        self.put("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n")
        self.put("/sys/devices/virtual/workqueue/cpumask", "f\n")
        self.put("/sys/module/kvm/parameters/nx_huge_pages", "N\n")
        self.put("/sys/module/kvm/refcnt", "0\n")

    def tell(self, path: str, value: str) -> None:
        if self.refuses and path.endswith(self.refuses):
            raise OSError(22, "Invalid argument")
        self.told.append(path)
        text = {"never": "always madvise [never]\n", "madvise": "always [madvise] never\n"}.get(value, f"{value}\n")
        self.put(path, text)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def run(machine: Machine, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    return carry_out(rt_host_prep, {**DEFAULTS, **options}, machine, check=check)


def test_a_realtime_host(machine: Machine) -> None:
    files = machine.files()
    predicted = run(machine, check=True, isolated_cpus="auto")
    assert machine.files() == files
    done = run(machine, isolated_cpus="auto")
    assert done == predicted
    assert (done["isolated_cpus"], done["housekeeping_cpus"]) == ("1,3", "0,2")
    for argument in (
        "isolcpus=managed_irq,domain,1,3",
        "nohz_full=1,3",
        "rcu_nocbs=1,3",
        "irqaffinity=0,2",
        "intel_pstate=disable",
        "cpufreq.default_governor=performance",
    ):
        assert argument in done["kernel_args"]
        assert done["reasons"][argument]
    assert problems_of(done["kernel_args"]) == []
    assert machine.word("/proc/sys/kernel/sched_rt_runtime_us") == "-1"
    assert machine.word("/sys/devices/virtual/workqueue/cpumask") == "5"
    assert machine.word("/sys/kernel/mm/transparent_hugepage/enabled") == "always madvise [never]"
    assert "-kernel.sched_rt_runtime_us = -1\n" in (machine.read(SYSCTL) or "")
    assert "CPUAffinity=0 2\n" in (machine.read("/etc/systemd/system.conf.d/zz-rtvirt.conf") or "")
    assert "options kvm nx_huge_pages=0\n" in (machine.read("/etc/modprobe.d/zz-rtvirt-realtime.conf") or "")
    # There is no such attribute on this host.
    assert not machine.exists("/proc/sys/kernel/numa_balancing")


def test_a_second_run_writes_nothing(machine: Machine) -> None:
    run(machine, isolated_cpus="auto")
    files = machine.files()
    machine.told.clear()
    again = run(machine, isolated_cpus="auto")
    assert not again["changed"]
    assert again["diff"] == machine.told == []
    assert machine.files() == files


def test_it_goes_as_it_came(machine: Machine) -> None:
    files = machine.files()
    run(machine, isolated_cpus="auto")
    run(machine, isolated_cpus="2-3", workload="dpdk")
    assert machine.word("/proc/sys/kernel/sched_rt_runtime_us") == "950000"
    run(machine, isolated_cpus="2-3")
    done = run(machine, state="absent")
    assert done["changed"]
    assert done["kernel_args"] == []
    assert machine.files() == files
    assert not run(machine, state="absent")["changed"]


def test_a_setting_that_somebody_has_changed_is_brought_back(machine: Machine) -> None:
    run(machine, isolated_cpus="auto")
    machine.put("/sys/kernel/mm/ksm/run", "1\n")
    machine.put(SYSCTL, "kernel.timer_migration = 1\n")
    predicted = run(machine, check=True, isolated_cpus="auto")
    assert [one["before_header"] for one in predicted["diff"]] == ["the running kernel", SYSCTL]
    assert run(machine, isolated_cpus="auto")["changed"]
    assert machine.word("/sys/kernel/mm/ksm/run") == "2"


def test_another_kernel_that_has_fewer_attributes(machine: Machine) -> None:
    """A real-time kernel has no automatic NUMA balancing."""
    machine.put("/proc/sys/kernel/numa_balancing", "1\n")
    run(machine, isolated_cpus="auto")
    (machine.root / "proc/sys/kernel/numa_balancing").unlink()
    assert not run(machine, isolated_cpus="auto")["changed"]
    machine.put("/proc/sys/kernel/numa_balancing", "0\n")
    run(machine, state="absent")
    assert machine.word("/proc/sys/kernel/numa_balancing") == "1"


def test_a_dpdk_host(machine: Machine) -> None:
    done = run(machine, isolated_cpus="2-3", workload="dpdk")
    assert "isolcpus=managed_irq,2-3" in done["kernel_args"]
    assert "skew_tick=1" not in done["kernel_args"]
    assert machine.word("/proc/sys/kernel/sched_rt_runtime_us") == "950000"
    assert done["warnings"] == [
        "NUMA node 1 has isolated CPUs and none that keeps house: interrupts of its devices go to another node"
    ]


@pytest.mark.parametrize(
    ("vendor", "pstate"), [("GenuineIntel", "intel_pstate"), ("AuthenticAMD", "amd_pstate"), ("Other", None)]
)
def test_the_clock_by_the_vendors_driver(tmp_path: Path, vendor: str, pstate: str | None) -> None:
    args = run(Machine(tmp_path, vendor), isolated_cpus="auto")["kernel_args"]
    assert [one for one in args if "pstate" in one] == ([f"{pstate}=disable"] if pstate else [])
    assert not any("amd_iommu" in one for one in args)


def test_irqbalance_where_it_is_installed(machine: Machine) -> None:
    path = "/etc/systemd/system/irqbalance.service.d/zz-rtvirt.conf"
    run(machine, isolated_cpus="auto")
    assert not machine.exists(path)
    machine.put("/usr/sbin/irqbalance", "")
    run(machine, isolated_cpus="auto")
    assert "IRQBALANCE_BANNED_CPULIST=1,3\n" in (machine.read(path) or "")


def test_tuned_that_does_the_same(machine: Machine) -> None:
    machine.put("/etc/tuned/active_profile", "realtime-virtual-host\n")
    files = machine.files()
    with pytest.raises(RtvirtError, match="TuneD's profile realtime-virtual-host"):
        run(machine, isolated_cpus="auto")
    assert machine.files() == files
    machine.put("/etc/tuned/active_profile", "virtual-host\n")
    run(machine, isolated_cpus="auto")


def test_what_the_kernel_does_not_take(machine: Machine) -> None:
    machine.refuses = "sched_rt_runtime_us"
    with pytest.raises(RtvirtError, match=r"sched_rt_runtime_us: the kernel does not take -1: Invalid argument"):
        run(machine, isolated_cpus="auto")
    machine.refuses = ""
    files = Machine(machine.root / "other").files()
    assert run(machine, isolated_cpus="auto")["changed"]
    run(machine, state="absent")
    assert {path for path in machine.files() if not path.startswith("other/")} == {*files}
