# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What host_info tells of Open vSwitch, by what ovs-vsctl 3.1 printed of a database."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._host.facts import facts_of
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Ran
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.tree import Tree

PRINTED = (
    '{"data":[[["set",[]],false,["set",[]],["map",[["dpdk-extra","-a 0000:03:00.0"],["dpdk-init","true"]]]]],'
    '"headings":["ovs_version","dpdk_initialized","dpdk_version","other_config"]}\n'
)


class Machine(Tree):
    ran_well = Ran(0, PRINTED, "")

    def answer(self, command: t.Sequence[str]) -> Ran:
        return self.ran_well


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.put("/usr/bin/ovs-vsctl", "")
    return machine


def test_what_its_database_has(machine: Machine) -> None:
    assert facts_of(machine)["ovs"] == {
        "ovs_version": None,
        "dpdk_initialized": False,
        "dpdk_version": None,
        "other_config": {"dpdk-extra": "-a 0000:03:00.0", "dpdk-init": "true"},
    }


def test_a_switch_that_does_not_run(machine: Machine) -> None:
    machine.ran_well = Ran(1, "", "ovs-vsctl: unix:/run/openvswitch/db.sock: database connection failed")
    assert facts_of(machine)["ovs"] is None


def test_a_host_without_one(tmp_path: Path) -> None:
    assert facts_of(Machine(tmp_path))["ovs"] is None
