# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirtd dies in the middle of a task that makes twenty VMs: none of them is left half made."""

from __future__ import annotations

import re
import time
import typing as t
from pathlib import Path

import libvirt
import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import Process, TaskError, run, start

COUNT = 20


def twenty(bed: Bed, **options: t.Any) -> dict[str, t.Any]:
    vms = []
    for number in range(COUNT):
        disks = [bed.disk(f"{number}-{part}", "16Mi", format="qcow2") for part in ("root", "data")]
        vms.append({"name": bed.name(str(number)), "disks": disks})
    own = bed.bare(**options)
    del own["name"]
    return {**own, "memory": "32Mi", "vms": vms}


def defined(bed: Bed) -> set[str]:
    """Without libvirtd: by its files."""
    return {path.stem.rpartition("-")[2] for path in Path("/etc/libvirt/qemu").glob(f"{bed.prefix}-*.xml")}


def running(bed: Bed) -> set[str]:
    return {path.stem.rpartition("-")[2] for path in Path("/run/libvirt/qemu").glob(f"{bed.prefix}-*.pid")}


def crash_at(count: int, seen: t.Callable[[], set[str]], task: Process, crash: t.Callable[[], None]) -> str:
    """Kill libvirtd once so many VMs are there; the task's message."""
    deadline = time.monotonic() + 60
    while len(seen()) < count:
        assert time.monotonic() < deadline, "the task makes no VMs"
        assert task.process.poll() is None, task.result()
        time.sleep(0.002)
    crash()
    with pytest.raises(TaskError) as failure:
        task.result()
    return failure.value.msg


@pytest.mark.parametrize("count", [1, 7])
def test_no_vm_is_half_made(bed: Bed, crash: t.Callable[[], None], restart: t.Callable[[], None], count: int) -> None:
    message = crash_at(count, lambda: defined(bed), start(**twenty(bed)), crash)

    there = defined(bed)
    assert 0 < len(there) < COUNT
    whole = {f"{number}-{part}.img" for number in there for part in ("root", "data")}
    # A definition that was under way may have been written or not: its files are kept.
    spared = set(bed.files()) - whole
    assert whole <= set(bed.files())
    assert spared in [set()] + [{f"{number}-{part}.img" for part in ("root", "data")} for number in range(COUNT)]

    restart()
    assert {name.rpartition("-")[2] for name in bed.domains()} == there
    predicted = run(check=True, **twenty(bed))
    done = run(**twenty(bed))
    assert [vm["actions"] for vm in done["vms"]] == [vm["actions"] for vm in predicted["vms"]]
    assert [vm["changed"] for vm in done["vms"]] == [str(number) not in there for number in range(COUNT)]
    assert len(bed.domains()) == COUNT
    assert run(**twenty(bed))["changed"] is False
    # The files are known to be ours, whichever run made them, but for those that were spared.
    run(state="absent", delete_volumes=True, vms=[{"name": bed.name(str(number))} for number in range(COUNT)])
    assert (set(bed.files()), bed.domains()) == (spared, {})
    check_message(bed, message)


def check_message(bed: Bed, message: str) -> None:
    assert bed.prefix in message
    assert re.search(r"libvirtd went away.*run the task again", message), message


def test_starting_goes_on_after_a_crash(bed: Bed, crash: t.Callable[[], None], restart: t.Callable[[], None]) -> None:
    options = twenty(bed, state="running")
    options["vms"] = options["vms"][:6]
    message = crash_at(2, lambda: running(bed), start(**options), crash)
    restart()
    done = run(**options)
    assert {vm["state"] for vm in done["vms"]} == {"running"}
    assert {tuple(vm["actions"]) for vm in done["vms"]} <= {(), ("start",)}
    assert run(**options)["changed"] is False
    check_message(bed, message)


def test_a_wait_ends_when_libvirtd_does(bed: Bed, crash: t.Callable[[], None], restart: t.Callable[[], None]) -> None:
    task = start(**bed.bare(state="running", wait_for=["agent"], wait_timeout=60))
    message = crash_at(1, lambda: {"waits"} if bed.power() == "running" and waits(task) else set(), task, crash)
    restart()
    assert "run the task again" in message
    assert bed.power() == "running"


def waits(task: Process) -> bool:
    """Whether the task sleeps in its event loop."""
    time.sleep(0.5)
    return "poll" in Path(f"/proc/{task.process.pid}/wchan").read_text() or task.process.poll() is None


def test_a_definition_whose_answer_is_lost_keeps_its_files(
    bed: Bed, crash: t.Callable[[], None], restart: t.Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """libvirtd has written the definition and dies before it says so: the files it refers to must not be removed."""
    define = libvirt.virConnect.defineXMLFlags

    def define_and_die(connection: libvirt.virConnect, *arguments: t.Any) -> t.NoReturn:
        define(connection, *arguments)
        crash()
        connection.getLibVersion()
        raise AssertionError("libvirtd is dead and answers")

    options = bed.bare(disks=[bed.disk("root")], cloud_init={"hostname": "one"})
    with monkeypatch.context() as patch:
        patch.setattr(libvirt.virConnect, "defineXMLFlags", define_and_die)
        with pytest.raises(TaskError):
            run(**options)
    restart()
    whole = {"root.img", f"{bed.name()}.cloudinit.iso"}
    assert set(bed.files()) == (whole if bed.domains() else set())
    run(**options)
    assert set(bed.files()) == whole
    assert run(**options)["changed"] is False
