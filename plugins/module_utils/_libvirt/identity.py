# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which element of one domain's XML is the same thing as which of another's.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import device_name

__all__ = ["NAMED", "behind", "find", "identity", "step_of"]

#: Attribute that tells siblings of one tag apart.
_KEYS = {
    "cell": "id",
    "controller": "type",
    "feature": "name",
    "iothreadpin": "iothread",
    "memnode": "cellid",
    "timer": "name",
    "vcpupin": "vcpu",
}

#: Devices of which a domain has many: found by their user alias, else by what is behind them.
NAMED = ("disk", "filesystem", "hostdev", "input", "interface")


def find(parent: ET.Element, wanted: ET.Element, others: t.Container[ET.Element] = ()) -> ET.Element | None:
    """The child of ``parent`` that is the same thing as ``wanted``; one of ``others`` only if it has its very name."""
    siblings = parent.findall(wanted.tag)
    for sibling in siblings:
        if identity(sibling) == identity(wanted):
            return sibling
    if wanted.tag not in NAMED:
        return None
    unnamed = [sibling for sibling in siblings if device_name(sibling) is None and sibling not in others]
    for likeness in _likenesses(wanted):
        for sibling in unnamed:
            if likeness in _likenesses(sibling):
                return sibling
    return None


def identity(element: ET.Element) -> tuple[str | None, ...]:
    tag = element.tag
    if tag in NAMED:
        return (tag, device_name(element) or str(id(element)))
    if tag == "controller":
        return (tag, element.get("type"), element.get("index", "0"))
    if tag == "channel":
        target = element.find("target")
        return (tag, None if target is None else target.get("name"))
    return (tag, element.get(_KEYS[tag]) if tag in _KEYS else None)


def _likenesses(element: ET.Element) -> list[tuple[str, ...]]:
    """What a device can be told by that virsh or virt-manager made and that has no alias of ours, the surest first."""
    if element.tag != "interface":
        drive = [("cdrom",)] if element.get("device") == "cdrom" else []
        return [likeness for likeness in [behind(element), *drive] if likeness]
    mac = element.find("mac")
    network = ("network", element.get("type", ""), *_values(_source(element), "network", "bridge", "dev", "path"))
    return [*([] if mac is None else [("mac", mac.get("address", ""))]), network]


def behind(element: ET.Element) -> tuple[str, ...]:
    """What a disk, folder or host device gives the guest; empty for nothing."""
    if element.tag == "hostdev":
        address = element.find("source/address")
        return _values({} if address is None else address.attrib, "uuid", "domain", "bus", "slot", "function")
    return _values(_source(element), "file", "dev", "dir")


def _source(element: ET.Element) -> dict[str, str]:
    source = element.find("source")
    return {} if source is None else source.attrib


def _values(attributes: t.Mapping[str, str], *names: str) -> tuple[str, ...]:
    return tuple(attributes[name] for name in names if name in attributes)


def step_of(element: ET.Element) -> str:
    name = device_name(element) if element.tag in NAMED else next((k for k in identity(element)[1:] if k), None)
    return f"{element.tag}[{name}]" if name else element.tag
