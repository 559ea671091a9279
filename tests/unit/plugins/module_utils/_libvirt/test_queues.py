# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Queues of a guest's interfaces, as a domain's XML and ethtool have them."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.guest import Ran
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.queues import (
    channels_of,
    irqbalance,
    read_channels,
    select,
)

DOMAIN = ET.fromstring("""
<domain><devices>
  <interface type='bridge'><mac address='52:54:00:00:00:01'/><model type='virtio'/><driver queues='4'/>
    <alias name='ua-net-lan'/></interface>
  <interface type='bridge'><mac address='52:54:00:00:00:02'/><model type='virtio'/><alias name='net1'/></interface>
  <interface type='bridge'><mac address='52:54:00:00:00:03'/><model type='e1000'/><alias name='ua-net-old'/></interface>
</devices></domain>
""")

SHOWN = """Channel parameters for eth0:
Pre-set maximums:
RX:\t\tn/a
TX:\t\tn/a
Other:\t\tn/a
Combined:\t4
Current hardware settings:
RX:\t\tn/a
TX:\t\tn/a
Other:\t\tn/a
Combined:\t1
"""


class Pretender:
    """A guest with eth0, a bridge over it, and these programs."""

    name = "vm"

    def __init__(self, *, programs: dict[str, Ran]) -> None:
        self.programs = programs

    def interfaces(self) -> dict[str, list[str]]:
        return {"52:54:00:00:00:01": ["br0", "eth0"]}

    def run(self, program: str, *arguments: str) -> Ran:
        return self.programs.get(" ".join((program, *arguments)), Ran(None))


ETHTOOL = {
    "ethtool -i br0": Ran(0, "driver: bridge\nversion: 2.3"),
    "ethtool -i eth0": Ran(0, "driver: virtio_net\nversion: 1.0.0"),
    "ethtool -l eth0": Ran(0, SHOWN),
}


def test_interfaces_are_found_by_name_and_address() -> None:
    assert [(one.name, one.queues) for one in select(DOMAIN, None, None)] == [("lan", 4), ("52:54:00:00:00:02", 1)]
    assert [one.name for one in select(DOMAIN, ["lan"], 4)] == ["lan"]
    assert [one.name for one in select(DOMAIN, ["52-54-00-00-00-02"], 1)] == ["52:54:00:00:00:02"]


@pytest.mark.parametrize(
    ("names", "queues", "path", "message"),
    [
        (["wan"], None, "interfaces[0]", "it has lan, 52:54:00:00:00:02, old"),
        (["lan", "old"], None, "interfaces[1]", "its model is e1000"),
        (["lan"], 0, "queues", "write 1 or more"),
        (["lan"], 5, "queues", "lan has 4"),
        (None, 2, "queues", "52:54:00:00:00:02 has 1"),
    ],
)
def test_what_the_vm_has_not_is_refused(names: list[str] | None, queues: int | None, path: str, message: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        select(DOMAIN, names, queues)
    assert [(problem.path, message in problem.message) for problem in refused.value.problems] == [(path, True)]


def test_a_bridge_in_the_guest_is_not_its_port() -> None:
    guest: t.Any = Pretender(programs=ETHTOOL)
    (channels,) = read_channels(guest, select(DOMAIN, ["lan"], None))
    assert (channels.device, channels.most, channels.used) == ("eth0", 4, 1)


@pytest.mark.parametrize(
    ("programs", "message"),
    [
        ({}, "^vm has no ethtool"),
        ({**ETHTOOL, "ethtool -i eth0": Ran(0, "driver: e1000")}, "^vm has no virtio_net interface .* but br0, eth0"),
        ({**ETHTOOL, "ethtool -l eth0": Ran(1, "", "netlink error: not supported")}, "^vm: .*not supported"),
    ],
)
def test_a_guest_that_cannot(programs: dict[str, Ran], message: str) -> None:
    guest: t.Any = Pretender(programs=programs)
    with pytest.raises(RtvirtError, match=message):
        read_channels(guest, select(DOMAIN, ["lan"], None))


def test_what_ethtool_says_is_read_or_refused() -> None:
    assert channels_of("vm", Ran(0, SHOWN)) == (4, 1)
    for output in ("", "Combined:\t4\n", SHOWN.replace("Combined:\t1", "Combined:\tn/a")):
        with pytest.raises(RtvirtError, match="says nothing of combined queues"):
            channels_of("vm", Ran(0, output))


@pytest.mark.parametrize(
    ("programs", "told"),
    [
        ({"pidof irqbalance": Ran(0, "12")}, "running"),
        ({"pidof irqbalance": Ran(1)}, "stopped"),
        ({"systemctl is-active irqbalance": Ran(0, "active")}, "running"),
        ({"systemctl is-active irqbalance": Ran(3, "inactive")}, "stopped"),
        ({}, "unknown"),
    ],
)
def test_irqbalance_is_told(programs: dict[str, Ran], told: str) -> None:
    guest: t.Any = Pretender(programs=programs)
    assert irqbalance(guest) == told
