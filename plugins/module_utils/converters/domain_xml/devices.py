# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every other device: watchdog, console, guest agent, balloon, graphics, TPM, inputs and the host's own devices."""

from __future__ import annotations

import typing as t
import uuid
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils.converters import defaults
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import (
    Context,
    absent,
    alias,
    el,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import PCI_ADDRESS

__all__ = ["device_elements"]


def device_elements(spec: dict[str, t.Any], context: Context) -> list[ET.Element | None]:
    devices = spec["domain"].get("devices") or {}
    return [
        _usb_controller(devices, context),
        *[_input(given) for given in _inputs(devices)],
        _watchdog(devices.get("watchdog")),
        *_console(devices, context),
        _agent(context),
        *_graphics(devices, context),
        _balloon(devices, context),
        _rng(devices, context),
        _tpm(devices.get("tpm"), context),
        *[_host_device("gpu", given) for given in devices.get("gpus") or []],
        *[_host_device("hostdev", given) for given in devices.get("hostDevices") or []],
    ]


def _usb_controller(devices: dict[str, t.Any], context: Context) -> ET.Element | None:
    """A guest without a USB device has no USB controller either: its polling costs host wake-ups."""
    if not context.complete:
        return None
    needed = any(defaults.bus_of(disk, context.arch) == "usb" for disk in devices.get("disks") or []) or any(
        given.get("bus", "usb") == "usb" for given in _inputs(devices)
    )
    return el("controller", {"type": "usb", "index": 0, "model": "qemu-xhci" if needed else "none"})


def _inputs(devices: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """The declared inputs; KubeVirt's autoattachInputDevice is a tablet where there is none."""
    attached = [{"name": "default-0", "type": "tablet", "bus": "usb"}] if devices.get("autoattachInputDevice") else []
    return devices.get("inputs") or attached


def _input(given: dict[str, t.Any]) -> ET.Element:
    return el("input", {"type": given.get("type", "tablet"), "bus": given.get("bus")}, alias("input", given["name"]))


def _watchdog(given: dict[str, t.Any] | None) -> ET.Element | None:
    if given is None:
        return None
    action = (given.get("i6300esb") or {}).get("action")
    return el("watchdog", {"model": "i6300esb", "action": action})


def _console(devices: dict[str, t.Any], context: Context) -> list[ET.Element]:
    wanted = devices.get("autoattachSerialConsole", True if context.complete else None)
    port = {"type": "serial", "port": 0}
    log = _console_log(devices, context)
    if wanted is None:
        return [] if log is None else [el("serial", None, log)]
    if not wanted:
        return [absent("serial"), absent("console")]
    return [
        el("serial", {"type": "pty"}, log),
        el("console", {"type": "pty"}, el("target", port)),
    ]


def _console_log(devices: dict[str, t.Any], context: Context) -> ET.Element | None:
    """The log that virtlogd keeps (and rotates) of the console; KubeVirt has one unless logSerialConsole is false."""
    wanted = devices.get("logSerialConsole", True if context.complete else None)
    if not wanted:
        return None if wanted is None else absent("log")
    return el("log", {"file": f"/var/log/libvirt/qemu/{context.domain_name}-console.log", "append": "on"})


def _agent(context: Context) -> ET.Element | None:
    if not context.complete:
        return None
    return el("channel", {"type": "unix"}, el("target", {"type": "virtio", "name": "org.qemu.guest_agent.0"}))


def _graphics(devices: dict[str, t.Any], context: Context) -> list[ET.Element]:
    wanted = devices.get("autoattachGraphicsDevice", True if context.complete else None)
    if wanted is None:
        return []
    if not wanted:
        return [absent("graphics"), absent("video")]
    if not context.complete:
        return [el("graphics"), el("video")]
    # A password-less screen must not leave the host.
    listen = el("listen", {"type": "address", "address": "127.0.0.1"})
    video = el("model", {"type": "virtio" if context.arch == "aarch64" else "vga"})
    return [el("graphics", {"type": "vnc", "autoport": "yes"}, listen), el("video", None, video)]


def _balloon(devices: dict[str, t.Any], context: Context) -> ET.Element | None:
    wanted = devices.get("autoattachMemBalloon", True if context.complete else None)
    return None if wanted is None else el("memballoon", {"model": "virtio" if wanted else "none"})


def _rng(devices: dict[str, t.Any], context: Context) -> ET.Element | None:
    if "rng" not in devices and not context.complete:
        return None
    return el("rng", {"model": "virtio"}, el("backend", {"model": "random"}, "/dev/urandom"))


def _tpm(given: dict[str, t.Any] | None, context: Context) -> ET.Element | None:
    if given is None:
        return None
    if given.get("enabled") is False:
        return absent("tpm")
    persistent = given.get("persistent")
    backend = {
        "type": "emulator",
        "version": "2.0",
        "persistent_state": "yes" if persistent else None,
    }
    # QEMU has the newer interface for x86 alone; KubeVirt asks for it everywhere.
    model = "tpm-crb" if persistent and context.arch == "x86_64" else "tpm-tis"
    return el("tpm", {"model": model}, el("backend", backend))


def _host_device(kind: str, given: dict[str, t.Any]) -> ET.Element:
    if given.get("mdev"):
        attributes = {"mode": "subsystem", "type": "mdev", "model": "vfio-pci"}
        source = el("source", None, el("address", {"uuid": uuid.UUID(given["mdev"])}))
    else:
        # managed: libvirt binds the device to vfio-pci for the guest and gives it back afterwards.
        attributes = {"mode": "subsystem", "type": "pci", "managed": "yes"}
        source = el("source", None, el("address", _pci(given["pci"])))
    return el("hostdev", attributes, source, alias(kind, given["name"]))


def _pci(address: str) -> dict[str, str]:
    match = PCI_ADDRESS.fullmatch(address)
    if match is None:
        raise ValueError(f"{address} is no PCI address")  # admission has refused it before
    domain, bus, slot, function = match.groups()
    return {
        "domain": f"0x{(domain or '0000').lower()}",
        "bus": f"0x{bus.lower()}",
        "slot": f"0x{slot.lower()}",
        "function": f"0x{function}",
    }
