# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole ansible-playbook runs, timed."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import typing as t
from dataclasses import dataclass


@dataclass
class Run:
    """One playbook run.

    :ivar seconds: wall time of all of it.
    :ivar tasks: wall time of its tasks as Ansible has it (ansible.posix.profile_tasks), without its own start and end.
    :ivar memory: the largest process's resident memory in MiB.
    """

    seconds: float
    tasks: float
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
        "ANSIBLE_CALLBACKS_ENABLED": "ansible.posix.profile_tasks",
        "ANSIBLE_COLLECTIONS_PATH": f"{os.environ['ANSIBLE_COLLECTIONS_PATH']}:{os.environ['PEERS']}",
    }
    with tempfile.TemporaryFile() as output:
        begun = time.monotonic()
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        _pid, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        printed = output.read().decode()
        if process.returncode:
            sys.exit(f"{path.name} failed:\n{printed}")
    tasks = sum(float(count) for count in re.findall(r" -+ ([0-9.]+)s$", printed, re.MULTILINE))
    return Run(seconds, tasks, usage.ru_maxrss / 1024)
