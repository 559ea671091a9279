# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""nested_kvm on a tree of sysfs and a stand-in of modprobe; kvm_amd is really loaded anew in a lab host."""

from __future__ import annotations

import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Ran
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks import nested_kvm
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.tree import Tree, carry_out

FILE = "/etc/modprobe.d/zz-rtvirt-nested.conf"
OTHERS = "/etc/modprobe.d/kvm.conf"


class Machine(Tree):
    """:ivar uses: what refcnt says, and whether modprobe can take the module out."""

    def __init__(self, root: Path, *, flag: str = "vmx", loaded: str | None = "N") -> None:
        super().__init__(root)
        self.module = "kvm_intel" if flag == "vmx" else "kvm_amd"
        self.uses = 0
        self.put("/proc/cpuinfo", f"processor : 0\nflags\t\t: fpu {flag} sse\n")
        if loaded is not None:
            self.load(loaded)

    def load(self, value: str) -> None:
        self.put(f"/sys/module/{self.module}/parameters/nested", f"{value}\n")
        self.put(f"/sys/module/{self.module}/refcnt", f"{self.uses}\n")

    def used(self, uses: int) -> None:
        self.uses = uses
        self.put(f"/sys/module/{self.module}/refcnt", f"{uses}\n")

    def answer(self, command: t.Sequence[str]) -> Ran:
        if command[1] == "-r":
            if self.uses:
                return Ran(1, "", f"modprobe: FATAL: Module {self.module} is in use.")
            shutil.rmtree(self.root / f"sys/module/{self.module}")
            return Ran(0, "", "")
        given = "\n".join(self.read(path) or "" for path in (OTHERS, FILE))
        off = f"options {self.module} nested=0" in given.splitlines()
        self.load({"kvm_intel": "NY", "kvm_amd": "01"}[self.module][not off])
        return Ran(0, "", "")


def run(machine: Machine, *, check: bool = False, enabled: bool = True, state: str = "present") -> dict[str, t.Any]:
    return carry_out(nested_kvm, {"enabled": enabled, "state": state}, machine, check=check)


@pytest.mark.parametrize(("flag", "off", "module"), [("vmx", "N", "kvm_intel"), ("svm", "0", "kvm_amd")])
def test_nesting_now_and_for_good(tmp_path: Path, flag: str, off: str, module: str) -> None:
    machine = Machine(tmp_path, flag=flag, loaded=off)
    predicted = run(machine, check=True)
    assert machine.ran == []
    assert machine.read(FILE) is None
    done = run(machine)
    assert done == predicted
    assert (done["changed"], done["module"], done["nested"], done["reboot_required"]) == (True, module, True, False)
    assert f"options {module} nested=1\n" in (machine.read(FILE) or "")
    machine.ran.clear()
    again = run(machine)
    assert (again["changed"], machine.ran) == (False, [])
    run(machine, enabled=False)
    assert run(machine, enabled=False)["nested"] is False
    done = run(machine, state="absent")
    assert (done["changed"], done["nested"], machine.read(FILE)) == (True, True, None)
    assert not run(machine, state="absent")["changed"]


def test_a_guest_that_runs_goes_on(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.used(3)
    done = run(machine)
    assert (done["changed"], done["nested"], done["reboot_required"]) == (True, False, True)
    assert machine.ran == []
    again = run(machine)
    assert (again["changed"], again["reboot_required"]) == (False, True)


def test_a_guest_that_starts_meanwhile(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.uses = 1  # and refcnt still says 0
    done = run(machine)
    assert (done["nested"], done["reboot_required"]) == (False, True)
    assert machine.ran == [("modprobe", "-r", "kvm_intel")]


def test_a_module_that_is_not_loaded_reads_it_when_it_is(tmp_path: Path) -> None:
    done = run(Machine(tmp_path, loaded=None))
    assert (done["changed"], done["nested"], done["reboot_required"]) == (True, None, False)


def test_a_module_that_is_built_in(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    (tmp_path / "sys/module/kvm_intel/refcnt").unlink()
    assert run(machine)["reboot_required"]
    assert machine.ran == []


def test_a_module_that_is_loaded_with_it_already(tmp_path: Path) -> None:
    """community.general.modprobe says ok of a loaded module, whatever its parameters are."""
    machine = Machine(tmp_path, loaded="Y")
    done = run(machine)
    assert (done["changed"], done["nested"], machine.ran) == (True, True, [])


@pytest.mark.parametrize(
    "line",
    [
        "options kvm_intel nested=0",
        "options kvm-intel nested=0",
        "  options kvm_intel ept=1 nested=0",
        "options kvm_intel nested=1 ept=1",
    ],
)
def test_a_file_of_somebody_else(tmp_path: Path, line: str) -> None:
    machine = Machine(tmp_path)
    machine.put("/etc/modprobe.d/kvm.conf", f"# mine\n{line}\n")
    with pytest.raises(DeclarationError, match=r"^enabled: /etc/modprobe\.d/kvm\.conf sets nested of kvm_intel"):
        run(machine)
    assert machine.read(FILE) is None
    assert machine.ran == []


@pytest.mark.parametrize(
    "line", ["# options kvm_intel nested=0", "options kvm_amd nested=0", "options kvm_intel ept=1"]
)
def test_a_file_that_says_nothing_of_it(tmp_path: Path, line: str) -> None:
    machine = Machine(tmp_path)
    machine.put("/etc/modprobe.d/kvm.conf", f"{line}\n")
    assert run(machine)["nested"]


def test_left_to_a_file_of_somebody_else(tmp_path: Path) -> None:
    machine = Machine(tmp_path, loaded="Y")
    run(machine)
    machine.put(OTHERS, "options kvm_intel nested=0\n")
    done = run(machine, state="absent")
    assert (done["changed"], done["nested"], done["reboot_required"], machine.read(FILE)) == (True, False, False, None)
    assert not run(machine, state="absent")["changed"]


def test_left_to_the_last_file_by_name(tmp_path: Path) -> None:
    machine = Machine(tmp_path, loaded="N")
    machine.put("/usr/lib/modprobe.d/zz-vendor.conf", "options kvm_intel nested=N\n")
    machine.put(OTHERS, "options kvm_intel nested=1\n")
    assert not run(machine, state="absent")["changed"]


def test_a_cpu_that_can_run_guests_no_more(tmp_path: Path) -> None:
    """As of a VM that was moved: its file goes all the same."""
    machine = Machine(tmp_path, loaded="Y")
    run(machine)
    machine.put("/proc/cpuinfo", "processor : 0\nflags\t\t: fpu sse\n")
    shutil.rmtree(tmp_path / "sys/module/kvm_intel")
    done = run(machine, state="absent")
    assert (done["changed"], done["module"], done["nested"], done["reboot_required"]) == (True, None, None, False)
    assert machine.read(FILE) is None
    with pytest.raises(DeclarationError, match="cannot run guests"):
        run(machine)
