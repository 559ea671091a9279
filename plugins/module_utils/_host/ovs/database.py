# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open vSwitch's database, read whole by one ovs-vsctl and written by one.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: ``ovs-vswitchd.conf.db(5)`` for the tables and columns; RFC 7047, 5.1 for sets and maps in JSON.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host

__all__ = ["Database", "Row", "facts_of_ovs", "read_database", "settings_of", "write_database"]

#: The columns of a row that has been read: a map as a dict, a set as a list, no value as None.
Row = t.Mapping[str, t.Any]

#: Seconds for the database to answer.
_PATIENCE = 10

_FACTS = ("ovs_version", "dpdk_initialized", "dpdk_version", "other_config")

#: Table -> the columns that are read of it, those that can hold several values with a star.
_TABLES = {
    "Open_vSwitch": (*_FACTS, "external_ids"),
    "Bridge": ("name", "*ports", "datapath_type", "fail_mode", "other_config", "external_ids"),
    "Port": (
        "_uuid",
        "name",
        "*interfaces",
        "tag",
        "*trunks",
        "vlan_mode",
        "bond_mode",
        "lacp",
        "other_config",
        "external_ids",
    ),
    "Interface": ("_uuid", "name", "type", "options", "other_config", "mtu_request", "external_ids", "error", "status"),
}


@dataclass(frozen=True)
class Database:
    """:ivar settings: the one row of the table Open_vSwitch.
    :ivar bridges: by name, as are ``ports`` and ``interfaces``.
    """

    settings: Row
    bridges: t.Mapping[str, Row]
    ports: t.Mapping[str, Row]
    interfaces: t.Mapping[str, Row]

    def ports_of(self, bridge: str) -> list[str]:
        """The names of a bridge's ports, but for its own."""
        ids = self.bridges[bridge]["ports"]
        return sorted(name for name, port in self.ports.items() if port["_uuid"] in ids and name != bridge)

    def bridge_of(self, port: str) -> str | None:
        uuid = self.ports[port]["_uuid"]
        return next((name for name, bridge in self.bridges.items() if uuid in bridge["ports"]), None)

    def port_with(self, interface: str) -> str | None:
        """The port that has an interface of this name."""
        uuid = self.interfaces.get(interface, {}).get("_uuid")
        return next((name for name, port in self.ports.items() if uuid in port["interfaces"]), None)

    def interfaces_of(self, port: str) -> list[str]:
        ids = self.ports[port]["interfaces"]
        return sorted(name for name, interface in self.interfaces.items() if interface["_uuid"] in ids)

    def attached(self, names: t.Iterable[str]) -> list[str]:
        """Those of some interfaces that have a guest at the other end of their socket now."""
        return [name for name in names if (self.interfaces[name]["status"] or {}).get("status") == "connected"]


def facts_of_ovs(host: Host) -> dict[str, t.Any] | None:
    """Open vSwitch for ``host_info``, None where it is not installed or its database does not answer."""
    if not host.has_tool("ovs-vsctl"):
        return None
    try:
        settings = settings_of(host)
    except RtvirtError:
        return None
    return {name: settings.get(name) for name in _FACTS}


def settings_of(host: Host) -> Row:
    """The row of Open_vSwitch alone. :raises RtvirtError: where there is no database that answers."""
    return _read(host, "Open_vSwitch")[0][0]


def read_database(host: Host) -> Database:
    """:raises RtvirtError: where there is no database that answers."""
    settings, bridges, ports, interfaces = _read(host, *_TABLES)
    return Database(settings[0], *({row["name"]: row for row in rows} for rows in (bridges, ports, interfaces)))


def write_database(host: Host, commands: t.Sequence[t.Sequence[str]], *, seconds: int | None) -> None:
    """Carry out commands of ovs-vsctl, all of them or none.

    :arg seconds: how long to wait until ovs-vswitchd has done as the database says, None for not at all.
    :raises RtvirtError: where a command is refused, or ovs-vswitchd was not done in time.
    """
    waits = ["--no-wait", f"--timeout={_PATIENCE}"] if seconds is None else [f"--timeout={seconds}"]
    line = [part for command in commands for part in ("--", *command)]
    ran = host.run("ovs-vsctl", *waits, *line)
    if ran.status == 0:
        return
    if ran.status < 0 and seconds is None:
        raise RtvirtError(f"Open vSwitch's database does not answer within {_PATIENCE} s: does ovsdb-server run?")
    if ran.status < 0:
        # Its alarm, which ends it when the database has it already.
        raise RtvirtError(f"it is in the database, and ovs-vswitchd has not done it within {seconds} s: does it run?")
    raise RtvirtError(f"Open vSwitch refuses it: {'; '.join(ran.errors.strip().splitlines()[-3:])}")


def _read(host: Host, *tables: str) -> list[list[Row]]:
    command = ["ovs-vsctl", f"--timeout={_PATIENCE}", "--format=json"]
    for table in tables:
        columns = ",".join(name.lstrip("*") for name in _TABLES[table])
        command += ["--", f"--columns={columns}", "list", table]
    ran = host.run(*command)
    if ran.status:
        said = ran.errors.strip().splitlines()
        message = f"Open vSwitch's database does not answer ({said[-1] if said else f'status {ran.status}'})"
        raise RtvirtError(f"{message}: start it, such as by the service openvswitch-switch or openvswitch")
    return [_rows(json.loads(line), _TABLES[table]) for table, line in zip(tables, ran.output.split("\n"))]


def _rows(printed: t.Mapping[str, t.Any], columns: t.Iterable[str]) -> list[Row]:
    several = {name[1:] for name in columns if name.startswith("*")}
    return [
        {name: _value(cell, name in several) for name, cell in zip(printed["headings"], row)} for row in printed["data"]
    ]


def _value(cell: t.Any, several: bool) -> t.Any:
    kind, items = cell if isinstance(cell, list) else ("", cell)
    if kind == "map":
        return dict(items)
    if kind != "set":
        # A set of one is printed as the one.
        return [items] if several else items
    plain = [item[1] if isinstance(item, list) else item for item in items]
    return plain if several else plain[0] if plain else None
