# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running libvirt_vm: in this process, in one of its own, and as a task of a playbook."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible.module_utils.testing import patch_module_args

from ansible_collections.rtvirt.core.plugins.modules import libvirt_vm

_MODULE = "ansible_collections.rtvirt.core.plugins.modules.libvirt_vm"
_IN_A_PROCESS = f"""
import json, sys
from ansible.module_utils.testing import patch_module_args
from {_MODULE} import main
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
        libvirt_vm.main()
    return _result(printed.getvalue())


def run_one(*, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    """The same, and the one VM's own result with the task's diff."""
    result = run(check=check, **options)
    return {**result["result"], "diff": result["diff"]}


class Process:
    """The module in a process of its own, started and not waited for."""

    def __init__(self, **options: t.Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _IN_A_PROCESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(_arguments(options, check=False)))
        self.process.stdin.close()
        self.process.stdin = None

    def result(self, timeout: float = 120) -> dict[str, t.Any]:
        printed, errors = self.process.communicate(timeout=timeout)
        assert printed, errors
        assert "Traceback" not in errors, errors
        return _result(printed)


def play(folder: Path, *tasks: dict[str, t.Any], check: bool = False) -> list[dict[str, t.Any]]:
    """Run tasks by ansible-playbook; each task's registered result."""
    steps: list[dict[str, t.Any]] = []
    for index, task in enumerate(tasks):
        steps.append({"name": f"Task {index}", **task, "register": f"task_{index}", "ignore_errors": True})
    names = ", ".join(f"task_{index}" for index in range(len(tasks)))
    copy = {"content": f"{{{{ [{names}] | to_json }}}}", "dest": str(folder / "results.json"), "mode": "0600"}
    steps.append({"name": "Results", "ansible.builtin.copy": copy, "check_mode": False})
    variables = {"ansible_python_interpreter": sys.executable}
    plays = [{"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": steps}]
    (folder / "play.yml").write_text(json.dumps(plays))
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local"]
    command += ["--check"] if check else []
    environment = {**os.environ, "ANSIBLE_LOCAL_TEMP": str(folder), "ANSIBLE_REMOTE_TEMP": str(folder)}
    done = subprocess.run(
        [*command, "--diff", str(folder / "play.yml")], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return t.cast("list[dict[str, t.Any]]", json.loads((folder / "results.json").read_text()))


def _arguments(options: dict[str, t.Any], check: bool) -> dict[str, t.Any]:
    return {"virt_type": "qemu", **options, "_ansible_check_mode": check, "_ansible_diff": True}


def _result(printed: str) -> dict[str, t.Any]:
    result: dict[str, t.Any] = json.loads(printed)
    assert "exception" not in result or result.get("failed"), result
    if result.get("failed"):
        raise TaskError(result)
    return result
