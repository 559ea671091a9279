# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dedicated CPUs of the real host: two VMs never share one."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils.converters import cpuset
from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import TaskError, run, run_one, start

ALL = sorted(os.sched_getaffinity(0))
POOL = f"{ALL[0]},{ALL[1]}" if len(ALL) > 1 else str(ALL[0])

pytestmark = [
    pytest.mark.usefixtures("free_cpus"),
    pytest.mark.skipif(len(ALL) < 2, reason="placing two VMs needs two CPUs"),
]


def dedicated(bed: Bed, short: str, **options: t.Any) -> dict[str, t.Any]:
    return bed.bare(short, **{"cpu_cores": 1, "dedicated_cpus": True, "cpu_pool": POOL, **options})


def cpu(result: dict[str, t.Any]) -> int:
    (number,) = result["pins"]["vcpus"]["0"]
    return int(number)


def check_refused(bed: Bed, result: TaskError) -> None:
    assert "1 dedicated CPUs are needed and 0 are free" in result.msg
    assert "give a larger cpu_pool or fewer vCPUs" in result.msg
    assert result.msg.startswith("dedicated_cpus")
    assert bed.files() == []
    assert sorted(bed.domains()) == [bed.name("one"), bed.name("two")]


@pytest.mark.parametrize("state", ["present", "running"])
def test_two_vms_never_share_a_cpu_and_a_third_is_refused(bed: Bed, state: str) -> None:
    """Pins of a VM that is defined and does not run hold their CPU as well."""
    placed = [run_one(**dedicated(bed, short, state=state)) for short in ("one", "two")]
    assert sorted(map(cpu, placed)) == ALL[:2]
    for check in (True, False):
        with pytest.raises(TaskError) as refused:
            run(check=check, **dedicated(bed, "three", state=state, disks=[bed.disk("root")]))
        check_refused(bed, refused.value)
    assert [run_one(**dedicated(bed, short, state=state))["changed"] for short in ("one", "two")] == [False, False]
    run_one(name=bed.name("one"), state="absent", force=True, wait_timeout=0)
    assert cpu(run_one(**dedicated(bed, "three"))) == cpu(placed[0])


def test_vms_of_one_task_never_share_a_cpu(bed: Bed) -> None:
    own = dedicated(bed, "x")
    del own["name"]
    names = [{"name": bed.name(short)} for short in ("one", "two")]
    assert sorted(map(cpu, run(vms=names, **own)["vms"])) == ALL[:2]
    run(vms=names, state="absent")
    with pytest.raises(TaskError, match=f"^dedicated_cpus: {bed.name('three')}: could not fit"):
        run(vms=[*names, {"name": bed.name("three")}], **own)
    assert bed.domains() == {}


def test_threads_of_one_core_or_no_vm(bed: Bed) -> None:
    core = cpuset.parse(Path(f"/sys/devices/system/cpu/cpu{ALL[0]}/topology/core_cpus_list").read_text().strip())
    options = dedicated(bed, "one", cpu_threads=2)
    pins = run_one(**options)["pins"]["vcpus"]
    assert sorted(number for numbers in pins.values() for number in numbers) == ALL[:2]
    if core >= {*ALL[:2]}:
        assert run_one(**options, cpu_thread_policy="require")["pins"]["vcpus"] == pins
        return
    before = bed.text("one")
    with pytest.raises(TaskError, match=r"^dedicated_cpus: .* without splitting a core over cores of the host"):
        run_one(**options, cpu_thread_policy="require")
    assert bed.text("one") == before


def test_parallel_tasks_never_place_on_the_same_cpu(bed: Bed) -> None:
    for _turn in range(4):
        tasks = [start(**dedicated(bed, short)) for short in ("one", "two", "three")]
        placed, refused = [], []
        for task in tasks:
            try:
                placed.append(cpu(task.result()["result"]))
            except TaskError as failure:
                refused.append(failure.msg)
        assert sorted(placed) == ALL[:2]
        assert len(refused) == 1
        run(state="absent", vms=[{"name": bed.name(short)} for short in ("one", "two", "three")])


def test_a_vm_pinned_by_virsh_holds_its_cpu(bed: Bed) -> None:
    run_one(**bed.bare("theirs", cpu_cores=1))
    bed.domain("theirs").pinVcpuFlags(0, tuple(number == ALL[0] for number in range(max(ALL) + 1)), 2)
    assert cpu(run_one(**dedicated(bed, "ours"))) == ALL[1]


def test_an_isolated_emulator_has_a_cpu_of_its_own(bed: Bed) -> None:
    first = run_one(**dedicated(bed, "one", isolate_emulator_thread=True))
    assert sorted([cpu(first), *first["pins"]["emulator"]]) == ALL[:2]
    with pytest.raises(TaskError, match="1 dedicated CPUs are needed and 0 are free"):
        run(**dedicated(bed, "two"))


def test_threads_run_where_they_are_pinned(bed: Bed) -> None:
    result = run_one(**dedicated(bed, "one", cpu_pool=str(ALL[1]), state="running"))
    assert cpu(result) == ALL[1]
    tasks = Path(f"/proc/{bed.qemu('one')}/task")
    vcpus = [task for task in tasks.iterdir() if (task / "comm").read_text().startswith("CPU ")]
    assert [os.sched_getaffinity(int(task.name)) for task in vcpus] == [{ALL[1]}]
    # The emulator stays out of the pool.
    assert os.sched_getaffinity(bed.qemu("one")) == set(ALL) - {ALL[1]}


def test_cpus_that_the_host_does_not_have_are_refused(bed: Bed) -> None:
    with pytest.raises(TaskError, match=r"^cpu_pool: this host has no CPU 4000: its CPUs are 0-"):
        run(**dedicated(bed, "one", cpu_pool="1,4000"))
    assert bed.domains() == {}
