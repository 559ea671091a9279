# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What brings bridges and ports of Open vSwitch to what is declared: commands of ovs-vsctl, in one transaction.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Open vSwitch takes another socket of a port that lives without a word, and goes on with the old one (seen with 3.1;
``netdev-dpdk.c`` looks at it when it is made). So the interface is nothing for a moment: its type is unset by a
transaction of its own, and set by the next. The port's rows stay, with all that others have set or said of them.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.rtvirt.core.plugins.module_utils._errors import Problem
from ansible_collections.rtvirt.core.plugins.module_utils._host.ovs.database import Database, Row
from ansible_collections.rtvirt.core.plugins.module_utils._host.ovs.ports import SOCKET, Bridge, Interface, Port
from ansible_collections.rtvirt.core.plugins.module_utils._host.ovs.rows import (
    FieldChange,
    change_row,
    fields_of,
    is_ours,
    outcome,
    removal,
    setting,
)

__all__ = ["BridgePlan", "plan_absent", "plan_bridges"]


@dataclass
class BridgePlan:
    """:ivar first: commands of the transaction that makes room.
    :ivar then: commands of the one that makes the rest.
    :ivar made: bridges and ports that are new, ``port vh-a``, or made anew.
    :ivar gone: interfaces of ports that go, also of those that are made anew.
    :ivar cut: ports that go, or are made anew, with a guest at the other end.
    """

    first: list[list[str]] = field(default_factory=list)
    then: list[list[str]] = field(default_factory=list)
    changes: list[FieldChange] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    cut: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return bool(self.first or self.then)


def plan_bridges(database: Database, bridges: t.Sequence[Bridge], *, consent: bool) -> BridgePlan:
    """Bridges that are not declared stay as they are; so do ports on declared ones that others have made.

    :arg consent: whether the ports of a bridge may be without it while that is made anew.
    """
    plan = BridgePlan()
    there = {bridge.name: database.ports_of(bridge.name) for bridge in bridges if bridge.name in database.bridges}
    # What goes from one bridge may come to another.
    for bridge in bridges:
        for name in there.get(bridge.name, ()):
            if is_ours(database.ports[name]) and not _stays(database, name, bridge.ports):
                _remove_port(plan, database, name)
    for bridge in bridges:
        row = database.bridges.get(bridge.name)
        if row is None:
            _check_free(plan, database, bridge.name, bridge.path)
            plan.then.append(["add-br", bridge.name])
            plan.made.append(f"bridge {bridge.name}")
        elif not consent and (there[bridge.name] or not is_ours(row)):
            _check_datapath(plan, bridge, row, there[bridge.name])
        _set(plan, f"Bridge {bridge.name}", row, bridge.fields)
        for port in bridge.ports:
            _plan_port(plan, database, bridge.name, port)
    _check_sockets(plan, database, bridges)
    return plan


def _check_datapath(plan: BridgePlan, bridge: Bridge, row: Row, ports: t.Sequence[str]) -> None:
    """A bridge of another type is another bridge: all its ports, the host's own among them, are gone for a moment."""
    before, after = row["datapath_type"] or "system", bridge.fields["datapath_type"]
    if before != after:
        gone = ", ".join([*ports, bridge.name])
        message = f"{bridge.name} is {before}, and making it {after} takes {gone} away while it is made anew"
        remedy = f"write {before}, or set disconnect_guests"
        plan.problems.append(Problem(f"{bridge.path}.datapath_type", f"{message}: {remedy}"))


def plan_absent(database: Database, names: t.Collection[str]) -> BridgePlan:
    """What takes bridges away that we have made, and from others what we have set.

    :arg names: of bridges; all of them where it is empty.
    """
    plan = BridgePlan()
    for name, row in sorted(database.bridges.items()):
        if names and name not in names:
            continue
        others = [port for port in database.ports_of(name) if not is_ours(database.ports[port])]
        if is_ours(row) and not others:
            plan.first.append(["del-br", name])
            plan.removed.append(f"bridge {name}")
            plan.cut += database.attached(_interfaces(database, database.ports_of(name)))
            continue
        for port in database.ports_of(name):
            if port in others:
                _let_go(plan, database, port)
            else:
                _remove_port(plan, database, port)
        # Others' ports may be such as only this type of bridge has.
        kept = row["datapath_type"] if others else None
        _set(plan, f"Bridge {name}", row, {"datapath_type": kept} if kept else {})
    return plan


def _stays(database: Database, name: str, ports: t.Iterable[Port]) -> bool:
    """Whether a bridge's port is declared there, of the interfaces that it has."""
    return any(port.name == name and database.interfaces_of(name) == _names(port) for port in ports)


def _names(port: Port) -> list[str]:
    return sorted(one.name for one in port.interfaces)


def _check_free(plan: BridgePlan, database: Database, name: str, path: str) -> None:
    """What has the name of a bridge or interface that is new: also a bond's interface, or a fake bridge."""
    holder = None if name in plan.gone else database.port_with(name)
    if holder is not None:
        _taken(plan, database, name, holder, path)


def _taken(plan: BridgePlan, database: Database, name: str, holder: str, path: str) -> None:
    what = f"a port of {database.bridge_of(holder)}" if holder == name else f"an interface of {holder}"
    plan.problems.append(Problem(f"{path}.name", f"{name!r} is {what}: take it away there, or write another name"))


def _plan_port(plan: BridgePlan, database: Database, bridge: str, port: Port) -> None:
    row = database.ports.get(port.name)
    if row is None or f"port {port.name}" in plan.removed:
        _make_port(plan, database, bridge, port)
    elif database.bridge_of(port.name) != bridge:
        _taken(plan, database, port.name, port.name, port.path)
    elif database.interfaces_of(port.name) != _names(port):
        message = "is there with other interfaces, and was not made here: take it away, or write another name"
        plan.problems.append(Problem(f"{port.path}.name", f"{port.name!r} {message}"))
    else:
        _set(plan, f"Port {port.name}", row, port.fields)
        for one in port.interfaces:
            _plan_interface(plan, database, port.name, one)


def _make_port(plan: BridgePlan, database: Database, bridge: str, port: Port) -> None:
    names = [one.name for one in port.interfaces]
    plan.then.append(["add-port", bridge, *names] if names == [port.name] else ["add-bond", bridge, port.name, *names])
    plan.made.append(f"port {port.name}")
    _set(plan, f"Port {port.name}", None, port.fields)
    for one in port.interfaces:
        _check_free(plan, database, one.name, one.path)
        _set(plan, f"Interface {one.name}", None, one.fields)


def _plan_interface(plan: BridgePlan, database: Database, port: str, one: Interface) -> None:
    row, name = database.interfaces[one.name], f"Interface {one.name}"
    now, then = fields_of(row), outcome(row, one.fields)
    if any(now.get(field) != then.get(field) for field in ("type", SOCKET)):
        plan.cut += database.attached([one.name])
        if now.get(SOCKET) is not None and now.get("type") == then.get("type"):
            plan.first.append(removal(name, "type"))
            plan.then.append(setting(name, "type", then["type"]))
            plan.made.append(f"port {port}")
    _set(plan, name, row, one.fields)


def _set(plan: BridgePlan, name: str, row: Row | None, fields: t.Mapping[str, str]) -> None:
    changes, commands = change_row(name, row, fields)
    plan.changes += changes
    plan.then += commands


def _remove_port(plan: BridgePlan, database: Database, port: str) -> None:
    plan.first.append(["del-port", port])
    plan.removed.append(f"port {port}")
    plan.gone.update(database.interfaces_of(port))
    plan.cut += database.attached(database.interfaces_of(port))


def _let_go(plan: BridgePlan, database: Database, port: str) -> None:
    """Unset what we have set of a port that others have made."""
    _set(plan, f"Port {port}", database.ports[port], {})
    for name in database.interfaces_of(port):
        _set(plan, f"Interface {name}", database.interfaces[name], {})


def _interfaces(database: Database, ports: t.Iterable[str]) -> list[str]:
    return [name for port in ports for name in database.interfaces_of(port)]


def _check_sockets(plan: BridgePlan, database: Database, bridges: t.Iterable[Bridge]) -> None:
    """Two ports that connect to one socket: QEMU takes the first, and the second waits for ever."""
    declared = {one.name: one for bridge in bridges for port in bridge.ports for one in port.interfaces}
    for name, row in database.interfaces.items():
        path = fields_of(row).get(SOCKET)
        owner = next((one for one in declared.values() if path and one.socket == path), None)
        if owner is not None and name not in declared and name not in plan.gone:
            message = f"{path} is the socket of port {name} already: a socket has one port"
            plan.problems.append(Problem(f"{owner.path}.socket", message))
