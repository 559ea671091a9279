# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ovs_bridges on a real Open vSwitch with DPDK."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.ovs import switch
from ansible_collections.rtvirt.core.tests.integration.libvirt.ovs.switch import Listener, ovs_bridges
from ansible_collections.rtvirt.core.tests.integration.task import TaskError
from ansible_collections.rtvirt.core.tests.integration.waiting import until

pytestmark = pytest.mark.usefixtures("dpdk")

VHOST = "dpdkvhostuserclient"


def port(name: str, **more: t.Any) -> dict[str, t.Any]:
    return {"name": name, "type": VHOST, **more}


def declared(folder: Path, *ports: dict[str, t.Any], bridge: str = "br-test", **more: t.Any) -> dict[str, t.Any]:
    return {"socket_folder": str(folder), "bridges": [{"name": bridge, "ports": list(ports), **more}]}


def refused(**options: t.Any) -> str:
    with pytest.raises(TaskError) as error:
        ovs_bridges.run(**options)
    return error.value.msg


def test_ports_come_change_and_go(tmp_path: Path) -> None:
    ports = [port("vh-a", tag=100), port("vh-b", trunks=[200, 100], vlan_mode="trunk", mtu=9000)]
    task = declared(tmp_path / "sockets", *ports, fail_mode="secure")
    predicted = ovs_bridges.run(check=True, **task)
    assert switch.vsctl("list-br") == ""
    assert not (tmp_path / "sockets").exists()
    made = ovs_bridges.run(**task)
    assert made == {**predicted, "invocation": made["invocation"]}
    assert made["made"] == ["bridge br-test", "port vh-a", "port vh-b"]
    assert switch.column("Bridge", "br-test", "datapath_type") == "netdev"
    assert (switch.column("Port", "vh-a", "tag"), switch.column("Port", "vh-b", "trunks")) == (100, ["set", [100, 200]])
    assert switch.column("Interface", "vh-b", "options") == {"vhost-server-path": f"{tmp_path}/sockets/vh-b"}
    owner = (tmp_path / "sockets").stat()
    assert (owner.st_uid != 0, oct(owner.st_mode & 0o777)) == (True, "0o755")

    before = switch.written(), switch.column("Port", "vh-a", "_uuid")
    again = ovs_bridges.run(**task)
    assert (again["changed"], again["diff"]) == (False, [])
    assert (switch.written(), switch.column("Port", "vh-a", "_uuid")) == before

    less = ovs_bridges.run(**declared(tmp_path / "sockets", port("vh-a")))
    assert (less["made"], less["removed"]) == ([], ["port vh-b"])
    assert switch.column("Port", "vh-a", "tag") == ["set", []]
    assert switch.column("Bridge", "br-test", "fail_mode") == ["set", []]

    gone = ovs_bridges.run(state="absent")
    assert (gone["removed"], switch.vsctl("list-br")) == (["bridge br-test"], "")
    assert not (tmp_path / "sockets").exists()
    assert ovs_bridges.run(state="absent")["changed"] is False


def test_what_others_have_made_stays(tmp_path: Path) -> None:
    switch.vsctl("add-br", "br-test", "--", "set", "Bridge", "br-test", "datapath_type=netdev")
    add = ["add-port", "br-test", "theirs", "tag=7", "--", "set", "Interface", "theirs", f"type={VHOST}"]
    switch.vsctl(*add, f"options:vhost-server-path={tmp_path}/theirs")
    written = switch.written()
    adopted = declared(tmp_path, port("theirs"))
    assert ovs_bridges.run(**adopted)["changed"] is False
    assert switch.written() == written
    ovs_bridges.run(**declared(tmp_path, port("theirs", mtu=2000), port("ours")))
    assert (switch.column("Port", "theirs", "tag"), switch.column("Interface", "theirs", "mtu_request")) == (7, 2000)
    gone = ovs_bridges.run(state="absent")
    assert gone["removed"] == ["port ours"]
    assert switch.vsctl("list-ports", "br-test") == "theirs"
    assert switch.column("Interface", "theirs", "mtu_request") == ["set", []]
    assert "rtvirt" not in switch.vsctl("list", "Interface", "theirs")


def test_a_bridge_of_others_without_a_type_is_left_alone(tmp_path: Path) -> None:
    """As an ordinary one is, with a port of the kernel."""
    switch.vsctl("add-br", "br-theirs", "--", "add-port", "br-theirs", "theirs")
    ovs_bridges.run(**declared(tmp_path, port("vh-a")))
    assert ovs_bridges.run(state="absent")["removed"] == ["bridge br-test"]
    written = switch.written()
    assert ovs_bridges.run(state="absent")["changed"] is False
    assert (switch.written(), switch.vsctl("list-ports", "br-theirs")) == (written, "theirs")


def test_another_socket_of_a_port_that_lives_takes_effect(tmp_path: Path) -> None:
    with Listener(tmp_path / "first") as first:
        ovs_bridges.run(**declared(tmp_path, port("vh-a", socket=f"{tmp_path}/first", tag=5)))
        assert first.has_a_client()
    switch.vsctl("set", "Port", "vh-a", "lacp=active", "--", "set", "Interface", "vh-a", "external_ids:iface-id=theirs")
    rows = switch.column("Port", "vh-a", "_uuid"), switch.column("Interface", "vh-a", "_uuid")
    with Listener(tmp_path / "second") as second:
        task = declared(tmp_path, port("vh-a", socket=f"{tmp_path}/second"))
        assert ovs_bridges.run(**task)["made"] == ["port vh-a"]
        assert second.has_a_client()
    assert (switch.column("Port", "vh-a", "tag"), switch.column("Port", "vh-a", "lacp")) == (["set", []], "active")
    assert switch.column("Interface", "vh-a", "external_ids")["iface-id"] == "theirs"
    assert (switch.column("Port", "vh-a", "_uuid"), switch.column("Interface", "vh-a", "_uuid")) == rows
    assert ovs_bridges.run(**task)["changed"] is False


def test_the_two_ends_of_a_patch(tmp_path: Path) -> None:
    """They are in no datapath, and nothing is wrong with that."""
    ends = [
        {"name": f"br-{name}", "ports": [{"name": name, "type": "patch", "options": {"peer": peer}}]}
        for name, peer in (("p0", "p1"), ("p1", "p0"))
    ]
    assert ovs_bridges.run(bridges=ends)["made"] == ["bridge br-p0", "port p0", "bridge br-p1", "port p1"]
    assert ovs_bridges.run(bridges=ends)["changed"] is False


def test_two_ports_with_one_socket(tmp_path: Path) -> None:
    both = [port("vh-a", socket=f"{tmp_path}/one"), port("vh-b", socket=f"{tmp_path}/one")]
    message = refused(**declared(tmp_path, *both))
    assert message == f"bridges[0].ports[1].socket: {tmp_path}/one is the socket of vh-a already: a socket has one port"
    assert switch.vsctl("list-br") == ""
    ovs_bridges.run(**declared(tmp_path, both[0]))
    assert "is the socket of port vh-a already" in refused(**declared(tmp_path, both[1], bridge="br-more"))


def test_a_port_of_another_bridge(tmp_path: Path) -> None:
    ovs_bridges.run(**declared(tmp_path, port("vh-a")))
    message = refused(**declared(tmp_path, port("vh-a"), bridge="br-more"))
    assert message.startswith("bridges[0].ports[0].name: 'vh-a' is a port of br-test: ")
    assert switch.vsctl("list-br") == "br-test"


def test_ports_of_ours_move_between_declared_bridges(tmp_path: Path) -> None:
    """Also in the order in which their names are not free yet, and into a bond and out of it."""

    def task(left: list[dict[str, t.Any]], right: list[dict[str, t.Any]]) -> dict[str, t.Any]:
        bridges = [{"name": name, "ports": ports} for name, ports in (("br-left", left), ("br-right", right))]
        return {"socket_folder": str(tmp_path), "bridges": bridges}

    def there() -> list[str]:
        return [switch.vsctl("list-ports", name) for name in ("br-left", "br-right")]

    bond = {"name": "bond0", "interfaces": [port("vh-b"), port("vh-c")], "bond_mode": "active-backup"}
    ovs_bridges.run(**task([port("vh-a", tag=7)], [bond]))
    turned = task([bond], [port("vh-a")])
    predicted = ovs_bridges.run(check=True, **turned)
    moved = ovs_bridges.run(**turned)
    assert moved == {**predicted, "invocation": moved["invocation"]}
    assert (sorted(moved["removed"]), sorted(moved["made"])) == (["port bond0", "port vh-a"],) * 2
    assert there() == ["bond0", "vh-a"]
    assert switch.column("Port", "vh-a", "tag") == ["set", []]
    assert ovs_bridges.run(**turned)["changed"] is False

    apart = task([port("vh-b")], [port("vh-c"), port("vh-a")])
    ovs_bridges.run(**apart)
    assert there() == ["vh-b", "vh-a\nvh-c"]
    assert ovs_bridges.run(**apart)["changed"] is False


def test_a_name_that_a_fake_bridge_or_a_bond_has_is_told_before(tmp_path: Path) -> None:
    switch.vsctl("add-br", "br-test", "--", "set", "Bridge", "br-test", "datapath_type=netdev")
    switch.vsctl("add-br", "br-fake", "br-test", "7", "--", "add-bond", "br-test", "bond0", "if-a", "if-b")
    written = switch.written()
    assert refused(**declared(tmp_path, bridge="br-fake")) == (
        "bridges[0].name: 'br-fake' is a port of br-test: take it away there, or write another name"
    )
    assert refused(**declared(tmp_path, port("if-a"))) == (
        "bridges[0].ports[0].name: 'if-a' is an interface of bond0: take it away there, or write another name"
    )
    assert switch.written() == written


def test_a_device_that_is_not_there_is_told_by_the_switch_too(tmp_path: Path) -> None:
    """By an address it is refused; what else DPDK calls a device only DPDK knows."""
    card = {"name": "dpdk0", "type": "dpdk", "devargs": "0000:ff:1f.7"}
    message = refused(**declared(tmp_path, card))
    assert message == "bridges[0].ports[0].devargs: this host has no PCI device 0000:ff:1f.7"
    message = refused(**declared(tmp_path, {**card, "devargs": "class=eth,mac=00:11:22:33:44:55"}))
    assert message.startswith("bridges[0].ports[0]: dpdk0: ")
    assert "could not" in message.lower() or "error" in message.lower()


def test_a_switch_that_dies_during_a_run(tmp_path: Path) -> None:
    task = declared(tmp_path, *(port(f"vh-{index}") for index in range(60)))
    # It would have made them all before it is killed.
    switch.freeze()
    process = ovs_bridges.start(**task, wait_timeout=5)
    until("the database has it", lambda: "vh-0" in switch.vsctl("--no-wait", "show"))
    switch.kill()
    with pytest.raises(TaskError) as error:
        process.result()
    assert "ovs-vswitchd" in error.value.msg
    assert "ovs-vswitchd does not run" in refused(**task)
    switch.restart()
    ovs_bridges.run(**task)
    assert ovs_bridges.run(**task)["changed"] is False
    assert {f"vh-{index}" for index in range(60)} <= set(switch.vsctl("list-ports", "br-test").split())


def test_a_database_that_is_down(tmp_path: Path) -> None:
    switch.harness("stop")
    try:
        message = refused(**declared(tmp_path, port("vh-a")))
    finally:
        switch.harness("start")
    assert message.startswith("Open vSwitch's database does not answer (")


@pytest.mark.usefixtures("bare")
def test_a_switch_without_dpdk(tmp_path: Path) -> None:
    message = refused(**declared(tmp_path / "sockets", port("vh-a")))
    assert message == "DPDK is not initialised in Open vSwitch: declare it with rtvirt.core.ovs_dpdk before"
    assert (switch.vsctl("list-br"), (tmp_path / "sockets").exists()) == ("", False)
