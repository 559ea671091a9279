# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries by the Boot Loader Specification: a file for each kernel in /boot/loader/entries.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: the Boot Loader Specification (uapi-group.org), and Red Hat's ``blscfg`` of GRUB, which knows variables in
``options``: ``$kernelopts`` and ``$tuned_params`` of grubenv.
"""

from __future__ import annotations

import re

from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.boot_entries import Entry
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.kernel_arguments import split

__all__ = ["bls_entries"]

_FOLDER = "/boot/loader/entries"
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


def bls_entries(host: Host) -> list[Entry]:
    """The entries but the rescue system's, with grubenv's variables filled in."""
    variables = {}
    for line in (host.read("/boot/grub2/grubenv") or "").splitlines():
        name, equals, value = line.partition("=")
        if equals:
            variables[name] = value
    found = []
    for name in host.names(_FOLDER):
        if not name.endswith(".conf") or name.startswith(".") or "-rescue" in name:
            continue
        title, options = name[: -len(".conf")], []
        for line in (host.read(f"{_FOLDER}/{name}") or "").splitlines():
            key, value = [*line.split(None, 1), "", ""][:2]
            if key == "title":
                title = value.strip()
            elif key == "options":
                options += split(_VARIABLE.sub(lambda match: variables.get(match[1], ""), value))
        found.append(Entry(title, tuple(options)))
    return found
