# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices of a running guest where libvirt or the guest says no. What works: tests/integration/libvirt/test_live.py."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET
from unittest.mock import Mock

import libvirt
import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.live import apply_live
from ansible_collections.rtvirt.core.plugins.module_utils._plan import Change

DISK = "<disk type='file'><source file='/srv/data.img'/><target dev='vdb' bus='virtio'/></disk>"
NIC = "<interface type='network'><source network='lan'/><link state='up'/><alias name='ua-network-lan'/></interface>"


def domain(*devices: str) -> ET.Element:
    return ET.fromstring(f"<domain><devices>{''.join(devices)}</devices></domain>")


def refused(handle: Mock, changes: list[Change], running: ET.Element, definition: ET.Element) -> list[Change]:
    return apply_live(handle, changes, definition=definition, running=running, host_cpus=2)


@pytest.mark.parametrize("lets_go", [True, False])
def test_a_device_that_others_made_is_removed_by_what_it_is(lets_go: bool) -> None:
    handle = Mock(**{"XMLDesc.return_value": ET.tostring(domain() if lets_go else domain(DISK), encoding="unicode")})
    change = Change("devices/disk[data]", DISK, None)
    assert refused(handle, [change], domain(DISK), domain()) == ([] if lets_go else [change])
    assert "/srv/data.img" in handle.detachDeviceFlags.call_args.args[0]


def test_a_device_that_is_not_in_the_guest_is_pending() -> None:
    handle, change = Mock(), Change("devices/disk[data]", DISK, None)
    assert refused(handle, [change], domain(), domain()) == [change]
    handle.detachDeviceFlags.assert_not_called()


@pytest.mark.parametrize("error", [None, libvirt.libvirtError("cannot change the network")])
def test_an_update_is_one_for_all_changes_of_a_device(error: t.Any) -> None:
    handle = Mock(**{"updateDeviceFlags.side_effect": error})
    path = "devices/interface[lan]"
    changes = [Change(f"{path}/source/@network", "a", "lan"), Change(f"{path}/link/@state", "down", "up")]
    assert refused(handle, changes, domain(NIC), domain(NIC)) == ([] if error is None else changes)
    handle.updateDeviceFlags.assert_called_once()
