# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ovs_bridges refuses and would write. That it works: tests/integration/libvirt/ovs."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.rtvirt.core.plugins.module_utils._host.ovs.socket_folder import (
    apply_folder,
    plan_folder,
    plan_no_folder,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks import ovs_bridges
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.ovs.switch import Switch
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.tree import carry_out

DEFAULTS: dict[str, t.Any] = {name: option.get("default") for name, option in ovs_bridges.ARGUMENTS.items()}
VHOST = "dpdkvhostuserclient"


def filled(options: dict[str, t.Any], given: dict[str, t.Any]) -> dict[str, t.Any]:
    """Suboptions as Ansible gives them."""
    result = {name: given.get(name, option.get("default")) for name, option in options.items()}
    for name, option in options.items():
        if "options" in option and result[name] is not None:
            result[name] = [filled(option["options"], one) for one in result[name]]
    return result


def bridge(*ports: dict[str, t.Any], name: str = "br0", **more: t.Any) -> dict[str, t.Any]:
    return {"name": name, "ports": list(ports), **more}


def vhost(name: str = "vh-a", **more: t.Any) -> dict[str, t.Any]:
    return {"name": name, "type": VHOST, **more}


def card(**more: t.Any) -> dict[str, t.Any]:
    return {"name": "dpdk0", "type": "dpdk", "devargs": "0000:3b:00.0", **more}


@pytest.fixture
def switch(tmp_path: Path) -> Switch:
    switch = Switch(tmp_path)
    me = f"{os.getuid()}:{os.getgid()}"
    switch.put("/etc/passwd", f"root:x:0:0::/:/bin/sh\nlibvirt-qemu:x:{me}::/:/bin/false\n")
    switch.put("/etc/group", "root:x:0:\nkvm:x:78:\n")
    for address, driver in (("3b:00.0", "vfio-pci"), ("3b:00.1", "ixgbe"), ("5e:00.0", "mlx5_core"), ("5e:00.1", "")):
        folder = f"/sys/bus/pci/devices/0000:{address}"
        switch.put(f"{folder}/vendor", "0x8086\n")
        switch.put(f"{folder}/numa_node", "0\n")
        if driver:
            (tmp_path / folder.lstrip("/") / "driver").symlink_to(f"../../drivers/{driver}")
    return switch


def run(switch: Switch, *bridges: dict[str, t.Any], check: bool = True, **options: t.Any) -> dict[str, t.Any]:
    given = filled(ovs_bridges.ARGUMENTS, {"bridges": list(bridges), **options})
    return carry_out(ovs_bridges, given, switch, check=check)


P0 = "bridges[0].ports[0]"
BAD: dict[str, tuple[list[dict[str, t.Any]], str, str]] = {
    "no bridge": ([], "bridges", "write bridges, or state: absent"),
    "a name with a space": ([bridge(name="br 0")], "bridges[0].name", "no space and no /"),
    "a long name": ([bridge(vhost("a-name-of-16-byte"))], f"{P0}.name", "1 to 15 characters"),
    "two bridges of one name": ([bridge(), bridge()], "bridges[1].name", "'br0' is bridges[0] already"),
    "two ports of one name": ([bridge(vhost(), vhost())], "bridges[0].ports[1].name", f"'vh-a' is {P0} already"),
    "a port with the bridge's name": ([bridge(vhost("br0"))], f"{P0}.name", "'br0' is bridges[0] already"),
    "a port of two bridges": (
        [bridge(vhost()), bridge(vhost(), name="br1")],
        "bridges[1].ports[0].name",
        "names are unique",
    ),
    "two ports with one socket": (
        [bridge(vhost(socket="/run/a"), vhost("vh-b", socket="/run/a"))],
        "bridges[0].ports[1].socket",
        "/run/a is the socket of vh-a already",
    ),
    "a socket by half a path": ([bridge(vhost(socket="a"))], f"{P0}.socket", "no absolute path"),
    "a socket with dots": ([bridge(vhost(socket="/run/../a"))], f"{P0}.socket", "without . and .."),
    "a long path": ([bridge(vhost(socket=f"/run/{'a' * 110}"))], f"{P0}.socket", "at most 107"),
    "a socket in a folder that is not there": (
        [bridge(vhost(socket="/srv/none/a"))],
        f"{P0}.socket",
        "make it, or write a path below socket_folder",
    ),
    "the server's kind of vhost-user": (
        [bridge(vhost(type="dpdkvhostuser"))],
        f"{P0}.type",
        "each VM must be restarted too; write dpdkvhostuserclient",
    ),
    "vhost-user in the kernel": (
        [bridge(vhost(), datapath_type="system")],
        f"{P0}.type",
        "write datapath_type netdev",
    ),
    "a card without a device": (
        [bridge(card(devargs=None))],
        f"{P0}.devargs",
        "is missing: write the device's address",
    ),
    "a card that is not there": (
        [bridge(card(devargs="0000:99:00.0"))],
        f"{P0}.devargs",
        "no PCI device 0000:99:00.0",
    ),
    "a card that the host has": ([bridge(card(devargs="3b:00.1"))], f"{P0}.devargs", "has the driver ixgbe, and DPDK"),
    "a card that nobody has": ([bridge(card(devargs="5e:00.1"))], f"{P0}.devargs", "has no driver, and DPDK"),
    "queues of a vhost-user port": ([bridge(vhost(n_rxq=2))], f"{P0}.n_rxq", "has as many queues as its guest"),
    "no queue": ([bridge(card(n_rxq=0))], f"{P0}.n_rxq", "write 1 or more"),
    "a socket of a card": ([bridge(card(socket="/run/a"))], f"{P0}.socket", f"is for ports of type {VHOST}"),
    "a device of a vhost-user port": ([bridge(vhost(devargs="3b:00.0"))], f"{P0}.devargs", "is for ports of type dpdk"),
    "a small frame": ([bridge(vhost(mtu=60))], f"{P0}.mtu", "write 68 to 65535 bytes"),
    "an affinity": ([bridge(card(pmd_rxq_affinity="0-3"))], f"{P0}.pmd_rxq_affinity", "such as 0:3,1:7"),
    "an affinity to a CPU that does not poll": (
        [bridge(card(pmd_rxq_affinity="0:1,1:5"))],
        f"{P0}.pmd_rxq_affinity",
        "CPUs 5 do not poll: pmd_cpus of the switch are 1-2",
    ),
    "a VLAN": ([bridge(vhost(tag=4096))], f"{P0}.tag", "4096 is no VLAN"),
    "a trunk": ([bridge(vhost(trunks=[1, -1]))], f"{P0}.trunks", "-1 is no VLAN"),
    "a trunk of an access port": (
        [bridge(vhost(tag=1, trunks=[1], vlan_mode="access"))],
        f"{P0}.trunks",
        "an access port has one tag",
    ),
    "a bond of one": ([bridge({"name": "bond0", "interfaces": [card()]})], f"{P0}.interfaces", "two or more"),
    "a bond with a type": (
        [bridge({"name": "bond0", "type": "dpdk", "interfaces": [card(), card(name="dpdk1", devargs="5e:00.0")]})],
        f"{P0}.type",
        "stands beside interfaces",
    ),
    "a bond with options": (
        [bridge({"name": "bond0", "options": {"a": 1}, "interfaces": [card(), card(name="dpdk1", devargs="5e:00.0")]})],
        f"{P0}.options",
        "stands beside interfaces",
    ),
    "a tag beside trunks": ([bridge(card(tag=5, trunks=[10]))], f"{P0}.trunks", "write vlan_mode native-tagged"),
    "a socket among the options": (
        [bridge(vhost(options={"vhost-server-path": "/srv/x"}))],
        f"{P0}.options.vhost-server-path",
        "write socket",
    ),
    "queues among the options": ([bridge(card(options={"n_rxq": 2}))], f"{P0}.options.n_rxq", "write n_rxq"),
    "a bond's mode without a bond": (
        [bridge(card(bond_mode="balance-tcp"))],
        f"{P0}.bond_mode",
        "declare its interfaces",
    ),
    "an option with a list": ([bridge(card(options={"x": []}))], f"{P0}.options.x", "write text, a number"),
    "a port of another bridge": ([bridge(vhost("theirs"))], f"{P0}.name", "is a port of br9: take it away there"),
    "a bridge with a port's name": ([bridge(name="theirs")], "bridges[0].name", "'theirs' is a port of br9: take it"),
    "a socket of a port that is there": (
        [bridge(vhost(socket="/run/theirs"))],
        f"{P0}.socket",
        "is the socket of port theirs already",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_refused_before_anything_is_touched(switch: Switch, what: str) -> None:
    bridges, path, remedy = BAD[what]
    switch.settings["other_config"] = {"pmd-cpu-mask": "6"}
    switch.bridges = {"br9": {"theirs": {"type": VHOST, "options": {"vhost-server-path": "/run/theirs"}}}}
    (switch.root / "run").mkdir(exist_ok=True)
    before = sorted(switch.root.rglob("*"))
    with pytest.raises(DeclarationError) as error:
        run(switch, *bridges, check=False)
    (problem,) = error.value.problems
    assert problem.path == path
    assert remedy in problem.message
    assert switch.written == []
    assert sorted(switch.root.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "path", "remedy"),
    [
        ({"socket_owner": "nobody-here"}, "socket_owner", "write one of /etc/passwd"),
        ({"socket_group": "none"}, "socket_group", "write one of /etc/group"),
        ({"socket_mode": "rwx"}, "socket_mode", "such as '0755'"),
        ({"wait_timeout": 0}, "wait_timeout", "1 or more seconds"),
    ],
)
def test_options_of_the_task(switch: Switch, options: dict[str, t.Any], path: str, remedy: str) -> None:
    with pytest.raises(DeclarationError) as error:
        run(switch, bridge(vhost()), check=False, **options)
    (problem,) = error.value.problems
    assert (problem.path, remedy in problem.message, switch.written) == (path, True, [])


def test_a_card_that_shares_itself_needs_no_vfio(switch: Switch) -> None:
    for device in ("0000:5e:00.0", "0000:3b:00.0", "3B:00.0,dv_flow_en=1", "net_af_packet0,iface=eth0"):
        assert run(switch, bridge(card(devargs=device)))["made"] == ["bridge br0", "port dpdk0"]


def test_guests_are_not_cut_off_unasked(switch: Switch) -> None:
    mine = {"external_ids": {"rtvirt": "row"}}
    guest = {"type": VHOST, "status": {"status": "connected"}, "options": {"vhost-server-path": "/run/a"}, **mine}
    switch.bridges = {"br0": {"vh-a": guest}}
    (switch.root / "srv").mkdir()
    moved = bridge(vhost(socket="/srv/b"))
    with pytest.raises(DeclarationError, match="vh-a would go or be made anew, and guests are connected there"):
        run(switch, moved)
    assert run(switch, moved, disconnect_guests=True)["made"] == ["port vh-a"]


def test_a_port_that_is_no_vhost_user_any_more_cuts_its_guest_off(switch: Switch) -> None:
    record = {"rtvirt": "options:vhost-server-path row type"}
    guest = {"type": VHOST, "status": {"status": "connected"}, "options": {"vhost-server-path": "/run/a"}}
    switch.bridges = {"br0": {"vh-a": {**guest, "external_ids": record}}}
    with pytest.raises(DeclarationError, match="guests are connected there"):
        run(switch, bridge({"name": "vh-a"}))


def test_a_bridge_is_not_turned_over_unasked(switch: Switch) -> None:
    """The host's own network may be on it."""
    switch.bridges = {"br0": {"eth1": {"type": ""}}}
    with pytest.raises(DeclarationError) as error:
        run(switch, bridge())
    (problem,) = error.value.problems
    assert problem.path == "bridges[0].datapath_type"
    assert "making it netdev takes eth1, br0 away while it is made anew: write system, or set" in problem.message
    assert run(switch, bridge(datapath_type="system"))["changed"] is True
    assert run(switch, bridge(), disconnect_guests=True)["changed"] is True


def test_a_bridge_of_others_is_not_turned_over_for_its_own_port(switch: Switch) -> None:
    """The host's addresses may be on it."""
    switch.bridges = {"br0": {}}
    with pytest.raises(DeclarationError, match="takes br0 away while it is made anew"):
        run(switch, bridge())
    switch.rows = {"br0": {"external_ids": {"rtvirt": "datapath_type row"}}}
    assert run(switch, bridge())["changed"] is True


def test_settings_of_a_bond_are_its_port_s(switch: Switch) -> None:
    cards = [card(), card(name="dpdk1", devargs="0000:5e:00.0")]
    done = run(switch, bridge({"name": "bond0", "other_config": {"lacp-time": "fast"}, "interfaces": cards}))
    assert "Port bond0 other_config:lacp-time=fast\n" in done["diff"][0]["after"]


def test_nothing_to_take_away_needs_no_switch_that_runs(switch: Switch) -> None:
    (switch.root / "run/openvswitch/ovs-vswitchd.pid").unlink()
    assert run(switch, state="absent", check=False)["changed"] is False


@pytest.mark.parametrize(("mode", "bits"), [(0o770, 0o770), ("0770", 0o770), ("2775", 0o2775), (0o2775, 0o2775)])
def test_a_mode_is_what_yaml_made_of_it(switch: Switch, mode: t.Any, bits: int) -> None:
    plan = plan_folder(switch, "/run/vhost", owner=None, group=None, mode=mode)
    assert plan.wanted is not None
    assert plan.wanted[2] == bits


def test_a_folder_of_ours_that_is_gone(switch: Switch) -> None:
    """As one in /run is after each boot."""
    apply_folder(switch, plan_folder(switch, "/run/vhost", owner=None, group=None, mode=None))
    (switch.root / "run/vhost").rmdir()
    assert run(switch, state="absent", check=False)["changed"] is True
    assert run(switch, state="absent", check=False)["changed"] is False


def test_others_ports_keep_the_bridge_that_they_can_live_on(switch: Switch) -> None:
    switch.rows = {"br0": {"datapath_type": "netdev", "external_ids": {"rtvirt": "datapath_type row"}}}
    switch.bridges = {"br0": {"theirs": {"type": "dpdk"}}}
    assert run(switch, state="absent")["changed"] is False


def test_the_folder_is_qemus_where_it_is_new_and_stays_as_it_is_else(switch: Switch) -> None:
    path = "/var/lib/vhost_sockets"
    new = plan_folder(switch, path, owner=None, group=None, mode=None)
    apply_folder(switch, new)
    assert switch.owner_of(path) == (os.getuid(), os.getgid(), 0o755)
    (switch.root / path[1:]).chmod(0o770)
    assert plan_folder(switch, path, owner=None, group=None, mode=None).changed is False
    apply_folder(switch, plan_folder(switch, path, owner=None, group=None, mode="2775"))
    assert switch.owner_of(path) == (os.getuid(), os.getgid(), 0o2775)
    switch.put(f"{path}/socket", "")
    assert plan_no_folder(switch).changed is False
    (switch.root / path[1:] / "socket").unlink()
    apply_folder(switch, plan_no_folder(switch))
    assert switch.owner_of(path) is None


def test_all_folders_of_ours_go(switch: Switch) -> None:
    """Also one that socket_folder was before; it goes once it is empty."""
    for path in ("/run/one", "/run/two"):
        apply_folder(switch, plan_folder(switch, path, owner=None, group=None, mode=None))
        assert plan_folder(switch, path, owner=None, group=None, mode=None).changed is False
    switch.put("/run/one/socket", "")
    apply_folder(switch, plan_no_folder(switch))
    assert [switch.owner_of(path) is None for path in ("/run/one", "/run/two")] == [False, True]
    (switch.root / "run/one/socket").unlink()
    apply_folder(switch, plan_no_folder(switch))
    assert switch.owner_of("/run/one") is None
    assert plan_no_folder(switch).changed is False


def test_a_folder_of_others_stays(switch: Switch) -> None:
    (switch.root / "run/vhost").mkdir(parents=True)
    plan = plan_folder(switch, "/run/vhost", owner=None, group=None, mode=None)
    assert plan.changed is False
    assert plan_no_folder(switch).changed is False


@pytest.mark.parametrize(
    ("conf", "owner"), [('user = "+0"\n', 0), ('#user = "x"\n', None), ('user = "libvirt-qemu"\ngroup = "kvm"\n', None)]
)
def test_the_user_of_qemu_is_what_libvirt_says(switch: Switch, conf: str, owner: int | None) -> None:
    switch.put("/etc/libvirt/qemu.conf", conf)
    wanted = plan_folder(switch, "/run/vhost", owner=None, group=None, mode=None).wanted
    assert wanted is not None
    assert wanted[0] == (os.getuid() if owner is None else owner)
    assert wanted[1] == (78 if "kvm" in conf else os.getgid())


def test_a_bridge_of_others_without_a_type_is_left_alone(switch: Switch) -> None:
    switch.rows = {"br0": {"datapath_type": ""}}
    switch.bridges = {"br0": {"eth0": {"type": ""}}}
    assert run(switch, check=False, state="absent")["changed"] is False
    assert switch.written == []
