# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has changed a field, by the API server's bookkeeping (metadata.managedFields). Pure.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import MANAGER
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path

__all__ = ["manager_of"]


def manager_of(live: t.Mapping[str, t.Any], place: Path) -> dict[str, t.Any]:
    """``manager`` and ``time`` of the last change of a field by another than us; None of both where it is not known.

    The server counts a list of disks as one field: whoever has changed an item is its manager.
    """
    others = [
        entry
        for entry in mapping_at(live, "metadata").get("managedFields") or []
        if entry.get("manager") != MANAGER and entry.get("fieldsV1") and _has(entry["fieldsV1"], place)
    ]
    last: dict[str, t.Any] = max(others, key=lambda entry: str(entry.get("time")), default={})
    return {"manager": last.get("manager"), "time": last.get("time")}


def _has(fields: t.Any, place: Path) -> bool:
    """Whether a set of fields has a place; a field without parts of its own stands for all below it."""
    for step in place:
        if not fields:
            return True
        fields = fields.get(f"f:{step}") if isinstance(fields, dict) else None
        if fields is None:
            return False
    return True
