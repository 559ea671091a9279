# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""supervisor.py DIRECTORY: runs virtlogd and libvirtd for the harness where no service manager does.

It buries dead processes at once. libvirtd waits for the QEMUs that it starts in the background until nothing is left of
them; where process 1 collects them late, or never (many containers), each probe and each stop of a guest takes seconds.

DIRECTORY/NAME.pid holds "pid start-time" of a daemon that runs. SIGUSR1 starts again what was killed; SIGTERM ends both
daemons. Guests go on, as children of process 1.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
SIGNALS = {signal.SIGCHLD, signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
PATIENCE = 20


def start_time(pid: int) -> str:
    """The kernel's start time of a process: with its id, a name that is never given twice."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


class Daemon:
    """One daemon, run in the foreground as our child."""

    def __init__(self, directory: Path, name: str) -> None:
        self.name = name
        self.mark = directory / f"{name}.pid"
        self.log = directory / f"{name}.log"
        self.pid = 0

    def start(self) -> None:
        if self.pid:
            return
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [self.name],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=unblock,
            )
        self.pid = process.pid
        process.returncode = 0  # collected by bury(), not by subprocess
        self.mark.write_text(f"{self.pid} {start_time(self.pid)}\n")

    def stop(self, signal_number: int) -> None:
        if self.pid:
            os.kill(self.pid, signal_number)

    def ended(self) -> None:
        self.pid = 0
        self.mark.unlink(missing_ok=True)


def unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def bury(daemons: list[Daemon]) -> None:
    """Collects all that have died, our daemons and the orphans among their descendants."""
    while True:
        try:
            pid, _status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        for daemon in daemons:
            if daemon.pid == pid:
                daemon.ended()


def end(daemon: Daemon, daemons: list[Daemon]) -> None:
    daemon.stop(signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while daemon.pid:
        signal.sigtimedwait({signal.SIGCHLD}, 1)
        bury(daemons)
        if daemon.pid and time.monotonic() > deadline:
            daemon.stop(signal.SIGKILL)


def main() -> None:
    directory = Path(sys.argv[1])
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    own_mark = directory / "supervisor.pid"
    virtlogd, libvirtd = daemons = [Daemon(directory, "virtlogd"), Daemon(directory, "libvirtd")]
    own_mark.write_text(f"{os.getpid()} {start_time(os.getpid())}\n")
    for daemon in daemons:
        daemon.start()
    while True:
        received = signal.sigwait(SIGNALS)
        bury(daemons)
        if received == signal.SIGUSR1:
            virtlogd.start()
            libvirtd.start()
        elif received != signal.SIGCHLD:
            break
    for daemon in (libvirtd, virtlogd):
        end(daemon, daemons)
    own_mark.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
