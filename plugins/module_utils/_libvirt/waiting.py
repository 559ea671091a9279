# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for domains by libvirt's own events.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import contextlib
import time
import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils._errors import WaitError
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.connection import doing

try:
    import libvirt
except ImportError:  # connection.py tells
    pass

__all__ = ["addresses", "agent_answers", "wait_until", "watching"]

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


def agent_answers(handle: t.Any) -> bool:
    """Whether the guest's agent is connected, by libvirt's own record of its channel."""
    target = "devices/channel/target[@name='org.qemu.guest_agent.0'][@state='connected']"
    return ET.fromstring(handle.XMLDesc(0)).find(target) is not None


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
