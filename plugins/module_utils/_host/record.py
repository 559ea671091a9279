# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What we have set on a host, so that it can be unset and what others have set is left alone; whose a file is.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

One JSON file for each module in ``/var/lib/rtvirt``. It goes with the last thing that it tells of.
"""

from __future__ import annotations

import contextlib
import json
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import FileChange, Host

__all__ = ["read_record", "record_changes", "recorded_around", "signed"]

_FOLDER = "/var/lib/rtvirt"


def read_record(host: Host, name: str) -> dict[str, t.Any]:
    """:raises RtvirtError: for a file that somebody has edited, and that says nothing any more."""
    path = f"{_FOLDER}/{name}.json"
    text = host.read(path)
    if text is None:
        return {}
    try:
        record = json.loads(text)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise RtvirtError(f"{path} is no JSON object: it says what this collection has set; repair it, or remove it and"
                          " what was set")  # fmt: skip
    return record


def record_changes(host: Host, name: str, record: t.Mapping[str, t.Any]) -> tuple[FileChange, ...]:
    """What keeps a record: nothing where it says so already."""
    text = json.dumps(record, indent=2, sort_keys=True) + "\n" if any(record.values()) else None
    return host.changes(f"{_FOLDER}/{name}.json", text)


@contextlib.contextmanager
def recorded_around(host: Host, record: t.Mapping[str, t.Any], changes: t.Iterable[FileChange]) -> t.Iterator[None]:
    """Write a record before what it tells of is done, or remove it after that is undone: for runs that are cut off."""
    if record:
        host.apply(changes)
    yield
    if not record:
        host.apply(changes)


def signed(module: str, text: str) -> str:
    """The text of a file of ours with the line that says so; a script's first line stays the first."""
    line = f"# Written by rtvirt.core.{module}, which also removes it (state: absent).\n"
    first, newline, rest = text.partition("\n")
    return first + newline + line + rest if text.startswith("#!") else line + text
