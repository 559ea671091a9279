# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for domains by libvirt's own events.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import contextlib
import ipaddress
import time
import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils._errors import WaitError
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.connection import doing

try:
    import libvirt
except ImportError:  # connection.py tells
    pass

__all__ = [
    "AGENT_CHANNEL",
    "addresses",
    "agent_answers",
    "has_address",
    "has_agent_channel",
    "wait_until",
    "watching",
]

#: Name of the channel that QEMU's guest agent answers by.
AGENT_CHANNEL = "org.qemu.guest_agent.0"

#: How often conditions without an event of their own (an address) are looked at, in milliseconds.
_TICK = 500


@contextlib.contextmanager
def watching(connection: t.Any) -> t.Iterator[None]:
    """Have every change of a domain's life and agent end the current turn of the event loop."""
    ids = (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE)
    with doing("watch domains"):
        callbacks = [connection.domainEventRegisterAny(None, number, lambda *_event: None, None) for number in ids]
    try:
        yield
    finally:
        with contextlib.suppress(libvirt.libvirtError):
            for callback in callbacks:
                connection.domainEventDeregisterAny(callback)


def wait_until(
    done: t.Callable[[], bool],
    *,
    timeout: float,
    failed: t.Callable[[], str | None] = lambda: None,
) -> bool:
    """Turn the event loop until a condition holds; whether it did within ``timeout`` seconds.

    :arg failed: says why the condition cannot come any more, None while it can.
    :raises WaitError: as soon as it cannot.
    """
    deadline = time.monotonic() + timeout
    timer = libvirt.virEventAddTimeout(_TICK, lambda *_timer: None, None)
    try:
        with doing("wait"):
            while not done():
                reason = failed()
                if reason:
                    raise WaitError(reason)
                if time.monotonic() >= deadline:
                    return False
                libvirt.virEventRunDefaultImpl()
        return True
    finally:
        libvirt.virEventRemoveTimeout(timer)


def has_agent_channel(handle: t.Any) -> bool:
    return _agent_target(handle) is not None


def agent_answers(handle: t.Any) -> bool:
    """Whether the guest's agent is connected, by libvirt's own record of its channel."""
    target = _agent_target(handle)
    return target is not None and target.get("state") == "connected"


def _agent_target(handle: t.Any) -> ET.Element | None:
    return ET.fromstring(handle.XMLDesc(0)).find(f"devices/channel/target[@name='{AGENT_CHANNEL}']")


def has_address(handle: t.Any) -> bool:
    """Whether the guest has an address that others can reach it by: not one of its link or loopback alone."""
    found = [ipaddress.ip_address(address) for address in addresses(handle)]
    return any(not address.is_link_local and not address.is_loopback for address in found)


def addresses(handle: t.Any) -> list[str]:
    """IP addresses of a running guest: from its agent, the networks' leases, and the host's ARP table."""
    found: list[str] = []
    sources = [libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE, libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP]
    if agent_answers(handle):
        sources.insert(0, libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT)
    for source in sources:
        with contextlib.suppress(libvirt.libvirtError):
            for name, interface in handle.interfaceAddresses(source).items():
                if name != "lo":
                    found += [address["addr"] for address in interface.get("addrs") or []]
    return list(dict.fromkeys(found))
