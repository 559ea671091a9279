# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""mediated_devices, the kernel's framework, mdevctl and udev, with a driver whose devices do nothing (lab-gpu)."""

from __future__ import annotations

import contextlib
import typing as t

import pytest

from ansible_collections.rtvirt.core.tests.integration.hosts.lab import LabHost

CARD = "0000:00:07.0"
ONE, TWO, THREE = (f"6f4a52f8-3c5b-4c2f-9a35-1f2d3c4b5a6{number}" for number in (1, 2, 3))


def device(uuid: str, kind: str = "lab_gpu-1", **more: t.Any) -> dict[str, t.Any]:
    return {"uuid": uuid, "parent": CARD, "type": kind, **more}


def live(lab: LabHost) -> list[str]:
    """As mdevctl has it: UUID, parent, type."""
    return sorted(" ".join(line.split()[:3]) for line in lab.shell("mdevctl list").splitlines())


@contextlib.contextmanager
def in_use(lab: LabHost, uuid: str) -> t.Iterator[str]:
    """As by a VM: a program has the device's VFIO group open."""
    group = lab.shell(f"basename $(readlink /sys/bus/mdev/devices/{uuid}/iommu_group)")
    holding = f"import time; held = open('/dev/vfio/{group}', 'r+b', buffering=0); time.sleep(600)"
    holder = lab.shell(f'setsid python3 -c "{holding}" </dev/null >/dev/null 2>&1 & sleep 1; echo $!')
    try:
        yield holder
    finally:
        lab.shell(f"kill {holder}; sleep 0.5")


@pytest.fixture(autouse=True)
def _none_left(lab: LabHost) -> t.Iterator[None]:
    yield
    lab.run("mediated_devices", state="absent")
    assert live(lab) == []
    assert lab.shell("find /etc/mdevctl.d /etc/udev /var/lib/rtvirt -name '*mediated*' -o -name '*-*-*-*-*'") == ""


def test_role(lab: LabHost) -> None:
    """First of all, as it installs mdevctl."""
    variables = {"mediated_devices_devices": [device(ONE)]}
    role = {"ansible.builtin.include_role": {"name": "rtvirt.core.mediated_devices", "public": True}, "vars": variables}
    told = {"ansible.builtin.debug": {"msg": "{{ mediated_devices_result.devices }}"}}
    predicted = lab.play(role, check=True)
    assert "6f4a" not in lab.shell("ls /sys/bus/mdev/devices || true"), predicted.output
    assert lab.play(role, told).results[-1]["msg"] == [device(ONE)]
    assert live(lab) == [f"{ONE} {CARD} lab_gpu-1"]


def test_they_are_made_changed_and_removed(lab: LabHost) -> None:
    first = [device(ONE), device(TWO, "lab_gpu-2", attributes={"nvidia/vgpu_params": "frame_rate_limiter=0"})]
    options: dict[str, t.Any] = {"devices": first}
    predicted = lab.play({"rtvirt.core.mediated_devices": options}, check=True).results[0]
    assert live(lab) == []
    done = lab.run("mediated_devices", **options)
    assert (done["changed"], done["diff"]) == (True, predicted["diff"])
    assert live(lab) == [f"{ONE} {CARD} lab_gpu-1", f"{TWO} {CARD} lab_gpu-2"]
    # The definitions are mdevctl's own, to the byte.
    files = f"cd /etc/mdevctl.d/{CARD} && sha256sum {ONE} {TWO}"
    ours = lab.shell(files)
    again = f"mdevctl modify --uuid {ONE} --auto; mdevctl modify --uuid {TWO} --auto"
    assert lab.shell(f"{again}; {files}") == ours
    touched = lab.shell("touch /run/before; sleep 1.1")
    assert not lab.run("mediated_devices", **options)["changed"], touched
    assert lab.shell("find /etc /var/lib/rtvirt -newercm /run/before") == ""

    second = [device(TWO), device(THREE)]
    assert lab.run("mediated_devices", devices=second)["changed"]
    assert live(lab) == [f"{TWO} {CARD} lab_gpu-1", f"{THREE} {CARD} lab_gpu-1"]


def test_they_come_again_with_the_driver(lab: LabHost) -> None:
    """As after a boot: udev tells mdevctl of the card."""
    lab.run("mediated_devices", devices=[device(ONE)])
    lab.shell("rmmod lab_gpu")
    assert live(lab) == []
    lab.shell(
        "modprobe lab_gpu; udevadm settle; for i in $(seq 50); do mdevctl list | grep -q . && break; sleep 0.2; done"
    )
    assert live(lab) == [f"{ONE} {CARD} lab_gpu-1"]
    assert not lab.run("mediated_devices", devices=[device(ONE)])["changed"]


def test_one_that_is_in_use_stays(lab: LabHost) -> None:
    lab.run("mediated_devices", devices=[device(ONE), device(TWO)])
    with in_use(lab, ONE) as holder:
        refused = ({"devices": [device(TWO)]}, {"state": "absent"}, {"devices": [device(ONE, "lab_gpu-2")]})
        for result in lab.play(*({"rtvirt.core.mediated_devices": options} for options in refused)).results:
            assert f"{ONE} would be removed, and is used by python3 ({holder})" in result["msg"]
        assert live(lab) == [f"{ONE} {CARD} lab_gpu-1", f"{TWO} {CARD} lab_gpu-1"]
        # The other goes.
        assert lab.run("mediated_devices", devices=[device(ONE)])["changed"]
    assert live(lab) == [f"{ONE} {CARD} lab_gpu-1"]


def test_those_of_others_stay(lab: LabHost) -> None:
    lab.shell(f"echo {ONE} >/sys/class/mdev_bus/{CARD}/mdev_supported_types/lab_gpu-1/create")
    try:
        refused = lab.play({"rtvirt.core.mediated_devices": {"devices": [device(ONE, "lab_gpu-2")]}}).results[0]
        assert f"{ONE} is there, and was not made here: lab_gpu-1 of {CARD}" in refused["msg"]
        assert lab.run("mediated_devices", devices=[device(TWO)])["changed"]
        assert lab.run("mediated_devices", state="absent")["changed"]
        assert live(lab) == [f"{ONE} {CARD} lab_gpu-1"]
    finally:
        lab.shell(f"mdevctl stop --uuid {ONE}")


def test_what_cannot_be_made_is_refused(lab: LabHost) -> None:
    """As this kernel tells it. What is refused without one is in the unit tests."""
    rows = [
        ([device(ONE, parent="0000:00:02.0")], f"0000:00:02.0 makes no mediated devices; those that do: {CARD}"),
        ([device(ONE, "nvidia-35")], f"{CARD} has no nvidia-35: lab_gpu-1 (LAB-1Q), lab_gpu-2 (LAB-2Q)"),
        ([device(uuid, "lab_gpu-2") for uuid in (ONE, TWO, THREE)], "room for 2 more of lab_gpu-2, and 3 are to be"),
    ]
    results = lab.play(*({"rtvirt.core.mediated_devices": {"devices": declared}} for declared, _told in rows)).results
    for result, (_declared, told) in zip(results, rows, strict=True):
        assert told in result["msg"]
    assert live(lab) == []
