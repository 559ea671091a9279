# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task watchdog: what feeds a watchdog.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.feeding import FeedingPlan, apply_feeding, plan_feeding
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import FileChange, Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.task import Planned, Result, diff_of
from ansible_collections.rtvirt.core.plugins.module_utils._host.watchdogs import choose, holders, read_watchdogs

ARGUMENTS: dict[str, t.Any] = {
    "feeder": {"type": "str", "choices": ["systemd", "daemon"], "default": "systemd"},
    "identity": {"type": "str"},
    "driver": {"type": "str"},
    "timeout": {"type": "int", "default": 30},
    "interval": {"type": "int", "default": 10},
    "reboot_timeout": {"type": "int", "default": 600},
    "tests": {"type": "dict", "default": {}},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def _check(params: t.Mapping[str, t.Any]) -> None:
    """:raises DeclarationError: for times that are none."""
    problems = [
        Problem(name, f"is {params[name]}: write 1 or more seconds")
        for name in ("timeout", "interval", "reboot_timeout")
        if params[name] < 1
    ]
    if params["feeder"] == "daemon" and not problems and params["interval"] >= params["timeout"]:
        message = f"is {params['interval']} s, and the machine is reset after {params['timeout']} s: feed more often"
        problems.append(Problem("interval", message))
    if params["feeder"] == "systemd" and params["tests"]:
        problems.append(Problem("tests", "are the daemon's: set feeder: daemon, or leave them out"))
    if problems:
        raise DeclarationError(problems)


def plan(params: t.Mapping[str, t.Any], host: Host) -> Planned:
    """:raises DeclarationError: for what cannot be fed so.
    :raises RtvirtError: for a machine without systemd.
    """
    _check(params)
    if not host.runs_systemd():
        raise RtvirtError("this machine does not run systemd, which starts what feeds a watchdog")
    present, driver = params["state"] == "present", params["driver"]
    if present and params["feeder"] == "daemon" and not host.has_tool("watchdog"):
        raise DeclarationError([Problem("feeder", "the daemon is not installed: install the package watchdog")])
    loads = present and driver is not None and not host.exists(f"/sys/module/{driver}")

    def feeding() -> FeedingPlan:
        watchdog = choose(read_watchdogs(host), params["identity"]) if present else None
        given = {name: params[name] for name in ("timeout", "interval", "reboot_timeout", "tests", "driver")}
        return plan_feeding(host, watchdog, params["feeder"], **given)

    def predict() -> Result:
        if loads:
            # Which watchdog the driver brings is known when it is loaded.
            host.must_run("modprobe", "--dry-run", driver)
            return _described(host, changed=True)
        planned = feeding()
        return _described(host, planned.settings.files, changed=planned.changed)

    def apply() -> Result:
        if loads:
            host.must_run("modprobe", driver)
        planned = feeding()
        if planned.changed:
            apply_feeding(host, planned)
        return _described(host, planned.settings.files, changed=planned.changed)

    return Planned(predict, apply)


def _described(host: Host, files: t.Sequence[FileChange] = (), *, changed: bool) -> Result:
    watchdogs = [{**vars(one), "holders": holders(host, one.name)} for one in read_watchdogs(host)]
    return {"changed": changed, "watchdogs": watchdogs, "diff": diff_of(files)}
