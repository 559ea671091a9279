# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ovs_dpdk refuses, warns of and would write, on recorded hosts. That it works: tests/integration/libvirt/ovs."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Ran
from ansible_collections.rtvirt.core.plugins.module_utils._host.ovs.vswitchd import read_vswitchd
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks import ovs_dpdk
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.ovs.switch import Switch
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.tree import carry_out

DEFAULTS: dict[str, t.Any] = {name: option.get("default") for name, option in ovs_dpdk.ARGUMENTS.items()}


@pytest.fixture
def switch(tmp_path: Path) -> Switch:
    """Two nodes with two CPUs each, and 512 MiB of free huge pages on the first."""
    switch = Switch(tmp_path)
    switch.lay_out("intel-2-nodes")
    pool = "/sys/devices/system/node/node{}/hugepages/hugepages-2048kB/{}_hugepages"
    for node, count in ((0, 256), (1, 0)):
        switch.put(pool.format(node, "nr"), f"{count}\n")
        switch.put(pool.format(node, "free"), f"{count}\n")
    return switch


def run(switch: Switch, *, check: bool = True, **options: t.Any) -> dict[str, t.Any]:
    return carry_out(ovs_dpdk, {**DEFAULTS, **options}, switch, check=check)


BAD: dict[str, tuple[dict[str, t.Any], str, str]] = {
    "memory of nothing": ({"socket_mem": [0, 0]}, "socket_mem", "write MiB for each NUMA node"),
    "negative memory": ({"socket_mem": [-1]}, "socket_mem", "write MiB for each NUMA node"),
    "memory that is not there": ({"socket_mem": [1024]}, "socket_mem[0]", "512 MiB of free huge pages: reserve more"),
    "memory of a node that is not there": ({"socket_mem": [8, 0, 8]}, "socket_mem[2]", "no NUMA node 2: leave it out"),
    "memory of a node without pages": ({"socket_mem": [8, 8]}, "socket_mem[1]", "has 0 MiB of free huge pages"),
    "CPUs that cannot be read": ({"pmd_cpus": "3-1"}, "pmd_cpus", "write 1-3"),
    "CPUs that are none": ({"pmd_cpus": "1,^1"}, "pmd_cpus", "write some, such as 2-3"),
    "CPUs that are not online": ({"pmd_cpus": "90"}, "pmd_cpus", "are not online here: this host has"),
    "CPUs that poll and do all else": ({"pmd_cpus": "1", "lcore_cpus": "0-1"}, "lcore_cpus", "poll without end"),
    "CPUs of a VM": ({"pmd_cpus": "1-2"}, "pmd_cpus", "CPUs 2 are vCPUs' of rt1: choose others"),
    "a key that is an option": (
        {"other_config": {"dpdk-extra": "-a x"}},
        "other_config.dpdk-extra",
        "an option of its own: write extra",
    ),
    "a key with a slip of the pen": (
        {"other_config": {"vhost-iomu-support": True}},
        "other_config.vhost-iomu-support",
        "did you mean vhost-iommu-support?",
    ),
    "a key with a list": ({"other_config": {"max-idle": [1]}}, "other_config.max-idle", "write text, a number"),
    "no time": ({"wait_timeout": 0}, "wait_timeout", "1 or more seconds"),
    "absent with settings": ({"state": "absent", "pmd_cpus": "1"}, "pmd_cpus", "state: absent"),
}


@pytest.mark.parametrize("what", BAD)
def test_refused_before_anything_is_touched(switch: Switch, what: str) -> None:
    options, path, remedy = BAD[what]
    switch.settings["dpdk_initialized"] = False
    pins = "<domain><cputune><vcpupin vcpu='0' cpuset='2'/><vcpupin vcpu='1' cpuset='0-3'/></cputune></domain>"
    switch.put("/etc/libvirt/qemu/rt1.xml", pins)
    switch.put("/etc/libvirt/qemu/half.xml", "<domain>")
    with pytest.raises(DeclarationError) as error:
        run(switch, check=False, **options)
    (problem,) = error.value.problems
    assert problem.path == path
    assert remedy in problem.message
    assert switch.written == []


def test_all_mistakes_are_told_together(switch: Switch) -> None:
    with pytest.raises(DeclarationError) as error:
        run(switch, socket_mem=[-1], pmd_cpus="a", other_config={"dpdk-init": True})
    assert [problem.path for problem in error.value.problems] == ["socket_mem", "pmd_cpus", "other_config.dpdk-init"]


def test_without_huge_pages_nothing_is_initialised(switch: Switch) -> None:
    switch.settings["dpdk_initialized"] = False
    switch.put("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages", "0\n")
    with pytest.raises(DeclarationError, match="this host has no free huge pages at all"):
        run(switch)


@pytest.mark.parametrize(
    ("version", "key"), [("3.1.4", "pmd-maxsleep"), ("3.2.0", "pmd-sleep-max"), ("4.0.0", "pmd-sleep-max")]
)
def test_a_key_has_the_name_of_the_version(switch: Switch, version: str, key: str) -> None:
    switch.settings["ovs_version"] = version
    result = run(switch, other_config={"pmd-sleep-max": 50})
    assert result["other_config"] == {"dpdk-init": "true", key: "50"}


def test_a_key_that_came_later(switch: Switch) -> None:
    switch.settings["ovs_version"] = "2.17.9"
    with pytest.raises(DeclarationError, match=r"needs Open vSwitch 3\.1, and this is 2\.17\.9"):
        run(switch, other_config={"pmd-sleep-max": 50})


def test_warnings(switch: Switch) -> None:
    switch.put("/sys/devices/system/cpu/isolated", "1\n")
    nodes = [switch.word(f"/sys/devices/system/node/node{node}/cpulist") for node in (0, 1)]
    second = nodes[1].partition("-")[0]
    warnings = run(switch, socket_mem=[64], pmd_cpus=f"1,{second}")["warnings"]
    assert warnings == [
        f"pmd_cpus: CPUs {second} are not isolated: whatever else runs there takes time from packets",
        f"socket_mem: node 1 has none, and CPUs {second} of pmd_cpus",
    ]
    (warning,) = run(switch, socket_mem=[64, 0], pmd_cpus="1")["warnings"] or ["none"]
    assert warning == "none"


def test_what_a_restart_gives_back_counts_as_free(switch: Switch) -> None:
    switch.settings["other_config"] = {"dpdk-init": "true", "dpdk-socket-mem": "1024"}
    result = run(switch, socket_mem=[1536], allow_restart=True)
    assert (result["restarted"], result["restart_required"]) == (True, False)
    with pytest.raises(DeclarationError, match="is 1537 MiB, and node 0 has 1536 MiB"):
        run(switch, socket_mem=[1537], allow_restart=True)


def test_a_program_without_dpdk(switch: Switch) -> None:
    switch.version, switch.settings["dpdk_initialized"] = "", False
    assert run(switch, socket_mem=[64])["restart_required"] is True
    switch.programs = switch.programs[:1]
    with pytest.raises(DeclarationError, match="such as by the package openvswitch-switch-dpdk"):
        run(switch, socket_mem=[64])


def test_guests_are_not_cut_off_unasked(switch: Switch) -> None:
    guest = {"type": "dpdkvhostuserclient", "status": {"status": "connected"}}
    switch.bridges = {
        "br0": {"vh-a": guest, "vh-b": {**guest, "status": {"status": "disconnected"}}, "eth1": {"type": ""}}
    }
    with pytest.raises(DeclarationError, match="would cut off the guests at vh-a, until"):
        run(switch, socket_mem=[64], allow_restart=True)
    assert run(switch, socket_mem=[64])["restart_required"] is True
    assert run(switch, socket_mem=[64], allow_restart=True, disconnect_guests=True)["restarted"] is True


def test_a_switch_that_has_died_has_no_guests(switch: Switch) -> None:
    """Whatever its database says."""
    switch.bridges = {"br0": {"vh-a": {"type": "dpdkvhostuserclient", "status": {"status": "connected"}}}}
    switch.put("/proc/70/stat", "")
    assert run(switch, socket_mem=[64], allow_restart=True)["restarted"] is True


def test_what_is_staged_is_not_what_a_restart_gives_back(switch: Switch) -> None:
    switch.settings["other_config"] = {"dpdk-init": "true", "dpdk-socket-mem": "4096"}
    note = {"process": "70.22", "other_config": {"dpdk-init": "true", "dpdk-socket-mem": "128"}}
    switch.settings["external_ids"] = {"rtvirt-stale": json.dumps(note)}
    with pytest.raises(DeclarationError, match="is 4096 MiB, and node 0 has 640 MiB"):
        run(switch, socket_mem=[4096], allow_restart=True)


def test_hardware_offload_takes_a_restart_also_without_dpdk(switch: Switch) -> None:
    switch.settings["dpdk_initialized"] = False
    assert run(switch, dpdk_init="false", other_config={"hw-offload": True})["restart_required"] is True
    assert run(switch, dpdk_init="false", other_config={"max-idle": 100})["restart_required"] is False


def test_what_dpdk_has_not_loaded(switch: Switch) -> None:
    """Debian without recommended packages: DPDK is initialised, and no port can have memory."""
    switch.put("/proc/70/maps", "7f00-7f01 r-xp 0 fe:00 1 /usr/lib/librte_mempool.so.23.0\n")
    with pytest.raises(RtvirtError, match="DPDK runs without librte_mempool_ring, from which ports get their memory"):
        run(switch, check=False, socket_mem=[64])
    switch.put("/proc/70/maps", "/usr/lib/librte_mempool.so.23.0\n/usr/lib/dpdk/librte_mempool_ring.so.23.0\n")
    run(switch, check=False, socket_mem=[64])
    # One that has it all in its program.
    switch.put("/proc/70/maps", "/usr/sbin/ovs-vswitchd\n")
    run(switch, check=False, socket_mem=[64])


def test_a_process_is_told_from_the_next_with_its_number(switch: Switch) -> None:
    process = read_vswitchd(switch)
    assert process is not None
    assert process.mark == "70.22"
    switch.put("/proc/70/comm", "sleep\n")
    assert read_vswitchd(switch) is None


class Living(Switch):
    """One that has what is written to its row, and initialises DPDK when it is told, or ends.

    :ivar becomes: what becomes of DPDK: ``initialised``, ``late`` or ``dead``.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.settings["dpdk_initialized"] = False
        self.becomes = "initialised"
        self.put("/etc/init.d/openvswitch-switch", "")

    def answer(self, command: t.Sequence[str]) -> Ran:
        if command[0] != "ovs-vsctl" or "list" in command:
            return super().answer(command)
        starts = [at for at, word in enumerate(command) if word == "--"]
        for start, end in zip(starts, [*starts[1:], len(command)]):
            verb, _table, _row, *rest = command[start + 1 : end]
            for assignment in rest if verb == "set" else ():
                field, _equals, value = assignment.partition("=")
                column, _colon, key = field.partition(":")
                self.settings[column][key] = json.loads(value)
            if verb == "remove":
                self.settings[rest[0]].pop(rest[1], None)
        told = self.settings["other_config"].get("dpdk-init") == "true"
        if told and self.becomes == "dead":
            (self.root / "run/openvswitch/ovs-vswitchd.pid").unlink(missing_ok=True)
        elif told and self.becomes == "initialised" and not self.settings["dpdk_initialized"]:
            self.settings["dpdk_initialized"] = True
            self.put(f"{POOLS.format(0)}/free_hugepages", "0\n")
        return Ran(0, "", "")


POOLS = "/sys/devices/system/node/node{}/hugepages/hugepages-2048kB"
STAGED: dict[str, t.Any] = {"socket_mem": [512], "other_config": {"userspace-tso-enable": True}}


@pytest.fixture
def living(tmp_path: Path) -> Living:
    """With 512 MiB of free huge pages on its first node."""
    switch = Living(tmp_path)
    switch.lay_out("intel-2-nodes")
    for node, count in ((0, 256), (1, 0)):
        for what in ("nr", "free"):
            switch.put(f"{POOLS.format(node)}/{what}_hugepages", f"{count}\n")
    return switch


def test_a_switch_that_ends_on_dpdk_has_its_settings_back(living: Living) -> None:
    """Also where another setting waits for a restart, which the task would not make."""
    living.settings["other_config"] = {"max-idle": "100"}
    living.becomes = "dead"
    with pytest.raises(RtvirtError, match="was given its former settings"):
        run(living, check=False, **STAGED)
    assert living.settings["other_config"] == {"max-idle": "100"}


def test_what_waits_for_a_restart_does_not_hide_what_dpdk_has(living: Living) -> None:
    done = run(living, check=False, **STAGED)
    assert (done["dpdk_initialized"], done["restart_required"]) == (True, True)
    again = run(living, check=False, **STAGED)
    assert (again["changed"], again["restart_required"]) == (False, True)
    # Its own pages count as free then.
    assert run(living, allow_restart=True, **STAGED)["restarted"] is True


def test_what_is_taken_back_needs_no_restart(living: Living) -> None:
    run(living, check=False, socket_mem=[256])
    assert run(living, check=False, socket_mem=[128])["restart_required"] is True
    back = run(living, check=False, socket_mem=[256])
    assert (back["changed"], back["restart_required"], living.settings["external_ids"].keys()) == (
        True,
        False,
        {"rtvirt"},
    )
    assert run(living, check=False, socket_mem=[256])["changed"] is False


def test_dpdk_that_does_not_come_is_told_each_time(living: Living) -> None:
    living.becomes = "late"
    for _run in range(2):
        with pytest.raises(RtvirtError, match="DPDK is not initialised"):
            run(living, check=False, wait_timeout=1)


def test_a_note_that_others_have_spoilt(switch: Switch) -> None:
    switch.settings["other_config"] = {"dpdk-init": "true"}
    for note in ("{", "[]", '{"process": "70.22"}'):
        switch.settings["external_ids"] = {"rtvirt-stale": note}
        assert run(switch)["restart_required"] is False
