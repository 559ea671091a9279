# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks as libvirt has them.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.connection import doing, those_present
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
        handles = connection.listAllNetworks()
    return {network.name: network for network in those_present(handles, observe)}


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
    with doing("look for guests on the network"):
        handles = connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
    return sorted(
        guest.findtext("name", "")
        for guest in those_present(handles, _running_xml)
        if _is_attached(guest, network.name, bridge)
    )


def _is_attached(guest: ET.Element, network: str, bridge: str) -> bool:
    sources = guest.findall("devices/interface/source")
    return any(source.get("network") == network or source.get("bridge") == bridge for source in sources)


def _running_xml(domain: t.Any) -> ET.Element:
    with doing(f"read {domain.name()}"):
        return ET.fromstring(domain.XMLDesc(0))
