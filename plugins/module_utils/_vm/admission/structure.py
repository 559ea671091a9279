# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a manifest: known fields of the right type, and for libvirt the fields that it can do.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

KubeVirt's own API server judges its fields, so one that is unknown here is refused for libvirt only: what
``libvirt_vm`` does not know it would not do. What is known to be the other backend's, or to stand in the wrong place,
is told anyway.
"""

from __future__ import annotations

import difflib
import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.fields import MISPLACED
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.report import Report, listed
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path

__all__ = ["check_structure", "kind_of", "settle_types"]

_WHOLE = re.compile(r"-?[0-9]{1,18}")

_BOOLS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "bool": ((bool,), "true or false"),
    "count": ((int,), "a whole number of 0 or more"),
    "int": ((int,), "a whole number"),
    "map": ((dict,), "a mapping"),
    "port": ((int, str), "a port's number or name"),
    "quantity": ((int, str), "a quantity such as 2Gi"),
    "number": ((int, float, str), "a number of CPUs such as 2 or 500m"),
    "str": ((str,), "text"),
    "texts": ((dict,), "a mapping of texts"),
}


def settle_types(value: t.Any, fields: t.Any) -> t.Any:
    """A copy of a manifest with text turned into the number or bool that its field holds, where it is one.

    Templates give text before ansible-core 2.19, and AWX's surveys always do.
    """
    if isinstance(fields, dict) and isinstance(value, dict):
        return {key: settle_types(item, fields.get(key)) for key, item in value.items()}
    if isinstance(fields, list) and isinstance(value, list):
        return [settle_types(item, fields[0]) for item in value]
    if fields in ("int", "count") and isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    if fields == "bool" and isinstance(value, str):
        return _BOOLS.get(value.lower(), value)
    return value


def check_structure(report: Report) -> bool:
    """Whether the manifest has the shape that the other rules may rely on."""
    before = len(report.problems)
    _walk(report, report.document, report.rules.fields, ())
    return len(report.problems) == before


def _walk(report: Report, value: t.Any, fields: t.Any, path: Path) -> None:
    if value is None or fields == "any":
        return
    if isinstance(fields, str):
        _check_leaf(report, value, fields, path)
    elif isinstance(fields, list):
        if not isinstance(value, list):
            report.add(path, f"is {kind_of(value)}: write a list")
            return
        for index, item in enumerate(value):
            if item is None:
                wanted = "text" if fields[0] == "str" else "a mapping"
                report.add((*path, index), f"is null: write {wanted}, or take it out")
            _walk(report, item, fields[0], (*path, index))
    elif not isinstance(value, dict):
        report.add(path, f"is {kind_of(value)}: write a mapping")
    else:
        for key, item in value.items():
            if key in fields:
                _walk(report, item, fields[key], (*path, key))
            else:
                _refuse_unknown(report, fields, path, key, item)


def _check_leaf(report: Report, value: t.Any, kind: str, path: Path) -> None:
    kinds, wanted = _TYPES[kind]
    # A bool is an int to Python, and to no one else.
    fits = isinstance(value, kinds) and (kind == "bool" or not isinstance(value, bool))
    if kind == "str" and isinstance(value, (int, float)):
        # As YAML reads 52:54:00:00:00:01, which is a number to the base of 60.
        wanted = "text, in quotes"
    if not fits or (kind == "count" and value < 0):
        report.add(path, f"is {_quoted(value, path)}: write {wanted}")
    elif kind == "texts":
        _walk_texts(report, value, path)


def _walk_texts(report: Report, value: dict[t.Any, t.Any], path: Path) -> None:
    """Labels and their like: YAML reads yes, 1 and 1.5 as something else than text."""
    for key, item in value.items():
        if not isinstance(key, str):
            report.add((*path, str(key)), f"the name {key!r} is no text: write it quoted")
        if not isinstance(item, str):
            example = "" if isinstance(item, (dict, list)) else f": '{item}'"
            report.add((*path, str(key)), f"is {_quoted(item, path)}: write text, quoted{example}")


def _refuse_unknown(report: Report, fields: dict[str, t.Any], path: Path, key: t.Any, item: t.Any) -> None:
    where = (*path, key)
    pattern = tuple("*" if isinstance(step, int) else step for step in where)
    instead = report.rules.instead.get(pattern)
    if pattern in MISPLACED:
        report.add(where, MISPLACED[pattern])
    elif instead and report.backend == "kubevirt":
        # With what is in it, as the user wrote that, and may have by an option of its own.
        deep = (*where, *list(item)[:1]) if isinstance(item, dict) else where
        report.add(deep, f"is libvirt_vm's own, a cluster has no host to choose from: {instead}")
    elif instead:
        report.add(where, f"libvirt_vm cannot do this, a plain host has no cluster: {instead}")
    elif report.backend == "libvirt":
        close = difflib.get_close_matches(str(key), [*fields], n=1)
        known = f"write {listed(sorted(fields))}" if fields else "write {}"
        remedy = f"did you mean {close[0]}?" if close else known
        report.add(where, f"libvirt_vm does not know this field: {remedy}")


def _quoted(value: t.Any, path: Path) -> str:
    """A value of the wrong type, for a message: not cloud-init's, which may be a secret, and nothing long."""
    hidden = isinstance(value, (dict, list)) or any(str(step).startswith("cloudInit") for step in path)
    return kind_of(value) if hidden else repr(value)


def kind_of(value: t.Any) -> str:
    return {dict: "a mapping", list: "a list", str: "text", bool: "a bool"}.get(type(value), "a number")
