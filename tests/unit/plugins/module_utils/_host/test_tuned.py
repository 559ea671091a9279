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
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host import test_realtime
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
        if command[0] == "modprobe":
            return Ran(0, "", "")
        if command[0] == "update-grub":
            wanted = re.search(r'TUNED_BOOT_CMDLINE="(.*)"', self.read("/etc/tuned/bootcmdline") or "")
            self.put("/boot/grub/grub.cfg", f'set tuned_params="{wanted[1] if wanted else ""}"\n')
            return Ran(0, "", "")
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
    assert done == {**predicted, "reboot_required": True}
    assert machine.word("/etc/tuned/active_profile") == "rtvirt"
    text = machine.read(PROFILE) or ""
    assert "include=realtime-virtual-host\n" in text
    assert "isolated_cores=1,3\n" in text
    assert done["kernel_args"] == []
    assert not machine.exists(test_realtime.SYSCTL)
    machine.ran.clear()
    assert not run(machine, **BY_TUNED)["changed"]
    assert machine.ran == []


def test_other_cpus(machine: Machine) -> None:
    run(machine, **BY_TUNED)
    done = run(machine, **{**BY_TUNED, "isolated_cpus": "3"})
    assert done["changed"]
    assert "isolcpus=managed_irq,domain,3" in (machine.read("/etc/tuned/bootcmdline") or "")


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


def test_a_reboot_is_due_until_the_kernel_has_what_it_wants(machine: Machine) -> None:
    machine.put("/proc/cmdline", "ro quiet\n")
    assert run(machine, **BY_TUNED)["reboot_required"]
    machine.put("/proc/cmdline", "ro quiet skew_tick=1 isolcpus=managed_irq,domain,1,3\n")
    assert not run(machine, **BY_TUNED)["reboot_required"]


def test_debians_menu_is_made_anew(machine: Machine) -> None:
    machine.put("/etc/grub.d/00_tuned", "")
    machine.put("/usr/sbin/update-grub", "")
    machine.put("/boot/grub/grub.cfg", 'set tuned_params=""\n')
    files = machine.files()
    run(machine, **BY_TUNED)
    menu = 'set tuned_params="skew_tick=1 isolcpus=managed_irq,domain,1,3"\n'
    assert (machine.read("/boot/grub/grub.cfg"), machine.settled) == (menu, ["/boot"])
    assert not run(machine, **BY_TUNED)["changed"]
    machine.put("/boot/grub/grub.cfg", "")
    assert run(machine, **BY_TUNED)["changed"]
    assert machine.read("/boot/grub/grub.cfg") == menu
    run(machine, state="absent")
    assert machine.files() == files


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
