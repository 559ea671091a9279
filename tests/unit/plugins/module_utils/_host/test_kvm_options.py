# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""rt_host_prep's options of KVM, and the modules that are loaded already: they are not ignored there, nor forgotten."""

from __future__ import annotations

import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Ran
from ansible_collections.rtvirt.core.plugins.module_utils._host.modprobe import options_in
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host import test_realtime

FILE = "/etc/modprobe.d/zz-rtvirt-realtime.conf"
#: What the kernel takes by itself, as it shows it.
DEFAULTS = {
    "kvm": {"kvmclock_periodic_sync": "Y", "nx_huge_pages": "Y"},
    "kvm_intel": {"ple_gap": "128", "nested": "Y"},
    "kvm_amd": {"nested": "1"},
}
OURS = {"kvm.kvmclock_periodic_sync": "N", "kvm.nx_huge_pages": "N", "kvm_intel.ple_gap": "0"}
RELOAD = [("modprobe", "-r", "kvm_intel"), ("modprobe", "kvm_intel")]


class Machine(test_realtime.Machine):
    """:ivar vendor: the module of the CPU.
    :ivar uses: how many use it.
    :ivar comes_back: whether it can be loaded.
    """

    def __init__(self, root: Path, vendor: str = "kvm_intel", *, loaded: bool = True) -> None:
        super().__init__(root)
        shutil.rmtree(self.root / "sys/module")
        flag = {"kvm_intel": "vmx", "kvm_amd": "svm"}[vendor]
        self.put("/proc/cpuinfo", f"processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu {flag}\n")
        self.put("/usr/sbin/modinfo", "")
        self.vendor, self.uses, self.comes_back = vendor, 0, True
        if loaded:
            self.load()

    def load(self) -> None:
        """As the kernel does with the options of modprobe.d."""
        given = options_in(self.read(FILE) or "")
        for module, users in (("kvm", 1), (self.vendor, self.uses)):
            for name, default in DEFAULTS[module].items():
                value = given.get(f"{module}.{name}", default)
                shown = {"0": "N", "1": "Y"}.get(value, value) if default in ("Y", "N") else value
                self.put(f"/sys/module/{module}/parameters/{name}", f"{shown}\n")
            self.put(f"/sys/module/{module}/refcnt", f"{users}\n")
        self.put(f"/sys/module/kvm/holders/{self.vendor}/refcnt", "")

    def boot(self, *, loads: bool = True) -> None:
        """KVM's part of a boot."""
        shutil.rmtree(self.root / "sys/module", ignore_errors=True)
        self.uses = 0
        if loads:
            self.load()

    def used(self, uses: int) -> None:
        self.uses = uses
        self.put(f"/sys/module/{self.vendor}/refcnt", f"{uses}\n")

    def answer(self, command: t.Sequence[str]) -> Ran:
        if command[0] == "modinfo":
            return Ran(0, "".join(f"{name}:what it does (bool)\n" for name in DEFAULTS[command[-1]]), "")
        if command[1] != "-r":
            if not self.comes_back:
                return Ran(1, "", "modprobe: ERROR: could not insert 'kvm_intel': Operation not supported")
            self.load()
        elif self.uses:
            return Ran(1, "", f"modprobe: FATAL: Module {command[2]} is in use.")
        elif command[2] == self.vendor:
            shutil.rmtree(self.root / "sys/module")
        return Ran(0, "", "")

    def loaded(self) -> dict[str, str]:
        return {name: self.word("/sys/module/" + name.replace(".", "/parameters/")) for name in OURS}

    def modprobed(self) -> list[tuple[str, ...]]:
        return [command for command in self.ran if command[0] == "modprobe"]


def run(machine: Machine, *, check: bool = False, **given: t.Any) -> dict[str, t.Any]:
    options = given or {"isolated_cpus": "auto"}
    return test_realtime.run(machine, check, **options)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_modules_that_nothing_uses_are_loaded_anew(machine: Machine) -> None:
    predicted = run(machine, check=True)
    assert machine.modprobed() == []
    done = run(machine)
    assert done == predicted
    assert (machine.loaded(), machine.modprobed()) == (OURS, RELOAD)
    assert (done["changed"], done["reboot_required"], done["warnings"]) == (True, False, [])
    machine.ran.clear()
    again = run(machine)
    assert (again["changed"], again["reboot_required"], again["diff"], machine.modprobed()) == (False, False, [], [])


def test_a_guest_that_runs_goes_on_and_the_boot_is_asked_for(machine: Machine) -> None:
    machine.used(2)
    before = machine.loaded()
    predicted = run(machine, check=True)
    done = run(machine)
    assert done == predicted
    assert (machine.loaded(), machine.modprobed()) == (before, [])
    assert (done["changed"], done["reboot_required"]) == (True, True)
    assert [name for name in OURS if name in done["warnings"][0]] == [*OURS]
    for check in (True, False):
        again = run(machine, check=check)
        assert (again["changed"], again["reboot_required"]) == (False, True)
    machine.boot()
    for check in (True, False):
        booted = run(machine, check=check)
        assert (booted["changed"], booted["reboot_required"], booted["warnings"]) == (False, False, [])


def test_a_guest_that_starts_meanwhile(machine: Machine) -> None:
    machine.uses = 1  # and refcnt still says 0
    done = run(machine)
    assert (machine.modprobed(), done["reboot_required"]) == (RELOAD[:1], True)


def test_kvm_that_something_else_uses_too(machine: Machine) -> None:
    machine.put("/sys/module/kvm/holders/kvmgt/refcnt", "")
    done = run(machine)
    assert (machine.modprobed(), done["reboot_required"]) == ([], True)


def test_modules_that_are_not_loaded_ask_for_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path, loaded=False)
    done = run(machine)
    assert (done["changed"], done["reboot_required"], machine.modprobed()) == (True, False, [])
    assert options_in(machine.read(FILE) or "").keys() == OURS.keys()
    for loads in (False, True):
        machine.boot(loads=loads)
        again = run(machine)
        assert (again["changed"], again["reboot_required"], again["warnings"]) == (False, False, [])


def test_kvm_alone_where_the_cpus_module_does_not_load(machine: Machine) -> None:
    """As with a real-time kernel on a CPU without constant_tsc."""
    shutil.rmtree(machine.root / "sys/module/kvm_intel")
    shutil.rmtree(machine.root / "sys/module/kvm/holders")
    machine.put("/sys/module/kvm/refcnt", "0\n")
    run(machine)
    assert machine.modprobed() == [("modprobe", "-r", "kvm"), ("modprobe", "kvm")]


def test_a_module_of_amd(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "kvm_amd")
    run(machine)
    assert machine.modprobed() == [("modprobe", "-r", "kvm_amd"), ("modprobe", "kvm_amd")]
    assert machine.loaded() == {**OURS, "kvm_intel.ple_gap": ""}


def test_modules_that_are_built_in_read_no_options(machine: Machine) -> None:
    for module in ("kvm", "kvm_intel"):
        (machine.root / f"sys/module/{module}/refcnt").unlink()
    for _run in range(2):
        done = run(machine)
        assert (machine.read(FILE), done["reboot_required"], machine.modprobed()) == (None, False, [])


def test_somebody_has_loaded_them_with_other_options_since(machine: Machine) -> None:
    run(machine)
    machine.put("/sys/module/kvm_intel/parameters/ple_gap", "128\n")
    machine.ran.clear()
    predicted = run(machine, check=True)
    assert predicted["changed"]
    assert [one["after"] for one in predicted["diff"]] == ["kvm_intel.ple_gap\n"]
    assert run(machine) == predicted
    assert (machine.loaded(), machine.modprobed()) == (OURS, RELOAD)


def test_options_that_go(machine: Machine) -> None:
    before = machine.loaded()
    run(machine)
    machine.ran.clear()
    done = run(machine, state="absent")
    assert (machine.loaded(), machine.modprobed(), done["reboot_required"]) == (before, RELOAD, False)
    machine.ran.clear()
    again = run(machine, state="absent")
    assert (again["changed"], again["reboot_required"], machine.modprobed()) == (False, False, [])


def test_options_that_go_while_a_guest_runs(machine: Machine) -> None:
    run(machine)
    machine.used(1)
    machine.ran.clear()
    predicted = run(machine, check=True, state="absent")
    assert run(machine, state="absent") == predicted
    assert (predicted["reboot_required"], machine.modprobed()) == (True, [])
    machine.boot()
    assert not run(machine, state="absent")["reboot_required"]


def test_a_module_that_does_not_come_back(machine: Machine) -> None:
    machine.comes_back = False
    with pytest.raises(RtvirtError, match=r"kvm_intel was taken out and does not come back: .*not supported"):
        run(machine)
    machine.comes_back = True
    machine.ran.clear()
    assert run(machine)["changed"]
    assert (machine.loaded(), machine.modprobed()) == (OURS, RELOAD[1:])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("options kvm nx_huge_pages=0\n", {"kvm.nx_huge_pages": "0"}),
        ("  options kvm-intel ple_gap=0 nested=1\n", {"kvm_intel.ple_gap": "0", "kvm_intel.nested": "1"}),
        ("# options kvm a=1\nblacklist kvm\noptions kvm flag\n", {"kvm.flag": ""}),
        ("", {}),
    ],
)
def test_options_of_a_file(text: str, expected: dict[str, str]) -> None:
    assert options_in(text) == expected
