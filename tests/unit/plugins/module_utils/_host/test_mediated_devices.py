# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""mediated_devices on a tree of sysfs and a stand-in of mdevctl; both are real on a lab host."""

from __future__ import annotations

import json
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Ran
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks import mediated_devices
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.tree import Tree, carry_out

CARD, OTHER = "0000:3b:00.0", "0000:5e:00.0"
ONE, TWO = "6f4a52f8-3c5b-4c2f-9a35-1f2d3c4b5a61", "6f4a52f8-3c5b-4c2f-9a35-1f2d3c4b5a62"
RULE = "/etc/udev/rules.d/60-rtvirt-mediated-devices.rules"


class Machine(Tree):
    """Two cards, each of which makes four devices of two types."""

    def __init__(self, root: Path, *, mdevctl: str = "/usr/sbin/mdevctl") -> None:
        super().__init__(root)
        self.put(mdevctl, "")
        for card in (CARD, OTHER):
            for kind, name in (("nvidia-35", "GRID T4-1Q"), ("nvidia-36", "GRID T4-2Q")):
                self.put(f"/sys/class/mdev_bus/{card}/mdev_supported_types/{kind}/name", f"{name}\n")
                self.put(f"/sys/class/mdev_bus/{card}/mdev_supported_types/{kind}/available_instances", "4\n")
        (root / "sys/bus/mdev/devices").mkdir(parents=True)

    def make(self, uuid: str, card: str = CARD, kind: str = "nvidia-35") -> None:
        device = self.root / f"sys/devices/pci0000:3a/{card}/{uuid}"
        device.mkdir(parents=True)
        (device / "mdev_type").symlink_to(f"../mdev_supported_types/{kind}")
        (device / "nvidia").mkdir()
        (device / "nvidia/vgpu_params").touch()
        (device / "iommu_group").symlink_to("../../../../kernel/iommu_groups/7")
        link = self.root / f"sys/bus/mdev/devices/{uuid}"
        link.symlink_to(f"../../../devices/pci0000:3a/{card}/{uuid}")

    def use(self, uuid: str) -> None:
        """By a VM."""
        assert (self.root / f"sys/bus/mdev/devices/{uuid}").is_symlink()
        self.put("/proc/77/comm", "qemu-system-x86\n")
        (self.root / "proc/77/fd").mkdir()
        (self.root / "proc/77/fd/9").symlink_to("/dev/vfio/7")

    @property
    def live(self) -> set[str]:
        return {*self.names("/sys/bus/mdev/devices")}

    def answer(self, command: t.Sequence[str]) -> Ran:
        program, verb, _option, uuid, *_parent = command
        assert program == "mdevctl"
        if verb == "stop":
            link = self.root / f"sys/bus/mdev/devices/{uuid}"
            shutil.rmtree(link.parent / link.readlink())
            link.unlink()
        else:
            file = next((self.root / "etc/mdevctl.d").glob(f"*/{uuid}"))
            self.make(uuid, file.parent.name, json.loads(file.read_text())["mdev_type"])
        return Ran(0, "", "")


def one(uuid: str = ONE, parent: str = CARD, kind: str = "nvidia-35", **attributes: t.Any) -> dict[str, t.Any]:
    return {"uuid": uuid, "parent": parent, "type": kind, "attributes": attributes}


def run(machine: Machine, *devices: dict[str, t.Any], check: bool = False) -> dict[str, t.Any]:
    options = {"devices": [*devices], "state": "present" if devices else "absent"}
    return carry_out(mediated_devices, options, machine, check=check)


def test_they_are_made_and_removed(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    predicted = run(machine, one(), check=True)
    assert (machine.live, machine.ran) == (set(), [])
    assert run(machine, one()) == predicted
    assert machine.live == {ONE}
    assert machine.read(f"/etc/mdevctl.d/{CARD}/{ONE}") == (
        '{\n  "mdev_type": "nvidia-35",\n  "start": "auto",\n  "attrs": []\n}'
    )
    assert machine.read(RULE) is None
    machine.ran.clear()
    assert not run(machine, one())["changed"]
    assert machine.ran == []
    assert run(machine)["changed"]
    assert (machine.live, machine.names(f"/etc/mdevctl.d/{CARD}"), run(machine)["changed"]) == (set(), [], False)


@pytest.mark.parametrize(
    "other", [one(kind="nvidia-36"), one(parent=OTHER), one(**{"nvidia/vgpu_params": "frame_rate_limiter=0"})]
)
def test_one_that_differs_is_made_anew(tmp_path: Path, other: dict[str, t.Any]) -> None:
    machine = Machine(tmp_path)
    run(machine, one())
    machine.ran.clear()
    run(machine, other)
    start = ("mdevctl", "start", "--uuid", ONE, "--parent", other["parent"])
    assert machine.ran == [("mdevctl", "stop", "--uuid", ONE), start]
    assert not run(machine, other)["changed"]
    assert len([*(tmp_path / "etc/mdevctl.d").glob("*/*")]) == 1


def test_one_that_a_vm_has_stays(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    run(machine, one())
    machine.use(ONE)
    for devices in ([], [one(TWO)], [one(kind="nvidia-36")]):
        with pytest.raises(DeclarationError, match=r"is used by qemu-system-x86 \(77\): stop the VM"):
            run(machine, *devices)
    assert machine.live == {ONE}
    # Another beside it is made.
    run(machine, one(), one(TWO))
    assert machine.live == {ONE, TWO}


def test_one_that_was_made_by_hand_is_taken_over(tmp_path: Path) -> None:
    """As it is what is declared, it is only defined. Without a definition it would not outlive a boot."""
    machine = Machine(tmp_path)
    machine.make(ONE)
    run(machine, one())
    assert machine.ran == []
    assert machine.read(f"/etc/mdevctl.d/{CARD}/{ONE}") is not None


def test_one_of_ours_that_was_edited_is_only_written_again(tmp_path: Path) -> None:
    """When it is to be started makes no other device of it; a VM may go on."""
    machine = Machine(tmp_path)
    run(machine, one())
    path = f"/etc/mdevctl.d/{CARD}/{ONE}"
    text = machine.read(path) or ""
    machine.put(path, text.replace("auto", "manual"))
    machine.use(ONE)
    machine.ran.clear()
    assert run(machine, one())["changed"]
    assert (machine.read(path), machine.ran) == (text, [])


def test_a_device_that_goes_meanwhile(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.put(f"/sys/bus/mdev/devices/{TWO}/gone", "")
    assert run(machine, one())["changed"]


def test_room_is_counted_with_what_goes(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    run(machine, one())
    for card in (CARD, OTHER):
        machine.put(f"/sys/class/mdev_bus/{card}/mdev_supported_types/nvidia-35/available_instances", "0\n")
    with pytest.raises(DeclarationError, match=f"{OTHER} has room for 0 more of nvidia-35, and 1 are to be made"):
        run(machine, one(TWO, OTHER))
    assert machine.live == {ONE}
    assert run(machine, one(TWO))["changed"]
    assert machine.live == {TWO}


def test_debian_has_mdevctl_elsewhere_than_its_rule_says(tmp_path: Path) -> None:
    machine = Machine(tmp_path, mdevctl="/usr/bin/mdevctl")
    run(machine, one())
    assert '/usr/bin/mdevctl start-parent-mdevs %k"' in (machine.read(RULE) or "")
    # A package that was corrected.
    machine.put("/usr/sbin/mdevctl", "")
    assert run(machine, one())["changed"]
    assert machine.read(RULE) is None
    run(machine)
    assert machine.live == set()


def test_a_kernel_that_makes_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(tmp_path)
    monkeypatch.setattr(machine, "answer", lambda _command: Ran(0, "", ""))
    with pytest.raises(RtvirtError, match=r"mdevctl has made .*, and it is not there"):
        run(machine, one())
