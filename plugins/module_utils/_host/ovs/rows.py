# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A row of Open vSwitch's database beside what is declared of it: what is to be set, and what is to be unset.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

A row is looked at as *fields*: a column (``tag``), or a key of a column that is a map (``options:n_rxq``), with a text
as its value. What we have set is remembered in the row itself, in ``external_ids``: it is written by the transaction
that sets it, and goes where the row goes. Fields that nobody declared are left alone.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._host.ovs.database import Row
from ansible_collections.rtvirt.core.plugins.module_utils.converters.cpuset import format_mask, parse_mask

__all__ = ["RECORD", "FieldChange", "Fields", "change_row", "fields_of", "is_ours", "outcome", "removal", "setting"]

Fields = t.Mapping[str, str]

#: Key of ``external_ids`` that has the names of our fields.
RECORD = "rtvirt"

#: Stands in a record for the row itself, where we have made it.
_ROW = "row"

_MAPS = ("options", "other_config")
_PLAIN = ("type", "mtu_request", "tag", "trunks", "vlan_mode", "bond_mode", "lacp", "datapath_type", "fail_mode")

#: Columns that have a text always, an empty one for none.
_TEXTS = ("type", "datapath_type")
_MASKS = ("other_config:pmd-cpu-mask", "other_config:dpdk-lcore-mask")


@dataclass(frozen=True)
class FieldChange:
    """:ivar row: what has the field, ``Interface vh-a``.
    :ivar before: None for a field that was not set.
    :ivar after: None for one that is to be unset.
    """

    row: str
    field: str
    before: str | None
    after: str | None


def fields_of(row: Row) -> dict[str, str]:
    """The fields of a row that has been read."""
    plain = {name: _text(row[name]) for name in _PLAIN if row.get(name) not in (None, [], "")}
    return {**plain, **{f"{name}:{key}": value for name in _MAPS for key, value in (row.get(name) or {}).items()}}


def is_ours(row: Row) -> bool:
    """Whether we have made a row."""
    return _ROW in _record(row)


def change_row(name: str, row: Row | None, wanted: Fields) -> tuple[list[FieldChange], list[list[str]]]:
    """What brings a row to what is declared of it, and the commands of ovs-vsctl that do it.

    :arg name: table and name.
    :arg row: as it is, None for one that is made before.
    :arg wanted: all fields that are declared.
    """
    now = {} if row is None else fields_of(row)
    record = set() if row is None else _record(row)
    ours = record - {_ROW}
    changes = [FieldChange(name, field, now[field], None) for field in sorted(ours - wanted.keys()) if field in now]
    changes += [
        FieldChange(name, field, now.get(field), value)
        for field, value in wanted.items()
        if not _is_same(field, now.get(field), value)
    ]
    touched = {change.field for change in changes if change.after is not None}
    owned = (ours & wanted.keys()) | touched | ({_ROW} if row is None or _ROW in record else set())
    settings = [_assignment(change.field, change.after) for change in changes if change.after is not None]
    unset = [change.field for change in changes if change.after is None]
    if owned != record and owned:
        settings.append(_assignment(f"external_ids:{RECORD}", " ".join(sorted(owned))))
    elif owned != record:
        unset.append(f"external_ids:{RECORD}")
    commands = [["set", *name.split(" "), *settings]] if settings else []
    commands += [removal(name, field) for field in unset]
    return changes, commands


def outcome(row: Row, wanted: Fields) -> dict[str, str]:
    """The fields that a row will have."""
    ours = _record(row) - {_ROW}
    return {**{field: value for field, value in fields_of(row).items() if field not in ours}, **wanted}


def setting(name: str, field: str, value: str) -> list[str]:
    """The command that sets a field."""
    return ["set", *name.split(" "), _assignment(field, value)]


def removal(name: str, field: str) -> list[str]:
    """The command that unsets a field."""
    column, colon, key = field.partition(":")
    if column in _TEXTS:
        return ["set", *name.split(" "), f'{column}=""']
    return ["remove", *name.split(" "), column, key] if colon else ["clear", *name.split(" "), column]


def _record(row: Row) -> set[str]:
    return set((row["external_ids"] or {}).get(RECORD, "").split())


def _assignment(field: str, value: str) -> str:
    column, colon, key = field.partition(":")
    # A text in quotes is taken as it is, whatever is in it; numbers and sets are none.
    return f"{column}:{key}={json.dumps(value)}" if colon else f"{column}={value}"


def _text(value: t.Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, sorted(value)))
    return str(value)


def _is_same(field: str, one: str | None, other: str) -> bool:
    if one is not None and field in _MASKS:
        return _mask(one) == _mask(other)
    return one == other


def _mask(text: str) -> str:
    """A mask in one form of the many that Open vSwitch takes: with and without 0x, and zeros before it."""
    try:
        return format_mask(parse_mask(text))
    except ValueError:
        return text
