# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks as libvirt has them.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.connection import doing
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.network.definition import own_bridge

try:
    import libvirt
except ImportError:  # connection.py tells
    pass

__all__ = ["Network", "attached_guests", "observe", "observe_all"]


@dataclass(frozen=True)
class Network:
    """One network as it was read.

    :ivar handle: libvirt's own object.
    :ivar definition: its persistent XML, what the next start takes.
    :ivar running: the XML that it was started with and that was changed since, None where it is not active.
    """

    handle: t.Any
    name: str
    uuid: str
    persistent: bool
    autostart: bool
    definition: ET.Element
    running: ET.Element | None

    @property
    def active(self) -> bool:
        return self.running is not None


def observe_all(connection: t.Any) -> dict[str, Network]:
    with doing("list networks"):
        return {handle.name(): observe(handle) for handle in connection.listAllNetworks()}


def observe(handle: t.Any) -> Network:
    with doing(f"read the network {handle.name()}"):
        persistent = bool(handle.isPersistent())
        return Network(
            handle=handle,
            name=handle.name(),
            uuid=handle.UUIDString(),
            persistent=persistent,
            autostart=bool(handle.autostart()) if persistent else False,
            definition=ET.fromstring(handle.XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE)),
            running=ET.fromstring(handle.XMLDesc(0)) if handle.isActive() else None,
        )


def attached_guests(connection: t.Any, network: Network) -> list[str]:
    """The running guests that lose their link with a network: none where its bridge is the host's own."""
    bridge = None if network.running is None else own_bridge(network.running)
    if bridge is None:
        return []
    guests = []
    with doing("look for guests on the network"):
        for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
            sources = ET.fromstring(domain.XMLDesc(0)).findall("devices/interface/source")
            if any(source.get("network") == network.name or source.get("bridge") == bridge for source in sources):
                guests.append(domain.name())
    return sorted(guests)
