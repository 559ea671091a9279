#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible module rtvirt.core.watchdog."""

from __future__ import annotations

DOCUMENTATION = r"""
module: watchdog
short_description: Have a watchdog fed, in a guest or on a host
version_added: 0.1.0
author:
  - The rtvirt.core authors (@rtvirt)
description:
  - A watchdog resets a machine that does not feed it any more. The device alone does nothing; this has it fed by
    systemd or by the daemon C(watchdog), and looks whether it really is.
  - In a guest the device is a part of the VM's declaration (O(rtvirt.core.libvirt_vm#module:watchdog)), and so is what
    happens when it is not fed.
options:
  feeder:
    description:
      - V(systemd) feeds as long as systemd itself goes on. V(daemon) is C(watchdog), which can look at more, see
        O(tests); its package must be installed.
    type: str
    choices: [systemd, daemon]
    default: systemd
  identity:
    description:
      - Which watchdog, by the identity of its driver, such as V(i6300ESB*). Needed where there are several.
    type: str
  driver:
    description:
      - Kernel module to load for it, now and at boot, such as V(i6300esb). Most load by themselves.
    type: str
  timeout:
    description:
      - Seconds without food until the machine is reset.
    type: int
    default: 30
  interval:
    description:
      - Seconds between two meals by the daemon. systemd takes half of O(timeout).
    type: int
    default: 10
  reboot_timeout:
    description:
      - Seconds that a reboot may take before the watchdog ends it. Only of systemd.
    type: int
    default: 600
  tests:
    description:
      - Further keys of C(watchdog.conf), such as C(max-load-1) or C(ping). The daemon stops feeding where one fails.
    type: dict
    default: {}
  state:
    description:
      - V(absent) stops the feeding, disarms the watchdog, and removes what was written.
    type: str
    choices: [present, absent]
    default: present
notes:
  - One feeder only. Where another one feeds already, that is an error.
  - Needs systemd.
attributes:
  check_mode:
    support: full
    description: Nothing is written, and no driver is loaded.
  diff_mode:
    support: full
    description: The files that are written.
"""

EXAMPLES = r"""
- name: Reset this guest when it hangs
  rtvirt.core.watchdog:
    identity: i6300ESB*

- name: The same by the daemon, and when its load is too high
  rtvirt.core.watchdog:
    identity: i6300ESB*
    feeder: daemon
    tests:
      max-load-1: 48
"""

RETURN = r"""
watchdogs:
  description: The watchdogs of this machine after the task. C(holders) are the programs that have one open.
  type: list
  elements: dict
  returned: success
  sample:
    - {name: watchdog0, identity: i6300ESB timer, active: true, timeout: 30, holders: [systemd (1)]}
"""

import time
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.record import read_record, record_changes
from ansible_collections.rtvirt.core.plugins.module_utils._host.settings import (
    Settings,
    SettingsPlan,
    apply_settings,
    plan_settings,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.task import diff_of, run_on_host
from ansible_collections.rtvirt.core.plugins.module_utils._host.watchdogs import (
    SERVICE,
    Watchdog,
    choose,
    files_of,
    holders,
    read_watchdogs,
)

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

_RECORD = "watchdog"
_SERVICE_RECORD = "watchdog_service"

#: Seconds until a feeder that was started has to have the device open.
_PATIENCE = 15.0


def check(params: t.Mapping[str, t.Any]) -> None:
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


def check_feeders(host: Host, params: t.Mapping[str, t.Any], watchdog: Watchdog) -> None:
    """:raises DeclarationError: where somebody else feeds, or the daemon is not installed."""
    if params["feeder"] == "daemon" and not host.has_tool("watchdog"):
        raise DeclarationError([Problem("feeder", "the daemon is not installed: install the package watchdog")])
    others = holders(host, watchdog.name)
    if others and not read_record(host, _RECORD):
        message = f"{', '.join(others)} feeds {watchdog.identity!r} already: let one of them do it"
        raise DeclarationError([Problem("feeder", message)])


def converge(params: t.Mapping[str, t.Any], check_mode: bool, host: Host) -> dict[str, t.Any]:
    """Have the watchdog fed, or leave it alone again, and tell how all of them are."""
    check(params)
    if not host.exists("/run/systemd/system"):
        raise RtvirtError("this machine does not run systemd, which starts what feeds a watchdog")
    if params["state"] == "absent":
        plan = plan_settings(host, _RECORD, Settings())
        if plan.changed and not check_mode:
            apply_settings(host, plan)
            stop_feeding(host)
        return described(host, plan)
    if params["driver"] is not None and not check_mode and not host.exists(f"/sys/module/{params['driver']}"):
        host.must_run("modprobe", params["driver"])
    watchdog = choose(read_watchdogs(host), params["identity"])
    given = {name: params[name] for name in ("timeout", "interval", "reboot_timeout", "tests", "driver")}
    plan = plan_settings(host, _RECORD, Settings(files_of(watchdog, params["feeder"], **given)))
    check_feeders(host, params, watchdog)
    unfed = not holders(host, watchdog.name)
    if (plan.changed or unfed) and not check_mode:
        apply_settings(host, plan)
        feed(host, params["feeder"], watchdog)
    return described(host, plan, unfed=unfed)


def feed(host: Host, feeder: str, watchdog: Watchdog) -> None:
    """Start the feeder anew. :raises RtvirtError: where it does not feed afterwards."""
    host.must_run("udevadm", "control", "--reload")
    host.must_run("udevadm", "trigger", "--settle", "--subsystem-match=watchdog")
    if feeder == "systemd":
        stop_daemon(host)
        host.must_run("systemctl", "daemon-reexec")
    else:
        asked = ("is-enabled", "is-active")
        was = {question: host.run("systemctl", question, SERVICE).output.strip() for question in asked}
        host.apply(record_changes(host, _SERVICE_RECORD, read_record(host, _SERVICE_RECORD) or was))
        # Where systemd was the feeder, it is so no more.
        host.must_run("systemctl", "daemon-reexec")
        host.must_run("systemctl", "enable", SERVICE)
        host.must_run("systemctl", "restart", SERVICE)
    until = time.monotonic() + _PATIENCE
    while len(holders(host, watchdog.name)) != 1 and time.monotonic() < until:
        time.sleep(0.5)
    found = holders(host, watchdog.name)
    if len(found) != 1:
        told = f"{', '.join(found)} feed" if found else "nobody feeds"
        raise RtvirtError(f"{told} {watchdog.identity!r} after {feeder} was started")


def stop_daemon(host: Host) -> None:
    """The daemon as it was before the first run."""
    was = read_record(host, _SERVICE_RECORD)
    if was:
        host.must_run("systemctl", "stop", SERVICE)
        host.must_run("systemctl", "daemon-reload")
        if was["is-enabled"] != "enabled":
            host.must_run("systemctl", "disable", SERVICE)
        if was["is-active"] == "active":
            host.must_run("systemctl", "start", SERVICE)
        host.apply(record_changes(host, _SERVICE_RECORD, {}))


def stop_feeding(host: Host) -> None:
    stop_daemon(host)
    # systemd lets go of the device, in the way that disarms it.
    host.must_run("systemctl", "daemon-reexec")
    host.must_run("udevadm", "control", "--reload")


def described(host: Host, plan: SettingsPlan, *, unfed: bool = False) -> dict[str, t.Any]:
    watchdogs = [{**vars(one), "holders": holders(host, one.name)} for one in read_watchdogs(host)]
    return {"changed": plan.changed or unfed, "watchdogs": watchdogs, "diff": diff_of(plan.files)}


def main() -> None:
    run_on_host(ARGUMENTS, converge)


if __name__ == "__main__":
    main()
