# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open vSwitch on a host: whether it runs, and what it is set to.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: ``ovs-vswitchd.conf.db(5)``, table Open_vSwitch; RFC 7047, 5.1 for sets and maps in JSON.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host

__all__ = ["read_ovs"]

_COLUMNS = ("ovs_version", "dpdk_initialized", "dpdk_version", "other_config")


def read_ovs(host: Host) -> dict[str, t.Any] | None:
    """Open vSwitch as its database has it, None where it is not installed or its database does not answer."""
    if not host.has_tool("ovs-vsctl"):
        return None
    ran = host.run(
        "ovs-vsctl", "--timeout=5", "--format=json", f"--columns={','.join(_COLUMNS)}", "list", "Open_vSwitch"
    )
    if ran.status:
        return None
    table = json.loads(ran.output)
    row = dict(zip(table["headings"], table["data"][0])) if table["data"] else {}
    return {name: _value(row.get(name)) for name in _COLUMNS}


def _value(cell: t.Any) -> t.Any:
    """A column's value: a map as a dict, and no value for an empty set."""
    if not isinstance(cell, list):
        return cell
    kind, items = cell
    return dict(items) if kind == "map" else items[0] if items else None
