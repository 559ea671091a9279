# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watchdog, console, agent, balloon, graphics, rng, TPM, inputs and the host's own devices."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import PCI_ADDRESS


def devices(**given: t.Any) -> dict[str, t.Any]:
    return {"spec": {"domain": {"devices": given}}}


MDEV = "4b20d080-1b54-4048-85b3-a6a62d165c01"

FACTS: dict[str, tuple[dict[str, t.Any], list[str]]] = {
    "what every VM has": (
        {},
        [
            "devices/serial[@type='pty']/log[@append='on']/@file = '/var/log/libvirt/qemu/vm1-console.log'",
            "devices/console[@type='pty']/target[@type='serial'][@port='0']",
            "devices/channel[@type='unix']/target[@type='virtio'][@name='org.qemu.guest_agent.0']",
            "devices/graphics[@type='vnc'][@autoport='yes']/listen[@type='address']/@address = '127.0.0.1'",
            "devices/video/model/@type = 'vga'",
            "devices/memballoon/@model = 'virtio'",
            "devices/rng[@model='virtio']/backend[@model='random'] = '/dev/urandom'",
            "devices/controller[@type='usb']/@model = 'none'",
            "not(devices/watchdog)",
            "not(devices/tpm)",
            "not(devices/input)",
            "not(devices/hostdev)",
        ],
    ),
    "no balloon": ({"autoattach_mem_balloon": False}, ["devices/memballoon/@model = 'none'"]),
    "a balloon": ({"autoattach_mem_balloon": True}, ["devices/memballoon/@model = 'virtio'"]),
    "no graphics": ({"autoattach_graphics_device": False}, ["not(devices/graphics)", "not(devices/video)"]),
    "no console": ({"autoattach_serial_console": False}, ["not(devices/serial)", "not(devices/console)"]),
    "no log of the console": (devices(logSerialConsole=False), ["devices/serial", "not(devices/serial/log)"]),
    "rng": (devices(rng={}), ["count(devices/rng) = 1"]),
    "watchdog by default": (
        {"watchdog": {"name": "dog"}},
        ["devices/watchdog[@model='i6300esb'][@action='reset']"],
    ),
    "tablet": (
        devices(inputs=[{"name": "pointer", "type": "tablet"}]),
        [
            "devices/input[@type='tablet'][@bus='usb']/alias/@name = 'ua-input-pointer'",
            "devices/controller[@type='usb']/@model = 'qemu-xhci'",
        ],
    ),
    "tablet by the short option": (
        {"autoattach_input_device": True},
        ["devices/input[@type='tablet']", "devices/controller[@type='usb']/@model = 'qemu-xhci'"],
    ),
    "virtio keyboard": (
        devices(inputs=[{"name": "keys", "type": "keyboard", "bus": "virtio"}]),
        ["devices/input[@type='keyboard'][@bus='virtio']", "devices/controller[@type='usb']/@model = 'none'"],
    ),
    "TPM": (
        devices(tpm={}),
        ["devices/tpm[@model='tpm-tis']/backend[@type='emulator'][@version='2.0'][not(@persistent_state)]"],
    ),
    "TPM that keeps its state": (
        devices(tpm={"persistent": True}),
        ["devices/tpm[@model='tpm-crb']/backend/@persistent_state = 'yes'"],
    ),
    "no TPM": (devices(tpm={"enabled": False}), ["not(devices/tpm)"]),
    "PCI device": (
        {"host_devices": [{"name": "nic", "pci": "0000:3B:00.1"}]},
        [
            (
                "devices/hostdev[@mode='subsystem'][@type='pci'][@managed='yes']/source/address"
                "[@domain='0x0000'][@bus='0x3b'][@slot='0x00'][@function='0x1']"
            ),
            "devices/hostdev/alias/@name = 'ua-hostdev-nic'",
        ],
    ),
    "PCI device without a domain": (
        {"host_devices": [{"name": "nic", "pci": "3b:1f.7"}]},
        ["devices/hostdev/source/address[@domain='0x0000'][@bus='0x3b'][@slot='0x1f'][@function='0x7']"],
    ),
    "mediated device": (
        {"gpus": [{"name": "gpu", "mdev": MDEV}]},
        [
            f"devices/hostdev[@mode='subsystem'][@type='mdev'][@model='vfio-pci']/source/address/@uuid = '{MDEV}'",
            "devices/hostdev/alias/@name = 'ua-gpu-gpu'",
        ],
    ),
    "both kinds": (
        {"gpus": [{"name": "a", "pci": "0000:01:00.0"}], "host_devices": [{"name": "b", "mdev": MDEV}]},
        ["count(devices/hostdev) = 2", "count(devices/hostdev[@type='pci']) = 1"],
    ),
}


@pytest.mark.parametrize("what", FACTS)
def test_devices(convert: t.Callable[..., t.Any], what: str) -> None:
    options, facts = FACTS[what]
    convert(options).holds(*facts)


@pytest.mark.parametrize("action", ["reset", "shutdown", "poweroff", "pause", "none", "dump", "inject-nmi"])
def test_every_action_of_libvirt_s_watchdog(convert: t.Callable[..., t.Any], action: str) -> None:
    convert({"watchdog": {"name": "dog", "i6300esb": {"action": action}}}).holds(
        f"devices/watchdog[@model='i6300esb']/@action = '{action}'", "count(devices/watchdog) = 1"
    )


def test_a_guest_of_arm(convert: t.Callable[..., t.Any]) -> None:
    """What tests/integration/libvirt/test_aarch64.py cannot see without KVM is here too."""
    options = {
        "cpu_cores": 2,
        "dedicated_cpus": True,
        "disks": [{"name": "a", "volume": {"hostDisk": {"path": "/srv/a.img", "type": "Disk"}}}],
        "spec": {"domain": {"devices": {"tpm": {"persistent": True}}}},
    }
    convert(options, arch="aarch64").holds(
        "os/type[@arch='aarch64'][@machine='virt']",
        "os/@firmware = 'efi'",
        "cpu/@mode = 'host-passthrough'",
        "not(features/kvm)",
        "devices/disk/target[@dev='vda'][@bus='virtio']",
        "devices/tpm/@model = 'tpm-tis'",
        "devices/video/model/@type = 'virtio'",
    )


@pytest.mark.parametrize("address", ["3b:00.0", "0000:3b:00.0", "ffff:FF:1f.7"])
def test_pci_address(address: str) -> None:
    assert PCI_ADDRESS.fullmatch(address)


@pytest.mark.parametrize(
    "address", ["", "3b:00", "3b.00.0", "000:3b:00.0", "0000:3b:00.8", "0000:3b:00.0\n", "x3b:00.0"]
)
def test_no_pci_address(address: str) -> None:
    assert not PCI_ADDRESS.fullmatch(address)


def test_an_mdev_is_written_as_libvirt_writes_it(convert: t.Callable[..., t.Any]) -> None:
    """libvirt prints it in lower case with dashes: anything else would be a difference for ever."""
    written = MDEV.replace("-", "").upper()
    complete = convert({"gpus": [{"name": "gpu", "mdev": written}]}).complete
    assert [address.get("uuid") for address in complete.findall("devices/hostdev/source/address")] == [MDEV]
