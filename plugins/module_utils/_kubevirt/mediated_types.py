# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The types of mediated devices that KubeVirt makes on nodes. Pure.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

One item says of the nodes that a selector means which types their cards are to make; the item without a selector of all
others (KubeVirt, ``MediatedDevicesConfiguration``).
"""

from __future__ import annotations

import typing as t

__all__ = ["NodeTypes", "read_types", "with_types", "without_types", "written"]

_TYPES = "mediatedDeviceTypes"
_NODES = "nodeMediatedDeviceTypes"
#: What both were called before KubeVirt 0.59, and may still be.
_DEPRECATED = "mediatedDevicesTypes"


class NodeTypes(t.TypedDict):
    """Types of some nodes, in KubeVirt's words; of all others where the selector is empty."""

    nodeSelector: t.Mapping[str, str]
    mediatedDeviceTypes: t.Sequence[str]


def read_types(resource: t.Mapping[str, t.Any]) -> list[NodeTypes]:
    """The types of a resource's ``mediatedDevicesConfiguration``."""
    found = [
        NodeTypes(
            nodeSelector=one.get("nodeSelector") or {},
            mediatedDeviceTypes=one.get(_TYPES) or one.get(_DEPRECATED) or [],
        )
        for one in (resource, *(resource.get(_NODES) or []))
    ]
    return [one for one in found if one["nodeSelector"] or one["mediatedDeviceTypes"]]


def with_types(now: t.Sequence[NodeTypes], declared: t.Iterable[NodeTypes]) -> list[NodeTypes]:
    """Items for the same nodes stay in their places."""
    result = list(now)
    for one in declared:
        place = next((index for index, other in enumerate(result) if _same_nodes(one, other)), None)
        if place is None:
            result.append(one)
        else:
            result[place] = one
    return result


def without_types(now: t.Iterable[NodeTypes], declared: t.Sequence[NodeTypes]) -> list[NodeTypes]:
    return [one for one in now if not any(_same_nodes(one, other) for other in declared)]


def written(resource: t.Mapping[str, t.Any], types: t.Iterable[NodeTypes]) -> dict[str, t.Any]:
    """A resource's ``mediatedDevicesConfiguration`` with these types; empty where nothing is left to be said."""
    kept = {key: value for key, value in resource.items() if key not in (_TYPES, _NODES, _DEPRECATED)}
    for one in types:
        if one["nodeSelector"]:
            kept.setdefault(_NODES, []).append(dict(one))
        else:
            kept[_TYPES] = list(one["mediatedDeviceTypes"])
    return kept


def _same_nodes(one: NodeTypes, other: NodeTypes) -> bool:
    return one["nodeSelector"] == other["nodeSelector"]
