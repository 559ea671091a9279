# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mistakes in declarations of networks: each is told, with its path, and what would be right."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.checks import check_kind, check_options
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.definition import declared_on, new_network
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.options import ARGUMENTS
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.surroundings import (
    check_bridge,
    check_files,
    check_neighbours,
    host_subnets,
)

Options = dict[str, t.Any]

SUBNET = "192.0.2.1/24"
DEBIAN_12 = 9_000_000


def options(**given: t.Any) -> Options:
    checked = ArgumentSpecValidator(ARGUMENTS).validate({"name": "lab", **given})
    assert not checked.error_messages
    return dict(checked.validated_parameters)


def ipv4(*, pxe: Options | None = None, **dhcp: t.Any) -> Options:
    return options(ipv4={"address": SUBNET, "dhcp": dhcp, **({} if pxe is None else {"pxe": pxe})})


def one_range(start: str, end: str) -> Options:
    return ipv4(ranges=[{"start": start, "end": end}])


def one_host(**host: str) -> Options:
    return ipv4(hosts=[{"mac": "52:54:00:00:00:01", "address": "192.0.2.9", **host}])


MISTAKES: dict[str, tuple[Options, str, str]] = {
    "a name with a slash": (options(name="a/b"), "name", "without /"),
    "a name with a blank": (options(name="a b"), "name", "blanks"),
    "a long bridge": (options(bridge="a" * 16), "bridge", "at most 15"),
    "no bridge": (options(bridge=""), "bridge", "name of a network device"),
    "a device in a folder": (options(device="../x"), "device", "name of a network device"),
    "a small mtu": (options(mtu=20), "mtu", "68 to 65535"),
    "a VLAN of 0": (options(vlan={"tags": [0]}), "vlan", "1 to 4094"),
    "a native VLAN of 4095": (options(vlan={"tags": [1], "native": 4095}), "vlan", "4095 is no VLAN"),
    "two groups of a name": (options(portgroups=[{"name": "a"}, {"name": "a"}]), "portgroups[1].name", "no other"),
    "a group's VLAN": (options(portgroups=[{"name": "a", "vlan": {"tags": [-1]}}]), "portgroups[0].vlan", "1 to 4094"),
    "two defaults": (
        options(portgroups=[{"name": "a", "default": True}, {"name": "b", "default": True}]),
        "portgroups",
        "several defaults",
    ),
    "DHCP without an address": (
        options(ipv4={"dhcp": {"ranges": []}, "pxe": {"server": "a"}}),
        "ipv4.address",
        "missing",
    ),
    "an address without a size": (options(ipv4={"address": "192.0.2.1"}), "ipv4.address", "with its size"),
    "no address": (options(ipv4={"address": "lab/24"}), "ipv4.address", "192.168.150.1/24"),
    "IPv6 as IPv4": (options(ipv4={"address": "fd00::1/64"}), "ipv4.address", "192.168.150.1/24"),
    "IPv4 as IPv6": (options(ipv6={"address": SUBNET}), "ipv6.address", "fd00:150::1/64"),
    "the network itself": (options(ipv4={"address": "192.0.2.0/24"}), "ipv4.address", "network itself"),
    "the broadcast address": (options(ipv4={"address": "192.0.2.255/24"}), "ipv4.address", "broadcast"),
    "a single address": (options(ipv4={"address": "192.0.2.1/32"}), "ipv4.address", "no room"),
    "a range outside": (one_range("192.0.2.9", "198.51.100.1"), "ipv4.dhcp.ranges[0].end", "not in 192.0.2.0/24"),
    "a range of names": (one_range("a", "192.0.2.9"), "ipv4.dhcp.ranges[0].start", "is no address"),
    "a range with the broadcast": (one_range("192.0.2.9", "192.0.2.255"), "ipv4.dhcp.ranges[0].end", "broadcast"),
    "a range that ends first": (one_range("192.0.2.9", "192.0.2.8"), "ipv4.dhcp.ranges[0]", "exchange"),
    "a range too large": (
        options(
            ipv4={"address": "10.0.0.1/8", "dhcp": {"ranges": [{"start": "10.0.1.0", "end": "10.9.0.0"}]}},
        ),
        "ipv4.dhcp.ranges[0]",
        "65535",
    ),
    "ranges that overlap": (
        ipv4(ranges=[{"start": "192.0.2.9", "end": "192.0.2.20"}, {"start": "192.0.2.20", "end": "192.0.2.30"}]),
        "ipv4.dhcp.ranges[1]",
        "overlaps",
    ),
    "a host outside": (one_host(address="192.0.3.9"), "ipv4.dhcp.hosts[0].address", "not in"),
    "a host with the host's address": (one_host(address="192.0.2.1"), "ipv4.dhcp.hosts[0].address", "host's own"),
    "a host without a MAC": (one_host(mac="52:54:00"), "ipv4.dhcp.hosts[0].mac", "six pairs"),
    "a MAC that YAML took for a number": (one_host(mac="41135094011"), "ipv4.dhcp.hosts[0].mac", "in quotes"),
    "a multicast MAC": (one_host(mac="53:54:00:00:00:01"), "ipv4.dhcp.hosts[0].mac", "even"),
    "a host name with a blank": (one_host(name="a b"), "ipv4.dhcp.hosts[0].name", "host name"),
    "two hosts of an address": (
        ipv4(
            hosts=[
                {"mac": "52:54:00:00:00:01", "address": "192.0.2.9"},
                {"mac": "52:54:00:00:00:02", "address": "192.0.2.9"},
            ]
        ),
        "ipv4.dhcp.hosts[1].address",
        "twice",
    ),
    "two hosts of a MAC": (
        ipv4(
            hosts=[
                {"mac": "52:54:00:00:00:0a", "address": "192.0.2.8"},
                {"mac": "52-54-00-00-00-0A", "address": "192.0.2.9"},
            ]
        ),
        "ipv4.dhcp.hosts[1].mac",
        "twice",
    ),
    "a boot file that nobody announces": (
        ipv4(pxe={"tftp_root": "/srv", "boot_file": "a"}),
        "ipv4.pxe.boot_file",
        "add dhcp",
    ),
    "a boot file in no folder": (
        ipv4(ranges=[{"start": "192.0.2.9", "end": "192.0.2.9"}], pxe={"boot_file": "a"}),
        "ipv4.pxe.tftp_root",
        "missing",
    ),
    "a boot file above the folder": (
        ipv4(
            ranges=[{"start": "192.0.2.9", "end": "192.0.2.9"}], pxe={"tftp_root": "/srv", "boot_file": "../etc/shadow"}
        ),
        "ipv4.pxe.boot_file",
        "below tftp_root",
    ),
    "a relative folder": (ipv4(pxe={"tftp_root": "srv"}), "ipv4.pxe.tftp_root", "whole path"),
    "a server without a file": (ipv4(pxe={"server": "192.0.2.3"}), "ipv4.pxe.boot_file", "missing"),
    "a server by name": (
        ipv4(ranges=[{"start": "192.0.2.9", "end": "192.0.2.9"}], pxe={"server": "tftp", "boot_file": "a"}),
        "ipv4.pxe.server",
        "IPv4 address",
    ),
    "a server and a folder": (
        ipv4(
            ranges=[{"start": "192.0.2.9", "end": "192.0.2.9"}],
            pxe={"server": "192.0.2.3", "boot_file": "a", "tftp_root": "/srv"},
        ),
        "ipv4.pxe.server",
        "one of both",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told(mistake: str) -> None:
    given, path, message = MISTAKES[mistake]
    found = [problem for problem in check_options(given) if problem.path == path]
    assert [message in problem.message for problem in found] == [True], check_options(given)


@pytest.mark.parametrize(
    "given",
    [
        options(),
        options(name="lab", state="absent"),
        options(mtu=0, domain="", device="", portgroups=[], vlan={}, ipv4={}, ipv6={}),
        options(ipv6={"address": "fd00::1/64"}, ipv4={"address": "192.0.2.1/30"}),
        options(mode="bridge", bridge="br-ex", openvswitch=True, vlan={"tags": [1, 4094], "native": 7}),
        one_host(name="node1.lab"),
        one_range("192.0.2.2", "192.0.2.254"),
        ipv4(ranges=[{"start": "192.0.2.9", "end": "192.0.2.9"}], pxe={"boot_file": "http://192.0.2.3/boot.ipxe"}),
        ipv4(ranges=[{"start": "192.0.2.9", "end": "192.0.2.9"}], pxe={"server": "192.0.2.3", "boot_file": "a"}),
    ],
)
def test_what_is_right_is_taken(given: Options) -> None:
    assert check_options(given) == []


def network(text: str = "") -> ET.Element:
    return ET.fromstring(f"<network><name>lab</name>{text}</network>")


BRIDGE = network("<forward mode='bridge'/><bridge name='br0'/>")
OVS = network("<forward mode='bridge'/><bridge name='br0'/><virtualport type='openvswitch'/>")
KINDS: dict[str, tuple[Options, ET.Element | None, list[str]]] = {
    "a bridge that is not named": (options(mode="bridge"), None, ["bridge"]),
    "addresses on a bridge of the host": (
        options(mode="bridge", bridge="br0", ipv4={"address": SUBNET}, domain="lab", mtu=1400),
        None,
        ["domain", "mtu", "ipv4"],
    ),
    "the same, of one that is there": (options(ipv4={"address": SUBNET}), BRIDGE, ["ipv4"]),
    "nothing of them": (options(ipv4={}, domain=""), BRIDGE, []),
    "from a bridge of the host": (options(mode="nat"), BRIDGE, ["mode"]),
    "to a bridge of the host": (options(mode="bridge", bridge="br0"), network(), ["mode"]),
    "from isolated to nat": (options(mode="nat", device="eth0"), network(), []),
    "a way out of an isolated one": (options(device="eth0"), network(), ["device"]),
    "Open vSwitch for libvirt's own bridge": (options(mode="nat", openvswitch=True), None, ["openvswitch"]),
    "VLANs of a Linux bridge": (options(vlan={"tags": [5]}), BRIDGE, ["vlan"]),
    "VLANs of Open vSwitch": (options(vlan={"tags": [5]}), OVS, []),
    "VLANs of what is Open vSwitch no more": (
        options(openvswitch=False, portgroups=[{"name": "a"}, {"name": "b", "vlan": {"tags": [5]}}]),
        OVS,
        ["portgroups[1].vlan"],
    ),
    "VLANs of SR-IOV, which others have made": (
        options(vlan={"tags": [5]}),
        network("<forward mode='hostdev'/>"),
        [],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_network_has_what_it_can(kind: str) -> None:
    given, existing, paths = KINDS[kind]
    assert check_options(given) == []
    assert [problem.path for problem in check_kind(given, existing, DEBIAN_12)] == paths


def test_a_linux_bridge_has_vlans_with_a_new_libvirt() -> None:
    assert check_kind(options(vlan={"tags": [5]}), BRIDGE, 11_000_000) == []
    assert [problem.path for problem in check_kind(options(vlan={"tags": [5]}), network(), 11_000_000)] == ["vlan"]


def test_a_network_of_others_for_macvtap_needs_no_bridge() -> None:
    theirs = network("<forward mode='bridge'><interface dev='eth0'/></forward>")
    assert check_kind(options(autostart=True), theirs, DEBIAN_12) == []
    assert [problem.path for problem in check_kind(options(mode="bridge"), None, DEBIAN_12)] == ["bridge"]


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        ({"bridge": "linux0"}, []),
        ({"bridge": "switch0", "openvswitch": True}, []),
        ({"bridge": "linux0", "openvswitch": True}, ["openvswitch"]),
        ({"bridge": "switch0"}, ["bridge"]),
        ({"bridge": "gone0"}, ["bridge"]),
    ],
)
def test_a_bridge_of_the_host_is_there_and_of_its_kind(tmp_path: Path, given: Options, paths: list[str]) -> None:
    (tmp_path / "linux0" / "bridge").mkdir(parents=True)
    (tmp_path / "switch0").mkdir()
    declared = options(mode="bridge", **given)
    after = declared_on(new_network("lab"), declared)
    assert [problem.path for problem in check_bridge(declared, after, tmp_path)] == paths


def test_the_device_that_packets_leave_by_is_there(tmp_path: Path) -> None:
    declared = options(mode="nat", device="eth7")
    after = declared_on(new_network("lab"), declared)
    assert [problem.path for problem in check_bridge(declared, after, tmp_path)] == ["device"]
    (tmp_path / "eth7").mkdir()
    assert check_bridge(declared, after, tmp_path) == []


def test_a_boot_file_that_everybody_may_read(open_path: Path) -> None:
    declared = ipv4(pxe={"tftp_root": str(open_path), "boot_file": "boot.ipxe"})
    assert "is not there" in check_files(declared)[0].message
    (open_path / "boot.ipxe").write_text("")
    (open_path / "boot.ipxe").chmod(0o640)
    assert "chmod o+r" in check_files(declared)[0].message
    (open_path / "boot.ipxe").chmod(0o644)
    assert check_files(declared) == []
    only = ipv4(pxe={"tftp_root": str(open_path)})
    assert check_files(only) == []
    open_path.chmod(0o750)
    assert [problem.path for problem in check_files(declared)] == ["ipv4.pxe.boot_file"]
    assert [problem.path for problem in check_files(only)] == ["ipv4.pxe.tftp_root"]


def test_a_subnet_is_nobody_elses(tmp_path: Path) -> None:
    routes = tmp_path / "route"
    head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    rows = ["eth0 00000000 010200C0 0003 0 0 0 00000000 0 0 0", "eth0 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0"]
    rows += ["virbr7 006433C6 00000000 0001 0 0 0 00FFFFFF 0 0 0"]
    # Half of the Internet by a VPN, and a private range behind a gateway.
    rows += ["tun0 00000080 00000000 0001 0 0 0 00000080 0 0 0", "eth0 0000000A 010200C0 0003 0 0 0 000000FF 0 0 0"]
    routes.write_text(head + "\n".join(rows) + "\n")
    subnets = host_subnets(routes)
    assert [(device, str(subnet), direct) for device, subnet, direct in subnets] == [
        ("eth0", "192.0.2.0/24", True),
        ("virbr7", "198.51.100.0/24", True),
        ("tun0", "128.0.0.0/1", True),
        ("eth0", "10.0.0.0/8", False),
    ]

    def problems(address: str, others: dict[str, t.Any], state: str = "active") -> list[str]:
        declared = options(ipv4={"address": address}, bridge="virbr7", state=state)
        after = declared_on(new_network("lab"), declared)
        return [problem.path for problem in check_neighbours(declared, after, others, subnets)]

    assert problems("192.0.2.129/25", {}) == ["ipv4.address"]
    assert problems("192.0.2.129/25", {}, "inactive") == []
    assert problems("10.1.2.1/24", {}) == problems("172.16.0.1/16", {}) == []
    assert problems("10.0.0.1/8", {}) == ["ipv4.address"]
    # The network's own bridge.
    assert problems("198.51.100.1/24", {}) == []
    other = network("<bridge name='virbr8'/><ip address='203.0.113.1' netmask='255.255.255.0'/>")
    assert problems("203.0.113.1/25", {"other": (other, True)}) == ["ipv4.address"]
    assert problems("203.0.113.1/25", {"other": (other, False)}) == []
    taken = network("<bridge name='virbr7'/>")
    assert problems("203.0.113.1/25", {"other": (taken, False)}) == ["bridge"]
