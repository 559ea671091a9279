# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three-way comparison of a domain with its declaration, on libvirt's own XML.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Four documents meet: the domain as libvirt has it, what is declared now, what was declared last time, and the complete
document that a new domain would get. Only what is or was declared is looked at. It is brought to the complete
document's value, or taken away where that has none; everything else (libvirt's addresses, a user's own devices) stays.
"""

from __future__ import annotations

import copy
import re
import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt import coherence, identity
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.domains import hide_passwords
from ansible_collections.rtvirt.core.plugins.module_utils._plan import Change
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import ABSENT, rules_out

__all__ = ["reconcile"]


#: Elements that only mean something together: any difference replaces all of them.
_GROUPS = ("page", "vcpusched")

#: Elements that are nothing by themselves: they are looked at part by part, and gone when nothing is left of them.
_SECTIONS = ("cputune", "devices", "features", "memoryBacking", "memtune", "numatune")

#: Attributes nobody declares that contradict the text or attributes beside them, but for the value given here.
_CONTRADICTING: dict[str, dict[str, str | None]] = {
    "vcpu": {"current": None},
    "topology": {"clusters": "1", "dies": "1"},
}

#: The element that no domain can be without and that has no default: no longer declared, it stays as it is.
_ESSENTIAL = ("memory",)

_MACHINE_VERSION = {
    "pc": re.compile(r"^pc-(?!q35)"),
    "q35": re.compile(r"^pc-q35-"),
    "virt": re.compile(r"^virt-"),
    "s390-ccw-virtio": re.compile(r"^s390-ccw-virtio-"),
}


def reconcile(
    domain: ET.Element,
    *,
    complete: ET.Element,
    declared: ET.Element,
    last: ET.Element | None = None,
    started: ET.Element | None = None,
    is_layer: t.Callable[[str, str], bool] = lambda path, base: False,
) -> tuple[ET.Element, list[Change]]:
    """The domain with its declaration enforced, as a new tree, and every difference that this took.

    :arg last: what was declared the last time.
    :arg started: what was declared when the guest was started, for one that runs.
    :arg is_layer: whether an image file is a layer (a snapshot) over another.
    """
    merged = copy.deepcopy(domain)
    changes: list[Change] = []
    owners = [one for one in (declared, last, started) if one is not None]
    _merge(merged, _with_layers(complete, domain, is_layer), owners, (), changes)
    coherence.keep_coherent(merged, {change.path for change in changes})
    for name in _SECTIONS:
        section = merged.find(name)
        if section is not None and not len(section):
            merged.remove(section)
    return merged, changes


def _merge(
    live: ET.Element, complete: ET.Element, owners: list[ET.Element], path: tuple[str, ...], changes: list[Change]
) -> None:
    _merge_attributes(live, complete, owners, path, changes)
    if any((owner.text or "").strip() for owner in owners):
        before, after = (live.text or "").strip(), (complete.text or "").strip()
        if before != after:
            live.text = after
            changes.append(Change("/".join(path), before, after))
    for name, neutral in _CONTRADICTING.get(live.tag, {}).items():
        if live.get(name, neutral) != neutral:
            changes.append(Change("/".join([*path, f"@{name}"]), live.attrib.pop(name), neutral))
    for tag in _GROUPS:
        _merge_group(live, complete, owners, tag, path, changes)
    done: list[ET.Element] = []
    for wanted in _owned_children(owners):
        if wanted.tag not in _GROUPS and wanted.tag != "alias":
            _merge_child(live, complete, owners, wanted, path, changes, done)


def _merge_attributes(
    live: ET.Element, complete: ET.Element, owners: list[ET.Element], path: tuple[str, ...], changes: list[Change]
) -> None:
    for name in dict.fromkeys(name for owner in owners for name in owner.attrib if name != ABSENT):
        before, after = live.get(name), complete.get(name)
        if before == after or _is_filled_in(live, complete, name, before, after):
            continue
        if after is None:
            del live.attrib[name]
        else:
            live.set(name, after)
        changes.append(Change("/".join([*path, f"@{name}"]), before, after))


def _is_filled_in(live: ET.Element, complete: ET.Element, name: str, before: str | None, after: str | None) -> bool:
    """Whether libvirt's value is one that the declared value stands for."""
    if live.tag == "type" and name == "machine":
        # A family keeps the version the VM was made with: a newer QEMU must not change the guest's hardware.
        version = _MACHINE_VERSION.get(after or "")
        return version is not None and version.match(before or "") is not None
    if live.tag == "target" and name == "dev":
        return before is not None and live.get("bus") == complete.get("bus")
    return False


def _owned_children(owners: list[ET.Element]) -> list[ET.Element]:
    """Each child that is or was declared, once; the later declaration's first."""
    children: dict[tuple[str | None, ...], ET.Element] = {}
    for owner in owners:
        for child in owner:
            children.setdefault(identity.identity(child), child)
    return list(children.values())


def _merge_child(
    live: ET.Element,
    complete: ET.Element,
    owners: list[ET.Element],
    wanted: ET.Element,
    path: tuple[str, ...],
    changes: list[Change],
    done: list[ET.Element],
) -> None:
    """Merge one child; ``done`` are the live ones that are another declared thing already."""
    target, current = identity.find(complete, wanted), identity.find(live, wanted, done)
    where = (*path, identity.step_of(wanted))
    if where == _ESSENTIAL and identity.find(owners[0], wanted) is None:
        return
    if wanted.tag in _SECTIONS:
        target = ET.Element(wanted.tag) if target is None else target
        current = ET.SubElement(live, wanted.tag) if current is None else current
    elif current is None and target is not None:
        current = _renamed(live, complete, target, where, changes)
    elif target is None and current is not None and rules_out(wanted):
        # One attribute is; what others have beside it stays.
        target = ET.Element(wanted.tag)
    if target is None:
        # What is ruled out is all of its kind.
        only = [] if current is None else [current]
        for element in live.findall(wanted.tag) if wanted.get(ABSENT) else only:
            live.remove(element)
            changes.append(Change("/".join(where), _text(element), None))
    elif current is None:
        live.append(copy.deepcopy(target))
        changes.append(Change("/".join(where), None, _text(target)))
    else:
        done.append(current)
        deeper = [child for child in (identity.find(owner, wanted) for owner in owners) if child is not None]
        _merge(current, target, deeper, where, changes)


def _renamed(
    live: ET.Element, complete: ET.Element, target: ET.Element, path: tuple[str, ...], changes: list[Change]
) -> ET.Element | None:
    """The device that has another of our names, one no longer declared, and the same thing behind it."""
    source = identity.behind(target) if target.tag in ("disk", "filesystem", "hostdev") else ()
    for device in live.findall(target.tag):
        alias, wanted = device.find("alias"), target.find("alias")
        if alias is None or wanted is None or not source or identity.behind(device) != source:
            continue
        if identity.find(complete, device) is None or identity.find(complete, device) is target:
            changes.append(Change("/".join([*path, "alias/@name"]), alias.get("name"), wanted.get("name")))
            alias.set("name", wanted.get("name", ""))
            return device
    return None


def _with_layers(complete: ET.Element, domain: ET.Element, is_layer: t.Callable[[str, str], bool]) -> ET.Element:
    """The complete document with the files that disks came to by snapshots: going back would lose what is in them."""
    result = complete
    for index, disk in enumerate(complete.findall("devices/disk")):
        current = identity.find(_section(domain, "devices"), disk)
        files = [None if one is None else _file(one) for one in (current, disk)]
        if current is None or None in files or files[0] == files[1] or not is_layer(str(files[0]), str(files[1])):
            continue
        result = copy.deepcopy(result) if result is complete else result
        layered = result.findall("devices/disk")[index]
        for part, name in (("source", "file"), ("driver", "type")):
            ours, theirs = layered.find(part), current.find(part)
            if ours is not None and theirs is not None:
                ours.set(name, theirs.get(name, ""))
    return result


def _file(disk: ET.Element) -> str | None:
    source = disk.find("source")
    return None if source is None else source.get("file")


def _section(domain: ET.Element, tag: str) -> ET.Element:
    found = domain.find(tag)
    return ET.Element(tag) if found is None else found


def _merge_group(
    live: ET.Element,
    complete: ET.Element,
    owners: list[ET.Element],
    tag: str,
    path: tuple[str, ...],
    changes: list[Change],
) -> None:
    if not any(owner.find(tag) is not None for owner in owners):
        return
    before, after = live.findall(tag), complete.findall(tag)
    if [element.attrib for element in before] == [element.attrib for element in after]:
        return
    for element in before:
        live.remove(element)
    live.extend(copy.deepcopy(element) for element in after)
    texts = ["".join(_text(element) for element in group) or None for group in (before, after)]
    changes.append(Change("/".join([*path, tag]), *texts))


def _text(element: ET.Element) -> str:
    clone = copy.deepcopy(element)
    hide_passwords(clone)
    clone.tail = None
    for child in clone.iter():
        child.tail = None
        child.text = (child.text or "").strip() or None
    return ET.tostring(clone, encoding="unicode")
