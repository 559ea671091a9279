# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task ovs_dpdk: DPDK of Open vSwitch.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.ovs import dpdk, vswitchd
from ansible_collections.rtvirt.core.plugins.module_utils._host.ovs.database import (
    Database,
    read_database,
    settings_of,
    write_database,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.ovs.rows import (
    RECORD,
    FieldChange,
    change_row,
    removal,
    setting,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.task import Planned, Result, difference

ARGUMENTS: dict[str, t.Any] = {
    "dpdk_init": {"type": "str", "choices": ["true", "try", "false"], "default": "true"},
    "socket_mem": {"type": "list", "elements": "int"},
    "pmd_cpus": {"type": "str"},
    "lcore_cpus": {"type": "str"},
    "extra": {"type": "str"},
    "other_config": {"type": "dict", "default": {}},
    "allow_restart": {"type": "bool", "default": False},
    "disconnect_guests": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 60},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}

_ROW = "Open_vSwitch ."

#: Keys of the row's ``external_ids``: the process that runs with settings of before, until another one does; and the
#: program that was chosen before ours.
_STALE = "rtvirt-stale"
_FORMER = "rtvirt-former-program"
_VHOST = ("dpdkvhostuser", "dpdkvhostuserclient")


@dataclass(frozen=True)
class SwitchPlan:
    """What brings DPDK to what is declared.

    :ivar program: to have in place of the one that is chosen; empty for none.
    :ivar former: the program that is chosen.
    :ivar restarts: whether only a start brings it.
    :ivar allowed: whether it is restarted by this task.
    :ivar dpdk_init: as declared; ``false`` for none.
    """

    database: Database
    process: vswitchd.Vswitchd | None
    changes: tuple[FieldChange, ...]
    commands: tuple[list[str], ...]
    program: str
    former: str
    restarts: bool
    allowed: bool
    dpdk_init: str
    warnings: tuple[str, ...]

    @property
    def changed(self) -> bool:
        return bool(self.commands or self.program or (self.restarts and self.allowed))


def plan(params: t.Mapping[str, t.Any], host: Host) -> Planned:
    """:raises DeclarationError: for what this host cannot give, or what would cut guests off.
    :raises RtvirtError: where there is no Open vSwitch.
    """
    planned = _plan(params, host)

    def apply() -> Result:
        if planned.changed:
            _apply(host, planned, params["wait_timeout"])
        settings = settings_of(host)
        if settings["dpdk_initialized"] and planned.dpdk_init != "false":
            _look(host)
        return _described(planned, settings, apply=True)

    return Planned(lambda: _described(planned, planned.database.settings, apply=False), apply)


def _plan(params: t.Mapping[str, t.Any], host: Host) -> SwitchPlan:
    present = params["state"] == "present"
    problems: list[Problem] = []
    warnings: list[str] = []
    wanted = dpdk.wanted_fields(params, host, problems) if present else dpdk.Wanted({}, None)
    if params["wait_timeout"] < 1:
        problems.append(Problem("wait_timeout", f"is {params['wait_timeout']}: write 1 or more seconds"))
    if not present:
        problems += [
            Problem(name, "is nothing that state: absent needs: it unsets all that was set")
            for name in ("socket_mem", "pmd_cpus", "lcore_cpus", "extra", "other_config")
            if params[name]
        ]
    if problems:
        raise DeclarationError(problems)
    database, process = read_database(host), vswitchd.read_vswitchd(host)
    settings = database.settings
    fields = dpdk.spell(wanted.fields, settings["ovs_version"] or "0", problems)
    changes, commands = change_row(_ROW, settings, fields)
    runs_dpdk = present and wanted.initialises
    program, former = _program(host, settings, runs_dpdk=runs_dpdk)
    restarts = _restarts(settings, process, changes, runs_dpdk=runs_dpdk)
    if runs_dpdk and (restarts or not settings["dpdk_initialized"]):
        problems += dpdk.check_memory(host, wanted, _held(settings))
    if runs_dpdk:
        more, warnings = dpdk.check_cpus(host, wanted)
        problems += more
    if restarts and params["allow_restart"] and not params["disconnect_guests"]:
        problems += _guests(database)
    if problems:
        raise DeclarationError(problems)
    return SwitchPlan(
        database=database,
        process=process,
        changes=tuple(changes),
        commands=tuple(commands),
        program=program,
        former=former,
        restarts=restarts,
        allowed=params["allow_restart"],
        dpdk_init=params["dpdk_init"] if runs_dpdk else "false",
        warnings=tuple(warnings),
    )


def _program(host: Host, settings: t.Mapping[str, t.Any], *, runs_dpdk: bool) -> tuple[str, str]:
    """The program to choose, empty for the one that is, and the one that is.

    :raises DeclarationError: where no program with DPDK is installed.
    """
    former = (settings["external_ids"] or {}).get(_FORMER, "")
    if not runs_dpdk:
        return former, ""
    if vswitchd.has_dpdk(host):
        return "", ""
    chosen, programs = vswitchd.alternatives(host)
    program = next((path for path in programs if "dpdk" in path), None)
    if program is None:
        message = "Open vSwitch is installed without DPDK: install it, such as by the package openvswitch-switch-dpdk"
        raise DeclarationError([Problem("dpdk_init", message)])
    return program, former or chosen


def _restarts(
    settings: t.Mapping[str, t.Any],
    process: vswitchd.Vswitchd | None,
    changes: t.Iterable[FieldChange],
    *,
    runs_dpdk: bool,
) -> bool:
    """Whether the switch has to be started anew.

    DPDK that is not initialised yet is so by the transaction that sets it, in the switch that runs.
    """
    if process is None:
        return runs_dpdk
    stale = (settings["external_ids"] or {}).get(_STALE) == process.mark
    once = {change.field for change in changes} & dpdk.RESTART_FIELDS
    early = bool(settings["dpdk_initialized"]) or "other_config:userspace-tso-enable" in once
    return stale or bool(once and early) or (runs_dpdk and not process.has_dpdk)


def _held(settings: t.Mapping[str, t.Any]) -> list[int]:
    """MiB of each node that a restart gives back, as far as they were asked for."""
    text = (settings["other_config"] or {}).get("dpdk-socket-mem", "")
    amounts = text.split(",") if settings["dpdk_initialized"] else []
    return [int(amount) if amount.isdigit() else 0 for amount in amounts]


def _guests(database: Database) -> list[Problem]:
    ports = [name for name, row in database.interfaces.items() if row["type"] in _VHOST]
    attached = sorted(database.attached(ports))
    if not attached:
        return []
    message = f"would cut off the guests at {', '.join(attached)}, until they are connected again"
    return [Problem("allow_restart", f"{message}: stop them first, or set disconnect_guests")]


def _apply(host: Host, plan: SwitchPlan, seconds: int) -> None:
    """:raises RtvirtError: where DPDK does not come; the switch has its former settings then, and runs."""
    starts = plan.restarts and plan.allowed
    if plan.program:
        vswitchd.choose(host, plan.program)
    commands = [*plan.commands, *_notes(plan, starts)]
    running = plan.process is not None
    try:
        if commands:
            write_database(host, commands, seconds=seconds if running and not starts else None)
        if starts:
            vswitchd.restart(host)
        if plan.dpdk_init == "true" and (starts or not plan.restarts):
            _wait(host, seconds)
    except RtvirtError as error:
        if starts or (running and vswitchd.read_vswitchd(host) is None):
            said = vswitchd.what_it_said(host)
            _go_back(host, plan)
            message = f"DPDK was not initialised, and the switch was given its former settings: {said}"
            raise RtvirtError(message) from error
        raise


def _notes(plan: SwitchPlan, starts: bool) -> list[list[str]]:
    """What notes that a process runs with settings of before, and which program was chosen before ours."""
    noted = plan.database.settings["external_ids"] or {}
    wanted = dict(noted)
    if plan.restarts and not starts and plan.process is not None:
        wanted[_STALE] = plan.process.mark
    elif starts or plan.commands:
        wanted.pop(_STALE, None)
    if plan.former:
        wanted[_FORMER] = plan.former
    elif plan.dpdk_init == "false":
        wanted.pop(_FORMER, None)
    set_now = [setting(_ROW, f"external_ids:{key}", text) for key, text in wanted.items() if noted.get(key) != text]
    return set_now + [removal(_ROW, f"external_ids:{key}") for key in noted.keys() - wanted.keys()]


def _wait(host: Host, seconds: int) -> None:
    """:raises RtvirtError: where DPDK is not initialised in time."""
    until = time.monotonic() + seconds
    while True:
        # One that has died leaves the database as it was.
        runs = vswitchd.read_vswitchd(host) is not None
        if runs and settings_of(host)["dpdk_initialized"]:
            return
        if not runs or time.monotonic() > until:
            raise RtvirtError(f"DPDK is not initialised: {vswitchd.what_it_said(host)}")
        time.sleep(0.2)


def _go_back(host: Host, plan: SwitchPlan) -> None:
    """The row as it was before, the program that was chosen, and a switch that runs."""
    settings = plan.database.settings
    noted, now = settings["external_ids"] or {}, settings_of(host)["external_ids"] or {}
    pairs = [(change.field, change.before) for change in plan.changes]
    ours = (key for key in (RECORD, _STALE, _FORMER) if noted.get(key) != now.get(key))
    pairs += [(f"external_ids:{key}", noted.get(key)) for key in ours]
    commands = [removal(_ROW, field) if value is None else setting(_ROW, field, value) for field, value in pairs]
    if commands:
        write_database(host, commands, seconds=None)
    if plan.program and plan.former:
        vswitchd.choose(host, plan.former)
    vswitchd.restart(host)


def _look(host: Host) -> None:
    """Whether DPDK is there to be used. :raises RtvirtError: where it is not."""
    process = vswitchd.read_vswitchd(host)
    if process is None:
        raise RtvirtError(f"ovs-vswitchd does not run: {vswitchd.what_it_said(host)}")
    if process.lacks:
        message = f"DPDK runs without {process.lacks}, from which ports get their memory"
        raise RtvirtError(f"{message}: install it (on Debian the package librte-mempool-ring) and restart the switch")


def _described(plan: SwitchPlan, settings: t.Mapping[str, t.Any], *, apply: bool) -> Result:
    config = {} if settings["other_config"] is None else dict(settings["other_config"])
    if not apply:
        for change in plan.changes:
            key = change.field.partition(":")[2]
            config = {name: value for name, value in config.items() if name != key}
            config.update({} if change.after is None else {key: change.after})
    before = _text(plan.database.settings["other_config"] or {})
    return {
        "changed": plan.changed,
        "other_config": config,
        "restart_required": plan.restarts and not plan.allowed,
        "restarted": plan.restarts and plan.allowed,
        "dpdk_initialized": bool(settings["dpdk_initialized"]),
        "dpdk_version": settings["dpdk_version"] if settings["dpdk_initialized"] else None,
        "ovs_version": settings["ovs_version"],
        "warnings": list(plan.warnings),
        "diff": difference("Open_vSwitch other_config", before, _text(config)),
    }


def _text(config: t.Mapping[str, str]) -> str:
    return "".join(f"{key}={value}\n" for key, value in sorted(config.items()))
