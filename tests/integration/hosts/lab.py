# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab host as tests see it: a Debian machine under QEMU that they may reboot, crash and cut the power of."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible_collections.rtvirt.core.tests.integration.task import Played, play
from ansible_collections.rtvirt.core.tests.lab_host.qmp import Monitor

_SCRIPT = Path(__file__).resolve().parents[2] / "lab_host" / "lab-host"


class LabHost:
    """:arg folder: where plays leave their files."""

    def __init__(self, name: str, inventory: Path, folder: Path) -> None:
        self._name = name
        self._inventory = inventory
        self._folder = folder

    def _script(self, command: str, *arguments: str) -> str:
        line = [str(_SCRIPT), command, self._name, *arguments]
        return subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout

    def shell(self, command: str) -> str:
        """What a command prints there."""
        return self._script("ssh", command).strip()

    def boot(self) -> str:
        """What is another one after each boot."""
        return self._script("boot-id").strip()

    def wait(self, after: str) -> None:
        """Until it answers after another boot than this one."""
        self._script("wait", "--after", after)

    def start(self) -> None:
        """Switch it on again, through GRUB, and wait for it."""
        self._script("start")

    def monitor(self, patience: float) -> Monitor:
        """Its QEMU's monitor. Nobody else has it meanwhile."""
        return Monitor(self._inventory.parent / "qmp.sock", patience)

    def play(self, *tasks: dict[str, t.Any], check: bool = False) -> Played:
        """Run tasks on it by ansible-playbook, each although the one before has failed."""
        return play(self._folder, *tasks, check=check, inventory=self._inventory)

    def run(self, module: str, **options: t.Any) -> dict[str, t.Any]:
        """Run one module of ours on it, which must not fail."""
        played = self.play({f"rtvirt.core.{module}": options})
        assert not played.results[0].get("failed"), played.output
        return played.results[0]

    @contextlib.contextmanager
    def kvm_in_use(self) -> t.Iterator[str]:
        """As by a VM that runs: a program has /dev/kvm open, and a machine in it. Its process id."""
        holding = "import fcntl, time; kvm = open('/dev/kvm'); vm = fcntl.ioctl(kvm, 0xAE01, 0); time.sleep(600)"
        holder = self.shell(f'setsid python3 -c "{holding}" </dev/null >/dev/null 2>&1 & sleep 1; echo $!')
        try:
            yield holder
        finally:
            self.shell(f"kill {holder}")

    def cut_power_when(self, condition: str, module: str, **options: t.Any) -> None:
        """Cut its power while a module of ours runs on it, as soon as a shell's condition holds there."""
        file = self._folder / "cut.yml"
        tasks = [{"name": "Be cut off", f"rtvirt.core.{module}": options}]
        file.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
        playbook = str(Path(sys.executable).parent / "ansible-playbook")
        look = f"for _ in $(seq 9000); do if {condition}; then echo now; exit; fi; sleep 0.02; done"
        with (
            _running([str(_SCRIPT), "ssh", self._name, look]) as watcher,
            _running([playbook, "-i", str(self._inventory), str(file)]) as run,
        ):
            assert watcher.stdout is not None
            assert "now\n" in watcher.stdout, "it has not come to that"
            assert run.poll() is None, "it was over before its power was cut"
            self._script("kill")


@contextlib.contextmanager
def _running(command: list[str]) -> t.Iterator[subprocess.Popen[str]]:
    """A program that is killed at the end, with all that it has started."""
    # Each has streams of its own: ssh makes its own non-blocking, which Ansible refuses.
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        if process.stdout is not None:
            process.stdout.close()
        process.wait()
