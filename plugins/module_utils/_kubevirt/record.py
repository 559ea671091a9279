# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What we remember of a VM in annotations: the declaration as last applied, secrets as hashes; a deletion for a term.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._vm import secrets
from ansible_collections.rtvirt.core.plugins.module_utils._vm.deletion import Deletion
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import copied

__all__ = ["DELETION", "LAST_APPLIED", "declared_part", "read_deletion", "read_record", "with_record", "written"]

LAST_APPLIED = "rtvirt.core/last-applied"
DELETION = "rtvirt.core/deletion"


def declared_part(document: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What of a VirtualMachine a declaration is about: its labels, annotations and spec."""
    metadata = {key: dict(mapping_at(document, "metadata", key)) for key in ("labels", "annotations")}
    for own in (LAST_APPLIED, DELETION):
        metadata["annotations"].pop(own, None)
    part = {"metadata": {key: value for key, value in metadata.items() if value}, "spec": document.get("spec") or {}}
    result: dict[str, t.Any] = copied({key: value for key, value in part.items() if value})
    return result


def read_record(live: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
    """The declared part as last applied; None for a VM that we have not written, or whose record is spoilt."""
    try:
        record = json.loads(mapping_at(live, "metadata", "annotations").get(LAST_APPLIED) or "null")
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def read_deletion(live: t.Mapping[str, t.Any] | None) -> Deletion | None:
    """Where the VM is deleted for a term; None for a mark that is spoilt, so that nothing is reclaimed by it."""
    text = str(mapping_at(live, "metadata", "annotations").get(DELETION) or "")
    deleted, _slash, term = text.partition("/")
    return Deletion(int(deleted), int(term)) if deleted.isdecimal() and term.isdecimal() else None


def written(deletion: Deletion) -> str:
    """Seconds since 1970 and of the term, ``1764476400/604800``."""
    return f"{deletion.deleted}/{deletion.term}"


def with_record(document: t.Mapping[str, t.Any], declared: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A document with the record of what is declared of it."""
    record = json.dumps(secrets.redacted(declared), sort_keys=True, separators=(",", ":"))
    metadata = mapping_at(document, "metadata")
    annotations = {**mapping_at(metadata, "annotations"), LAST_APPLIED: record}
    return {**document, "metadata": {**metadata, "annotations": annotations}}
