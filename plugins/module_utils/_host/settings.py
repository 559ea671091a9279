# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of ours and attributes of the running kernel: brought to what is wanted, and back to what was there before.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import FileChange, Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.record import read_record, record_changes
from ansible_collections.rtvirt.core.plugins.module_utils.converters.cpuset import format_kernel_mask, parse_mask

__all__ = ["Settings", "SettingsPlan", "apply_settings", "plan_settings"]

_CHOSEN = re.compile(r"\[(\S+)\]")


@dataclass(frozen=True)
class Settings:
    """What is wanted of a host.

    :ivar files: path -> text; they are ours as a whole.
    :ivar attributes: path in /proc/sys or /sys -> value. Those that this kernel does not have are left out.
    """

    files: t.Mapping[str, str] = field(default_factory=dict)
    attributes: t.Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class AttributeChange:
    path: str
    before: str
    after: str


@dataclass(frozen=True)
class SettingsPlan:
    """What brings a host to its settings.

    :ivar name: of the record.
    :ivar record: what it will say: our files, and attributes as they were before the first run.
    :ivar recorded: the change that makes it say so.
    :ivar unfinished: whether a run before was cut off.
    :ivar touched: files whose readers are to be told: those that change, and all of them after a run that was cut off.
    """

    name: str
    files: tuple[FileChange, ...]
    attributes: tuple[AttributeChange, ...]
    record: dict[str, t.Any]
    recorded: tuple[FileChange, ...]
    unfinished: bool
    touched: frozenset[str]

    @property
    def changed(self) -> bool:
        return bool(self.files or self.attributes or self.recorded)


def plan_settings(host: Host, name: str, wanted: Settings) -> SettingsPlan:
    """Plan settings; what was set before under this name and is not among them any more is undone.

    :raises RtvirtError: for a file in the place of one of ours that is not of our making.
    """
    record = read_record(host, name)
    first: dict[str, str] = record.get("attributes", {})
    ours: list[str] = record.get("files", [])
    changes: list[FileChange] = []
    for path, text in wanted.files.items():
        if path not in ours and host.read(path) not in (None, text):
            raise RtvirtError(f"{path} is there, and was not written here: move it away")
        changes += host.changes(path, text)
    for path in ours:
        if path not in wanted.files:
            changes += host.changes(path, None)
    values = {path: _value(host, path) for path in {**wanted.attributes, **first}}
    targets = {**{path: value for path, value in first.items() if path not in wanted.attributes}, **wanted.attributes}
    attributes = [
        AttributeChange(path, str(values[path]), value)
        for path, value in targets.items()
        if values[path] is not None and values[path] != value
    ]
    kept = {
        "files": sorted(wanted.files),
        # Another kernel may have others: what was there first is kept for the one that had it.
        "attributes": {
            path: first.get(path, values[path])
            for path in wanted.attributes
            if path in first or values[path] is not None
        },
    }
    unfinished = bool(record.get("unfinished"))
    return SettingsPlan(
        name=name,
        files=tuple(changes),
        attributes=tuple(attributes),
        record=kept,
        recorded=record_changes(host, name, kept),
        unfinished=unfinished,
        touched=frozenset((*ours, *wanted.files) if unfinished else (change.path for change in changes)),
    )


def apply_settings(host: Host, plan: SettingsPlan, tell: t.Callable[[], None] | None = None) -> None:
    """Write files and attributes, and read the attributes again.

    :arg tell: tells the readers of the files that are touched. A run that is cut off before its end is done again.
    :raises RtvirtError: for an attribute that the kernel does not take.
    """
    # A run that is cut off leaves a record of all that may be ours.
    record = read_record(host, plan.name)
    both = {
        "files": sorted({*record.get("files", []), *plan.record["files"]}),
        "attributes": {**plan.record["attributes"], **record.get("attributes", {})},
        "unfinished": True,
    }
    host.apply(record_changes(host, plan.name, both))
    host.apply(plan.files)
    for change in plan.attributes:
        try:
            host.tell(change.path, change.after)
        except OSError as error:
            raise RtvirtError(f"{change.path}: the kernel does not take {change.after}: {error.strerror}") from error
        found = _value(host, change.path)
        if found != change.after:
            raise RtvirtError(f"{change.path}: is {found} after {change.after} was written")
    if tell is not None:
        tell()
    host.apply(record_changes(host, plan.name, plan.record))


def _value(host: Host, path: str) -> str | None:
    """An attribute's value; of one that shows all there are to choose from, the chosen one."""
    text = host.read(path)
    if text is None:
        return None
    chosen = _CHOSEN.search(text)
    if chosen:
        return chosen[1]
    # The kernel prints leading zeros.
    return format_kernel_mask(parse_mask(text)) if path.endswith("cpumask") else text.strip()
