# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mark of a domain that is deleted for a term, in its <metadata>.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

It stands beside the record, as a domain that we have not made has none, and is written without a new definition.
"""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.connection import doing
from ansible_collections.rtvirt.core.plugins.module_utils._vm.deletion import Deletion

try:
    import libvirt
except ImportError:  # connection.py tells
    pass

__all__ = ["Mark", "erase_mark", "read_mark", "write_mark"]

_NAMESPACE = "https://rtvirt.dev/libvirt/deletion/1"
_PREFIX = "rtvirt-deletion"


@dataclass(frozen=True)
class Mark(Deletion):
    """:ivar autostart: whether the domain started with its host before."""

    autostart: bool


def read_mark(domain: ET.Element) -> Mark | None:
    """The mark in a domain's XML; None without one, or where it is spoilt: then the VM counts as not deleted."""
    element = domain.find(f"metadata/{{{_NAMESPACE}}}deletion")
    if element is None:
        return None
    try:
        return Mark(int(element.get("deleted", "")), int(element.get("term", "")), element.get("autostart") == "yes")
    except ValueError:
        return None


def write_mark(handle: t.Any, mark: Mark) -> None:
    """Mark a persistent domain, and have it not start with its host."""
    autostart = "yes" if mark.autostart else "no"
    element = f"<deletion deleted='{mark.deleted}' term='{mark.term}' autostart='{autostart}'/>"
    with doing(f"mark {handle.name()} as deleted"):
        _set(handle, element)
        if handle.autostart():
            handle.setAutostart(0)


def erase_mark(handle: t.Any) -> None:
    with doing(f"bring {handle.name()} back"):
        _set(handle, None)


def _set(handle: t.Any, element: str | None) -> None:
    flags = libvirt.VIR_DOMAIN_AFFECT_CONFIG
    handle.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, element, _PREFIX, _NAMESPACE, flags)
