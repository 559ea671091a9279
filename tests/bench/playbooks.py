# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole ansible-playbook runs, timed."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import typing as t
from dataclasses import dataclass


@dataclass
class Run:
    """One playbook run: seconds of wall time, and the largest process's resident memory in MiB."""

    seconds: float
    memory: float


def playbook(folder: pathlib.Path, name: str, tasks: list[dict[str, t.Any]]) -> pathlib.Path:
    path = folder / f"{name}.yml"
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    path.write_text(json.dumps([play]))
    return path


def run(path: pathlib.Path) -> Run:
    """Run a playbook with ours and the peers' collections; the peers are in the folder that PEERS names."""
    command = ["ansible-playbook", "-i", "localhost,", "-e", f"ansible_python_interpreter={sys.executable}", str(path)]
    environment = {
        **os.environ,
        "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": f"{os.environ['ANSIBLE_COLLECTIONS_PATH']}:{os.environ['PEERS']}",
    }
    with tempfile.TemporaryFile() as output:
        begun = time.monotonic()
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        _pid, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            sys.exit(f"{path.name} failed:\n{output.read().decode()}")
    return Run(seconds, usage.ru_maxrss / 1024)
