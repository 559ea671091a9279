# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What we remember of a VM in its domain's <metadata>: the last declaration and the files that we made.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import copy
import hashlib
import json
import typing as t
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass

__all__ = ["NAMESPACE", "Record", "read_record", "redacted", "write_record"]

NAMESPACE = "https://rtvirt.dev/libvirt/vm/1"
_TAG = f"{{{NAMESPACE}}}vm"
ET.register_namespace("rtvirt", NAMESPACE)

#: Fields of a cloud-init volume that may hold secrets.
_SECRETS = ("userData", "userDataBase64", "networkData", "networkDataBase64")


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


def redacted(document: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A manifest with secrets as hashes: enough to see that one changed."""
    result = copy.deepcopy(dict(document))
    spec = ((result.get("spec") or {}).get("template") or {}).get("spec") or {}
    for volume in spec.get("volumes") or []:
        source = volume.get("cloudInitNoCloud") or {}
        for key in _SECRETS:
            if source.get(key) is not None:
                source[key] = "sha256:" + hashlib.sha256(source[key].encode()).hexdigest()
    return result


def read_record(domain: ET.Element) -> Record | None:
    """The record in a domain's XML, None for a domain that we have not written."""
    element = domain.find(f"metadata/{_TAG}")
    if element is None or not element.text:
        return None
    data = json.loads(element.text)
    return Record(
        manifest=data["manifest"],
        created=tuple(data.get("created", ())),
        seeds=tuple(data.get("seeds", ())),
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
