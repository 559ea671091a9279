# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""rt_host_prep by TuneD, which is played here; the real one is in the lab host."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Ran
from ansible_collections.rtvirt.core.plugins.modules import kernel_cmdline
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host import bootloader_tools, test_realtime
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.test_realtime import run

PROFILE = "/etc/tuned/rtvirt/tuned.conf"
BY_TUNED = {"isolated_cpus": "auto", "tuned_profile": "realtime-virtual-host"}


class Machine(test_realtime.Machine):
    """TuneD has chosen virtual-host. A profile sets its swappiness, and what it wants of the kernel."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.put("/usr/sbin/tuned-adm", "")
        for name in ("virtual-host", "realtime-virtual-host", "cpu-partitioning"):
            self.put(f"/usr/lib/tuned/{name}/tuned.conf", "")
        self.works = True
        self._activate("virtual-host", "auto")

    def answer(self, command: t.Sequence[str]) -> Ran:
        assert command[0] == "tuned-adm"
        if not self.works:
            return Ran(1, "", "Cannot load profile(s)")
        if command[1] == "profile":
            self._activate(command[2], "manual")
        elif command[1] == "auto_profile":
            self._activate("virtual-host", "auto")
        else:
            assert command[1] == "off"
            self._activate("", "manual")
        return Ran(0, "", "")

    def _activate(self, profile: str, mode: str) -> None:
        cores = re.search(r"isolated_cores=(\S+)", self.read(PROFILE) or "") if profile == "rtvirt" else None
        cmdline = f"skew_tick=1 isolcpus=managed_irq,domain,{cores[1]}" if cores else ""
        self.put("/etc/tuned/active_profile", f"{profile}\n")
        self.put("/etc/tuned/profile_mode", f"{mode}\n")
        self.put("/etc/tuned/bootcmdline", f'TUNED_BOOT_CMDLINE="{cmdline}"\nTUNED_BOOT_INITRD_ADD=""\n')
        self.put("/proc/sys/vm/swappiness", "10\n" if cores else "60\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_profile_above_tuneds(machine: Machine) -> None:
    files = machine.files()
    predicted = run(machine, check=True, **BY_TUNED)
    assert (predicted["changed"], machine.files()) == (True, files)
    done = run(machine, **BY_TUNED)
    assert {**done, "kernel_args": 0, "reboot_required": 0} == {**predicted, "kernel_args": 0, "reboot_required": 0}
    assert machine.word("/etc/tuned/active_profile") == "rtvirt"
    text = machine.read(PROFILE) or ""
    assert "include=realtime-virtual-host\n" in text
    assert "isolated_cores=1,3\n" in text
    # This machine has no boot entries that TuneD finds.
    assert done["kernel_args"] == ["skew_tick=1", "isolcpus=managed_irq,domain,1,3"]
    assert done["reboot_required"]
    assert not machine.exists(test_realtime.SYSCTL)
    machine.ran.clear()
    assert not run(machine, **BY_TUNED)["changed"]
    assert machine.ran == []


def test_other_cpus(machine: Machine) -> None:
    run(machine, **BY_TUNED)
    done = run(machine, **{**BY_TUNED, "isolated_cpus": "3"})
    assert done["changed"]
    assert done["kernel_args"][1] == "isolcpus=managed_irq,domain,3"


@pytest.mark.parametrize(
    ("profile", "mode"), [("virtual-host", "auto"), ("cpu-partitioning", "manual"), ("", "manual")]
)
def test_the_profile_of_before_comes_back(machine: Machine, profile: str, mode: str) -> None:
    machine._activate(profile, mode)
    files = machine.files()
    run(machine, **BY_TUNED)
    run(machine, **{**BY_TUNED, "isolated_cpus": "3"})
    assert run(machine, state="absent")["changed"]
    assert machine.files() == files
    assert not run(machine, state="absent")["changed"]


def test_never_both(machine: Machine) -> None:
    run(machine, isolated_cpus="auto")
    own = machine.files()
    run(machine, **BY_TUNED)
    assert not machine.exists(test_realtime.SYSCTL)
    assert machine.word("/sys/kernel/mm/ksm/run") == "0"
    run(machine, isolated_cpus="auto")
    assert not machine.exists(PROFILE)
    assert machine.word("/etc/tuned/active_profile") == "virtual-host"
    # TuneD has set it back, and it is ours again.
    assert machine.word("/proc/sys/vm/swappiness") == "10"
    assert machine.files() == own
    assert not run(machine, isolated_cpus="auto")["changed"]


def test_where_tuned_finds_the_boot_entries(machine: Machine) -> None:
    machine.put("/boot/loader/entries/one.conf", "")
    machine.put("/proc/cmdline", "ro quiet\n")
    done = run(machine, **BY_TUNED)
    assert (done["kernel_args"], done["reboot_required"]) == ([], True)
    machine.put("/proc/cmdline", "ro quiet skew_tick=1 isolcpus=managed_irq,domain,1,3\n")
    assert not run(machine, **BY_TUNED)["reboot_required"]


def test_a_profile_that_tuned_does_not_take(machine: Machine) -> None:
    machine.works = False
    with pytest.raises(RtvirtError, match=r"^tuned-adm profile rtvirt failed with status 1: Cannot load profile"):
        run(machine, **BY_TUNED)
    machine.works = True
    assert run(machine, **BY_TUNED)["changed"]
    assert machine.word("/etc/tuned/active_profile") == "rtvirt"


def test_what_is_not_there(machine: Machine) -> None:
    files = machine.files()
    words = r"^tuned_profile: there is no profile 'realtime'.*cpu-partitioning, realtime-virtual-host, virtual-host"
    with pytest.raises(DeclarationError, match=words):
        run(machine, isolated_cpus="auto", tuned_profile="realtime")
    with pytest.raises(DeclarationError, match=r"^tuned_profile: is nothing that state: absent needs"):
        run(machine, state="absent", tuned_profile="realtime-virtual-host")
    assert machine.files() == files
    (machine.root / "usr/sbin/tuned-adm").unlink()
    with pytest.raises(DeclarationError, match=r"^tuned_profile: TuneD is not installed"):
        run(machine, **BY_TUNED)


def test_its_arguments_are_declared_where_it_finds_no_entries(tmp_path: Path) -> None:
    machine = bootloader_tools.debian(tmp_path)
    machine.put("/etc/tuned/bootcmdline", 'TUNED_BOOT_CMDLINE="skew_tick=1 isolcpus=1"\n')
    options = {"args": ["skew_tick=1", "isolcpus=1"], "state": "present", "owner": "realtime_host"}
    assert kernel_cmdline.converge(options, False, machine)["changed"]
    machine.put("/boot/loader/entries/one.conf", "")
    with pytest.raises(DeclarationError, match=r"args\[0\]: 'skew_tick=1': TuneD \(its profile\) sets 'skew_tick=1'"):
        kernel_cmdline.converge({**options, "owner": "another"}, True, machine)
