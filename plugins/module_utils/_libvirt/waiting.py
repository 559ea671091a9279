# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for domains by libvirt's own events.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import contextlib
import ipaddress
import threading
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
    "Watch",
    "addresses",
    "agent_answers",
    "agent_is_connected",
    "has_address",
    "has_agent_channel",
    "watching",
]

#: Name of the channel that QEMU's guest agent answers by.
AGENT_CHANNEL = "org.qemu.guest_agent.0"

#: How often conditions without an event of their own (an address) are looked at, in seconds.
_TICK = 0.5


class Watch:
    """Waits for conditions, looked at whenever a domain's life or agent changes."""

    def __init__(self) -> None:
        self._changed = threading.Event()

    def note(self, *_event: object) -> None:
        """libvirt's callback."""
        self._changed.set()

    def until(
        self, done: t.Callable[[], bool], *, timeout: float, failed: t.Callable[[], str | None] = lambda: None
    ) -> bool:
        """Wait until a condition holds; whether it did within ``timeout`` seconds.

        :arg failed: says why the condition cannot come any more, None while it can.
        :raises WaitError: as soon as it cannot.
        """
        deadline = time.monotonic() + timeout
        with doing("wait"):
            while not done():
                reason = failed()
                if reason:
                    raise WaitError(reason)
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(_TICK, left))
                self._changed.clear()
        return True


@contextlib.contextmanager
def watching(connection: t.Any) -> t.Iterator[Watch]:
    watch = Watch()
    ids = (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE)
    with doing("watch domains"):
        callbacks = [connection.domainEventRegisterAny(None, number, watch.note, None) for number in ids]
    try:
        yield watch
    finally:
        with contextlib.suppress(libvirt.libvirtError):
            for callback in callbacks:
                connection.domainEventDeregisterAny(callback)


def has_agent_channel(handle: t.Any) -> bool:
    return _agent_target(handle) is not None


def agent_answers(handle: t.Any) -> bool:
    """Whether the guest's agent does what it is told: a program that only holds its channel open does not."""
    if not agent_is_connected(handle):
        return False
    try:
        handle.getTime()
    except libvirt.libvirtError as error:
        return bool(error.get_error_code() != libvirt.VIR_ERR_AGENT_UNRESPONSIVE)
    return True


def agent_is_connected(handle: t.Any) -> bool:
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
    if agent_is_connected(handle):
        sources.insert(0, libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT)
    for source in sources:
        with contextlib.suppress(libvirt.libvirtError):
            for name, interface in handle.interfaceAddresses(source).items():
                if name != "lo":
                    found += [address["addr"] for address in interface.get("addrs") or []]
    return list(dict.fromkeys(found))
