# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running kubevirt_vm: in this process, in one of its own, and as a task of a playbook."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible.module_utils.testing import patch_module_args

from ansible_collections.rtvirt.core.plugins.modules import kubevirt_vm

_MODULE = "ansible_collections.rtvirt.core.plugins.modules.kubevirt_vm"
# VmHWM, as getrusage would tell of the process that this one was forked from.
_IN_A_PROCESS = f"""
import atexit, json, re, sys
from ansible.module_utils.testing import patch_module_args
from {_MODULE} import main

def tell():
    print("peak", re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read()).group(1), file=sys.stderr)

atexit.register(tell)
with patch_module_args(json.load(sys.stdin)):
    main()
"""


class TaskError(Exception):
    """The module's fail_json."""

    def __init__(self, result: dict[str, t.Any]) -> None:
        super().__init__(result["msg"])
        self.result = result
        self.msg = str(result["msg"])


def run(*, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    """Run the module in this process. :raises TaskError: for what it refuses."""
    printed = io.StringIO()
    streams, ended = contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit)
    with patch_module_args(_arguments(options, check)), streams, ended:
        kubevirt_vm.main()
    return _result(printed.getvalue())


def run_one(*, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    """The same, and the one VM's own result with the task's diff."""
    result = run(check=check, **options)
    return {**result["result"], "diff": result["diff"]}


def attempt(act: t.Callable[..., dict[str, t.Any]], **options: t.Any) -> tuple[dict[str, t.Any], str]:
    """A result and "", or that of a failure and its message, where both are right."""
    try:
        return act(**options), ""
    except TaskError as error:
        return error.result, error.msg


class Process:
    """The module in a process of its own, started and not waited for.

    :ivar peak: the most memory that it had, in MiB, once there is a result.
    """

    def __init__(self, *, check: bool = False, **options: t.Any) -> None:
        self.peak = 0.0
        self.process = subprocess.Popen(
            [sys.executable, "-c", _IN_A_PROCESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(_arguments(options, check)))
        self.process.stdin.close()
        self.process.stdin = None

    def __del__(self) -> None:
        """Where a test has failed before it asked for the result."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def result(self, timeout: float = 120) -> dict[str, t.Any]:
        try:
            printed, errors = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert printed, errors
        assert "Traceback" not in errors, errors
        self.peak = float(errors.split()[-1]) / 1024
        return _result(printed)


@dataclasses.dataclass
class Played:
    """:ivar results: what each task registered.
    :ivar output: all that was printed: stdout and stderr.
    """

    results: list[dict[str, t.Any]]
    output: str


def play(
    folder: Path,
    *tasks: dict[str, t.Any],
    check: bool = False,
    verbose: bool = False,
    environment: t.Mapping[str, str] | None = None,
) -> Played:
    """Run tasks by ansible-playbook, each although the one before has failed."""
    steps: list[dict[str, t.Any]] = []
    for index, task in enumerate(tasks):
        steps.append({"name": f"Task {index}", **task, "register": f"task_{index}", "ignore_errors": True})
    names = ", ".join(f"task_{index}" for index in range(len(tasks)))
    copy = {"content": f"{{{{ [{names}] | to_json }}}}", "dest": str(folder / "results.json"), "mode": "0600"}
    steps.append({"name": "Results", "ansible.builtin.copy": copy, "check_mode": False, "diff": False, "no_log": True})
    variables = {"ansible_python_interpreter": sys.executable}
    plays = [{"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": steps}]
    (folder / "play.yml").write_text(json.dumps(plays))
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local", "--diff"]
    command += ["--check"] if check else []
    command += ["-vvv"] if verbose else []
    place = {"ANSIBLE_LOCAL_TEMP": str(folder), "ANSIBLE_REMOTE_TEMP": str(folder)}
    done = subprocess.run(
        [*command, str(folder / "play.yml")],
        capture_output=True,
        text=True,
        env={**os.environ, **place, **(environment or {})},
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return Played(json.loads((folder / "results.json").read_text()), output)


def _arguments(options: dict[str, t.Any], check: bool) -> dict[str, t.Any]:
    return {**options, "_ansible_check_mode": check, "_ansible_diff": True}


def _result(printed: str) -> dict[str, t.Any]:
    result: dict[str, t.Any] = json.loads(printed)
    # No error of ours comes with a traceback, whatever has failed.
    assert "exception" not in result, result
    if result.get("failed"):
        raise TaskError(result)
    return result
