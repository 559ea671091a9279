# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests that boot: what was declared is what the guest sees and what the host's kernel runs."""

from __future__ import annotations

import os
import re
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import TaskError, run_one, start
from ansible_collections.rtvirt.core.tests.integration.waiting import until

POWEROFF = {"wait_timeout": 60}


def realtime(bed: Bed, boot: dict[str, t.Any], **options: t.Any) -> dict[str, t.Any]:
    return bed.bare(
        **{
            "memory": "256Mi",
            "cpu_cores": 1,
            "cpu_model": "qemu64",
            "hugepages": "2Mi",
            "dedicated_cpus": True,
            "numa_passthrough": True,
            "realtime": True,
            "cpu_pool": "1",
            "autoattach_mem_balloon": False,
            "watchdog": {"name": "dog", "i6300esb": {"action": "poweroff"}},
            "spec": boot,
            "state": "running",
            **options,
        }
    )


def vcpu_threads(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(task.name) for task in tasks if (task / "comm").read_text().startswith("CPU ")]


def huge_kib(pid: int) -> int:
    return sum(int(size) for size in re.findall(r"Private_Hugetlb: +(\d+)|Shared_Hugetlb: +\d+", smaps(pid)) if size)


def smaps(pid: int) -> str:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return text.replace("Shared_Hugetlb", "Private_Hugetlb")


def test_a_realtime_vm_is_what_was_declared(bed: Bed, boot: dict[str, t.Any], hugepages: None, free_cpus: None) -> None:
    result = run_one(**realtime(bed, boot))
    facts = bed.facts()
    threads = vcpu_threads(bed.qemu())
    assert len(threads) == 1
    for thread in threads:
        assert os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO
        assert os.sched_getparam(thread).sched_priority == 1
        assert os.sched_getaffinity(thread) == {1}
    assert os.sched_getscheduler(bed.qemu()) == os.SCHED_OTHER
    assert os.sched_getaffinity(bed.qemu()) == {0}
    assert (result["pins"]["vcpus"], result["pins"]["emulator"]) == ({"0": [1]}, [0])
    assert huge_kib(bed.qemu()) == 256 << 10
    assert {key: facts[key] for key in ("preempt_rt", "cpus", "arch_perfmon", "balloon", "watchdog", "numa_nodes")} == {
        "preempt_rt": "1", "cpus": "1", "arch_perfmon": "0", "balloon": "0", "watchdog": "i6300esb", "numa_nodes": "1",
    }  # fmt: skip

    again = run_one(**realtime(bed, boot))
    assert (again["changed"], again["restart_required"]) == (False, False)
    down = run_one(**{**realtime(bed, boot), "state": "stopped"}, **POWEROFF)
    assert (down["actions"], down["state"]) == (["shut down"], "shutoff")


def test_a_guest_sees_its_devices_and_obeys_the_power_button(bed: Bed, boot: dict[str, t.Any]) -> None:
    """One guest through its whole life, as each boot takes seconds."""
    scsi = {**bed.disk("data", "24Mi"), "disk": {"bus": "scsi"}, "serial": "S1"}
    options = bed.bare(
        memory="192Mi",
        cpu_sockets=2,
        cpu_cores=1,
        cpu_model="qemu64",
        disks=[bed.disk("root", "16Mi"), scsi],
        cloud_init={"hostname": "one"},
        interfaces=[{"name": "nat", "masquerade": {}, "macAddress": "de:ad:00:00:00:07", "network": {"pod": {}}}],
        spec=boot,
        **POWEROFF,
    )
    run_one(**options, state="running")
    facts = bed.facts()
    assert (facts["cpus"], facts["sockets"], facts["rng"], facts["balloon"]) == ("2", "2", "1", "1")
    assert {size.partition(":")[2] for size in facts["disks"].split(",")} >= {str(16 << 20), str(24 << 20)}
    assert facts["nics"].endswith(":de:ad:00:00:00:07")
    assert facts["cidata"] == f"{bed.name()}.libvirt"
    assert facts["uuid"].lower() == bed.domain().UUIDString()

    paused = run_one(**options, state="paused")
    assert (paused["actions"], paused["state"]) == (["pause"], "paused")
    predicted = run_one(check=True, **options, state="restarted")
    restarted = run_one(**options, state="restarted")
    assert restarted["actions"] == predicted["actions"] == ["resume", "shut down", "start"]
    second = bed.facts(boots=2)
    assert second["boot_id"] != facts["boot_id"]

    # A virtio disk comes and goes with the guest's help.
    hot = {**options, "disks": [*options["disks"], bed.disk("hot", "32Mi")]}
    assert run_one(**hot)["actions"][-2:] == ["redefine", "change live"]
    assert "hot.img" in bed.text(running=True)
    removed = run_one(**options)
    assert (removed["actions"], removed["restart_required"]) == (["redefine", "change live"], False)
    assert "hot.img" not in bed.text(running=True)

    predicted = run_one(check=True, **options, state="absent")
    gone = run_one(**options, state="absent")
    assert gone["actions"] == predicted["actions"]
    assert gone["actions"][:2] == ["shut down", "undefine"]
    assert bed.files() == ["data.img", "hot.img", "root.img"]


def test_a_guest_that_does_not_stop_is_an_error_without_force(bed: Bed) -> None:
    run_one(**bed.bare(state="running"))
    for state in ("stopped", "restarted", "absent"):
        with pytest.raises(
            TaskError, match=r"did not shut down within 1 s, it is running: .*wait_timeout, or set force"
        ):
            run_one(**bed.bare(state=state, wait_timeout=1))
        assert bed.power() == "running"
    started = time.monotonic()
    done = run_one(**bed.bare(state="stopped", wait_timeout=1, force=True))
    assert 1 <= time.monotonic() - started < 10
    assert (done["actions"], done["state"]) == (["shut down", "force off"], "shutoff")


def test_without_wait_a_shutdown_is_only_asked_for(bed: Bed) -> None:
    run_one(**bed.bare(state="running"))
    done = run_one(**bed.bare(state="stopped", wait=False))
    assert done["actions"] == ["shut down"]
    assert bed.power() == "running"


def test_the_grace_period_of_the_vm_is_shorter_than_the_wait(bed: Bed) -> None:
    options = bed.bare(termination_grace_period_seconds=1, force=True)
    run_one(**options, state="running")
    started = time.monotonic()
    assert run_one(**options, state="stopped")["actions"] == ["shut down", "force off"]
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(("what", "why"), [("agent", "qemu-guest-agent"), ("address", "no lease, agent or ARP entry")])
def test_a_wait_says_what_is_missing(bed: Bed, what: str, why: str) -> None:
    with pytest.raises(TaskError, match=rf"^{bed.name()} is running but has no {what} after 1 s: .*{why}"):
        run_one(**bed.bare(state="running", wait_for=[what], wait_timeout=1))
    assert bed.power() == "running"


def test_a_wait_ends_as_soon_as_the_guest_does(bed: Bed) -> None:
    task = start(**bed.bare(state="running", wait_for=["agent"], wait_timeout=100))
    until("it runs", lambda: bed.power() == "running")
    timer = threading.Timer(1, bed.domain().destroy)
    timer.start()
    with pytest.raises(TaskError, match=r"stopped while waiting for its agent: it is shutoff"):
        task.result(timeout=30)
    timer.join()
