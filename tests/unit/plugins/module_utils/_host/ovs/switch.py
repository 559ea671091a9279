# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with Open vSwitch, by what ovs-vsctl 3.1 prints. It plays no switch: what is written is only noted."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Ran
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.tree import Tree

Row = dict[str, t.Any]


class Switch(Tree):
    """:ivar settings: columns of Open_vSwitch.
    :ivar bridges: name -> port -> columns of its interface.
    :ivar rows: name -> further columns of a bridge.
    :ivar programs: what update-alternatives knows.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.settings: Row = {
            "ovs_version": "3.1.0",
            "dpdk_initialized": True,
            "dpdk_version": "DPDK 22.11.11",
            "other_config": {},
            "external_ids": {},
        }
        self.bridges: dict[str, dict[str, Row]] = {}
        self.rows: dict[str, Row] = {}
        self.programs = [
            "/usr/lib/openvswitch-switch/ovs-vswitchd",
            "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk",
        ]
        self.version = "DPDK 22.11.11"
        self.put("/run/openvswitch/ovs-vswitchd.pid", "70\n")
        self.put("/proc/70/comm", "ovs-vswitchd\n")
        self.put("/proc/70/stat", f"70 (ovs-vswitchd) {' '.join(map(str, range(3, 53)))}\n")
        self.put("/usr/bin/update-alternatives", "")

    def answer(self, command: t.Sequence[str]) -> Ran:
        if command[0] == "ovs-vsctl" and "list" in command:
            return Ran(0, "".join(f"{json.dumps(table)}\n" for table in self._tables(command)), "")
        if command[-1] == "--version":
            return Ran(0, f"ovs-vswitchd (Open vSwitch) 3.1.0\n{self.version}\n", "")
        if command[0] == "update-alternatives" and "--query" in command:
            return Ran(0, "Status: auto\n" + "".join(f"Alternative: {path}\n" for path in self.programs), "")
        return Ran(0, "", "")

    @property
    def written(self) -> list[tuple[str, ...]]:
        """What would change something."""
        harmless = ("list", "--version", "--query", "dpif/show")
        return [command for command in self.ran if not any(word in command for word in harmless)]

    def _tables(self, command: t.Sequence[str]) -> t.Iterator[Row]:
        rows = {"Open_vSwitch": [self.settings], "Bridge": [], "Port": [], "Interface": []}
        for bridge, ports in self.bridges.items():
            row = {"name": bridge, "ports": {f"port-{name}" for name in ports}}
            rows["Bridge"].append({**row, **self.rows.get(bridge, {})})
            for name, interface in ports.items():
                rows["Port"].append({"_uuid": f"port-{name}", "name": name, "interfaces": {f"if-{name}"}})
                rows["Interface"].append({"_uuid": f"if-{name}", "name": name, **interface})
        asked = [(command[at - 1], command[at + 1]) for at, word in enumerate(command) if word == "list"]
        for columns, table in asked:
            names = columns.partition("=")[2].split(",")
            yield {"headings": names, "data": [[_cell(row.get(name)) for name in names] for row in rows[table]]}


def _cell(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return ["map", [list(pair) for pair in value.items()]]
    if isinstance(value, set):
        return ["set", [["uuid", item] for item in sorted(value)]]
    return ["set", []] if value is None else value
