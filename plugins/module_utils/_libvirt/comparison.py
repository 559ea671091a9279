# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A domain beside its declaration: what is to be defined, and what a running or saved guest lacks.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field, replace

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt import domains, drift
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.record import (
    Record,
    changed_seeds,
    read_record,
    write_record,
)
from ansible_collections.rtvirt.core.plugins.module_utils._plan import Change
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.document import declared_domain
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import Context
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at, pod_spec

__all__ = ["Comparison", "Declaration", "compare"]

#: Sections of the XML that libvirt shows otherwise while a guest runs than they were asked for, with the parts of the
#: declaration that they come from.
_EXPANDED = {"clock": ("clock",), "cpu": ("cpu",), "os": ("firmware", "machine")}


@dataclass(frozen=True)
class Declaration:
    """What is declared of a VM.

    :ivar record: what will be remembered of it.
    :ivar complete: the domain that a new VM of this declaration would be.
    :ivar context_of: what an older declaration of the VM was converted with.
    :ivar is_layer: whether an image is a snapshot over another, as the hypervisor has them.
    :ivar any_virt_type: whether the virtualization type is left to what is there.
    """

    document: dict[str, t.Any]
    record: Record
    complete: ET.Element
    context: Context
    context_of: t.Callable[[Record], Context]
    any_virt_type: bool
    is_layer: t.Callable[[str, str], bool]

    def as_xml(self, record: Record | None = None) -> ET.Element:
        """What the declaration, or an older one, says of the domain."""
        older = record is not None and (record.manifest, record.shared_cpus) != (
            self.record.manifest,
            self.record.shared_cpus,
        )
        if record is not None and older:
            declared = declared_domain(record.manifest, self.context_of(record))
            devices = declared.find("devices")
            if devices is not None and devices.find("interface") is not None:
                # No longer declared is back to the default, which is an interface too.
                devices.extend(self.complete.findall("devices/interface"))
        else:
            declared = declared_domain(self.document, self.context)
        if self.any_virt_type:
            declared.attrib.pop("type", None)
        return declared


@dataclass
class Comparison:
    """:ivar definition: the XML to define, None where the persistent definition stays.
    :ivar changes: differences of the persistent definition.
    :ivar pending: differences of the QEMU that runs; what cannot be changed live needs a restart.
    :ivar saved: what a guest that goes on from a saved state will lack.
    """

    definition: ET.Element | None = None
    changes: list[Change] = field(default_factory=list)
    pending: list[Change] = field(default_factory=list)
    saved: list[Change] = field(default_factory=list)


def compare(existing: domains.Domain, declaration: Declaration) -> Comparison:
    """Compare a domain that is there with its declaration."""
    last, now = existing.record, declaration.record
    declared = declaration.as_xml()
    older = declared if last is None else declaration.as_xml(last)
    definition, changes = drift.reconcile(
        existing.definition, complete=declaration.complete, declared=declared, last=older, is_layer=declaration.is_layer
    )
    changes += _seed_changes(last, now)
    # A domain that fits is not written to, not even to be remembered; what was declared must not be forgotten. The same
    # in other words (1Gi for 1024Mi) need not be.
    forgotten = last is not None and (
        replace(last, manifest={}) != replace(now, manifest={})
        or last.manifest.get("metadata") != now.manifest.get("metadata")
        or _capacities(last) != _capacities(now)
        or (older is not declared and ET.tostring(older) != ET.tostring(declared))
    )
    if forgotten and not changes:
        changes.append(Change("metadata", "an older declaration", "this declaration"))
    result = Comparison(changes=changes)
    if changes or not existing.persistent:
        write_record(definition, now)
        result.definition = definition
    result.pending = _lacks(existing.running, existing, declaration, declared, older)
    result.saved = _lacks(existing.saved, existing, declaration, declared, older)
    return result


def _seed_changes(last: Record | None, now: Record) -> list[Change]:
    if last is None:
        return []
    before, after = "older cloud-init data", "the declared cloud-init data"
    return [Change(f"volumes[{name}]", before, after) for name in changed_seeds(last, now)]


def _capacities(record: Record) -> list[t.Any]:
    volumes = pod_spec(record.manifest).get("volumes") or []
    return [mapping_at(volume, kind).get("capacity") for volume in volumes for kind in ("hostDisk", "emptyDisk")]


def _lacks(
    guest: ET.Element | None,
    existing: domains.Domain,
    declaration: Declaration,
    declared: ET.Element,
    older: ET.Element,
) -> list[Change]:
    """Differences of a guest in its running or saved form."""
    if guest is None:
        return []
    # It may have what was declared when it was started, and what it was given since.
    started = read_record(guest)
    _merged, changes = drift.reconcile(
        _as_asked(guest, existing.definition, declaration, started),
        complete=declaration.complete,
        declared=declared,
        last=older,
        started=None if started is None else declaration.as_xml(started),
        is_layer=declaration.is_layer,
    )
    return changes + _seed_changes(started, declaration.record)


def _as_asked(
    guest: ET.Element, definition: ET.Element, declaration: Declaration, started: Record | None
) -> ET.Element:
    """A guest's XML with its CPU, firmware and clock as they were asked for, where libvirt has expanded them, and
    without a quota that was taken away.

    A running guest shows host-model as the model and features that it came to, firmware as the files that were chosen
    and the clock as the guest has set it. What is declared is in force if the guest was started with the same
    declaration of it; without a record, what is defined is taken to be.
    """
    result = ET.Element(guest.tag, guest.attrib)
    for child in guest:
        asked = None
        if child.tag in _EXPANDED:
            parts = _EXPANDED[child.tag]
            if started is None:
                asked = definition.find(child.tag)
            elif _parts(started.manifest, parts) == _parts(declaration.document, parts):
                asked = declaration.complete.find(child.tag)
        result.append(child if asked is None else asked)
    return _without_lifted_quota(result)


def _without_lifted_quota(guest: ET.Element) -> ET.Element:
    """libvirt shows a quota that a running guest no longer has as -1, and the period that it was counted over."""
    tune = guest.find("cputune")
    if tune is not None and tune.findtext("global_quota") == "-1":
        result = ET.Element(tune.tag)
        result.extend(part for part in tune if part.tag not in ("global_period", "global_quota"))
        guest[list(guest).index(tune)] = result
    return guest


def _parts(document: t.Mapping[str, t.Any], names: tuple[str, ...]) -> list[t.Any]:
    domain = mapping_at(pod_spec(document), "domain")
    return [domain.get(name) for name in names]
