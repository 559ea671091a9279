# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""XML elements written as plain calls, and what the parts of the converter share."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from ansible_collections.rtvirt.core.plugins.module_utils.converters.placement import Placement

__all__ = [
    "ABSENT",
    "Context",
    "absent",
    "alias",
    "container",
    "device_name",
    "el",
    "kib",
    "rules_out",
    "strip_absent",
    "switched",
    "yes_no",
]

#: Attribute of an element that stands for "this must not be there": the declaration rules it out. Also the value of an
#: attribute that is ruled out.
ABSENT = "rtvirt-absent"

Child = t.Union[ET.Element, str, None]


@dataclass(frozen=True)
class Context:
    """What the conversion of one VM depends on beside its manifest.

    :ivar domain_name: libvirt's name of the domain; names of files that belong to it start with it.
    :ivar complete: whether to add what a new domain needs although nobody declared it.
    :ivar vcpus: vCPUs of the guest, for whatever has one queue or pin for each.
    :ivar shared_cpus: host CPUs that floating vCPUs are confined to, in cpulist form; None lets them float anywhere.
    :ivar disk_targets: device names (``vda``) already given to disks, by the disk's name; kept as they are.
    :ivar volume_dir: folder of the files that the VM brings along (emptyDisk, cloud-init).
    """

    domain_name: str
    complete: bool = True
    arch: str = "x86_64"
    virt_type: str = "kvm"
    vcpus: int = 1
    placement: Placement | None = None
    shared_cpus: str | None = None
    disk_targets: t.Mapping[str, str] = field(default_factory=dict)
    volume_dir: str = "/var/lib/libvirt/images"


def el(tag: str, attributes: t.Mapping[str, t.Any] | None = None, *children: Child) -> ET.Element:
    """An element; attributes and children that are None are left out, a string child is the text."""
    element = ET.Element(tag, {key: str(value) for key, value in (attributes or {}).items() if value is not None})
    for child in children:
        if isinstance(child, str):
            element.text = child
        elif child is not None:
            element.append(child)
    return element


def container(tag: str, *children: Child) -> ET.Element | None:
    """An element that is there only if it has a child."""
    element = el(tag, None, *children)
    return element if len(element) else None


def absent(tag: str) -> ET.Element:
    """The mark that elements of a kind are ruled out."""
    return el(tag, {ABSENT: "yes"})


def switched(tag: str, value: t.Any) -> ET.Element | None:
    """An element that is there for true, ruled out for false, and neither for None."""
    return None if value is None else el(tag) if value else absent(tag)


def strip_absent(root: ET.Element) -> ET.Element:
    """Take the marks of what is ruled out out of a tree, in place, and the elements that held nothing else."""
    for child in list(root):
        held = len(child) or rules_out(child)
        strip_absent(child)
        if child.get(ABSENT) or (held and not len(child) and not child.attrib):
            root.remove(child)
    for name in [name for name, value in root.items() if value == ABSENT]:
        del root.attrib[name]
    return root


def rules_out(element: ET.Element) -> bool:
    """Whether an element has a mark that one of its attributes is ruled out."""
    return ABSENT in element.attrib.values()


def alias(kind: str, name: str) -> ET.Element:
    """A device's user alias, by which it is found again. The kind keeps a disk and an interface of one name apart."""
    return el("alias", {"name": f"ua-{kind}-{name}"})


def device_name(element: ET.Element) -> str | None:
    """The declared name of a device, from its user alias; None for a device that is not ours."""
    given = element.find("alias")
    parts = ("" if given is None else given.get("name", "")).split("-", 2)
    return parts[2] if parts[0] == "ua" and len(parts) == 3 else None


def kib(count: int) -> str:
    """Bytes in libvirt's unit of memory, rounded up as libvirt does."""
    return str(-(-count // 1024))


def yes_no(value: t.Any) -> str:
    return "yes" if value else "no"
