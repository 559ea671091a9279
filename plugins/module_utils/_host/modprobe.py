# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of modprobe.d say of modules.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: ``modprobe.d(5)``: dashes and underscores of a module's name are the same. A module gets the options of all
files, and takes the last of those with one name.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host

__all__ = ["options_in", "set_by_others"]

_FOLDERS = ("/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d")
_LINE = re.compile(r"^\s*options\s+(?P<module>\S+)\s+(?P<options>.*)$", re.MULTILINE)


def options_in(text: str) -> dict[str, str]:
    """``kvm_intel.nested`` -> value, of a file's text."""
    found = {}
    for line in _LINE.finditer(text):
        for option in line["options"].split():
            name, _equals, value = option.partition("=")
            found[f"{line['module'].replace('-', '_')}.{name}"] = value
    return found


def set_by_others(host: Host, option: str, ours: t.Collection[str]) -> dict[str, str]:
    """path -> value of an option, of the files that are not ours."""
    paths = (f"{folder}/{name}" for folder in _FOLDERS for name in host.names(folder) if name.endswith(".conf"))
    given = {path: options_in(host.read(path) or "").get(option) for path in paths if path not in ours}
    return {path: value for path, value in given.items() if value is not None}
