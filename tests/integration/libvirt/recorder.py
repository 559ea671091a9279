# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every call to libvirt that this process makes, to show that a run makes none that writes."""

from __future__ import annotations

import contextlib
import functools
import os
import typing as t
from pathlib import Path

import libvirt

#: Calls that change nothing.
READS = {
    "ID", "UUIDString", "XMLDesc", "autostart", "close", "domainEventDeregisterAny", "domainEventRegisterAny",
    "getCPUMap", "getCapabilities", "getFreePages", "getLibVersion", "hasManagedSaveImage", "interfaceAddresses",
    "isActive", "isAlive", "isPersistent", "listAllDomains", "listAllNetworks", "lookupByName", "name", "state",
}  # fmt: skip


@contextlib.contextmanager
def writes() -> t.Iterator[list[str]]:
    """The names of the calls made meanwhile that may write."""
    seen: list[str] = []
    patched: list[tuple[type, str, t.Any]] = []
    for kind in (libvirt.virConnect, libvirt.virDomain):
        for name, method in vars(kind).items():
            if not name.startswith("_") and callable(method) and name not in READS:
                patched.append((kind, name, method))
    for kind, name, method in patched:
        setattr(kind, name, _recorded(seen, name, method))
    try:
        yield seen
    finally:
        for kind, name, method in patched:
            setattr(kind, name, method)


def _recorded(seen: list[str], name: str, method: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    @functools.wraps(method)
    def call(*arguments: t.Any, **named: t.Any) -> t.Any:
        seen.append(name)
        return method(*arguments, **named)

    return call


def stamps(*places: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of change of every file: a file written anew has another of either."""
    found: dict[str, tuple[int, int]] = {}
    for place in places:
        for path in [place, *place.rglob("*")] if place.is_dir() else [place]:
            status = os.stat(path)
            found[str(path)] = (status.st_ino, status.st_ctime_ns)
    return found
