# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An active network that takes not all that it is given."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

import libvirt
import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.apply import apply_plan
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.definition import declared_on
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.observing import observe
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.plan import NetworkPlan, pending_on

BEFORE = """
<network><name>lab</name><uuid>8fc5c583-51ab-47e0-b9b4-d00fec7117b4</uuid><bridge name='virbr7'/>
<ip family='ipv6' address='fd00::1' prefix='64'/>
<ip address='192.0.2.1' prefix='24'><dhcp><host mac='52:54:00:00:00:01' ip='192.0.2.11'/></dhcp></ip></network>
"""
HOSTS = [{"mac": "52:54:00:00:00:01", "address": "192.0.2.12"}, {"mac": "52:54:00:00:00:02", "address": "192.0.2.11"}]
OPTIONS: dict[str, t.Any] = {
    "name": "lab",
    "ipv4": {"address": "192.0.2.1/24", "dhcp": {"hosts": HOSTS}},
    "portgroups": [{"name": "a", "default": False}],
}


class Active:
    """libvirt's network, as far as it is asked; it refuses what ``refuses`` is in."""

    def __init__(self, refuses: str | None = None) -> None:
        self.refuses, self.calls = refuses, list[tuple[t.Any, ...]]()
        self.definition, self.running = BEFORE, BEFORE

    def name(self) -> str:
        return "lab"

    def UUIDString(self) -> str:  # noqa: N802  libvirt's name
        return "8fc5c583-51ab-47e0-b9b4-d00fec7117b4"

    def isPersistent(self) -> int:  # noqa: N802  libvirt's name
        return 1

    isActive = isPersistent  # noqa: N815  libvirt's name
    autostart = isPersistent

    def XMLDesc(self, flags: int) -> str:  # noqa: N802  libvirt's name
        return self.definition if flags else self.running

    def update(self, command: int, section: int, parent: int, xml: str, _flags: int) -> None:
        if self.refuses is not None and self.refuses in xml:
            raise libvirt.libvirtError("no")
        self.calls.append((command, section, parent, ET.fromstring(xml).get("ip")))

    def destroy(self) -> None:
        self.calls.append(("destroy",))

    def create(self) -> None:
        self.calls.append(("create",))
        self.running = self.definition


def planned(handle: t.Any, *, may_restart: bool = False) -> NetworkPlan:
    network = observe(handle)
    pending = pending_on(network.running, OPTIONS)
    after = declared_on(network.definition, OPTIONS)
    return NetworkPlan(OPTIONS, network, after, [], pending, ["change live"], may_restart=may_restart)


def test_an_address_is_free_before_another_host_has_it() -> None:
    handle = Active()
    assert apply_plan(None, planned(handle)) == ["change live"]
    gone, come = libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE, libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST
    host, group = libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST, libvirt.VIR_NETWORK_SECTION_PORTGROUP
    # The second <ip> has them.
    assert handle.calls == [
        (gone, host, 1, "192.0.2.11"),
        (come, host, 1, "192.0.2.12"),
        (come, host, 1, "192.0.2.11"),
        (come, group, -1, None),
    ]


@pytest.mark.parametrize("may_restart", [False, True])
def test_what_libvirt_refuses_waits_for_a_restart(may_restart: bool) -> None:
    handle = Active(refuses="portgroup")
    done = apply_plan(None, planned(handle, may_restart=may_restart))
    assert done == ["change live", *(["restart"] if may_restart else [])]
    assert handle.calls[3:] == ([("destroy",), ("create",)] if may_restart else [])
