# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What we remember of a VM in its domain's <metadata>: the last declaration and the files that we made.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import json
import typing as t
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._vm import secrets
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at, pod_spec

__all__ = ["NAMESPACE", "Record", "changed_seeds", "read_record", "write_record"]

NAMESPACE = "https://rtvirt.dev/libvirt/vm/1"
_TAG = f"{{{NAMESPACE}}}vm"
ET.register_namespace("rtvirt", NAMESPACE)


@dataclass(frozen=True)
class Record:
    """:ivar manifest: the declaration as last applied, secrets as hashes.
    :ivar created: paths of the disks that were created for the VM, sorted.
    :ivar seeds: paths of its cloud-init images, sorted; they hold nothing but the declaration.
    :ivar shared_cpus: host CPUs that its floating vCPUs were confined to, None for none.
    """

    manifest: dict[str, t.Any]
    created: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    shared_cpus: str | None = None


def changed_seeds(before: Record, after: Record) -> list[str]:
    """Names of the cloud-init volumes whose data differs between two records, and of new ones."""
    last, now = (secrets.cloud_init_sources(pod_spec(record.manifest)) for record in (before, after))
    return [name for name, source in now.items() if last.get(name) != source]


def read_record(domain: ET.Element) -> Record | None:
    """The record in a domain's XML; None for a domain that we have not written, or whose record is spoilt."""
    element = domain.find(f"metadata/{_TAG}")
    try:
        data = json.loads((element.text if element is not None else None) or "null")
    except ValueError:
        return None
    manifest = mapping_at(data, "manifest")
    if not isinstance(mapping_at(manifest, "metadata").get("name"), str):
        return None
    return Record(
        manifest=manifest,
        created=_paths(data.get("created")),
        seeds=_paths(data.get("seeds")),
        shared_cpus=data.get("shared_cpus"),
    )


def write_record(domain: ET.Element, record: Record) -> None:
    """Put the record into a domain's XML, in place; others' metadata stays."""
    metadata = domain.find("metadata")
    if metadata is None:
        metadata = ET.SubElement(domain, "metadata")
    for element in metadata.findall(_TAG):
        metadata.remove(element)
    element = ET.SubElement(metadata, _TAG)
    element.text = json.dumps(asdict(record), sort_keys=True)


def _paths(value: t.Any) -> tuple[str, ...]:
    return tuple(path for path in value if isinstance(path, str)) if isinstance(value, list) else ()
