# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A declaration on a definition: what it says is there, and all else stays."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.definition import declared_on, new_network
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.differences import (
    differences,
    is_live,
    printed,
)

#: As libvirt prints it while the network is active, with what its user has added by hand.
RUNNING = ET.fromstring("""
<network connections='1'>
  <name>lab</name>
  <uuid>8fc5c583-51ab-47e0-b9b4-d00fec7117b4</uuid>
  <forward dev='eth0' mode='nat'>
    <nat>
      <port start='1024' end='65535'/>
    </nat>
    <interface dev='eth0'/>
  </forward>
  <bridge name='virbr7' stp='on' delay='0'/>
  <mac address='52:54:00:f8:c4:b3'/>
  <domain name='lab.example' localOnly='yes'/>
  <dns><txt name='who' value='they'/></dns>
  <ip address='192.0.2.1' netmask='255.255.255.0'>
    <tftp root='/srv/tftp'/>
    <dhcp>
      <range start='192.0.2.100' end='192.0.2.199'><lease expiry='2' unit='hours'/></range>
      <host mac='52:54:00:00:00:01' name='one' ip='192.0.2.11'><lease expiry='1' unit='days'/></host>
      <bootp file='boot.ipxe'/>
    </dhcp>
  </ip>
  <ip family='ipv6' address='fd00::1' prefix='64'/>
  <portgroup name='storage' default='yes'>
    <vlan><tag id='20'/></vlan>
    <bandwidth><inbound average='1000'/></bandwidth>
  </portgroup>
</network>
""")

RANGE = {"start": "192.0.2.100", "end": "192.0.2.199"}
HOST = {"mac": "52-54-00-00-00-01", "address": "192.0.2.11", "name": "one"}
PXE = {"tftp_root": "/srv/tftp", "boot_file": "boot.ipxe"}
IPV4 = {"address": "192.0.2.1/24", "dhcp": {"ranges": [RANGE], "hosts": [HOST]}, "pxe": PXE}
STORAGE = {"name": "storage", "default": True, "vlan": {"tags": [20]}}

#: All that is declared of the network above.
SAME: dict[str, t.Any] = {
    "mode": "nat",
    "device": "eth0",
    "bridge": "virbr7",
    "openvswitch": False,
    "vlan": {},
    "portgroups": [STORAGE],
    "mtu": 0,
    "domain": "lab.example",
    "ipv4": IPV4,
    "ipv6": {"address": "FD00:0::1/64"},
}


def changed(**options: t.Any) -> dict[str, tuple[t.Any, t.Any]]:
    changes = differences(RUNNING, declared_on(RUNNING, options))
    return {change.path: (change.before, change.after) for change in changes}


def test_what_is_there_is_no_change() -> None:
    assert changed(**SAME) == {}
    assert printed(declared_on(RUNNING, SAME)) == printed(RUNNING)
    assert changed() == {}


@pytest.mark.parametrize("option", SAME)
def test_each_part_alone_is_no_change(option: str) -> None:
    assert changed(**{option: SAME[option]}) == {}


CHANGES: dict[str, tuple[dict[str, t.Any], dict[str, tuple[t.Any, t.Any]]]] = {
    "another mode": (
        {"mode": "route"},
        {
            "forward/@mode": ("nat", "route"),
            "forward/nat/port/@start": ("1024", None),
            "forward/nat/port/@end": ("65535", None),
        },
    ),
    "another device": (
        {"device": "eth1"},
        {"forward/@dev": ("eth0", "eth1"), "forward/interface[eth0]/@dev": ("eth0", None)},
    ),
    "by all devices": (
        {"device": ""},
        {"forward/@dev": ("eth0", None), "forward/interface[eth0]/@dev": ("eth0", None)},
    ),
    "no domain": ({"domain": ""}, {"domain/@localOnly": ("yes", None), "domain/@name": ("lab.example", None)}),
    "larger packets": ({"mtu": 9000}, {"mtu/@size": (None, "9000")}),
    "another size": (
        {"ipv4": {**IPV4, "address": "192.0.2.1/25"}},
        {"ip[ipv4]/@netmask": ("255.255.255.0", None), "ip[ipv4]/@prefix": (None, "25")},
    ),
    "another file": (
        {"ipv4": {**IPV4, "pxe": {**PXE, "boot_file": "pxelinux.0"}}},
        {"ip[ipv4]/dhcp/bootp": ('<bootp file="boot.ipxe" />', '<bootp file="pxelinux.0" />')},
    ),
    "a trunk": (
        {"portgroups": [{**STORAGE, "default": False, "vlan": {"tags": [20], "native": 10}}]},
        {
            "portgroup[storage]": (
                (
                    '<portgroup name="storage" default="yes"><vlan><tag id="20" /></vlan>'
                    '<bandwidth><inbound average="1000" /></bandwidth></portgroup>'
                ),
                (
                    '<portgroup name="storage"><bandwidth><inbound average="1000" /></bandwidth>'
                    '<vlan trunk="yes"><tag id="10" nativeMode="untagged" /><tag id="20" /></vlan></portgroup>'
                ),
            )
        },
    ),
    "no IPv6": (
        {"ipv6": {}},
        {"ip[ipv6]/@family": ("ipv6", None), "ip[ipv6]/@address": ("fd00::1", None), "ip[ipv6]/@prefix": ("64", None)},
    ),
    "Open vSwitch": ({"openvswitch": True}, {"virtualport": (None, '<virtualport type="openvswitch" />')}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_that_and_no_more(change: str) -> None:
    options, expected = CHANGES[change]
    assert changed(**options) == expected
    after = declared_on(RUNNING, options)
    assert differences(after, declared_on(after, options)) == []


def test_a_second_address_hides_no_change_of_the_first() -> None:
    before = ET.fromstring(ET.tostring(RUNNING))
    before.append(ET.fromstring("<ip address='198.51.100.1' prefix='24'/>"))
    moved = declared_on(before, {"ipv4": {**IPV4, "address": "192.0.2.1/25"}})
    assert [change.path for change in differences(before, moved)] == ["ip[ipv4]/@netmask", "ip[ipv4]/@prefix"]
    assert [ip.get("address") for ip in moved.findall("ip")] == ["192.0.2.1", "fd00::1", "198.51.100.1"]
    none = declared_on(before, {"ipv4": {}})
    assert [ip.get("address") for ip in none.findall("ip")] == ["fd00::1"]


def test_a_host_keeps_what_others_have_added() -> None:
    renamed = {**IPV4, "dhcp": {"ranges": [RANGE], "hosts": [{**HOST, "name": None}]}}
    (path,) = changed(ipv4=renamed)
    assert path == "ip[ipv4]/dhcp/host[52:54:00:00:00:01]"
    after = changed(ipv4=renamed)[path][1]
    assert "lease" in after
    assert "name=" not in after


def test_no_ipv4_takes_all_of_it_away() -> None:
    after = declared_on(RUNNING, {"ipv4": {"address": None, "dhcp": None, "pxe": None}})
    assert [ip.get("family") for ip in after.findall("ip")] == ["ipv6"]


def test_an_isolated_network_has_no_way_out() -> None:
    assert declared_on(RUNNING, {"mode": "isolated"}).find("forward") is None
    assert declared_on(new_network("lab"), {"mode": "isolated"}).find("forward") is None


def test_what_an_active_network_takes() -> None:
    def live(**options: t.Any) -> list[bool]:
        changes = differences(RUNNING, declared_on(RUNNING, options))
        return [is_live(change, changes) for change in changes]

    dhcp = {"ranges": [{**RANGE, "end": "192.0.2.150"}], "hosts": []}
    assert live(ipv4={**IPV4, "dhcp": dhcp}) == [True, True, True]
    assert live(portgroups=[]) == [True]
    # The new subnet's ranges come with it.
    assert not any(live(ipv4={**IPV4, "address": "192.0.2.1/25", "dhcp": dhcp}))
    assert live(domain="x", mtu=1400) == [False, False]
    assert live(ipv4={"address": "192.0.2.1/24", "dhcp": IPV4["dhcp"]}) == [False, False]


def test_a_new_network_is_in_the_order_that_libvirt_wants() -> None:
    network = declared_on(new_network("lab"), SAME)
    ip = network.find("ip")
    assert ip is not None
    assert [one.tag for one in ip.iter()] == ["ip", "tftp", "dhcp", "range", "host", "bootp"]
