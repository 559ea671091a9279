# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces and the networks behind them."""

from __future__ import annotations

import typing as t

import pytest


def nic(libvirt: dict[str, t.Any] | None = None, **more: t.Any) -> dict[str, t.Any]:
    if libvirt is None:
        return {"name": "lan", "masquerade": {}, "network": {"pod": {}}, **more}
    return {"name": "lan", "bridge": {}, "network": {"libvirt": libvirt}, **more}


def vhostuser(**settings: t.Any) -> dict[str, t.Any]:
    network = {"libvirt": {"vhostuser": {"socket": "/run/vhost/lan.sock"}}}
    return {"name": "lan", "vhostuser": settings, "network": network}


NIC = "devices/interface[alias/@name='ua-net-lan']"

FACTS: dict[str, tuple[dict[str, t.Any], list[str]]] = {
    "one of user mode where nothing is said": (
        {},
        [
            "count(devices/interface) = 1",
            "devices/interface[@type='user'][alias/@name='ua-net-default']/model/@type = 'virtio'",
            "not(devices/interface/mac)",
        ],
    ),
    "none": ({"autoattach_pod_interface": False}, ["not(devices/interface)"]),
    "user mode": ({"interfaces": [nic()]}, [f"{NIC}/@type = 'user'", f"not({NIC}/source)"]),
    "libvirt network": (
        {"interfaces": [nic({"network": "default"})]},
        [f"{NIC}/@type = 'network'", f"{NIC}/source/@network = 'default'", "count(devices/interface) = 1"],
    ),
    "group of ports": (
        {"interfaces": [nic({"network": "default", "portgroup": "storage"})]},
        [f"{NIC}/source[@network='default'][@portgroup='storage']"],
    ),
    "bridge": (
        {"interfaces": [nic({"bridge": "br0"})]},
        [f"{NIC}/@type = 'bridge'", f"{NIC}/source/@bridge = 'br0'"],
    ),
    "macvtap": (
        {"interfaces": [nic({"macvtap": {"device": "eth1"}})]},
        [f"{NIC}/@type = 'direct'", f"{NIC}/source[@dev='eth1'][@mode='bridge']"],
    ),
    "macvtap passthrough": (
        {"interfaces": [nic({"macvtap": {"device": "eth1", "mode": "passthrough"}})]},
        [f"{NIC}/source/@mode = 'passthrough'"],
    ),
    "settings": (
        {
            "interfaces": [
                nic({"bridge": "br0"}, macAddress="52-54-00-AB-cd-EF", model="e1000e", state="down", bootOrder=4)
            ]
        },
        [
            f"{NIC}/mac/@address = '52:54:00:ab:cd:ef'",
            f"{NIC}/model/@type = 'e1000e'",
            f"{NIC}/link/@state = 'down'",
            f"{NIC}/boot/@order = '4'",
        ],
    ),
    "queues": (
        {
            "cpu_cores": 4,
            "multiqueue": True,
            "interfaces": [
                nic({"bridge": "br0"}),
                nic({"bridge": "br1"}, name="old", model="e1000"),
                nic(name="nat"),
            ],
        },
        [
            f"{NIC}/driver/@queues = '4'",
            "not(devices/interface[alias/@name='ua-net-old']/driver)",
            "not(devices/interface[alias/@name='ua-net-nat']/driver)",
        ],
    ),
    "at most 256 queues": (
        {"cpu_cores": 300, "multiqueue": True, "interfaces": [nic({"bridge": "br0"})]},
        [f"{NIC}/driver/@queues = '256'"],
    ),
    "no queues": ({"cpu_cores": 4, "interfaces": [nic({"bridge": "br0"})]}, [f"not({NIC}/driver)"]),
    "vhost-user": (
        {"hugepages": "2Mi", "interfaces": [vhostuser()]},
        [
            f"{NIC}/@type = 'vhostuser'",
            f"{NIC}/source[@type='unix'][@path='/run/vhost/lan.sock'][@mode='server']",
            f"{NIC}/model/@type = 'virtio'",
            f"not({NIC}/driver)",
            "memoryBacking/access/@mode = 'shared'",
            "memoryBacking/source/@type = 'memfd'",
            "memoryBacking/hugepages/page/@size = '2048'",
        ],
    ),
    "vhost-user with all it has": (
        {
            "hugepages": "2Mi",
            "interfaces": [vhostuser(queues=2, rxQueueSize=1024, txQueueSize=512, mrgRxbuf=False)],
        },
        [
            f"{NIC}/driver[@queues='2'][@rx_queue_size='1024'][@tx_queue_size='512']",
            f"{NIC}/driver/host/@mrg_rxbuf = 'off'",
        ],
    ),
    "vhost-user with a queue for each vCPU": (
        {"hugepages": "2Mi", "cpu_cores": 2, "multiqueue": True, "interfaces": [vhostuser(mrgRxbuf=True)]},
        [f"{NIC}/driver/@queues = '2'", f"{NIC}/driver/host/@mrg_rxbuf = 'on'"],
    ),
    "vhost-user with one queue all the same": (
        {"hugepages": "2Mi", "cpu_cores": 2, "multiqueue": True, "interfaces": [vhostuser(queues=1)]},
        [f"not({NIC}/driver)"],
    ),
    "several": (
        {"interfaces": [nic(), nic({"bridge": "br0"}, name="wan"), nic(name="lan2")]},
        ["count(devices/interface) = 3", "count(devices/interface[@type='user']) = 2"],
    ),
}


@pytest.mark.parametrize("what", FACTS)
def test_interfaces(convert: t.Callable[..., t.Any], what: str) -> None:
    options, facts = FACTS[what]
    convert(options).holds(*facts)
