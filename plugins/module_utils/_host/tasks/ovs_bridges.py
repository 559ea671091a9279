# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task ovs_bridges: bridges and ports of Open vSwitch with DPDK.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.ovs.bridge_plan import (
    BridgePlan,
    plan_absent,
    plan_bridges,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.ovs.database import (
    read_database,
    write_database,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.ovs.port_devices import check_devices
from ansible_collections.rtvirt.core.plugins.module_utils._host.ovs.ports import Bridge, Interface, read_bridges
from ansible_collections.rtvirt.core.plugins.module_utils._host.ovs.socket_folder import (
    FolderPlan,
    apply_folder,
    plan_folder,
    plan_no_folder,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.ovs.vswitchd import (
    datapath_ports,
    read_vswitchd,
    what_it_said,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.task import Planned, Result, difference

_INTERFACE: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "type": {"type": "str"},
    "socket": {"type": "str"},
    "devargs": {"type": "str"},
    "n_rxq": {"type": "int"},
    "mtu": {"type": "int"},
    "pmd_rxq_affinity": {"type": "str"},
    "options": {"type": "dict", "default": {}},
    "other_config": {"type": "dict", "default": {}},
}

_PORT: dict[str, t.Any] = {
    **_INTERFACE,
    "tag": {"type": "int"},
    "trunks": {"type": "list", "elements": "int"},
    "vlan_mode": {"type": "str", "choices": ["access", "trunk", "native-tagged", "native-untagged"]},
    "interfaces": {"type": "list", "elements": "dict", "options": _INTERFACE},
    "bond_mode": {"type": "str", "choices": ["active-backup", "balance-slb", "balance-tcp"]},
    "lacp": {"type": "str", "choices": ["active", "passive", "off"]},
}

ARGUMENTS: dict[str, t.Any] = {
    "bridges": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "datapath_type": {"type": "str", "choices": ["netdev", "system"], "default": "netdev"},
            "fail_mode": {"type": "str", "choices": ["standalone", "secure"]},
            "other_config": {"type": "dict", "default": {}},
            "ports": {"type": "list", "elements": "dict", "default": [], "options": _PORT},
        },
    },
    "socket_folder": {"type": "path", "default": "/var/lib/vhost_sockets"},
    "socket_owner": {"type": "str"},
    "socket_group": {"type": "str"},
    "socket_mode": {"type": "raw"},
    "disconnect_guests": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 60},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


@dataclass(frozen=True)
class TaskPlan:
    """:ivar folder: of the sockets, None where no port needs one."""

    bridges: tuple[Bridge, ...]
    switch: BridgePlan
    folder: FolderPlan | None

    @property
    def changed(self) -> bool:
        return self.switch.changed or (self.folder is not None and self.folder.changed)


def plan(params: t.Mapping[str, t.Any], host: Host) -> Planned:
    """:raises DeclarationError: for what cannot be, or would cut guests off.
    :raises RtvirtError: where there is no Open vSwitch.
    """
    planned = _plan(params, host)

    def apply() -> Result:
        if planned.changed or params["state"] == "present":
            _check_dpdk(host, planned)
        if planned.folder is not None and planned.folder.changed and params["state"] == "present":
            apply_folder(host, planned.folder)
        for commands in filter(None, (planned.switch.first, planned.switch.then)):
            write_database(host, commands, seconds=params["wait_timeout"])
        if planned.folder is not None and planned.folder.changed and params["state"] == "absent":
            apply_folder(host, planned.folder)
        if params["state"] == "present":
            _look(host, planned.bridges)
        return _described(planned)

    return Planned(lambda: _described(planned), apply)


def _plan(params: t.Mapping[str, t.Any], host: Host) -> TaskPlan:
    present = params["state"] == "present"
    problems: list[Problem] = []
    bridges = read_bridges(params["bridges"], params["socket_folder"], problems)
    if present and not bridges:
        problems.append(Problem("bridges", "is empty: write bridges, or state: absent to take ours away"))
    if params["wait_timeout"] < 1:
        problems.append(Problem("wait_timeout", f"is {params['wait_timeout']}: write 1 or more seconds"))
    if problems:
        # A port and its one interface have one name.
        raise DeclarationError(dict.fromkeys(problems))
    database = read_database(host)
    if present:
        switch = plan_bridges(database, bridges, consent=params["disconnect_guests"])
        problems += switch.problems
        problems += check_devices(host, bridges, (database.settings["other_config"] or {}).get("pmd-cpu-mask"))
    else:
        switch = plan_absent(database, {bridge.name for bridge in bridges})
    if switch.cut and not params["disconnect_guests"]:
        message = f"{', '.join(sorted(switch.cut))} would go or be made anew, and guests are connected there"
        problems.append(Problem("disconnect_guests", f"{message}: stop them first, or set disconnect_guests"))
    folder = _folder(params, host, bridges, problems)
    if problems:
        raise DeclarationError(problems)
    return TaskPlan(tuple(bridges), switch, folder)


def _folder(
    params: t.Mapping[str, t.Any], host: Host, bridges: t.Sequence[Bridge], problems: list[Problem]
) -> FolderPlan | None:
    if params["state"] == "absent":
        # Ports of the bridges that stay may have their sockets there.
        return None if bridges else plan_no_folder(host)
    inside = f"{params['socket_folder'].rstrip('/')}/"
    sockets = [one for one in _interfaces(bridges) if one.socket]
    for one in sockets:
        folder = str(one.socket).rpartition("/")[0]
        if f"{folder}/" != inside and host.owner_of(folder) is None:
            message = f"there is no folder {folder} on this host: make it, or write a path below socket_folder"
            problems.append(Problem(f"{one.path}.socket", message))
    if not any(f"{str(one.socket).rpartition('/')[0]}/" == inside for one in sockets):
        return None
    return plan_folder(
        host,
        params["socket_folder"],
        owner=params["socket_owner"],
        group=params["socket_group"],
        mode=params["socket_mode"],
    )


def _interfaces(bridges: t.Iterable[Bridge]) -> list[Interface]:
    return [one for bridge in bridges for port in bridge.ports for one in port.interfaces]


def _check_dpdk(host: Host, plan: TaskPlan) -> None:
    """:raises RtvirtError: where the switch cannot do what it would be told."""
    if read_vswitchd(host) is None:
        raise RtvirtError(f"ovs-vswitchd does not run: {what_it_said(host)}")
    needs = any(one.kind.startswith("dpdk") for one in _interfaces(plan.bridges))
    if needs and not read_database(host).settings["dpdk_initialized"]:
        raise RtvirtError("DPDK is not initialised in Open vSwitch: declare it with rtvirt.core.ovs_dpdk before")


def _look(host: Host, bridges: t.Iterable[Bridge]) -> None:
    """Whether each port is in the switch. :raises RtvirtError: with all that are not."""
    database, there = read_database(host), datapath_ports(host)
    failed: list[Problem] = []
    for one in _interfaces(bridges):
        error = database.interfaces[one.name]["error"]
        # The two ends of a patch are no ports of the datapath.
        if error or (one.name not in there and one.kind != "patch"):
            told = error or f"is not in the datapath: {what_it_said(host)}"
            failed.append(Problem(one.path, f"{one.name}: {told}"))
    if failed:
        raise RtvirtError("; ".join(map(str, failed)), problems=[vars(problem) for problem in failed])


def _described(plan: TaskPlan) -> Result:
    switch = plan.switch
    before = "".join(f"{one.row} {one.field}={one.before}\n" for one in switch.changes if one.before is not None)
    after = "".join(f"{one.row} {one.field}={one.after}\n" for one in switch.changes if one.after is not None)
    folder = plan.folder
    new = str(folder) + "\n" if folder is not None and folder.wanted is not None and folder.changed else ""
    return {
        "changed": plan.changed,
        "made": switch.made,
        "removed": switch.removed,
        "bridges": [
            {
                "name": bridge.name,
                "ports": [{"name": one.name, "socket": one.socket} for port in bridge.ports for one in port.interfaces],
            }
            for bridge in plan.bridges
        ],
        "diff": difference(
            "Open vSwitch",
            "".join(f"{name}\n" for name in switch.removed) + before,
            "".join(f"{name}\n" for name in switch.made) + after + new,
        ),
    }
