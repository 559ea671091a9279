# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network interfaces with the networks behind them."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import (
    ABSENT,
    Context,
    alias,
    el,
)

__all__ = ["interface_elements"]

#: QEMU's own limit of queue pairs of a virtio-net device, KubeVirt's cap as well.
_MAX_QUEUES = 256


def interface_elements(spec: dict[str, t.Any], context: Context) -> list[ET.Element | None]:
    devices = spec["domain"].get("devices") or {}
    networks = {network["name"]: network for network in spec.get("networks") or []}
    multiqueue = devices.get("networkInterfaceMultiqueue")
    return [
        _interface(interface, networks.get(interface["name"], {}), multiqueue, context)
        for interface in devices.get("interfaces") or []
    ]


def _interface(
    interface: dict[str, t.Any], network: dict[str, t.Any], multiqueue: bool | None, context: Context
) -> ET.Element:
    kind, source = _source(network.get("libvirt"))
    model = interface.get("model")
    mac = interface.get("macAddress")
    # Queues are the kernel's tap queues, or the switch's: user-mode networking has none.
    able = kind != "user" and model in (None, "virtio")
    queues = None if multiqueue is None or not able else min(context.vcpus, _MAX_QUEUES) if multiqueue else 1
    state = interface.get("state")
    return el(
        "interface",
        {"type": kind},
        None if mac is None else el("mac", {"address": _colons(mac)}),
        source,
        None if model is None else el("model", {"type": model}),
        _driver(interface.get("vhostuser") or {}, queues),
        None if state is None else el("link", {"state": state}),
        None if interface.get("bootOrder") is None else el("boot", {"order": interface["bootOrder"]}),
        alias("net", interface["name"]),
    )


def _driver(vhostuser: dict[str, t.Any], queues: int | None) -> ET.Element | None:
    queues = vhostuser.get("queues", queues)
    mergeable = vhostuser.get("mrgRxbuf")
    attributes = {
        # A single one is what libvirt leaves out.
        "queues": ABSENT if queues == 1 else queues,
        "rx_queue_size": vhostuser.get("rxQueueSize"),
        "tx_queue_size": vhostuser.get("txQueueSize"),
    }
    host = None if mergeable is None else el("host", {"mrg_rxbuf": "on" if mergeable else "off"})
    driver = el("driver", attributes, host)
    return driver if driver.attrib or len(driver) else None


def _source(libvirt: dict[str, t.Any] | None) -> tuple[str, ET.Element | None]:
    """Type and source of an interface; without a host network it is QEMU's user-mode network (KubeVirt: pod)."""
    if not libvirt:
        return "user", None
    if libvirt.get("network"):
        return "network", el("source", {key: libvirt.get(key) for key in ("network", "portgroup")})
    if libvirt.get("bridge"):
        return "bridge", el("source", {"bridge": libvirt["bridge"]})
    if libvirt.get("vhostuser"):
        # QEMU is the server: its guest goes on when the switch is started anew, which connects again.
        return "vhostuser", el("source", {"type": "unix", "path": libvirt["vhostuser"]["socket"], "mode": "server"})
    macvtap = libvirt["macvtap"]
    return "direct", el("source", {"dev": macvtap["device"], "mode": macvtap.get("mode", "bridge")})


def _colons(mac: str) -> str:
    return mac.replace("-", ":").lower()
