# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task returns of its network.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.definition import mode_of
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.differences import is_live, printed
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.observing import Network, observe
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.plan import NetworkPlan, pending_on
from ansible_collections.rtvirt.core.plugins.module_utils._plan import Change

__all__ = ["describe", "predict"]

Result = dict[str, t.Any]


def predict(plan: NetworkPlan) -> Result:
    """What a run would tell, if libvirt takes live what it can."""
    have, definition = plan.existing, plan.definition
    if definition is None:
        return _result(plan, plan.actions, {"state": "absent"}, [])
    ended = {"stop", "restart"} & {*plan.actions}
    active = "stop" not in plan.actions and ("start" in plan.actions or (have is not None and have.active))
    autostart = have is not None and have.autostart
    network = {
        "state": "active" if active else "inactive",
        "uuid": None if have is None else have.uuid,
        "autostart": "set autostart" in plan.actions or (autostart and "unset autostart" not in plan.actions),
        **_of_definition(definition),
    }
    pending = [] if ended else [change for change in plan.pending if not is_live(change, plan.pending)]
    return _result(plan, plan.actions, network, pending)


def describe(connection: t.Any, plan: NetworkPlan, actions: list[str]) -> Result:
    """What was done, and the network as libvirt has it now."""
    if plan.definition is None:
        return _result(plan, actions, {"state": "absent"}, [])
    have: Network = observe(connection.networkLookupByName(plan.options["name"]))
    network = {
        "state": "active" if have.active else "inactive",
        "uuid": have.uuid,
        "autostart": have.autostart,
        **_of_definition(have.definition),
    }
    return _result(plan, actions, network, pending_on(have.running, plan.options))


def _of_definition(definition: ET.Element) -> Result:
    bridge = definition.find("bridge")
    return {
        "mode": mode_of(definition),
        "bridge": None if bridge is None else bridge.get("name"),
        "xml": printed(definition),
    }


def _result(plan: NetworkPlan, actions: list[str], network: Result, pending: list[Change]) -> Result:
    name = plan.options["name"]
    header = {"before_header": f"{name} (libvirt)", "after_header": f"{name} (declared)"}
    before = "" if plan.existing is None else printed(plan.existing.definition)
    texts = {"before": before, "after": printed(plan.definition)}
    return {
        "changed": bool(actions),
        "actions": actions,
        "changes": [vars(change) for change in plan.changes],
        "pending": [vars(change) for change in pending],
        "restart_required": bool(pending),
        "disconnected": plan.guests if {"stop", "restart"} & {*actions} else [],
        "network": {"name": name, **network},
        "diff": {**header, **texts} if texts["before"] != texts["after"] else {},
    }
