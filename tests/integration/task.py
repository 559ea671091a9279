# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a module: in this process, in one of its own, and as a task of a playbook."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible.module_utils.testing import patch_module_args

_MODULES = "ansible_collections.rtvirt.core.plugins.modules"
# VmHWM, as getrusage would tell of the process that this one was forked from.
_IN_A_PROCESS = """
import atexit, importlib, json, re, sys
from ansible.module_utils.testing import patch_module_args

def tell():
    print("peak", re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read()).group(1), file=sys.stderr)

main = importlib.import_module(sys.argv[1]).main
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


class Module:
    """A module of the collection, with options that every test of it has."""

    def __init__(self, name: str, **options: t.Any) -> None:
        self._name = f"{_MODULES}.{name}"
        self._options = options

    def run(self, *, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        """Run it in this process. :raises TaskError: for what it refuses."""
        printed = io.StringIO()
        streams, ended = contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit)
        with patch_module_args(self._arguments(options, check)), streams, ended:
            importlib.import_module(self._name).main()
        return _result(printed.getvalue())

    def run_one(self, *, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        """The same, and the one VM's own result with the task's diff."""
        result = self.run(check=check, **options)
        return {**result["result"], "diff": result["diff"]}

    def start(self, **options: t.Any) -> Process:
        """Start it in a process of its own."""
        return Process(self._name, self._arguments(options, check=False))

    def _arguments(self, options: dict[str, t.Any], check: bool) -> dict[str, t.Any]:
        return {**self._options, **options, "_ansible_check_mode": check, "_ansible_diff": True}


class Process:
    """A module that was started and not waited for.

    :ivar peak: the most memory that it had, in MiB, once there is a result.
    """

    def __init__(self, module: str, arguments: dict[str, t.Any]) -> None:
        self.peak = 0.0
        self.process = subprocess.Popen(
            [sys.executable, "-c", _IN_A_PROCESS, module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(arguments))
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
    inventory: Path | None = None,
) -> Played:
    """Run tasks by ansible-playbook, each although the one before has failed.

    :arg inventory: of the one host that they run on, otherwise it is this machine.
    """
    steps: list[dict[str, t.Any]] = []
    for index, task in enumerate(tasks):
        steps.append({"name": f"Task {index}", **task, "register": f"task_{index}", "ignore_errors": True})
    names = ", ".join(f"task_{index}" for index in range(len(tasks)))
    copy = {"content": f"{{{{ [{names}] | to_json }}}}", "dest": str(folder / "results.json"), "mode": "0600"}
    always = {"delegate_to": "localhost", "check_mode": False, "diff": False, "no_log": True}
    steps.append({"name": "Results", "ansible.builtin.copy": copy, **always})
    plays = [{"hosts": "all", "gather_facts": False, "tasks": steps}]
    (folder / "play.yml").write_text(json.dumps(plays))
    here = ["-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}"]
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "--diff"]
    command += here if inventory is None else ["-i", str(inventory)]
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


def _result(printed: str) -> dict[str, t.Any]:
    result: dict[str, t.Any] = json.loads(printed)
    # No error of ours comes with a traceback, whatever has failed.
    assert "exception" not in result, result
    if result.get("failed"):
        raise TaskError(result)
    return result
