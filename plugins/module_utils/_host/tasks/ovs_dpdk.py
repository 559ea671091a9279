# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task ovs_dpdk: DPDK of Open vSwitch.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import json
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

#: Keys of the row's ``external_ids``: the process that runs with settings of before, and these; and the program that
#: was chosen before ours.
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
    def initialises(self) -> bool:
        """Whether the process that runs initialises DPDK when it is told, or has been told to."""
        able = self.process is not None and self.process.has_dpdk
        return self.dpdk_init == "true" and able and not self.database.settings["dpdk_initialized"]

    @property
    def awaited(self) -> bool:
        """Whether DPDK is to come by the start of this task, or without one."""
        return self.dpdk_init == "true" and (self.allowed or not self.restarts or self.initialises)

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
        elif planned.awaited:
            _wait(host, planned.process, params["wait_timeout"])
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
    restarts = _restarts(settings, process, _config_after(settings, changes), runs_dpdk=runs_dpdk)
    if runs_dpdk and (restarts or not settings["dpdk_initialized"]):
        problems += dpdk.check_memory(host, wanted, _held(settings, process))
    if runs_dpdk:
        more, warnings = dpdk.check_cpus(host, wanted)
        problems += more
    # Of one that has died the database goes on saying that guests are connected.
    if restarts and process is not None and params["allow_restart"] and not params["disconnect_guests"]:
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
    after: t.Mapping[str, str],
    *,
    runs_dpdk: bool,
) -> bool:
    """Whether the switch has to be started anew.

    DPDK that is not initialised yet is so by the transaction that sets it, in the switch that runs.

    :arg after: ``other_config`` as it will be.
    """
    if process is None:
        return runs_dpdk
    fields = dpdk.RESTART_FIELDS if settings["dpdk_initialized"] else dpdk.START_FIELDS
    return _part(_in_force(settings, process), fields) != _part(after, fields) or (runs_dpdk and not process.has_dpdk)


def _config_after(settings: t.Mapping[str, t.Any], changes: t.Iterable[FieldChange]) -> dict[str, str]:
    """``other_config`` with changes of it."""
    given = {change.field.partition(":")[2]: change.after for change in changes}
    return {key: value for key, value in {**(settings["other_config"] or {}), **given}.items() if value is not None}


def _part(config: t.Mapping[str, str], fields: t.Collection[str]) -> dict[str, str]:
    return {key: value for key, value in config.items() if _field(key) in fields}


def _stale(settings: t.Mapping[str, t.Any], process: vswitchd.Vswitchd | None) -> dict[str, str] | None:
    """What the process was started with of settings that were written since; None where nothing was."""
    try:
        told = json.loads((settings["external_ids"] or {}).get(_STALE) or "null")
        return dict(told["other_config"]) if process is not None and told["process"] == process.mark else None
    except (KeyError, TypeError, ValueError):
        # None, or somebody has spoilt it.
        return None


def _in_force(settings: t.Mapping[str, t.Any], process: vswitchd.Vswitchd | None) -> dict[str, str]:
    """``other_config`` as the process has it."""
    config, stale = dict(settings["other_config"] or {}), _stale(settings, process)
    if stale is None:
        return config
    return {**_part(config, {_field(key) for key in config} - dpdk.RESTART_FIELDS), **stale}


def _field(key: str) -> str:
    return f"other_config:{key}"


def _held(settings: t.Mapping[str, t.Any], process: vswitchd.Vswitchd | None) -> list[int]:
    """MiB of each node that a restart gives back, as far as they were asked for."""
    text = _in_force(settings, process).get("dpdk-socket-mem", "")
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
    process = plan.process
    # The first to be told that DPDK is not initialised is who asks: a switch that ends on it answers no more.
    waits = process is not None and not starts and not plan.initialises
    try:
        if commands:
            write_database(host, commands, seconds=seconds if waits else None)
        if starts:
            vswitchd.restart(host)
            process = vswitchd.read_vswitchd(host)
        if plan.awaited:
            _wait(host, process, seconds)
    except RtvirtError as error:
        now = vswitchd.read_vswitchd(host)
        if starts or (process is not None and (now is None or now.mark != process.mark)):
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
        kept = _part(_in_force(plan.database.settings, plan.process), dpdk.RESTART_FIELDS)
        if plan.initialises:
            # It initialises DPDK with what is written now; only what it has read at its start is of before.
            new = _config_after(plan.database.settings, plan.changes)
            kept = {**_part(kept, dpdk.START_FIELDS), **_part(new, dpdk.RESTART_FIELDS - dpdk.START_FIELDS)}
        note = {"process": plan.process.mark, "other_config": kept}
        wanted[_STALE] = json.dumps(note, sort_keys=True)
    elif starts or plan.commands:
        wanted.pop(_STALE, None)
    if plan.former:
        wanted[_FORMER] = plan.former
    elif plan.dpdk_init == "false":
        wanted.pop(_FORMER, None)
    set_now = [setting(_ROW, f"external_ids:{key}", text) for key, text in wanted.items() if noted.get(key) != text]
    return set_now + [removal(_ROW, f"external_ids:{key}") for key in noted.keys() - wanted.keys()]


def _wait(host: Host, process: vswitchd.Vswitchd | None, seconds: int) -> None:
    """Wait for a process to initialise DPDK.

    :raises RtvirtError: where it does not in time, or ends. Another one in its place has been started by somebody who
        does not know why it has ended (systemd, a monitor), and will end too.
    """
    until = time.monotonic() + seconds
    while True:
        now = vswitchd.read_vswitchd(host)
        # One that has died leaves the database as it was.
        runs = now is not None and process is not None and now.mark == process.mark
        if runs and settings_of(host)["dpdk_initialized"]:
            return
        if not runs or time.monotonic() > until:
            raise RtvirtError(f"DPDK is not initialised: {vswitchd.what_it_said(host)}")
        time.sleep(0.2)


def _go_back(host: Host, plan: SwitchPlan) -> None:
    """What the process had that ran before, the program that was chosen, and a switch that runs."""
    settings, now = plan.database.settings, settings_of(host)
    config, written = _in_force(settings, plan.process), now["other_config"] or {}
    touched = {change.field for change in plan.changes} | dpdk.RESTART_FIELDS
    pairs = [(_field(key), config.get(key)) for key in sorted({*config, *written}) if _field(key) in touched]
    pairs = [(field, value) for field, value in pairs if value != written.get(field.partition(":")[2])]
    noted, left = settings["external_ids"] or {}, now["external_ids"] or {}
    pairs += [(f"external_ids:{key}", noted.get(key)) for key in (RECORD, _FORMER) if noted.get(key) != left.get(key)]
    pairs += [(f"external_ids:{_STALE}", None)] if _STALE in left else []
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
