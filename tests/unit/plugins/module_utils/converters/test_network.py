# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network's options to its NetworkAttachmentDefinition, and what is refused of them."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.rtvirt.core.plugins.filter import network_attachment as plugin
from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.rtvirt.core.plugins.module_utils.converters.network import KINDS, network_attachment

Given = dict[str, t.Any]

HOST = {"bridge": {"bridgeName": "br-dpdk0"}}
#: As document 001 has it.
PXE = {
    "name": "pxe-net-conf",
    "bridge": {"type": "cnv-bridge", "bridge": "br1", "vlan": 1},
    "tuning": {"type": "cnv-tuning"},
}

#: Options -> the configuration, but for its version and name.
CONFIGS: dict[str, tuple[Given, Given]] = {
    "bridge": (
        {"bridge": {"bridge": "br1", "vlan": "7", "macspoofchk": True}},
        {"type": "bridge", "bridge": "br1", "vlan": 7, "macspoofchk": True},
    ),
    "bridge with tuning": (
        {"bridge": {"bridge": "br1"}, "tuning": {"mtu": 9000}, "ipam": {"type": "dhcp"}},
        {"plugins": [{"type": "bridge", "bridge": "br1", "ipam": {"type": "dhcp"}}, {"type": "tuning", "mtu": 9000}]},
    ),
    "macvtap": ({"resource_name": "a/b", "macvtap": {"mtu": 1500}}, {"type": "macvtap", "mtu": 1500}),
    "ovs": (
        {"ovs": {"bridge": "br1", "trunk": [{"id": 42}, {"minID": 1000, "maxID": 1010}]}},
        {"type": "ovs", "bridge": "br1", "trunk": [{"id": 42}, {"minID": 1000, "maxID": 1010}]},
    ),
    "sriov": (
        # As YAML reads on and off.
        {"resource_name": "a/b", "sriov": {"spoofchk": False, "trust": True, "vlan": 5, "vlanQoS": 1}},
        {"type": "sriov", "spoofchk": "off", "trust": "on", "vlan": 5, "vlanQoS": 1},
    ),
    "sriov with capabilities": (
        {"resource_name": "a/b", "sriov": {}, "capabilities": {"mac": True}},
        {"type": "sriov", "capabilities": {"mac": True}},
    ),
    "userspace": (
        {"userspace": {"host": HOST}},
        {
            "type": "userspace",
            "kubeconfig": "/etc/cni/net.d/multus.d/multus.kubeconfig",
            "host": {
                "engine": "ovs-dpdk",
                "iftype": "vhostuser",
                "netType": "bridge",
                "vhost": {"mode": "client"},
                "bridge": {"bridgeName": "br-dpdk0"},
            },
            "container": {
                "engine": "ovs-dpdk",
                "iftype": "vhostuser",
                "netType": "interface",
                "vhost": {"mode": "server"},
            },
        },
    ),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_configuration(case: str) -> None:
    options, config = CONFIGS[case]
    document = network_attachment({"name": "net", **options})
    assert json.loads(document["spec"]["config"]) == {"cniVersion": "0.3.1", "name": "net", **config}


def test_every_kind_has_a_case() -> None:
    assert {kind for options, _config in CONFIGS.values() for kind in KINDS if kind in options} == {*KINDS}


def test_document_001_word_for_word() -> None:
    theirs = """{
      "cniVersion": "0.3.1",
      "name": "pxe-net-conf",
      "plugins": [{"type": "cnv-bridge", "bridge": "br1", "vlan": 1}, {"type": "cnv-tuning"}]
    }"""
    document = network_attachment(PXE)
    assert json.loads(document["spec"]["config"]) == json.loads(theirs)
    assert {**document, "spec": {}} == {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": "pxe-net-conf"},
        "spec": {},
    }


def test_the_metadata() -> None:
    given = {"namespace": "ns", "labels": {"a": "b"}, "annotations": {"c": "d"}, "resource_name": "e/f", "macvtap": {}}
    assert network_attachment({"name": "net", **given})["metadata"] == {
        "name": "net",
        "namespace": "ns",
        "labels": {"a": "b"},
        "annotations": {"c": "d", "k8s.v1.cni.cncf.io/resourceName": "e/f"},
    }


def test_the_order_of_options_makes_no_difference() -> None:
    one = {"name": "net", "bridge": {"bridge": "br1", "vlan": 1, "mtu": 1500}}
    other = {"bridge": {"mtu": 1500, "vlan": 1, "bridge": "br1"}, "name": "net"}
    assert network_attachment(one) == network_attachment(other)


def test_a_shared_folder_is_in_the_place_of_credentials() -> None:
    document = network_attachment({"name": "net", "userspace": {"host": HOST, "sharedDir": "/run/vhost/"}})
    config = json.loads(document["spec"]["config"])
    assert (config["sharedDir"], "kubeconfig" in config) == ("/run/vhost/", False)


#: Options -> the path of what is wrong, and a part of the message.
WRONG: dict[str, tuple[Given, str, str]] = {
    "no name": ({"name": "", "bridge": {"bridge": "br1"}}, "name", "is missing"),
    "no kind": ({}, "kind", "is missing: write exactly one of bridge, macvtap, ovs, sriov or userspace"),
    "two kinds": ({"ovs": {}, "bridge": {"bridge": "br1"}}, "kind", "is bridge and ovs"),
    "no mapping": ({"bridge": "br1"}, "bridge", "write a mapping"),
    "an unknown option": ({"vlan": 5, "ovs": {}}, "vlan", "there is no such option"),
    "an unknown option of a kind": ({"ovs": {"vlanId": 5}}, "ovs.vlanId", "there is no such option"),
    "no bridge": ({"bridge": {"vlan": 1}}, "bridge.bridge", "is missing"),
    "a VLAN": ({"bridge": {"bridge": "br1", "vlan": 4095}}, "bridge.vlan", "a number from 0 to 4094"),
    "a VLAN that is true": ({"ovs": {"vlan": True}}, "ovs.vlan", "a number from 0 to 4094"),
    "an MTU": ({"ovs": {"mtu": 67}}, "ovs.mtu", "a number from 68 to 65535"),
    "another plugin": ({"bridge": {"bridge": "br1", "type": "macvlan"}}, "bridge.type", "bridge or cnv-bridge"),
    "a switch": ({"resource_name": "a/b", "sriov": {"trust": "maybe"}}, "sriov.trust", "write on or off"),
    "a bool": ({"bridge": {"bridge": "br1", "macspoofchk": "yes"}}, "bridge.macspoofchk", "true or false"),
    "a text": ({"bridge": {"bridge": 1}}, "bridge.bridge", "write text"),
    "a list": ({"ovs": {"trunk": 42}}, "ovs.trunk", "write a list"),
    "a trunk": ({"ovs": {"trunk": [{"minID": 1}]}}, "ovs.trunk[0]", "write id, or minID and maxID"),
    "a VLAN of a trunk": (
        {"bridge": {"bridge": "br1", "vlanTrunk": [{"id": 5000}]}},
        "bridge.vlanTrunk[0].id",
        "a number from 1 to 4094",
    ),
    # containernetworking's bridge plugin ends the start of every pod for these.
    "VLAN 0 of a bridge's trunk": (
        {"bridge": {"bridge": "br1", "vlanTrunk": [{"id": 0}]}},
        "bridge.vlanTrunk[0].id",
        "a number from 1 to 4094",
    ),
    "a range of a trunk": (
        {"ovs": {"bridge": "br1", "trunk": [{"minID": 10, "maxID": 5}]}},
        "ovs.trunk[0].maxID",
        "is below minID, 10",
    ),
    "no device plugin": ({"sriov": {}}, "resource_name", "as intel.com/sriov_net_a"),
    "rates": (
        {"resource_name": "a/b", "sriov": {"min_tx_rate": 2, "max_tx_rate": 1}},
        "sriov.min_tx_rate",
        "above max_tx_rate, 1",
    ),
    "a priority without a VLAN": ({"resource_name": "a/b", "sriov": {"vlanQoS": 1}}, "sriov.vlanQoS", "write vlan"),
    "no bridge of Open vSwitch": ({"userspace": {}}, "userspace.host.bridge.bridgeName", "is missing"),
    "the deprecated kind of port": (
        {"userspace": {"host": {**HOST, "vhost": {"mode": "server"}}}},
        "userspace.host.vhost.mode",
        "dpdkvhostuser, after whose switch is restarted every VM has to be",
    ),
    "another switch": (
        {"userspace": {"host": {**HOST, "engine": "vpp"}}},
        "userspace.host.engine",
        "write ovs-dpdk",
    ),
    "credentials and a folder": (
        {"userspace": {"host": HOST, "kubeconfig": "/a", "sharedDir": "/b"}},
        "userspace.sharedDir",
        "write one of them",
    ),
    "tuning of a socket": ({"userspace": {"host": HOST}, "tuning": {}}, "tuning", "leave it out"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_told(case: str) -> None:
    options, path, message = WRONG[case]
    with pytest.raises(DeclarationError) as error:
        network_attachment({"name": "net", **options})
    (problem,) = error.value.problems
    assert problem.path == path
    assert message in problem.message


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(DeclarationError) as error:
        network_attachment({"labels": 1, "bridge": {"vlan": -1}, "tuning": {"mtu": 1, "mac": 5}})
    paths = ["bridge.vlan", "labels", "name", "tuning.mac", "tuning.mtu"]
    assert sorted(problem.path for problem in error.value.problems) == paths


def test_the_filter() -> None:
    assert plugin.network_attachment(PXE) == network_attachment(PXE)
    with pytest.raises(AnsibleFilterError, match=r"rtvirt.core.network_attachment: name: is missing"):
        plugin.network_attachment({"bridge": {"bridge": "br1"}})
    with pytest.raises(AnsibleFilterError, match="is no mapping"):
        plugin.network_attachment("br1")
