# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan of a network, done.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.connection import doing
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.differences import is_live, printed
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.observing import observe
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.plan import NetworkPlan, pending_on
from ansible_collections.rtvirt.core.plugins.module_utils._plan import Change

try:
    import libvirt
except ImportError:  # connection.py tells
    pass

__all__ = ["apply_plan"]


def apply_plan(connection: t.Any, plan: NetworkPlan) -> list[str]:
    """Do what is planned, and tell what was done: a restart more where libvirt took a change not live after all."""
    name, actions = plan.options["name"], list(plan.actions)
    handle = None if plan.existing is None else plan.existing.handle
    for action in plan.actions:
        with doing(f"{action} the network {name}"):
            if action == "define":
                handle = connection.networkDefineXMLFlags(printed(plan.definition), libvirt.VIR_NETWORK_DEFINE_VALIDATE)
            elif action == "change live":
                _change_live(handle, plan)
                if plan.may_restart and pending_on(observe(handle).running, plan.options):
                    actions.append("restart")
                    _do(handle, "restart")
            else:
                _do(handle, action)
    return actions


def _do(handle: t.Any, action: str) -> None:
    if action in ("stop", "restart"):
        handle.destroy()
    if action in ("start", "restart"):
        handle.create()
    elif action == "undefine":
        handle.undefine()
    elif action.endswith("autostart"):
        handle.setAutostart(int(action == "set autostart"))


def _change_live(handle: t.Any, plan: NetworkPlan) -> None:
    """Give the active network what it takes: whatever goes first, so that what comes finds its address free.

    What libvirt refuses, for whatever reason, stays pending.
    """
    live = [change for change in plan.pending if is_live(change, plan.pending)]
    for value, command in (
        ("before", libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE),
        ("after", libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST),
    ):
        for change in live:
            xml = getattr(change, value)
            if xml is None:
                continue
            section, parent = _place(handle, change)
            try:
                handle.update(command, section, parent, xml, libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE)
            except libvirt.libvirtError:
                pass


def _place(handle: t.Any, change: Change) -> tuple[int, int]:
    """The section that a change is in, and the number of the <ip> that has it."""
    if change.path.startswith("portgroup"):
        return libvirt.VIR_NETWORK_SECTION_PORTGROUP, -1
    families = [ip.get("family", "ipv4") for ip in ET.fromstring(handle.XMLDesc(0)).findall("ip")]
    kind = "HOST" if "/host[" in change.path else "RANGE"
    return getattr(libvirt, f"VIR_NETWORK_SECTION_IP_DHCP_{kind}"), families.index("ipv4")
