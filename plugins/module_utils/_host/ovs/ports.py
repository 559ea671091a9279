# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bridges and ports of Open vSwitch as they are declared, and what is wrong with them.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: ``ovs-vswitchd.conf.db(5)``, tables Bridge, Port and Interface.
"""

from __future__ import annotations

import posixpath
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.rtvirt.core.plugins.module_utils._errors import Problem

__all__ = ["SOCKET", "Bridge", "Interface", "Port", "read_bridges"]

#: The field with the socket that QEMU makes.
SOCKET = "options:vhost-server-path"

#: The longest name that a bridge or interface has (Linux' IFNAMSIZ less the zero at its end).
_LONGEST_NAME = 15
_NAME = re.compile(r"^[^\s/]+$")
_AFFINITY = re.compile(r"^\d+:\d+(,\d+:\d+)*$")
_MTU = (68, 65535)
_VLANS = range(4096)

#: Columns' keys that have options of their own.
_OPTIONS = (
    ("options", "vhost-server-path", "socket"),
    ("options", "dpdk-devargs", "devargs"),
    ("options", "n_rxq", "n_rxq"),
    ("other_config", "pmd-rxq-affinity", "pmd_rxq_affinity"),
)


@dataclass(frozen=True)
class Interface:
    """:ivar fields: of its row, as :mod:`rows` has them.
    :ivar path: the option's, for messages.
    """

    name: str
    kind: str
    fields: t.Mapping[str, str]
    path: str

    @property
    def socket(self) -> str | None:
        return self.fields.get(SOCKET)


@dataclass(frozen=True)
class Port:
    """:ivar interfaces: one, or those of a bond."""

    name: str
    fields: t.Mapping[str, str]
    interfaces: tuple[Interface, ...]
    path: str


@dataclass(frozen=True)
class Bridge:
    name: str
    fields: t.Mapping[str, str]
    ports: tuple[Port, ...] = field(default=())
    path: str = ""


def read_bridges(declared: t.Sequence[dict[str, t.Any]], folder: str, problems: list[Problem]) -> list[Bridge]:
    """The bridges of the options.

    :arg folder: of sockets that are not named; they have their ports' names.
    :arg problems: what is wrong is added to them.
    """
    bridges = [_bridge(bridge, f"bridges[{index}]", folder, problems) for index, bridge in enumerate(declared)]
    seen: dict[str, str] = {}
    sockets: dict[str, str] = {}
    for bridge in bridges:
        _once(bridge.name, f"{bridge.path}.name", seen, problems)
        for port in bridge.ports:
            # A bond has a name beside its interfaces'.
            names = {port.name: port.path, **{one.name: one.path for one in port.interfaces}}
            for name, path in names.items():
                _once(name, f"{path}.name", seen, problems)
            for one in port.interfaces:
                if one.socket and sockets.get(one.socket, one.name) != one.name:
                    message = f"{one.socket} is the socket of {sockets[one.socket]} already: a socket has one port"
                    problems.append(Problem(f"{one.path}.socket", message))
                elif one.socket:
                    sockets[one.socket] = one.name
    return bridges


def _once(name: str, path: str, seen: dict[str, str], problems: list[Problem]) -> None:
    if name in seen:
        problems.append(Problem(path, f"{name!r} is {seen[name]} already: names are unique in Open vSwitch"))
    seen.setdefault(name, path.rpartition(".")[0])


def _bridge(given: dict[str, t.Any], path: str, folder: str, problems: list[Problem]) -> Bridge:
    name = _checked_name(given["name"], f"{path}.name", problems)
    fields = {"datapath_type": given["datapath_type"]}
    if given["fail_mode"] is not None:
        fields["fail_mode"] = given["fail_mode"]
    fields.update(_map("other_config", given["other_config"], path, problems))
    ports = [
        _port(port, f"{path}.ports[{index}]", folder, problems, userspace=given["datapath_type"] == "netdev")
        for index, port in enumerate(given["ports"])
    ]
    return Bridge(name, fields, tuple(ports), path)


def _port(given: dict[str, t.Any], path: str, folder: str, problems: list[Problem], *, userspace: bool) -> Port:
    name = _checked_name(given["name"], f"{path}.name", problems)
    fields = _vlans(given, path, problems)
    bond = given["interfaces"]
    if bond is None:
        problems += [
            Problem(f"{path}.{key}", "is a bond's: declare its interfaces, or leave it out")
            for key in ("bond_mode", "lacp")
            if given[key] is not None
        ]
        return Port(name, fields, (_interface(given, path, folder, problems, userspace=userspace),), path)
    fields.update({key: given[key] for key in ("bond_mode", "lacp") if given[key] is not None})
    fields.update(_map("other_config", given["other_config"], path, problems))
    if len(bond) < 2:
        problems.append(Problem(f"{path}.interfaces", f"has {len(bond)}: a bond has two or more"))
    problems += [
        Problem(f"{path}.{key}", "stands beside interfaces, which have their own: write it there")
        for key in ("type", "socket", "devargs", "n_rxq", "mtu", "pmd_rxq_affinity", "options")
        if given[key] not in (None, {})
    ]
    interfaces = [
        _interface(one, f"{path}.interfaces[{index}]", folder, problems, userspace=userspace)
        for index, one in enumerate(bond)
    ]
    return Port(name, fields, tuple(interfaces), path)


def _vlans(given: dict[str, t.Any], path: str, problems: list[Problem]) -> dict[str, str]:
    fields = {}
    tag, trunks = given["tag"], given["trunks"]
    for key, value in (("tag", [] if tag is None else [tag]), ("trunks", trunks or [])):
        bad = [one for one in value if one not in _VLANS]
        problems += [Problem(f"{path}.{key}", f"{one} is no VLAN: write 0 to {_VLANS[-1]}") for one in bad]
    if tag is not None:
        fields["tag"] = str(tag)
    if trunks:
        fields["trunks"] = ",".join(map(str, sorted(set(trunks))))
    if given["vlan_mode"] is not None:
        fields["vlan_mode"] = given["vlan_mode"]
    if given["vlan_mode"] == "access" and trunks:
        problems.append(Problem(f"{path}.trunks", "are for vlan_mode trunk and native: an access port has one tag"))
    elif given["vlan_mode"] is None and trunks and tag is not None:
        # vswitchd: "ignoring trunks in favor of implicit vlan".
        message = "stand beside a tag, which makes an access port: write vlan_mode native-tagged or native-untagged"
        problems.append(Problem(f"{path}.trunks", message))
    return fields


def _interface(
    given: dict[str, t.Any], path: str, folder: str, problems: list[Problem], *, userspace: bool
) -> Interface:
    name, kind = _checked_name(given["name"], f"{path}.name", problems), given["type"] or ""
    options = dict(given["options"])
    if kind == "dpdkvhostuserclient":
        options["vhost-server-path"] = _socket(given["socket"] or posixpath.join(folder, name), path, problems)
    if kind == "dpdk" and given["devargs"]:
        options["dpdk-devargs"] = given["devargs"]
    if given["n_rxq"] is not None:
        options["n_rxq"] = given["n_rxq"]
    other_config = dict(given["other_config"])
    if given["pmd_rxq_affinity"] is not None:
        other_config["pmd-rxq-affinity"] = given["pmd_rxq_affinity"]
    problems += (Problem(f"{path}.{key}", message) for key, message in _misfits(given, kind, userspace=userspace))
    fields = {"type": kind} if kind else {}
    fields.update(_map("options", options, path, problems))
    fields.update(_map("other_config", other_config, path, problems))
    if given["mtu"] is not None:
        fields["mtu_request"] = str(given["mtu"])
    return Interface(name, kind, fields, path)


def _misfits(given: dict[str, t.Any], kind: str, *, userspace: bool) -> t.Iterator[tuple[str, str]]:
    """(option, what is wrong) of an interface."""
    if kind == "dpdkvhostuser":
        reason = "has Open vSwitch as the socket's server: when it is restarted, each VM must be restarted too"
        yield "type", f"{kind} {reason}; write dpdkvhostuserclient"
    elif kind.startswith("dpdk") and not userspace:
        yield "type", f"{kind} needs a bridge in user space: write datapath_type netdev for the bridge"
    if kind == "dpdk" and not given["devargs"]:
        yield "devargs", "is missing: write the device's address, such as 0000:3b:00.0"
    for key, owner in (("socket", "dpdkvhostuserclient"), ("devargs", "dpdk"), ("n_rxq", "dpdk")):
        if given[key] is not None and kind != owner:
            more = ", a vhost-user port has as many queues as its guest" if key == "n_rxq" else ""
            yield key, f"is for ports of type {owner}{more}: leave it out"
    for column, key, option in _OPTIONS:
        if key in given[column]:
            yield f"{column}.{key}", f"is an option of its own: write {option}"
    if given["n_rxq"] is not None and given["n_rxq"] < 1:
        yield "n_rxq", f"is {given['n_rxq']}: write 1 or more"
    mtu = given["mtu"]
    if mtu is not None and not _MTU[0] <= mtu <= _MTU[1]:
        yield "mtu", f"is {mtu}: write {_MTU[0]} to {_MTU[1]} bytes"
    affinity = given["pmd_rxq_affinity"]
    if affinity is not None and not _AFFINITY.fullmatch(affinity):
        yield "pmd_rxq_affinity", f"{affinity!r} cannot be read: write queue:CPU pairs, such as 0:3,1:7"


def _socket(path: str, where: str, problems: list[Problem]) -> str:
    if not posixpath.isabs(path) or posixpath.normpath(path) != path:
        problems.append(
            Problem(f"{where}.socket", f"{path!r} is no absolute path of a file: write one without . and ..")
        )
    elif len(path.encode()) > 107:
        # sockaddr_un, see unix(7).
        problems.append(Problem(f"{where}.socket", f"is {len(path.encode())} bytes long, a socket's path at most 107"))
    return path


def _map(column: str, given: t.Mapping[str, t.Any], path: str, problems: list[Problem]) -> dict[str, str]:
    fields = {}
    for key, value in given.items():
        if isinstance(value, (dict, list)) or value is None:
            problems.append(
                Problem(f"{path}.{column}.{key}", "is no single value: write text, a number, true or false")
            )
        else:
            fields[f"{column}:{key}"] = str(value).lower() if isinstance(value, bool) else str(value)
    return fields


def _checked_name(name: str, path: str, problems: list[Problem]) -> str:
    if not _NAME.fullmatch(name) or len(name.encode()) > _LONGEST_NAME:
        message = f"{name!r} is no name of a network device: write 1 to {_LONGEST_NAME} characters, no space and no /"
        problems.append(Problem(path, message))
    return name
