# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""verify_realtime on a tree of proc and sysfs. A lab host and a real VM are looked at in the integration tests."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host import verification
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Ran
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks import verify_realtime
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.tree import Tree, carry_out

#: As rt-tests 2.4 prints it.
MEASURED = """# /dev/cpu_dma_latency set to 0us
policy: fifo: loadavg: 0.22 0.07 0.01 1/118 2064

T: 0 ( 2062) P:95 I:1000 C:   4990 Min:      4 Act:    9 Avg:    8 Max:      61
T: 1 ( 2063) P:95 I:1500 C:   3326 Min:      5 Act:    7 Avg:   10 Max:      23
"""
CPUS = "/sys/devices/system/cpu"


class Machine(Tree):
    """A host with CPUs 0 to 7, of which 2 to 7 are for VMs, and nothing that is to be found."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.put("/proc/sys/kernel/version", "#1 SMP PREEMPT_RT Debian 6.1")
        self.put("/proc/sys/kernel/osrelease", "6.1.0-rt")
        self.put("/proc/cmdline", "ro")
        self.put("/proc/sys/kernel/sched_rt_runtime_us", "-1\n")
        self.put("/proc/sys/kernel/numa_balancing", "0\n")
        self.put("/sys/kernel/mm/ksm/run", "2\n")
        self.put(f"{CPUS}/online", "0-7\n")
        self.put(f"{CPUS}/isolated", "2-7\n")
        self.put(f"{CPUS}/nohz_full", "2-7\n")
        for cpu in range(8):
            self.put(f"{CPUS}/cpu{cpu}/cpufreq/scaling_governor", "performance\n")
        self.interrupts({3: 5})
        self.put("/usr/bin/cyclictest", "")
        self.put("/proc/self/status", "Name:\tpython3\nCpus_allowed_list:\t0-1\n")
        self.printed, self.warned = MEASURED, ""

    def interrupts(self, more: dict[int, int], action: str = "nvme0q3") -> None:
        """:arg more: how often one came, by CPU."""
        rows = [
            "            " + " ".join(f"CPU{cpu}" for cpu in range(8)),
            f"  24: {' '.join(str(more.get(cpu, 0)) for cpu in range(8))}  IR-PCI-MSI 524288-edge      {action}",
            f" LOC: {' '.join('9' * 3 for _cpu in range(8))}   Local timer interrupts",
        ]
        self.put("/proc/interrupts", "\n".join(rows))

    def vm(self, name: str, pid: int, *threads: tuple[str, str, int, int], swap: int = 0) -> None:
        """:arg threads: name, where it may run, policy and priority."""
        self.put(f"/proc/{pid}/cmdline", f"/usr/bin/qemu-system-x86_64\0-name\0guest={name},debug-threads=on\0")
        self.put(f"/proc/{pid}/status", f"Name:\tqemu\nVmSwap:\t{swap} kB\n")
        for number, (comm, cpus, policy, priority) in enumerate(threads, pid):
            fields = ["S", *["0"] * 36, str(priority), str(policy), "0"]
            self.put(f"/proc/{pid}/task/{number}/stat", f"{number} ({comm}) {' '.join(fields)}\n")
            self.put(f"/proc/{pid}/task/{number}/status", f"Name:\t{comm}\nCpus_allowed_list:\t{cpus}\n")

    def answer(self, command: t.Sequence[str]) -> Ran:
        return Ran(0, self.printed, self.warned)


RT1 = (("qemu-kvm", "0-1", 0, 0), ("CPU 0/KVM", "2", 1, 1), ("CPU 1/KVM", "3", 1, 1), ("IO (1) x", "0-1", 0, 0))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_WINDOW", 0)


def look(machine: Machine, **options: t.Any) -> dict[str, t.Any]:
    given = {"vms": [], "isolated_cpus": None, "measure": None, "report_only": True, **options}
    if given["measure"] is not None:
        given["measure"] = {"seconds": 5, "limit": None, "cpus": None, **given["measure"]}
    return carry_out(verify_realtime, given, machine)


def found(machine: Machine, **options: t.Any) -> list[tuple[str, str]]:
    return [(one["about"], one["message"]) for one in look(machine, **options)["findings"]]


def test_nothing_is_found(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.vm("rt1", 1000, *RT1)
    machine.vm("plain", 2000, ("CPU 0/KVM", "0-1", 0, 0))
    result = look(machine, report_only=False)
    assert (result["passed"], result["changed"], result["isolated"], result["latencies"]) == (True, False, "2-7", [])
    assert result["vms"] == [
        {
            "name": "rt1",
            "vcpus": [
                {"vcpu": 0, "cpus": "2", "scheduler": "fifo", "priority": 1},
                {"vcpu": 1, "cpus": "3", "scheduler": "fifo", "priority": 1},
            ],
        }
    ]


def test_linux_6_12_gives_time_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen on Linux 6.18: an ordinary task had 4 % of a CPU beside a FIFO one, and debugfs answered EPERM to root."""
    machine = Machine(tmp_path)
    folder = "/sys/kernel/debug/sched/fair_server"
    for cpu in range(8):
        machine.put(f"{folder}/cpu{cpu}/runtime", "50000000\n" if cpu in (0, 3) else "0\n")
    [warning] = look(machine)["warnings"]
    assert f"on CPUs 3 ({folder}/cpu*/runtime), if vCPUs there never rest" in warning
    machine.put(f"{folder}/cpu3/runtime", "0\n")
    assert look(machine)["warnings"] == []
    real = machine.read

    def closed(path: str) -> str | None:
        if path.startswith(folder):
            raise RtvirtError(f"{path}: cannot be read")
        return real(path)

    monkeypatch.setattr(machine, "read", closed)
    [warning] = look(machine)["warnings"]
    assert "on CPUs 2-7 (" in warning
    assert "locked down" in warning


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("/proc/sys/kernel/version", "#1 SMP PREEMPT_DYNAMIC", "the kernel 6.1.0-rt is no real-time one"),
        (f"{CPUS}/isolated", "\n", "no CPU is isolated"),
        (f"{CPUS}/nohz_full", "(null)\n", "the timer ticks on CPUs 2-7, which are not in nohz_full"),
        ("/proc/sys/kernel/sched_rt_runtime_us", "950000\n", "/proc/sys/kernel/sched_rt_runtime_us is 950000, not -1"),
        ("/proc/sys/kernel/numa_balancing", "1\n", "numa_balancing is 1, not 0"),
        ("/sys/kernel/mm/ksm/run", "1\n", "/sys/kernel/mm/ksm/run is 1, not 0 or 2"),
        (f"{CPUS}/cpu5/cpufreq/scaling_governor", "powersave\n", "CPUs 5 change their frequency"),
    ],
)
def test_what_a_host_lacks(tmp_path: Path, path: str, text: str, message: str) -> None:
    machine = Machine(tmp_path)
    machine.put(path, text)
    [(about, told)] = found(machine)
    assert about == "host"
    assert message in told
    with pytest.raises(RtvirtError, match=r"^real time is not in force, 1 findings: host: ") as failed:
        look(machine, report_only=False)
    assert failed.value.details["passed"] is False


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ("nvme0q3", [("host", "interrupt 24 (nvme0q3) came to CPUs 3, which are isolated")]),
        # Of a device that a VM has, and of each CPU itself on ARM.
        ("vfio-msix[0](0000:01:00.0)", []),
        ("arch_timer", []),
        ("kvm guest vtimer", []),
        (
            "i801_smbus, vfio-intx(0000:01:00.0)",
            [("host", "interrupt 24 (i801_smbus, vfio-intx(0000:01:00.0)) came to CPUs 3, which are isolated")],
        ),
    ],
)
def test_interrupts_that_come_to_isolated_cpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str, told: list[tuple[str, str]]
) -> None:
    machine = Machine(tmp_path)
    machine.interrupts({0: 1, 3: 5}, action)
    monkeypatch.setattr(verification.time, "sleep", lambda _seconds: machine.interrupts({0: 2, 3: 6}, action))
    assert found(machine) == told


@pytest.mark.parametrize(
    ("threads", "message"),
    [
        ((("CPU 0/KVM", "2-3", 1, 1),), "vCPU 0 (fifo 1) is not pinned: it may run on CPUs 2-3"),
        ((("CPU 0/KVM", "1", 2, 5),), "vCPU 0 (rr 5) is on CPU 1, which is not isolated"),
        ((("CPU 0/KVM", "2", 1, 1), ("IO iothread1", "2-3", 0, 0)),
         "vCPU 0 (fifo 1) has not CPU 2 for itself: IO iothread1 of rt1 may run there too"),
        ((("CPU 0/KVM", "4", 1, 1),),
         "vCPU 0 (fifo 1) has not CPU 4 for itself: CPU 0/KVM, CPU 1/KVM of web may run there too"),
    ],
)  # fmt: skip
def test_what_a_vm_lacks(tmp_path: Path, threads: tuple[tuple[str, str, int, int], ...], message: str) -> None:
    machine = Machine(tmp_path)
    machine.vm("rt1", 1000, *threads)
    machine.vm("web", 2000, ("CPU 0/KVM", "4-5", 0, 0), ("CPU 1/KVM", "4-5", 0, 0))
    assert found(machine) == [("rt1", message)]


def test_a_vm_that_is_to_have_real_time(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.vm("web", 2000, ("CPU 0/KVM", "4-5", 0, 0), swap=12)
    assert found(machine) == []
    assert found(machine, vms=["web"]) == [
        ("web", "no vCPU has a real-time scheduler"),
        ("web", "12 KiB of its memory are swapped out"),
    ]
    with pytest.raises(DeclarationError, match=r"^vms\[0\]: no VM 'rt1' runs on this host: web"):
        look(machine, vms=["rt1"])


def test_a_node_where_isolation_comes_with_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices may interrupt CPUs that no real-time VM has, and their governor is as it likes."""
    machine = Machine(tmp_path)
    machine.put(f"{CPUS}/isolated", "\n")
    machine.put(f"{CPUS}/cpu5/cpufreq/scaling_governor", "schedutil\n")
    machine.vm("rt1", 1000, *RT1)
    monkeypatch.setattr(verification.time, "sleep", lambda _seconds: machine.interrupts({2: 1, 5: 9}))
    assert found(machine, isolated_cpus="2-7") == [
        ("host", "interrupt 24 (nvme0q3) came to CPUs 2, which are isolated")
    ]


def test_cpus_that_the_kernel_does_not_call_isolated(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.put(f"{CPUS}/isolated", "\n")
    machine.vm("rt1", 1000, *RT1)
    assert look(machine, isolated_cpus="2-7")["passed"]
    # Of a partition of cpusets.
    machine.put("/sys/fs/cgroup/cpuset.cpus.isolated", "2-7\n")
    assert look(machine)["passed"]
    with pytest.raises(DeclarationError, match=r"^isolated_cpus: "):
        look(machine, isolated_cpus="x")


def test_it_measures_what_no_realtime_vm_has(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.put(f"{CPUS}/isolated", "2-5\n")
    machine.put(f"{CPUS}/nohz_full", "2-5\n")
    machine.vm("rt1", 1000, *RT1)
    result = look(machine, measure={"limit": 60})
    [command] = machine.ran
    # Where it may be itself as well, as it was before version 2.2 cut down to that.
    assert command[:5] == ("taskset", "-c", "0-1,4-5", "cyclictest", "--laptop")
    assert command[5:] == ("-q", "-m", "-D", "5", "-a", "4-5", "-t", "2", "-p", "95", "-i", "1000")
    assert result["latencies"] == [
        {"cpu": 4, "min": 4, "avg": 8, "max": 61},
        {"cpu": 5, "min": 5, "avg": 10, "max": 23},
    ]
    assert result["findings"] == [{"about": "host", "message": "CPU 4 woke up 61 us late, and 60 is the limit"}]
    machine.ran.clear()
    carry_out(
        verify_realtime,
        {
            "vms": [],
            "isolated_cpus": None,
            "measure": {"seconds": 5, "limit": None, "cpus": "6-7"},
            "report_only": False,
        },
        machine,
        check=True,
    )
    assert machine.ran == []
    told = "cyclictest has not measured all of CPUs 4-5: "
    for printed, warned in (
        ("# /dev/cpu_dma_latency set to 0us\n", ""),
        (MEASURED.replace("C:   4990", "C:      0"), ""),
        (MEASURED, "WARN: Could not set CPU affinity to CPU #4\n"),
    ):
        machine.printed, machine.warned = printed, warned
        [(about, message)] = found(machine, measure={})
        assert (about, message[: len(told)]) == ("host", told)


def test_a_host_whose_cpus_all_have_vms(tmp_path: Path) -> None:
    """Nothing is left to be measured, and the rest is told all the same."""
    machine = Machine(tmp_path)
    machine.vm("rt1", 1000, ("CPU 0/KVM", "2-7", 1, 1))
    result = look(machine, measure={"limit": 60})
    assert (machine.ran, result["latencies"], len(result["findings"])) == ([], [], 1)
    assert result["warnings"] == ["nothing is measured: no isolated CPU is free of real-time VMs"]


def test_the_kernels_own_thread_of_a_vm(tmp_path: Path) -> None:
    """It has the CPU of the vCPU that came first. Without pages to recover it never runs again."""
    machine = Machine(tmp_path)
    machine.vm("rt1", 1000, *RT1, ("kvm-nx-lpage-re", "2", 1, 1))
    machine.put("/sys/module/kvm/parameters/nx_huge_pages", "Y\n")
    assert found(machine) == [
        ("rt1", "vCPU 0 (fifo 1) has not CPU 2 for itself: kvm-nx-lpage-re of rt1 may run there too")
    ]
    machine.put("/sys/module/kvm/parameters/nx_huge_pages", "N\n")
    assert found(machine) == []


def test_hyper_threads(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for cpu in range(8):
        machine.put(f"{CPUS}/cpu{cpu}/topology/core_cpus_list", f"{cpu % 4},{cpu % 4 + 4}\n")
    machine.vm("rt1", 1000, ("CPU 0/KVM", "5", 1, 1), ("CPU 1/KVM", "2", 1, 1), ("CPU 2/KVM", "6", 1, 1))
    machine.vm("rt2", 2000, ("CPU 0/KVM", "3", 1, 1))
    machine.vm("web", 3000, ("CPU 0/KVM", "7", 0, 0))
    assert found(machine) == [
        ("rt1", "vCPU 0 (fifo 1) shares the core of CPU 5 with CPU 1, which is not isolated"),
        ("rt2", "vCPU 0 (fifo 1) shares the core of CPU 3 with CPU 0/KVM of web"),
    ]


def test_two_vms_of_one_name(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for pid in (1000, 2000):
        machine.vm("rt1", pid, ("CPU 0/KVM", "2", 1, 1))
    told = ("rt1", "vCPU 0 (fifo 1) has not CPU 2 for itself: CPU 0/KVM of rt1 may run there too")
    assert found(machine) == [told, told]


def test_a_qemu_whose_threads_have_no_names(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.vm("rt1", 1000, ("qemu-kvm", "0-1", 0, 0), ("qemu-kvm", "2", 1, 1))
    assert found(machine) == [("rt1", "its vCPUs cannot be told: QEMU runs without -name debug-threads=on")]
    # It is not measured where it may run.
    look(machine, measure={})
    assert "3-7" in machine.ran[0]


def test_cpus_that_are_offline(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.put(f"{CPUS}/online", "0-5\n")
    assert look(machine)["isolated"] == "2-5"
    with pytest.raises(DeclarationError, match="isolated_cpus: CPUs 6-7 are not online: online are 0-5"):
        look(machine, isolated_cpus="2-7")


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        ({"seconds": 0}, "measure.seconds: is 0: write 1 or more"),
        ({"limit": 0}, "measure.limit: is 0: write 1 or more"),
        ({"cpus": "6-9"}, "measure.cpus: CPUs 8-9 are not online: online are 0-7"),
        ({"cpus": "2-4"}, "measure.cpus: CPUs 2-3 are of real-time VMs: leave them out"),
        ({"cpus": "x"}, "measure.cpus: "),
    ],
)
def test_what_cannot_be_measured(tmp_path: Path, measure: dict[str, t.Any], message: str) -> None:
    machine = Machine(tmp_path)
    machine.vm("rt1", 1000, *RT1)
    with pytest.raises(DeclarationError, match=message):
        look(machine, measure=measure)
    (tmp_path / "usr/bin/cyclictest").unlink()
    with pytest.raises(DeclarationError, match="measure: needs cyclictest: install rt-tests"):
        look(machine, measure={})
