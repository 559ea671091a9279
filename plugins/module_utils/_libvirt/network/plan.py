# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What brings a network to its declaration.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.connection import is_local
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network import surroundings
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.checks import check_kind
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.definition import (
    declared_on,
    new_network,
    own_bridge,
)
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.differences import differences, is_live
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.observing import (
    Network,
    attached_guests,
    observe_all,
)
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.options import Options
from ansible_collections.rtvirt.core.plugins.module_utils._plan import Change

__all__ = ["NetworkPlan", "pending_on", "plan_network"]


@dataclass(frozen=True)
class NetworkPlan:
    """All that is to be done for one network.

    :ivar definition: what it is to be, None where it is to be gone.
    :ivar changes: how that differs from what is there.
    :ivar pending: how the active network differs from its declaration.
    :ivar actions: in the order in which they are done.
    :ivar guests: running guests that lose their link where it stops or restarts.
    :ivar may_restart: whether a restart is allowed, and disconnects nobody who may not be.
    """

    options: Options
    existing: Network | None
    definition: ET.Element | None
    changes: list[Change] = field(default_factory=list)
    pending: list[Change] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    guests: list[str] = field(default_factory=list)
    may_restart: bool = False


def pending_on(running: ET.Element | None, options: Options) -> list[Change]:
    """How an active network differs from its declaration."""
    return [] if running is None else differences(running, declared_on(running, options))


def plan_network(connection: t.Any, options: Options) -> NetworkPlan:
    """:raises DeclarationError: for what this host or its networks do not allow."""
    networks = observe_all(connection)
    existing = networks.pop(options["name"], None)
    guests = [] if existing is None else attached_guests(connection, existing)
    if options["state"] == "absent":
        plan = NetworkPlan(options, existing, None, actions=_ending(existing), guests=guests)
    else:
        definition = None if existing is None else existing.definition
        _refuse(check_kind(options, definition, connection.getLibVersion()))
        plan = _plan_definition(options, existing, guests)
        _refuse(_check_host(plan, networks))
    _refuse(_check_guests(plan))
    return plan


def _plan_definition(options: Options, existing: Network | None, guests: list[str]) -> NetworkPlan:
    before = new_network(options["name"]) if existing is None else existing.definition
    after = declared_on(before, options)
    changes = differences(ET.Element("network") if existing is None else before, after)
    running = None if existing is None else existing.running
    pending = pending_on(running, options)
    may_restart = options["allow_restart"] and (options["disconnect_guests"] or not guests)
    actions = ["define"] if changes or existing is None or not existing.persistent else []
    if options["autostart"] not in (None, existing is not None and existing.autostart):
        actions.append("set autostart" if options["autostart"] else "unset autostart")
    if options["state"] == "inactive":
        actions += [] if running is None else ["stop"]
    elif running is None:
        actions += ["start"] if options["state"] == "active" else []
    elif options["allow_restart"] and not all(is_live(change, pending) for change in pending):
        actions.append("restart")
    elif any(is_live(change, pending) for change in pending):
        actions.append("change live")
    return NetworkPlan(options, existing, after, changes, pending, actions, guests, may_restart)


def _ending(existing: Network | None) -> list[str]:
    if existing is None:
        return []
    return [*(["stop"] if existing.active else []), *(["undefine"] if existing.persistent else [])]


def _check_host(plan: NetworkPlan, others: t.Mapping[str, Network]) -> list[Problem]:
    options, after = plan.options, t.cast(ET.Element, plan.definition)
    local = is_local(options["uri"])
    neighbours = {name: (other.definition, other.active) for name, other in others.items()}
    running = None if plan.existing is None else plan.existing.running
    # Of a bridge that gets another name, it is the network's own.
    mine = None if running is None else own_bridge(running)
    # Nor is what an active network has had all along: a VPN may have come since.
    moves = running is None or any(
        surroundings.subnet_of(running, family) != surroundings.subnet_of(after, family) for family in ("ipv4", "ipv6")
    )
    subnets = [one for one in surroundings.host_subnets() if one[0] != mine] if local and moves else []
    problems = surroundings.check_neighbours(options, after, neighbours, subnets)
    if local:
        problems += surroundings.check_bridge(options, after) + surroundings.check_files(options)
    return problems


def _check_guests(plan: NetworkPlan) -> list[Problem]:
    """Nobody loses a link unasked."""
    action = next((action for action in plan.actions if action in ("stop", "restart")), None)
    if not plan.guests or action is None or plan.options["disconnect_guests"]:
        return []
    path = "allow_restart" if action == "restart" else "state"
    cut_off = ", ".join(plan.guests)
    message = f"to {action} the network would cut off {cut_off}: shut them down, or write disconnect_guests true"
    return [Problem(path, message)]


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise DeclarationError(problems)
