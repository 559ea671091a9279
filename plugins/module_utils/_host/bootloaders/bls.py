# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries by the Boot Loader Specification: a file for each kernel in /boot/loader/entries.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: the Boot Loader Specification (uapi-group.org), and Red Hat's ``blscfg`` of GRUB, which knows variables in
``options``: ``$kernelopts`` and ``$tuned_params`` of grubenv. By TuneD's ``92-tuned.install`` its variable is in every
entry that GRUB's own tools have made, at the end of the options.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.boot_entries import Entry
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import FileChange, Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.kernel_arguments import split

__all__ = ["bls_entries", "grub_variables", "tuned_changes"]

_FOLDER = "/boot/loader/entries"
_OPTIONS = re.compile(r"^\s*options\s.*$", re.MULTILINE)
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


def bls_entries(host: Host, *, by_tuned: bool = False) -> list[Entry]:
    """The entries but the rescue system's, with grubenv's variables filled in.

    :arg by_tuned: as :func:`tuned_changes` will have made them.
    """
    variables = grub_variables(host)
    found = []
    for path, text in _files(host).items():
        title, options = path.rpartition("/")[2][: -len(".conf")], []
        for line in (_with_tuned(text, variables) if by_tuned else text).splitlines():
            key, value = [*line.split(None, 1), "", ""][:2]
            if key == "title":
                title = value.strip()
            elif key == "options":
                options += split(_VARIABLE.sub(lambda match: variables.get(match[1], ""), value))
        found.append(Entry(title, tuple(options)))
    return found


def grub_variables(host: Host) -> dict[str, str]:
    """What is in grubenv."""
    pairs = (line.partition("=") for line in (host.read("/boot/grub2/grubenv") or "").splitlines())
    return {name: value for name, equals, value in pairs if equals}


def tuned_changes(host: Host) -> tuple[FileChange, ...]:
    """What has every entry with TuneD's variable, where TuneD wants something of the kernel."""
    variables = grub_variables(host)
    files = _files(host).items()
    return tuple(one for path, text in files for one in host.changes(path, _with_tuned(text, variables)))


def _files(host: Host) -> dict[str, str]:
    """path -> text of the entries that are booted."""
    names = (name for name in host.names(_FOLDER) if name.endswith(".conf") and not name.startswith("."))
    return {f"{_FOLDER}/{name}": host.read(f"{_FOLDER}/{name}") or "" for name in names if "-rescue" not in name}


def _with_tuned(text: str, variables: t.Mapping[str, str]) -> str:
    if not variables.get("tuned_params") or "grub_" not in text or "$tuned_params" in text:
        return text
    return _OPTIONS.sub(r"\g<0> $tuned_params", text)
