# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks: declared, changed while guests are on them, and found again as they were declared."""

from __future__ import annotations

import re
import secrets
import subprocess
import typing as t
from pathlib import Path

import libvirt
import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import TaskError, play, run_one
from ansible_collections.rtvirt.core.tests.integration.task import Module

network = Module("libvirt_network").run


@pytest.fixture
def lab(bed: Bed) -> dict[str, t.Any]:
    """Options of a network of the test's own, of RFC 2544's addresses, in which this machine has none."""
    prefix = f"198.18.{secrets.randbelow(256)}"
    return {
        "name": bed.name("net"),
        "bridge": f"rtv{bed.prefix[-6:]}",
        "ipv4": {
            "address": f"{prefix}.1/24",
            "dhcp": {
                "ranges": [{"start": f"{prefix}.100", "end": f"{prefix}.109"}],
                "hosts": [{"mac": "52:54:00:18:00:01", "address": f"{prefix}.11", "name": "one"}],
            },
        },
    }


def prefix_of(lab: dict[str, t.Any]) -> str:
    return str(lab["ipv4"]["address"].rpartition(".")[0])


def with_dhcp(lab: dict[str, t.Any], **parts: t.Any) -> dict[str, t.Any]:
    return {**lab, "ipv4": {**lab["ipv4"], "dhcp": {**lab["ipv4"]["dhcp"], **parts}}}


def text(bed: Bed, *, running: bool = False) -> str:
    handle = bed.connection.networkLookupByName(bed.name("net"))
    return str(handle.XMLDesc(0 if running else libvirt.VIR_NETWORK_XML_INACTIVE))


def dnsmasq(bed: Bed, name: str) -> str:
    """What dnsmasq was told last, in a file of the network's."""
    return Path(f"/var/lib/libvirt/dnsmasq/{bed.name('net')}.{name}").read_text()


def test_a_network_from_its_start_to_its_end(bed: Bed, lab: dict[str, t.Any]) -> None:
    predicted = network(check=True, **lab, autostart=True)
    assert bed.name("net") not in [one.name() for one in bed.connection.listAllNetworks()]
    made = network(**lab, autostart=True)
    assert made["actions"] == predicted["actions"] == ["define", "set autostart", "start"]
    assert made["changes"] == predicted["changes"]
    assert (made["network"]["state"], made["network"]["mode"]) == ("active", "isolated")
    assert made["network"]["bridge"] == lab["bridge"]
    assert "<host mac='52:54:00:18:00:01' name='one'" in text(bed, running=True)
    uuid, before = made["network"]["uuid"], text(bed)

    again = network(**lab, autostart=True)
    assert (again["changed"], again["diff"], again["pending"], text(bed)) == (False, {}, [], before)
    # Not more than its name is declared, and nothing is touched.
    assert network(name=lab["name"], state="present")["changed"] is False

    stopped = network(**lab, state="inactive", autostart=False)
    assert stopped["actions"] == ["unset autostart", "stop"]
    assert (stopped["network"]["state"], stopped["network"]["uuid"]) == ("inactive", uuid)
    assert network(**lab, state="present")["network"]["state"] == "inactive"

    gone = network(name=lab["name"], state="absent")
    assert (gone["actions"], gone["network"]["state"]) == (["undefine"], "absent")
    assert network(name=lab["name"], state="absent")["changed"] is False


def test_hosts_ranges_and_groups_of_ports_change_under_way(bed: Bed, lab: dict[str, t.Any]) -> None:
    network(**lab)
    prefix = prefix_of(lab)
    # The addresses of the two are exchanged, and a MAC address is written in another way.
    swapped = with_dhcp(
        lab,
        hosts=[
            {"mac": "52-54-00-18-00-01", "address": f"{prefix}.12", "name": "one"},
            {"mac": "52:54:00:18:00:02", "address": f"{prefix}.11"},
        ],
        ranges=[{"start": f"{prefix}.200", "end": f"{prefix}.209"}],
    )
    changed = {**swapped, "portgroups": [{"name": "plain"}]}
    predicted = network(check=True, **changed)
    done = network(**changed)
    assert done["actions"] == predicted["actions"] == ["define", "change live"]
    assert (
        (done["restart_required"], done["pending"])
        == (predicted["restart_required"], predicted["pending"])
        == (False, [])
    )
    assert re.findall(r"(52:.*?),(198[^,\n]*)", dnsmasq(bed, "hostsfile")) == [
        ("52:54:00:18:00:01", f"{prefix}.12"),
        ("52:54:00:18:00:02", f"{prefix}.11"),
    ]
    assert f"dhcp-range={prefix}.200,{prefix}.209" in dnsmasq(bed, "conf")
    for running in (True, False):
        assert "<portgroup name='plain'" in text(bed, running=running)
    assert network(**changed)["changed"] is False

    # What is declared no more within its part is gone; the other parts stay.
    bare = network(name=lab["name"], ipv4={"address": lab["ipv4"]["address"]}, portgroups=[])
    assert (bare["actions"], bare["restart_required"]) == (["define", "change live"], False)
    assert "dhcp" not in text(bed, running=True) + text(bed)
    assert "portgroup" not in text(bed, running=True) + text(bed)
    assert bare["network"]["bridge"] == lab["bridge"]


def test_a_network_that_hides_its_guests(bed: Bed, lab: dict[str, t.Any]) -> None:
    """libvirt fills in ports of NAT while the network is active."""
    routed = {**lab, "ipv6": {"address": "fd00:198:18::1/64"}, "mtu": 1400}
    assert network(**routed, mode="nat")["network"]["mode"] == "nat"
    assert "<port start=" in text(bed, running=True)
    assert Path(f"/sys/class/net/{lab['bridge']}/mtu").read_text().strip() == "1400"
    again = network(**routed, mode="nat")
    assert (again["changed"], again["pending"]) == (False, [])
    other = network(**routed, mode="route", allow_restart=True)
    assert (other["actions"], other["pending"]) == (["define", "restart"], [])
    assert network(**routed, mode="route")["changed"] is False


def test_others_settings_stay(bed: Bed, lab: dict[str, t.Any]) -> None:
    network(**lab, state="inactive")
    theirs = "<dns><txt name='who' value='they'/></dns>"
    lease = "ip='\\g<1>'><lease expiry='2' unit='hours'/></host>"
    edited = text(bed).replace("<ip ", f"{theirs}<ip ", 1)
    bed.connection.networkDefineXML(re.sub(r"ip='([^']*)'/>", lease, edited))
    before = text(bed)
    assert "lease expiry" in before
    assert network(**lab, state="inactive")["changed"] is False
    renamed = with_dhcp(lab, hosts=[{**lab["ipv4"]["dhcp"]["hosts"][0], "name": "uno"}])
    assert network(**renamed, state="inactive")["changed"] is True
    assert text(bed) == before.replace("name='one'", "name='uno'")


def test_a_second_address_stays_and_hides_nothing(bed: Bed, lab: dict[str, t.Any]) -> None:
    network(**lab, state="inactive")
    second = "<ip address='198.19.0.1' prefix='24'/>"
    bed.connection.networkDefineXML(text(bed).replace("</network>", f"{second}</network>"))
    assert network(**lab, state="inactive")["changed"] is False
    smaller = {**lab, "ipv4": {**lab["ipv4"], "address": lab["ipv4"]["address"].replace("/24", "/25")}}
    done = network(**smaller, state="inactive")
    assert [change["path"] for change in done["changes"]] == ["ip[ipv4]/@prefix"]
    assert re.findall(r"prefix='(\d+)'", text(bed)) == ["25", "24"]
    assert network(**smaller, state="inactive")["changed"] is False


def test_what_waits_for_a_restart_is_told_until_there_is_one(bed: Bed, lab: dict[str, t.Any]) -> None:
    network(**lab)
    wider = {**lab, "domain": "lab.example"}
    predicted = network(check=True, **wider)
    done = network(**wider)
    assert done["actions"] == predicted["actions"] == ["define"]
    assert done["restart_required"] is predicted["restart_required"] is True
    assert done["pending"] == [{"path": "domain/@name", "before": None, "after": "lab.example"}]
    again = network(**wider)
    assert (again["changed"], again["restart_required"]) == (False, True)
    restarted = network(**wider, allow_restart=True)
    assert (restarted["actions"], restarted["restart_required"]) == (["restart"], False)
    assert "domain=lab.example" in dnsmasq(bed, "conf")
    assert network(**wider, allow_restart=True)["changed"] is False


def test_no_guest_is_cut_off_unasked(bed: Bed, lab: dict[str, t.Any]) -> None:
    network(**lab)
    interface = {"name": "lan", "bridge": {}, "network": {"libvirt": {"network": lab["name"]}}}
    run_one(**bed.bare(interfaces=[interface], state="running"))
    guest = bed.name()
    before = text(bed, running=True)
    for options, path in (
        ({**lab, "mtu": 1400, "allow_restart": True}, "allow_restart"),
        ({**lab, "state": "inactive"}, "state"),
        ({"name": lab["name"], "state": "absent"}, "state"),
    ):
        for check in (True, False):
            with pytest.raises(TaskError, match=rf"^{path}: .*cut off {guest}: .*disconnect_guests") as refused:
                network(check=check, **options)
            assert refused.value.result["problems"][0]["path"] == path
    assert text(bed, running=True) == before
    # A live change is none of the guest's business.
    assert network(**with_dhcp(lab, hosts=[]))["actions"] == ["define", "change live"]
    tap = str(bed.xml(running=True).find("devices/interface/target").attrib["dev"])
    assert Path(f"/sys/class/net/{lab['bridge']}/brif/{tap}").exists()
    moved = network(name=lab["name"], domain="lab.example", allow_restart=True, disconnect_guests=True)
    assert (moved["actions"], moved["disconnected"]) == (["define", "restart"], [guest])
    # libvirt does not put it back, as the documents say.
    assert not Path(f"/sys/class/net/{lab['bridge']}/brif/{tap}").exists()
    cut = network(name=lab["name"], state="absent", disconnect_guests=True)
    assert (cut["actions"], cut["disconnected"]) == (["stop", "undefine"], [guest])


def test_a_vm_names_a_group_of_ports_that_its_network_has(bed: Bed, lab: dict[str, t.Any]) -> None:
    network(**lab, portgroups=[{"name": "plain"}, {"name": "other", "default": True}])
    source = {"network": lab["name"], "portgroup": "plain"}
    vm = bed.bare(interfaces=[{"name": "lan", "bridge": {}, "network": {"libvirt": source}}], state="running")
    run_one(**vm)
    assert bed.xml().find("devices/interface/source").get("portgroup") == "plain"
    assert run_one(**vm)["changed"] is False
    network(**lab, portgroups=[])
    with pytest.raises(
        TaskError, match=r"^interfaces\[0\].network.libvirt.portgroup: .*no such group of ports: it has none"
    ):
        run_one(**vm)


@pytest.fixture
def linux_bridge(bed: Bed) -> t.Iterator[str]:
    name = f"rtb{bed.prefix[-6:]}"
    subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
    yield name
    subprocess.run(["ip", "link", "del", name], check=True)


def test_a_network_on_a_bridge_of_the_host(bed: Bed, linux_bridge: str) -> None:
    options = {"name": bed.name("net"), "mode": "bridge", "bridge": linux_bridge}
    made = network(**options)
    assert (made["network"]["mode"], made["network"]["bridge"]) == ("bridge", linux_bridge)
    assert network(**options)["changed"] is False
    interface = {"name": "lan", "bridge": {}, "network": {"libvirt": {"network": options["name"]}}}
    run_one(**bed.bare(interfaces=[interface], state="running"))
    assert [*Path(f"/sys/class/net/{linux_bridge}/brif").iterdir()]
    # Its guests keep their links when it stops.
    assert network(check=True, **options, state="inactive")["actions"] == ["stop"]
    assert network(**{**options, "state": "inactive"})["disconnected"] == []
    assert [*Path(f"/sys/class/net/{linux_bridge}/brif").iterdir()]
    for wrong, message in (
        ({"mode": "nat"}, r"mode: is bridge, which is another kind of bridge"),
        ({"openvswitch": True}, r"openvswitch: .* is a Linux bridge"),
        ({"bridge": "nosuch0"}, r"bridge: this host has no bridge 'nosuch0'"),
        ({"mtu": 1400}, r"mtu: is nothing that libvirt does for a bridge of the host"),
        ({"vlan": {"tags": [5]}}, r"vlan: a Linux bridge with this libvirt has no VLANs"),
    ):
        with pytest.raises(TaskError, match=message):
            network(**{**options, **wrong})


def test_what_others_have_is_refused(bed: Bed, lab: dict[str, t.Any]) -> None:
    network(**lab)
    second = {**lab, "name": bed.name("second"), "ipv4": {"address": f"{prefix_of(lab)}.129/25"}}
    with pytest.raises(
        TaskError, match=r"^2 problems: bridge: .*; ipv4.address: .* overlaps with .*/24 of the network"
    ):
        network(**second)
    assert network(**{**second, "bridge": f"rtw{bed.prefix[-6:]}"}, state="inactive")["actions"] == ["define"]


def test_mistakes_are_told_all_at_once_and_nothing_is_made(bed: Bed, lab: dict[str, t.Any], tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "boot.ipxe").write_text("#!ipxe\n")
    prefix = prefix_of(lab)
    wrong = with_dhcp(
        lab, ranges=[{"start": "10.0.0.1", "end": f"{prefix}.9"}], hosts=[{"mac": "x", "address": f"{prefix}.1"}]
    )
    with pytest.raises(TaskError) as refused:
        network(**wrong, vlan={"tags": [4095]})
    assert sorted(problem["path"] for problem in refused.value.result["problems"]) == [
        "ipv4.dhcp.hosts[0].address", "ipv4.dhcp.hosts[0].mac", "ipv4.dhcp.ranges[0].start", "vlan",
    ]  # fmt: skip
    for pxe, message in (
        ({"tftp_root": "/no/such/folder", "boot_file": "a"}, "tftp_root: /no/such/folder is no folder of this host"),
        ({"tftp_root": str(tmp_path), "boot_file": "a"}, "boot_file: .*/a is not there"),
        ({"tftp_root": str(tmp_path), "boot_file": "boot.ipxe"}, "boot_file: .*may enter.*: chmod o"),
    ):
        with pytest.raises(TaskError, match=rf"^ipv4.pxe.{message}"):
            network(**{**lab, "ipv4": {**lab["ipv4"], "pxe": pxe}})
    assert bed.name("net") not in [one.name() for one in bed.connection.listAllNetworks()]


def test_the_role_declares_them_and_says_what_waits(bed: Bed, lab: dict[str, t.Any], tmp_path: Path) -> None:
    def declared(*networks: dict[str, t.Any], **variables: t.Any) -> dict[str, t.Any]:
        role = {"ansible.builtin.include_role": {"name": "rtvirt.core.libvirt_network"}}
        return {**role, "vars": {"libvirt_network_declarations": [*networks], **variables}}

    said = {"ansible.builtin.debug": {"msg": "waiting={{ libvirt_network_restart_required }}"}}
    second = {"name": bed.name("second"), "state": "inactive"}
    first = play(tmp_path, declared(lab, second), said)
    assert "waiting=[]" in first.output
    assert bed.connection.networkLookupByName(lab["name"]).autostart()
    assert not bed.connection.networkLookupByName(second["name"]).isActive()
    again = play(tmp_path, declared(lab, second), said)
    assert re.search(r"changed=0\s", again.output), again.output
    pending = play(tmp_path, declared({**lab, "domain": "lab.example"}), said)
    assert f"waiting=['{lab['name']}']" in pending.output.replace('"', "'").replace("''", "'"), pending.output
    for wrong, unknown in (({**lab, "ipv5": {}}, "ipv5"), ({**lab, "ipv4": {"adress": "x"}}, "adress")):
        with pytest.raises(AssertionError, match=rf"{unknown}\. Supported parameters include"):
            play(tmp_path, declared(wrong))
    gone = play(tmp_path, declared({"name": lab["name"]}, second, libvirt_network_state="absent"), check=True)
    assert bed.name("net") in [one.name() for one in bed.connection.listAllNetworks()], gone.output


def test_an_active_network_gets_another_bridge(bed: Bed, lab: dict[str, t.Any]) -> None:
    """Its own subnet is not somebody else's."""
    network(**lab)
    renamed = {**lab, "bridge": f"rtw{bed.prefix[-6:]}"}
    assert network(**renamed)["restart_required"] is True
    assert network(**renamed, allow_restart=True)["actions"] == ["restart"]
    assert f"name='{renamed['bridge']}'" in text(bed, running=True)


def test_a_domain_of_others_is_taken_away_whole(bed: Bed, lab: dict[str, t.Any]) -> None:
    network(**lab, state="inactive")
    edited = text(bed).replace("<ip ", "<domain name='x.example' localOnly='yes'/><ip ", 1)
    bed.connection.networkDefineXML(edited)
    assert network(**lab, domain="", state="inactive")["changed"] is True
    assert "<domain" not in text(bed)


def test_a_guest_that_ends_while_guests_are_looked_for(
    bed: Bed, lab: dict[str, t.Any], ends_when_listed: t.Callable[[t.Any], None]
) -> None:
    network(**lab)
    ends_when_listed(bed.transient("ends"))
    assert network(**lab)["changed"] is False
