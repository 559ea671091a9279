# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What verify_realtime says of a real VM on this machine, no host for real time; Molecule has one."""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import run_one
from ansible_collections.rtvirt.core.tests.integration.task import Module

look = Module("verify_realtime", report_only=True).run

REALTIME = {
    "memory": "32Mi",
    "cpu_cores": 1,
    "cpu_model": "maximum",
    "dedicated_cpus": True,
    "numa_passthrough": True,
    "hugepages": "2Mi",
    "realtime": True,
}


def test_a_vm_of_this_machine(bed: Bed, free_cpus: None) -> None:
    run_one(**bed.bare(**REALTIME), state="running")
    run_one(**bed.bare("plain", memory="32Mi"), state="running")
    result: dict[str, t.Any] = look()
    told = {(one["about"], one["message"]) for one in result["findings"]}
    [vm] = [one for one in result["vms"] if one["name"] == bed.name()]
    [vcpu] = vm["vcpus"]
    assert (vcpu["vcpu"], vcpu["scheduler"], vcpu["priority"]) == (0, "fifo", 1)
    assert (bed.name(), f"vCPU 0 (fifo 1) is on CPU {vcpu['cpus']}, which is not isolated") in told
    assert result["passed"] is False
    # One that is to have real time, and has it not.
    named = look(vms=[bed.name("plain")])
    assert {"about": bed.name("plain"), "message": "no vCPU has a real-time scheduler"} in named["findings"]
