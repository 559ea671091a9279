# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two real guests on two vhost-user ports of one bridge, declared by one playbook from nothing."""

from __future__ import annotations

import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.rtvirt.core.tests.integration.libvirt.agent import run_in_guest
from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.ovs import switch
from ansible_collections.rtvirt.core.tests.integration.task import Module, TaskError
from ansible_collections.rtvirt.core.tests.integration.waiting import until

DATAGRAMS = 10000

#: QEMU 7.2 without KVM crashes when a guest masks the MSI-X vectors of a vhost-user card with a control queue
#: (kvm_virtio_pci_vector_use_one with no kvm_state): so these guests have interrupts of the old kind.
KERNEL = "console=ttyS0 quiet pci=nomsi rtvirt.agent=run rtvirt.address=10.9.0.{}/24"

MACS = {"a": "52:54:00:00:0a:01", "b": "52:54:00:00:0a:02"}


def playbook(bed: Bed, guest_files: dict[str, str]) -> list[dict[str, t.Any]]:
    role = {f"ovs_dpdk_{key}": value for key, value in switch.DPDK.items()}
    role.update(ovs_dpdk_allow_restart=True, ovs_dpdk_socket_folder=str(bed.folder / "sockets"))
    ports = [{"name": f"vh-{short}", "type": "dpdkvhostuserclient"} for short in MACS]
    role["ovs_dpdk_bridges"] = [{"name": "br-test", "ports": ports}]
    kernel = {"kernelPath": guest_files["kernel"], "initrdPath": guest_files["initrd"]}
    vms = [
        {
            "name": bed.name(short),
            "interfaces": [
                {
                    "name": "data",
                    "macAddress": mac,
                    "vhostuser": {"rxQueueSize": 1024, "mrgRxbuf": True},
                    "network": {"libvirt": {"vhostuser": {"socket": str(bed.folder / "sockets" / f"vh-{short}")}}},
                }
            ],
            "spec": {"domain": {"firmware": {"kernelBoot": {"kernelArgs": KERNEL.format(index), "libvirt": kernel}}}},
        }
        for index, (short, mac) in enumerate(MACS.items(), 1)
    ]
    common = {"memory": "128Mi", "hugepages": "2Mi", "autoattach_graphics_device": False}
    task = {"virt_type": "qemu", "state": "running", "wait_for": ["agent"], **common, "vms": vms}
    return [
        {
            "hosts": "all",
            "gather_facts": False,
            "roles": [{"role": "rtvirt.core.ovs_dpdk", "vars": role}],
            "post_tasks": [{"name": "Declare the VMs", "rtvirt.core.libvirt_vm": task}],
        }
    ]


def ansible_playbook(file: Path, *more: str) -> str:
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local", str(file)]
    variables = ["-e", f"ansible_python_interpreter={sys.executable}"]
    done = subprocess.run([*command, *variables, *more], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.usefixtures("bare")
def test_packets_between_two_guests(bed: Bed, guest_files: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "play.yml"
    file.write_text(yaml.safe_dump(playbook(bed, guest_files)))
    try:
        first = ansible_playbook(file)
        assert re.search(r"changed=[1-9]", first), first
        unchanged_on_a_second_run(bed, file)
        guests = {short: bed.domain(short) for short in MACS}
        assert "3 packets received" in run_in_guest(guests["a"], "ping -c 3 10.9.0.2")
        none_is_lost(guests)
        live_through_a_restart(guests)
        taken_away(bed)
    finally:
        bed.clear()
        switch.without_bridges()


@pytest.mark.usefixtures("bare")
def test_the_role_in_check_mode_where_the_switch_is_stopped(tmp_path: Path) -> None:
    """What would be started cannot be asked yet."""
    role = {"role": "rtvirt.core.ovs_dpdk", "vars": {"ovs_dpdk_packages": [], "ovs_dpdk_pmd_cpus": "1"}}
    file = tmp_path / "play.yml"
    file.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "roles": [role]}]))
    switch.harness("stop")
    try:
        assert "changed=1" in ansible_playbook(file, "--check")
        assert not Path("/run/openvswitch/ovs-vswitchd.pid").exists()
    finally:
        switch.harness("start")
    assert "changed=0" in ansible_playbook(file, "-e", "ovs_dpdk_state=absent")


def unchanged_on_a_second_run(bed: Bed, file: Path) -> None:
    ports = [switch.column("Port", f"vh-{short}", "_uuid") for short in MACS]
    before = (switch.written(), switch.pid(), ports, [bed.qemu(short) for short in MACS])
    second = ansible_playbook(file)
    assert "changed=0" in second, second
    ports = [switch.column("Port", f"vh-{short}", "_uuid") for short in MACS]
    assert (switch.written(), switch.pid(), ports, [bed.qemu(short) for short in MACS]) == before


def none_is_lost(guests: t.Mapping[str, t.Any]) -> None:
    """Datagrams at a thousand a second: all of them arrive, through the thread that polls, and nothing is dropped."""
    udp = "awk '/^Udp: [0-9]/ { print $2 + $3 }' /proc/net/snmp"
    polled = pmd_packets()
    counted = {name: switch.counters(name) for name in ("vh-a", "vh-b")}
    arrived = int(run_in_guest(guests["b"], udp))
    told = run_in_guest(
        guests["a"],
        "modprobe pktgen && cd /proc/net/pktgen && echo add_device eth0 >kpktgend_0 && for line in"
        f" 'count {DATAGRAMS}' 'pkt_size 60' 'delay 1000000' 'dst 10.9.0.2' 'dst_mac {MACS['b']}'"
        " 'src_min 10.9.0.1' 'src_max 10.9.0.1'; do echo $line >eth0; done && echo start >pgctrl; cat eth0",
        seconds=120,
    )
    assert f"pkts-sofar: {DATAGRAMS}  errors: 0" in told, told
    until("all have arrived", lambda: int(run_in_guest(guests["b"], udp)) - arrived >= DATAGRAMS, 20)

    def passed(name: str, key: str) -> bool:
        return switch.counters(name)[key] - counted[name][key] >= DATAGRAMS

    # The database has them every five seconds.
    until("the switch has counted them", lambda: passed("vh-a", "rx_packets") and passed("vh-b", "tx_packets"), 20)
    after = {name: switch.counters(name) for name in ("vh-a", "vh-b")}
    for name, counts in after.items():
        dropped = {key: value - counted[name][key] for key, value in counts.items() if "drop" in key}
        assert len(dropped) > 2
        assert not any(dropped.values()), (name, dropped)
    assert pmd_packets() - polled >= DATAGRAMS


def pmd_packets() -> int:
    """Packets that the poll threads have had, not those of the main thread."""
    polling = switch.appctl("dpif-netdev/pmd-stats-show").partition("main thread")[0]
    return sum(int(count) for count in re.findall(r"packets received: (\d+)", polling))


def live_through_a_restart(guests: t.Mapping[str, t.Any]) -> None:
    """A restart is refused while guests are connected; whoever does it all the same finds them where they were."""
    boots = {short: run_in_guest(guest, "cat /proc/sys/kernel/random/boot_id") for short, guest in guests.items()}
    with pytest.raises(TaskError) as error:
        switch.ovs_dpdk.run(**{**switch.DPDK, "socket_mem": [128]}, allow_restart=True)
    assert "would cut off the guests at vh-a, vh-b" in error.value.msg
    process = switch.pid()
    switch.ovs_dpdk.run(**{**switch.DPDK, "socket_mem": [128]}, allow_restart=True, disconnect_guests=True)
    assert switch.pid() != process
    connected = [
        lambda name=name: switch.column("Interface", name, "status")["status"] == "connected"
        for name in ("vh-a", "vh-b")
    ]
    for is_connected in connected:
        until("its guest is connected again", is_connected, 30)
    answered = until("they go on", lambda: run_in_guest(guests["a"], "ping -c 3 10.9.0.2 || true"), 60)
    assert "3 packets received" in answered
    assert {
        short: run_in_guest(guest, "cat /proc/sys/kernel/random/boot_id") for short, guest in guests.items()
    } == boots


def taken_away(bed: Bed) -> None:
    with pytest.raises(TaskError) as error:
        switch.ovs_bridges.run(state="absent")
    assert "guests are connected there" in error.value.msg
    Module("libvirt_vm").run(
        vms=[{"name": bed.name(short)} for short in MACS], state="absent", force=True, wait_timeout=1
    )
    assert switch.ovs_bridges.run(state="absent")["removed"] == ["bridge br-test"]


@pytest.mark.usefixtures("dpdk")
def test_a_guest_that_no_switch_connects_to(bed: Bed) -> None:
    """It is stopped again, and what is missing is told."""
    vm = Module("libvirt_vm", virt_type="qemu", wait_timeout=4)
    folder = bed.folder / "sockets"
    network = {"libvirt": {"vhostuser": {"socket": str(folder / "vh-a")}}}
    options = bed.bare(hugepages="2Mi", interfaces=[{"name": "data", "vhostuser": {}, "network": network}])
    with pytest.raises(TaskError) as error:
        vm.run(**options, state="running")
    assert f"there is no folder {folder} on this host" in error.value.msg
    folder.mkdir()
    with pytest.raises(TaskError) as error:
        vm.run(**options, state="running")
    assert f"{folder} is closed to QEMU's user" in error.value.msg
    folder.chmod(0o777)
    with pytest.raises(TaskError) as error:
        vm.run(**options, state="running")
    assert f"no switch has connected to {folder}/vh-a (no port of Open vSwitch has it: " in error.value.msg
    assert bed.power() == "stopped"
    ports = [{"name": "vh-a", "type": "dpdkvhostuserclient"}]
    switch.ovs_bridges.run(socket_folder=str(folder), bridges=[{"name": "br-test", "ports": ports}])
    switch.kill()
    with pytest.raises(TaskError) as error:
        vm.run(**options, state="running")
    assert f"{folder}/vh-a (port vh-a of Open vSwitch has it: " in error.value.msg
    assert bed.power() == "stopped"
    switch.restart()
    assert vm.run(**options, state="running")["changed"] is True
    assert bed.power() == "running"


@pytest.mark.usefixtures("dpdk")
def test_a_cpu_that_polls_is_no_vms(bed: Bed, free_cpus: None) -> None:
    """The switch has CPU 1 of the machine's two."""
    task = Module("libvirt_vm", virt_type="qemu")
    made = task.run_one(**bed.bare(cpu_cores=1, dedicated_cpus=True, cpu_pool="0-1"))
    assert made["pins"]["vcpus"] == {"0": [0]}
    with pytest.raises(TaskError, match="dedicated_cpus"):
        task.run(**bed.bare("more", cpu_cores=1, dedicated_cpus=True, cpu_pool="0-1"))
