# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""kernel_cmdline on every boot loader that it knows, by files and stand-ins of the tools (bootloader_tools.py)."""

from __future__ import annotations

import functools
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host import host
from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders import grub_files
from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.finding import find_bootloader
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Ran
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks import kernel_cmdline
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.bootloader_tools import (
    GRUBENV,
    Machine,
    coreos,
    debian,
    redhat,
    suse,
)
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.tree import carry_out

MACHINES = {
    "debian": debian,
    "redhat": redhat,
    "coreos": coreos,
    "suse": suse,
    "suse with entries": functools.partial(suse, knows_bls=True),
}
RT = ["isolcpus=managed_irq,domain,2-3", "nohz_full=2-3", "nosoftlockup"]
#: What changes nothing.
READING = {("grubby", "--info=ALL"), ("rpm-ostree", "kargs"), ("grub2-mkconfig", "--help")}


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    return MACHINES[request.param](tmp_path)


def run(machine: Machine, *args: str, check: bool = False, state: str = "present", owner: str = "rtvirt") -> t.Any:
    return carry_out(kernel_cmdline, {"args": list(args), "state": state, "owner": owner}, machine, check=check)


def lines(machine: Machine) -> list[list[str]]:
    """Every entry's arguments as they are."""
    return [list(entry.arguments) for entry in find_bootloader(machine).entries()]


def test_every_entry_gets_what_is_declared(machine: Machine) -> None:
    before = lines(machine)
    predicted = run(machine, *RT, check=True)
    assert lines(machine) == before
    done = run(machine, *RT)
    assert {**done, "diff": 0} == {**predicted, "diff": 0}
    assert done["diff"] == predicted["diff"]
    assert done["changed"]
    assert done["reboot_required"]
    assert done["missing"] == RT
    assert machine.settled == ["/boot"]
    for line, was in zip(lines(machine), before):
        assert line == [*was, *RT]


def test_a_second_run_changes_nothing_and_writes_nothing(machine: Machine) -> None:
    run(machine, *RT)
    files = machine.files()
    machine.ran.clear()
    again = run(machine, *RT)
    assert not again["changed"]
    assert again["diff"] == []
    assert machine.files() == files
    assert {*machine.ran} <= READING


def test_check_mode_writes_nothing(machine: Machine) -> None:
    files = machine.files()
    machine.ran.clear()
    assert run(machine, *RT, check=True)["changed"]
    assert machine.files() == files
    assert {*machine.ran} <= READING


def test_what_was_set_can_be_unset(machine: Machine) -> None:
    files, before = machine.files(), lines(machine)
    run(machine, *RT)
    done = run(machine, state="absent")
    assert done["changed"]
    assert lines(machine) == before
    assert {**machine.files(), "ostree/kargs": 0} == {**files, "ostree/kargs": 0}
    assert not run(machine, state="absent")["changed"]


def test_another_value_takes_the_place_of_the_first(machine: Machine) -> None:
    run(machine, "hugepages=4", "nohz_full=2")
    run(machine, "hugepages=60", "nohz_full=2-3")
    assert not run(machine, "hugepages=60", "nohz_full=2-3")["changed"]
    run(machine, "hugepages=6", "nohz_full=2-3")  # no part of 60
    for line in lines(machine):
        assert {*line[-2:]} == {"hugepages=6", "nohz_full=2-3"}
        assert sum(one.startswith("hugepages=") for one in line) == 1


def test_what_is_declared_no_more_goes(machine: Machine) -> None:
    before = lines(machine)
    run(machine, *RT)
    run(machine, RT[0])
    assert lines(machine) == [[*line, RT[0]] for line in before]


def test_names_that_stand_there_more_than_once_keep_their_order(machine: Machine) -> None:
    pages = ["hugepagesz=1G", "hugepages=4", "hugepagesz=2M", "hugepages=512"]
    consoles = ["console=tty1", "console=ttyS0,115200"]
    before = lines(machine)
    run(machine, *pages, *consoles)
    for line, was in zip(lines(machine), before):
        assert [one for one in line if one.startswith("hugepages")] == pages
        assert [one for one in line if one.startswith("console")] == [
            *(one for one in was if one.startswith("console")),
            *consoles,
        ]
    assert not run(machine, *pages, *consoles)["changed"]
    run(machine, *pages[:2], consoles[1])
    for line in lines(machine):
        assert [one for one in line if one.startswith("hugepages")] == pages[:2]
    run(machine, state="absent")
    # grubby moves what others have of a name that it adds to.
    assert [sorted(line) for line in lines(machine)] == [sorted(line) for line in before]


PAGES = ["hugepagesz=1G", "hugepages=4", "hugepagesz=2M", "hugepages=512"]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (PAGES, [*PAGES[:1], "hugepages=8", *PAGES[2:]]),
        (PAGES, [*PAGES[:1], "hugepages=512", *PAGES[2:3], "hugepages=4"]),
        (PAGES, PAGES[2:] + PAGES[:2]),
        ([*PAGES[:3], "hugepages=4"], PAGES),
        (["console=ttyS0", "console=ttyS1"], ["console=ttyS1", "console=ttyS0"]),
    ],
)
def test_what_counts_by_its_order_is_exchanged_in_order(machine: Machine, first: list[str], then: list[str]) -> None:
    """grubby's own way mixes up the pairs; a comparison without an order does not see that."""
    before = lines(machine)
    run(machine, *first)
    for wanted in (first, then):
        run(machine, *wanted)
        for line in lines(machine):
            assert [one for one in line if one in wanted] == wanted
        assert not run(machine, *wanted)["changed"]
    run(machine, state="absent")
    assert [sorted(line) for line in lines(machine)] == [sorted(line) for line in before]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("hugepagesz=1G hugepages=4", ["hugepagesz=1G", "hugepages=0:4,1:8"]),
        # Before any size, pages are of the default size.
        ("hugepages=100", ["hugepagesz=2M", "hugepages=64"]),
        ("default_hugepagesz=1G hugepages=4", ["hugepagesz=1g", "hugepages=8"]),
    ],
)
def test_huge_pages_of_somebody_else(theirs: str, ours: list[str], tmp_path: Path) -> None:
    machine = debian(tmp_path, settings=f'GRUB_CMDLINE_LINUX="{theirs}"\n')
    with pytest.raises(DeclarationError, match=rf"args\[1\]: '{ours[1]}': '{theirs.split()[-1]}' is there already"):
        run(machine, *ours)
    # Another size is nobody's concern, and the same is.
    run(machine, "hugepagesz=16G", "hugepages=1")
    run(machine, *ours[:1], theirs.split()[-1])


def test_huge_pages_of_two_owners(tmp_path: Path) -> None:
    machine = debian(tmp_path)
    run(machine, *PAGES, owner="one")
    with pytest.raises(DeclarationError, match=r"args\[1\]: 'hugepages=5': owner 'one' has set 'hugepages=4'"):
        run(machine, "hugepagesz=1G", "hugepages=5", owner="other")


def test_owners_do_not_touch_each_other(machine: Machine) -> None:
    before = lines(machine)
    run(machine, "nohz_full=2-3", "quiet")
    run(machine, "hugepages=4", owner="hugepages")
    assert not run(machine, "nohz_full=2-3", "quiet")["changed"]
    run(machine, state="absent")
    assert lines(machine) == [[*line, "hugepages=4"] for line in before]


def test_two_owners_of_one_name(machine: Machine) -> None:
    run(machine, "skew_tick=1", owner="a")
    assert run(machine, "skew_tick=1", owner="b")["changed"]  # it knows that two want it
    assert all(line.count("skew_tick=1") == 1 for line in lines(machine))
    run(machine, state="absent", owner="a")
    assert all(line.count("skew_tick=1") == 1 for line in lines(machine))
    with pytest.raises(DeclarationError, match=r"args\[1\]: 'skew_tick=2': owner 'b' has set 'skew_tick=1'"):
        run(machine, "quiet", "skew_tick=2", owner="a")


def test_what_others_have_set_already_is_not_ours(machine: Machine) -> None:
    before = lines(machine)
    run(machine, "quiet")
    assert lines(machine) == before
    run(machine, state="absent")
    assert lines(machine) == before


def test_only_ours_and_back(machine: Machine) -> None:
    before, files = lines(machine), machine.files()
    done = run(machine, *RT, state="exact")
    assert done["changed"]
    for line in lines(machine):
        assert [one for one in line if not one.startswith(("root=", "ostree=", "ro"))] == RT
    assert not run(machine, *RT, state="exact")["changed"]
    run(machine, RT[0], state="exact")
    run(machine, state="absent")
    assert [sorted(line) for line in lines(machine)] == [sorted(line) for line in before]
    if not machine.lines and "ostree/kargs" not in files:
        assert machine.files() == files


def test_a_value_that_others_have_set_otherwise(machine: Machine) -> None:
    machine.lines[:] = [f"{line} isolcpus=1" for line in machine.lines]
    for path in ("/etc/default/grub", "/ostree/kargs"):
        if machine.read(path):
            machine.put(
                path,
                (machine.read(path) or "").replace("quiet", "quiet isolcpus=1"),
            )
    tools = {"update-grub": (), "grub2-mkconfig": ("-o", "/boot/grub2/grub.cfg")}
    for name, arguments in tools.items():
        if name in machine.tools:
            knows = ["--update-bls-cmdline"] if "bls" in machine.tools[name]("--help").output else []
            machine.tools[name](*arguments, *(knows if arguments else []))
    files = machine.files()
    with pytest.raises(DeclarationError, match=r"args\[1\]: 'isolcpus=2': 'isolcpus=1' is there already"):
        run(machine, "quiet", "isolcpus=2")
    assert machine.files() == files


def test_tuned_that_sets_the_same(machine: Machine) -> None:
    machine.put("/etc/tuned/bootcmdline", 'TUNED_BOOT_CMDLINE="skew_tick=1 isolcpus=1"\nTUNED_BOOT_INITRD_ADD=""\n')
    machine.put("/etc/tuned/active_profile", "realtime-virtual-host\n")
    with pytest.raises(DeclarationError, match=r"args\[0\].*TuneD \(realtime-virtual-host\) sets 'isolcpus=1'"):
        run(machine, "isolcpus=2")
    run(machine, "nohz_full=2")


@pytest.mark.parametrize("tool", ["update-grub", "grubby", "rpm-ostree", "grub2-mkconfig"])
def test_a_tool_that_fails_is_told_and_the_next_run_completes(tool: str, tmp_path: Path) -> None:
    """Also the power cut: the files are written, the entries are as before."""
    make = {"update-grub": debian, "grubby": redhat, "rpm-ostree": coreos, "grub2-mkconfig": suse}[tool]
    machine = make(tmp_path)
    before = lines(machine)
    run(machine, "hugepages=4", "nohz_full=2")
    real = machine.tools[tool]

    def fail(*arguments: str) -> Ran:
        reading = arguments in (("--info=ALL",), ("--help",), ("kargs",))
        return real(*arguments) if reading else Ran(1, "", "no space left on device")

    machine.tools[tool] = fail
    with pytest.raises(RtvirtError, match=f"^{tool} .*no space left on device|^{tool} failed .*no space left"):
        run(machine, "hugepages=6", "nohz_full=2")
    machine.tools[tool] = real
    assert run(machine, "hugepages=6", "nohz_full=2")["changed"]
    assert [sorted(line) for line in lines(machine)] == [
        sorted([*line, "hugepages=6", "nohz_full=2"]) for line in before
    ]
    assert not run(machine, "hugepages=6", "nohz_full=2")["changed"]
    run(machine, state="absent")
    assert lines(machine) == before


@pytest.mark.parametrize(("tool", "make"), [("update-grub", debian), ("grubby", redhat)])
def test_a_tool_that_does_nothing_is_found_out(tool: str, make: t.Any, tmp_path: Path) -> None:
    """grubby ends with status 0 whatever it has done."""
    machine = make(tmp_path)
    real = machine.tools[tool]
    machine.tools[tool] = lambda *given: real(*given) if given == ("--info=ALL",) else Ran(0, "", "")
    with pytest.raises(RtvirtError, match="lacks nohz_full=2"):
        run(machine, "nohz_full=2")


# What runs


def test_running_configured_and_left_over(tmp_path: Path) -> None:
    machine = debian(tmp_path)
    run(machine, "nohz_full=2", "skew_tick=1")
    machine.put("/proc/cmdline", "BOOT_IMAGE=/vmlinuz root=UUID=1f2e ro quiet nohz_full=2 skew_tick=1\n")
    done = run(machine, "nohz_full=2", "skew_tick=1")
    assert (done["missing"], done["leftover"], done["reboot_required"]) == ([], [], False)
    done = run(machine, "nohz_full=2")
    assert (done["missing"], done["leftover"], done["reboot_required"]) == ([], ["skew_tick=1"], True)
    done = run(machine, state="absent")
    assert (done["leftover"], done["reboot_required"]) == (["nohz_full=2", "skew_tick=1"], True)


# Boot loaders


def test_each_entry_is_compared(tmp_path: Path) -> None:
    """linux-system-roles' bootloader looks at the first one only."""
    machine = redhat(tmp_path, "ro quiet intel_iommu=on", second="ro quiet")
    done = run(machine, "intel_iommu=on")
    assert done["changed"]
    assert [entry[-1] for entry in lines(machine)] == ["intel_iommu=on"] * 3
    assert not run(machine, "intel_iommu=on")["changed"]


def test_grubby_is_called_once(tmp_path: Path) -> None:
    machine = redhat(tmp_path, "ro console=tty0 console=tty1 kvm.ignore_msrs=1")
    run(machine, "console=ttyS0", "hugepagesz=1G", "hugepages=4", "hugepagesz=2M", "hugepages=8")
    run(machine, "nohz_full=2", "kvm.nx_huge_pages=0")
    line = ["ro", "kvm.ignore_msrs=1", "console=tty0", "console=tty1", "nohz_full=2", "kvm.nx_huge_pages=0"]
    assert lines(machine) == [line, line, ["root=UUID=1f2e", *line]]
    assert sum(command != ("grubby", "--info=ALL") for command in machine.ran) == 2


def test_what_new_kernels_are_made_of_is_compared_and_written(tmp_path: Path) -> None:
    machine = redhat(tmp_path)
    machine.put(GRUBENV, "kernelopts=root=UUID=1f2e ro quiet\nsaved_entry=1f2e-0\n")
    files = machine.files()
    done = run(machine, *RT)
    assert [one["title"] for one in done["entries"]][-2:] == ["/etc/kernel/cmdline", "kernelopts of grubenv"]
    assert [one["args"][-3:] for one in done["entries"]] == [RT] * 4
    whole = machine.files()
    for path in ("/etc/kernel/cmdline", GRUBENV):
        machine.put(path, files[path.lstrip("/")])
        predicted = run(machine, *RT, check=True)
        assert (predicted["changed"], bool(predicted["diff"])) == (True, True)
        run(machine, *RT)
        assert machine.files() == whole
        assert not run(machine, *RT)["changed"]
    run(machine, state="absent")
    assert machine.files() == files


def test_a_file_of_new_kernels_that_grubby_makes(tmp_path: Path) -> None:
    machine = redhat(tmp_path)
    (machine.root / "etc/kernel/cmdline").unlink()
    run(machine, *RT)
    assert (machine.read("/etc/kernel/cmdline") or "").split()[-3:] == RT
    assert not run(machine, *RT)["changed"]
    run(machine, state="absent")
    assert machine.read("/etc/kernel/cmdline") == "root=UUID=1f2e ro console=tty0 quiet\n"


def test_an_older_grubby_that_does_not_know_that_file(tmp_path: Path) -> None:
    machine = redhat(tmp_path)
    real = machine.tools["grubby"]

    def grubby(*given: str) -> Ran:
        before = machine.read("/etc/kernel/cmdline") or ""
        ran = real(*given)
        machine.put("/etc/kernel/cmdline", before)
        return ran

    machine.tools["grubby"] = grubby
    run(machine, *RT)
    assert machine.read("/etc/kernel/cmdline") == f"root=UUID=1f2e ro console=tty0 quiet {' '.join(RT)}\n"
    run(machine, state="absent")
    assert machine.read("/etc/kernel/cmdline") == "root=UUID=1f2e ro console=tty0 quiet\n"


def test_rpm_ostree_that_is_busy_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_PAUSE", 0)
    machine = coreos(tmp_path)
    machine.busy = 3
    assert run(machine, *RT)["changed"]
    assert sum(len(command) > 2 for command in machine.ran) == 4
    assert lines(machine)[0][-3:] == RT
    monkeypatch.setattr(host, "_PATIENCE", 0)
    machine.busy = 1
    with pytest.raises(RtvirtError, match=r"^rpm-ostree kargs .* failed with status 1: error: Transaction in progress"):
        run(machine, RT[0])
    assert run(machine, RT[0])["changed"]


def test_entries_that_differ_in_what_grubby_can_only_set_for_all(tmp_path: Path) -> None:
    machine = redhat(tmp_path, "ro console=tty0", second="ro console=tty1")
    with pytest.raises(RtvirtError, match=r"is to have other arguments than .*console=tty1.* and console=tty0"):
        run(machine, "console=ttyS0")
    assert machine.lines[:2] == ["ro console=tty0", "ro console=tty1"]
    assert not run(machine, state="absent")["changed"]


def test_recovery_entries_and_other_systems_stay(tmp_path: Path) -> None:
    machine = debian(tmp_path)
    run(machine, *RT)
    menu = machine.read("/boot/grub/grub.cfg") or ""
    kernels = [line for line in menu.splitlines() if line.strip().startswith("linux")]
    assert [RT[1] in line for line in kernels] == [True, True, False, True, False, False]


def test_settings_without_a_last_line_end_come_back_byte_for_byte(tmp_path: Path) -> None:
    machine = suse(tmp_path)
    before = machine.read("/etc/default/grub")
    run(machine, *RT)
    assert (machine.read("/etc/default/grub") or "").count("kernel_cmdline: begin") == 1
    run(machine, "nohz_full=2")
    assert (machine.read("/etc/default/grub") or "").count("kernel_cmdline: begin") == 1
    run(machine, state="absent")
    assert machine.read("/etc/default/grub") == before


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/etc/zipl.conf", "zipl"),
        ("/boot/extlinux/extlinux.conf", "extlinux"),
        ("/boot/efi/loader/loader.conf", "systemd-boot"),
        ("/boot/firmware/cmdline.txt", "Raspberry Pi"),
    ],
)
def test_boot_loaders_that_are_refused_by_their_names(path: str, name: str, tmp_path: Path) -> None:
    machine = redhat(tmp_path)
    machine.put(path, "")
    with pytest.raises(RtvirtError, match=name):
        run(machine, "quiet")
    assert machine.ran == []


def test_no_boot_loader(tmp_path: Path) -> None:
    with pytest.raises(RtvirtError, match="none of those that are managed here"):
        run(Machine(tmp_path), "quiet")


def test_what_ubuntu_s_loader_adds_is_nothing_left_over(tmp_path: Path) -> None:
    machine = debian(tmp_path)
    run(machine, "nohz_full=2")
    machine.put("/proc/cmdline", "BOOT_IMAGE=/vmlinuz root=UUID=1f2e ro quiet nohz_full=2 vt.handoff=7\n")
    done = run(machine, "nohz_full=2")
    assert (done["leftover"], done["reboot_required"]) == ([], False)


def test_only_ours_leaves_what_mounts_the_root_and_wakes_the_machine() -> None:
    """As the shell of grub-mkconfig reads it."""
    given = 'GRUB_CMDLINE_LINUX="resume=/dev/sda2 rd.luks=1 rd.luks.uuid=1f a=1"\n'
    given += 'GRUB_CMDLINE_LINUX_DEFAULT="quiet ip=dhcp ipv6.disable=1"\n'
    script = given + grub_files.settings(["nohz_full=2", "x=a b"], exact=True)
    shown = 'echo "$GRUB_CMDLINE_LINUX|$GRUB_CMDLINE_LINUX_DEFAULT"'
    ran = subprocess.run(["sh", "-euc", script + shown], check=True, capture_output=True, text=True)
    assert ran.stdout == "resume=/dev/sda2 rd.luks.uuid=1f ip=dhcp |nohz_full=2 x=a b\n"
