# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""default_kernel, by files and stand-ins of the tools (bootloader_tools.py); a kernel really boots in the lab host."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.default_kernel import _release
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Ran
from ansible_collections.rtvirt.core.plugins.module_utils._host.kernels import Kernel, read_kernels
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks import default_kernel
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.bootloader_tools import (
    KERNELS,
    Machine,
    coreos,
    debian,
    redhat,
)
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.tree import carry_out

RT, PLAIN = KERNELS


def with_kernels(machine: Machine) -> Machine:
    for release in KERNELS:
        machine.put(f"/boot/vmlinuz-{release}", "")
        machine.put(
            f"/boot/config-{release}",
            "CONFIG_PREEMPT_RT=y\n" if "rt" in release else "# CONFIG_PREEMPT_RT is not set\n",
        )
    machine.put("/boot/vmlinuz-0-rescue-1f2e", "")
    machine.put("/proc/sys/kernel/osrelease", PLAIN)
    return machine


@pytest.fixture(params=["debian", "redhat"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    if request.param == "debian":
        return with_kernels(debian(tmp_path))
    found = with_kernels(redhat(tmp_path))
    default = [f"/boot/vmlinuz-{PLAIN}"]

    def grubby(*given: str) -> Ran:
        if given[0].startswith("--set-default="):
            default[0] = given[0].partition("=")[2]
        return Ran(0, default[0] + "\n", "")

    found.has("grubby", grubby)
    return found


def run(
    machine: Machine, kernel: str | None = "realtime", *, check: bool = False, state: str = "present"
) -> dict[str, t.Any]:
    return carry_out(default_kernel, {"kernel": kernel, "state": state}, machine, check=check)


def test_the_realtime_kernel_and_back(machine: Machine) -> None:
    files = machine.files()
    predicted = run(machine, check=True)
    assert machine.files() == files
    done = run(machine)
    assert done == predicted
    assert (done["kernel"], done["changed"], done["reboot_required"]) == (RT, True, True)
    machine.put("/proc/sys/kernel/osrelease", RT)
    again = run(machine)
    assert (again["changed"], again["reboot_required"]) == (False, False)
    done = run(machine, None, state="absent")
    assert (done["changed"], done["reboot_required"]) == (True, True)
    machine.put("/proc/sys/kernel/osrelease", PLAIN)
    assert machine.files() == files
    assert not run(machine, None, state="absent")["changed"]


def test_a_release(machine: Machine) -> None:
    assert run(machine, PLAIN)["kernel"] == PLAIN
    assert not run(machine, PLAIN)["reboot_required"]


def test_a_run_that_is_cut_off(tmp_path: Path) -> None:
    machine = with_kernels(debian(tmp_path))
    real = machine.tools["update-grub"]
    machine.failing["update-grub"] = (1, "no space left on device")
    with pytest.raises(RtvirtError, match="no space left"):
        run(machine)
    machine.failing.clear()
    machine.tools["update-grub"] = real
    assert run(machine)["changed"]
    assert f">gnulinux-{RT}-advanced-" in (machine.read("/boot/grub/grub.cfg") or "")
    assert not run(machine)["changed"]


def test_a_newer_kernel_of_the_same_kind_is_taken(tmp_path: Path) -> None:
    assert (
        max([Kernel("6.1.0-9-rt-amd64", True), Kernel("6.1.0-28-rt-amd64", True)], key=lambda one: one.order).release
        == RT
    )
    assert [kernel.release for kernel in read_kernels(with_kernels(debian(tmp_path))) if kernel.realtime] == [RT]


EL9 = "5.14.0-427.el9.x86_64"


@pytest.mark.parametrize(
    ("installed", "runs", "taken"),
    [
        # Oldest first. Words are older than numbers, as rpm has it.
        (["4.18.0-553.rt7.342.el8_10", "4.18.0-553.5.1.rt7.346.el8_10", "4.18.0-553.8.1.rt7.349.el8_10"], "", -1),
        ([f"{EL9}+rt", "5.14.0-427.13.1.el9_4.x86_64+rt"], EL9, -1),
        (["6.12.0-55.el10.x86_64+rt", "6.12.0-55.9.1.el10_0.x86_64+rt"], "", -1),
        # For debugging, or with larger pages, only where that runs already or there is no other.
        ([f"{EL9}+rt", f"{EL9}+rt-debug"], EL9, 0),
        ([f"{EL9}+rt", f"{EL9}+rt-debug"], f"{EL9}+debug", 1),
        ([f"{EL9}+rt-debug"], EL9, 0),
        (["5.14.0-427.el9.aarch64+rt", "5.14.0-427.el9.aarch64+rt-64k"], "5.14.0-427.el9.aarch64", 0),
        (["5.14.0-427.el9.aarch64+rt", "5.14.0-427.el9.aarch64+rt-64k"], "5.14.0-427.el9.aarch64+64k", 1),
        (["6.4.0-150700.7-rt", "6.4.0-150700.7-rt_debug"], "6.4.0-150700.51-default", 0),
    ],
)
def test_the_realtime_kernel_of_several(installed: list[str], runs: str, taken: int, tmp_path: Path) -> None:
    machine = debian(tmp_path)
    for release in reversed(installed):
        machine.put(f"/boot/vmlinuz-{release}", "")
        machine.put(f"/boot/config-{release}", "CONFIG_PREEMPT_RT=y\n")
    machine.put("/proc/sys/kernel/osrelease", runs)
    assert _release(machine, "realtime") == installed[taken]


def test_a_boot_loader_that_has_no_choice(tmp_path: Path) -> None:
    for check in (True, False):
        with pytest.raises(RtvirtError, match="rpm-ostree deploys one kernel"):
            run(with_kernels(coreos(tmp_path)), check=check)


@pytest.mark.parametrize(
    ("kernel", "flags", "warned"),
    [("realtime", "sse svm", True), ("realtime", "sse constant_tsc svm", False), (PLAIN, "sse svm", False)],
)
def test_a_cpu_on_which_kvm_does_not_start_with_it(machine: Machine, kernel: str, flags: str, warned: bool) -> None:
    machine.put("/proc/cpuinfo", f"processor\t: 0\nflags\t\t: {flags}\n")
    assert ["constant_tsc" in one for one in run(machine, kernel, check=True)["warnings"]] == [True] * warned
    assert run(machine, None, state="absent")["warnings"] == []


def test_a_tool_that_sets_nothing_is_found_out(machine: Machine) -> None:
    """grubby ends with status 0 whatever it has done."""
    for tool in ("grubby", "update-grub"):
        if tool in machine.tools:
            machine.has(tool, lambda *_given: Ran(0, f"/boot/vmlinuz-{PLAIN}\n", ""))
    with pytest.raises(RtvirtError, match=rf"was told to boot \S+-rt-amd64, and is to boot ({PLAIN}|its own choice)"):
        run(machine)
