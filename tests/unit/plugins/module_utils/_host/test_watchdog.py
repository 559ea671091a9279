# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""watchdog on a tree of sysfs and procfs whose systemd is played here."""

from __future__ import annotations

import os
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host import feeding
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Ran
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks import watchdog
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.tree import Tree, carry_out

DEFAULTS: dict[str, t.Any] = {name: option.get("default") for name, option in watchdog.ARGUMENTS.items()}
MANAGER = "/etc/systemd/system.conf.d/zz-rtvirt-watchdog.conf"
DROP_IN = "/etc/systemd/system/watchdog.service.d/zz-rtvirt.conf"
DAEMON = "/etc/rtvirt-watchdog.conf"


class Machine(Tree):
    """systemd (process 1) and the daemon (process 7) open the device that their configuration names."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.enabled = "disabled"
        self.works = True
        (root / "run/systemd/system").mkdir(parents=True)
        self.put("/proc/1/comm", "systemd\n")
        self.put("/proc/7/comm", "watchdog\n")
        self.device("watchdog0", "i6300ESB timer")

    def device(self, name: str, identity: str) -> None:
        for attribute, value in (("identity", identity), ("state", "inactive"), ("timeout", "30")):
            self.put(f"/sys/class/watchdog/{name}/{attribute}", f"{value}\n")

    def holds(self, pid: int, holds: bool) -> None:
        folder = self.root / f"proc/{pid}/fd"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if holds:
            os.symlink("/dev/watchdog0", folder / "9")
        active = any((self.root / f"proc/{one}/fd/9").is_symlink() for one in (1, 7))
        self.put("/sys/class/watchdog/watchdog0/state", "active\n" if active else "inactive\n")

    def answer(self, command: t.Sequence[str]) -> Ran:
        line = " ".join(command)
        if line == "systemctl daemon-reexec":
            self.holds(1, self.works and self.exists(MANAGER))
        elif line == "systemctl restart watchdog.service":
            self.holds(7, self.works and self.exists(DROP_IN))
        elif line == "systemctl stop watchdog.service":
            self.holds(7, False)
        elif line in ("systemctl enable watchdog.service", "systemctl disable watchdog.service"):
            self.enabled = line.split()[1] + "d"
        elif line == "systemctl is-enabled watchdog.service":
            return Ran(0, f"{self.enabled}\n", "")
        elif line == "systemctl is-active watchdog.service":
            return Ran(3, "inactive\n", "")
        elif command[0] == "modprobe" and "--dry-run" not in command:
            self.device("watchdog0", "i6300ESB timer")
        return Ran(0, "", "")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(feeding, "_PATIENCE", 0)
    found = Machine(tmp_path)
    found.put("/usr/sbin/watchdog", "")
    return found


def run(machine: Machine, *, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    return carry_out(watchdog, {**DEFAULTS, **options}, machine, check=check)


def test_systemd_feeds_and_lets_go(machine: Machine) -> None:
    files = machine.files()
    assert run(machine, check=True)["changed"]
    assert machine.files() == files
    done = run(machine, timeout=20)
    assert done["changed"]
    assert done["watchdogs"] == [
        {"name": "watchdog0", "identity": "i6300ESB timer", "active": True, "timeout": 30, "holders": ["systemd (1)"]}
    ]
    assert "WatchdogDevice=/dev/watchdog-rtvirt\nRuntimeWatchdogSec=20\n" in (machine.read(MANAGER) or "")
    assert 'ATTR{identity}=="i6300ESB timer", SYMLINK+="watchdog-rtvirt"' in (
        machine.read("/etc/udev/rules.d/60-rtvirt-watchdog.rules") or ""
    )
    machine.ran.clear()
    assert not run(machine, timeout=20)["changed"]
    assert machine.ran == []
    done = run(machine, state="absent")
    assert (done["changed"], done["watchdogs"][0]["holders"]) == (True, [])
    assert machine.files() == files
    assert not run(machine, state="absent")["changed"]


def test_the_daemon_feeds_and_lets_go(machine: Machine) -> None:
    files = machine.files()
    done = run(machine, feeder="daemon", tests={"max-load-1": 24})
    assert done["watchdogs"][0]["holders"] == ["watchdog (7)"]
    text = machine.read(DAEMON) or ""
    for line in ("watchdog-device = /dev/watchdog-rtvirt", "watchdog-timeout = 30", "interval = 10", "max-load-1 = 24"):
        assert f"{line}\n" in text
    assert machine.enabled == "enabled"
    assert not run(machine, feeder="daemon", tests={"max-load-1": 24})["changed"]
    run(machine, state="absent")
    assert machine.enabled == "disabled"
    assert machine.files() == files


def test_from_one_feeder_to_the_other(machine: Machine) -> None:
    run(machine, feeder="daemon")
    assert run(machine)["watchdogs"][0]["holders"] == ["systemd (1)"]
    assert machine.read(DAEMON) is None
    assert run(machine, feeder="daemon")["watchdogs"][0]["holders"] == ["watchdog (7)"]


def test_a_feeder_that_has_died_is_started_again(machine: Machine) -> None:
    run(machine, feeder="daemon")
    machine.holds(7, False)
    assert run(machine, check=True, feeder="daemon")["changed"]
    assert run(machine, feeder="daemon")["watchdogs"][0]["active"]


def test_a_feeder_that_does_not_feed(machine: Machine) -> None:
    machine.works = False
    with pytest.raises(RtvirtError, match="nobody feeds 'i6300ESB timer' after systemd was started"):
        run(machine)
    machine.works = True
    assert run(machine)["changed"]


def test_which_of_several(machine: Machine) -> None:
    machine.device("watchdog1", "iTCO_wdt")
    with pytest.raises(DeclarationError, match=r"^identity: means several watchdogs: .*'i6300ESB timer', 'iTCO_wdt'"):
        run(machine)
    with pytest.raises(DeclarationError, match=r"^identity: is 'softdog', and this machine has"):
        run(machine, identity="softdog")
    assert run(machine, identity="i6300esb*")["changed"]


def test_a_driver_that_is_not_loaded(machine: Machine) -> None:
    shutil.rmtree(machine.root / "sys/class/watchdog")
    with pytest.raises(DeclarationError, match=r"^identity: this machine has no watchdog"):
        run(machine)
    files = machine.files()
    assert run(machine, driver="i6300esb", check=True)["changed"]
    assert (machine.files(), machine.ran) == (files, [("modprobe", "--dry-run", "i6300esb")])
    run(machine, driver="i6300esb")
    assert ("modprobe", "i6300esb") in machine.ran
    assert "i6300esb\n" in (machine.read("/etc/modules-load.d/zz-rtvirt-watchdog.conf") or "")
