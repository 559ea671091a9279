# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The types of mediated devices that KubeVirt makes on nodes. Pure.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

One item says of the nodes that a selector means which types their cards are to make; the item without a selector of all
others (KubeVirt, ``MediatedDevicesConfiguration``).
"""

from __future__ import annotations

import typing as t

__all__ = ["NodeTypes", "node_types", "read_types", "with_types", "without_types", "written"]

_TYPES = "mediatedDeviceTypes"
_NODES = "nodeMediatedDeviceTypes"
#: What both were called before KubeVirt 0.59, and may still be.
_DEPRECATED = "mediatedDevicesTypes"


class NodeTypes(t.TypedDict, total=False):
    """Types of the nodes that a selector means, in KubeVirt's words; of all others without one."""

    nodeSelector: t.Mapping[str, str]
    mediatedDeviceTypes: t.Sequence[str]


def node_types(selector: t.Mapping[str, str] | None, types: t.Sequence[str]) -> NodeTypes:
    own = NodeTypes(mediatedDeviceTypes=types)
    return own if selector is None else NodeTypes(nodeSelector=selector, mediatedDeviceTypes=types)


def read_types(resource: t.Mapping[str, t.Any]) -> list[NodeTypes]:
    """The types of a resource's ``mediatedDevicesConfiguration``."""
    nodes = [node_types(one.get("nodeSelector") or {}, _of(one)) for one in resource.get(_NODES) or []]
    return [*([node_types(None, _of(resource))] if _of(resource) else []), *nodes]


def with_types(now: t.Sequence[NodeTypes], declared: t.Iterable[NodeTypes]) -> list[NodeTypes]:
    """Items for the same nodes stay in their places. KubeVirt would take two for the same together: one is left."""
    result = list(now)
    for one in declared:
        places = [index for index, other in enumerate(result) if _same_nodes(one, other)]
        kept = [other for index, other in enumerate(result) if index not in places[1:]]
        if places:
            kept[places[0]] = one
        result = kept if places else [*result, one]
    return result


def without_types(now: t.Iterable[NodeTypes], declared: t.Sequence[NodeTypes]) -> list[NodeTypes]:
    return [one for one in now if not any(_same_nodes(one, other) for other in declared)]


def written(resource: t.Mapping[str, t.Any], types: t.Iterable[NodeTypes]) -> dict[str, t.Any]:
    """A resource's ``mediatedDevicesConfiguration`` with these types; empty where nothing is left to be said."""
    kept = {key: value for key, value in resource.items() if key not in (_TYPES, _NODES, _DEPRECATED)}
    for one in types:
        if "nodeSelector" in one:
            kept.setdefault(_NODES, []).append(dict(one))
        else:
            kept[_TYPES] = list(one["mediatedDeviceTypes"])
    return kept


def _of(item: t.Mapping[str, t.Any]) -> list[str]:
    return item.get(_TYPES) or item.get(_DEPRECATED) or []


def _same_nodes(one: NodeTypes, other: NodeTypes) -> bool:
    return one.get("nodeSelector") == other.get("nodeSelector")
