# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three-way comparison of a VirtualMachine with its declaration, and the one patch that brings it there. Pure.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Three documents meet: the VM as the server has it, what is declared now, and what was declared last time. What is
declared is set, what is no longer declared is taken away, and everything else (the server's defaults, other managers'
fields, hot-plugged disks) stays. KubeVirt's lists are atomic to the API server, for server-side apply as well, so the
merging of named lists is ours.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

from ansible_collections.rtvirt.core.plugins.module_utils._errors import ConversionError
from ansible_collections.rtvirt.core.plugins.module_utils._plan import Change
from ansible_collections.rtvirt.core.plugins.module_utils._vm import secrets
from ansible_collections.rtvirt.core.plugins.module_utils.converters import quantity
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path, render_path

__all__ = ["Comparison", "Difference", "compare", "merge_patch"]

#: Fields that hold quantities, which virt-api rewrites (1024Mi to 1Gi): their own names, and the mappings they are in.
_QUANTITIES = ("capacity", "guest", "maxGuest", "storage")
_QUANTITY_MAPS = ("limits", "requests")


#: Fields of which a thing has one: to declare one is to take another's place. By the list or field that they are in; a
#: volume has nothing but its name and its source.
_UNIONS: dict[t.Any, tuple[str, ...]] = {
    "bootloader": ("bios", "efi"),
    "clock": ("timezone", "utc"),
    "disks": ("cdrom", "disk", "lun"),
    "interfaces": ("binding", "bridge", "masquerade", "passtBinding", "sriov"),
    "networks": ("multus", "pod", "resourceClaim"),
}


#: Fields that the server's answer does not have where they are false, or empty: KubeVirt's types (and Kubernetes') have
#: them as plain values with omitempty. A label's or selector's empty value is kept, and says something.
_FALSE_IS_NOTHING = (
    "dedicatedCpuPlacement",
    "default",
    "disableHotplug",
    "endOfInterrupt",
    "hotpluggable",
    "isolateEmulatorThread",
    "overcommitGuestOverhead",
    "reservation",
)
_EMPTY_IS_NOTHING = ("annotations", "labels", "limits", "matchLabels", "nodeSelector", "requests")
_NO_TEXT_IS_NOTHING = ("hostname", "priorityClassName", "schedulerName", "subdomain")


@dataclass(frozen=True)
class Difference(Change):
    """A change with its place as a path of steps; items of named lists by their names.

    :ivar drifted: the value that we set the last time, where it has been changed since by someone else.
    """

    place: Path = ()
    drifted: bool = False


@dataclass(frozen=True)
class Comparison:
    """:ivar merged: the declared part of the VM as it should be.
    :ivar differences: what makes the difference, for people; ``merged`` has it.
    """

    merged: dict[str, t.Any]
    differences: list[Difference] = field(default_factory=list)


def compare(
    live: t.Mapping[str, t.Any], declared: t.Mapping[str, t.Any], last: t.Mapping[str, t.Any] | None
) -> Comparison:
    """Compare the declared parts (:func:`record.declared_part`) of a VM and its declarations."""
    differences: list[Difference] = []
    merged = _merge(dict(live), dict(declared), dict(last or {}), (), differences)
    return Comparison(merged, differences)


def merge_patch(live: t.Any, wanted: t.Any) -> dict[str, t.Any]:
    """The JSON merge patch (RFC 7386) from one document to another: null takes a key away, lists are whole."""
    patch: dict[str, t.Any] = {key: None for key in live if key not in wanted}
    for key, value in wanted.items():
        if isinstance(value, dict) and isinstance(live.get(key), dict):
            deeper = merge_patch(live[key], value)
            if deeper:
                patch[key] = deeper
        elif key not in live or not _is_equal(live[key], value):
            patch[key] = value
    return patch


def _merge(
    live: dict[str, t.Any], declared: dict[str, t.Any], last: dict[str, t.Any], place: Path, found: list[Difference]
) -> dict[str, t.Any]:
    result = dict(live)
    for key in dict.fromkeys([*declared, *last, *_rivals(live, declared, place)]):
        here = (*place, key)
        if key in declared:
            result[key] = _merge_value(live.get(key), declared[key], last.get(key), here, found)
        elif key in live:
            left = _without(live[key], last.get(key), here, found)
            if left is None:
                del result[key]
            else:
                result[key] = left
    return result


def _rivals(live: dict[str, t.Any], declared: dict[str, t.Any], place: Path) -> list[str]:
    """Fields of a thing that cannot stand beside a declared one."""
    if place[-2:-1] == ("volumes",):
        union = [key for key in live if key != "name"]
        return union if any(key != "name" for key in declared) else []
    fields = _UNIONS.get(place[-1] if place else "") or _UNIONS.get(place[-2] if len(place) > 1 else "") or ()
    return [key for key in fields if key in live] if any(key in declared for key in fields) else []


def _merge_value(live: t.Any, declared: t.Any, last: t.Any, place: Path, found: list[Difference]) -> t.Any:
    if isinstance(declared, dict) and isinstance(live, dict):
        return _merge(live, declared, last if isinstance(last, dict) else {}, place, found)
    if _is_named(declared) and _is_named(live):
        return _merge_named(live, declared, last if _is_named(last) else [], place, found)
    if _same(live, declared, place):
        return declared if live is None else live
    drifted = last is not None and not _same(live, last, place)
    found.append(Difference(render_path(place), _shown(live, place), _shown(declared, place), place, drifted))
    return declared


def _merge_named(
    live: list[t.Any], declared: list[t.Any], last: list[t.Any], place: Path, found: list[Difference]
) -> t.Any:
    """Items by their names: the live order stays, new ones come last."""
    now, before = {_name(item): item for item in declared}, {_name(item): item for item in last}
    result: list[t.Any] = []
    for item in live:
        name = _name(item)
        here = (*place, name)
        if name in now:
            result.append(_merge(item, now.pop(name), before.get(name, {}), here, found))
        elif name in before:
            found.append(Difference(render_path(here), _shown(item, here), None, here))
        else:
            result.append(item)
    for name, item in now.items():
        here = (*place, name)
        found.append(Difference(render_path(here), None, _shown(item, here), here, name in before))
        result.append(item)
    return result


def _without(live: t.Any, last: t.Any, place: Path, found: list[Difference]) -> t.Any:
    """A live value without what was declared of it once; None where nothing is left."""
    if isinstance(live, dict) and isinstance(last, dict) and last:
        return _merge(live, {}, last, place, found) or None
    if _is_named(live) and _is_named(last):
        return _merge_named(live, [], last, place, found) or None
    found.append(Difference(render_path(place), _shown(live, place), None, place))
    return None


def _is_named(value: t.Any) -> bool:
    """Whether a list's items are told by their names, of which each has its own (headers of a probe may not)."""
    if not isinstance(value, list) or not all(isinstance(item, dict) and _name(item) for item in value):
        return False
    return len({_name(item) for item in value}) == len(value)


def _name(item: dict[str, t.Any]) -> str:
    """An item's name; dataVolumeTemplates have theirs in metadata."""
    metadata = item.get("metadata")
    return str(item.get("name") or (metadata.get("name") if isinstance(metadata, dict) else "") or "")


def _same(live: t.Any, declared: t.Any, place: Path) -> bool:
    """Whether two values mean the same to the server."""
    if live is None or declared is None:
        return live == declared or _is_nothing(declared, place)
    if isinstance(live, bool) == isinstance(declared, bool) and live == declared:
        return True
    if secrets.is_hash(declared) and isinstance(live, str):
        return bool(secrets.hashed(live) == declared)
    if place[-1] not in _QUANTITIES and (len(place) < 2 or place[-2] not in _QUANTITY_MAPS):
        return False
    try:
        return bool(quantity.to_fraction(live) == quantity.to_fraction(declared))
    except (ConversionError, TypeError):
        return False


def _is_nothing(declared: t.Any, place: Path) -> bool:
    """Whether a value that is declared is what the server leaves out."""
    if declared is False:
        # Of a CD-ROM, where nothing means true, it is kept.
        return place[-1] in _FALSE_IS_NOTHING or (place[-1] == "readonly" and place[-2] in ("disk", "lun"))
    if declared == "":
        return place[-2:-1] == ("spec",) and place[-1] in _NO_TEXT_IS_NOTHING
    return declared == [] or (declared == {} and place[-1] in _EMPTY_IS_NOTHING)


def _is_equal(one: t.Any, other: t.Any) -> bool:
    """As JSON has it: to Python, False is 0."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _shown(value: t.Any, place: Path) -> t.Any:
    """A value for people: without secrets."""
    return secrets.unprinted({place[-1]: value})[place[-1]]
