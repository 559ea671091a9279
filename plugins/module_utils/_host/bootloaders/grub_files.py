# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB's own files: the menu that grub-mkconfig writes, and the settings that it reads. Pure.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: GRUB 2.06 ``util/grub.d/10_linux.in`` and ``util/grub-mkconfig.in``; Debian's patches (``/etc/default/grub.d``).
"""

from __future__ import annotations

import re
import shlex
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.boot_entries import Entry
from ansible_collections.rtvirt.core.plugins.module_utils._host.kernel_arguments import MOUNTING, split

__all__ = ["menu_entries", "settings"]

_OWN_KERNELS = re.compile(
    r"^### BEGIN \S*/10_linux\w* ###$(.*?)^### END \S*/10_linux\w* ###$", re.DOTALL | re.MULTILINE
)
_ENTRY = re.compile(r"^\s*menuentry\s+(?P<quote>['\"])(?P<title>.*?)(?P=quote)(?P<rest>.*)$")
_LINUX = re.compile(r"^\s*linux(?:16|efi)?\s+\S+\s*(?P<line>.*)$")


def menu_entries(menu: str) -> list[Entry]:
    """The entries of this system's kernels in a grub.cfg, but those for recovery, which are to boot without ours."""
    found: list[Entry] = []
    for section in _OWN_KERNELS.findall(menu):
        title = None
        for line in section.splitlines():
            entry = _ENTRY.match(line)
            if entry:
                recovery = "-recovery-" in entry["rest"] or "recovery mode" in entry["title"]
                title = None if recovery else entry["title"]
            kernel = _LINUX.match(line)
            if kernel and title is not None:
                found.append(Entry(title, tuple(split(kernel["line"]))))
                title = None
    return found


#: Of the settings that ours replace, what has to stay: in the words of the shell that reads them.
_KEPT = (
    '"$(for one in $GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT; do case $one in'
    f""" {"|".join(f"{name}=*" for name in MOUNTING)}|ro|rw) printf '%s ' "$one";; esac; done)\""""
)


def settings(arguments: t.Iterable[str], *, exact: bool) -> str:
    """Lines for ``/etc/default/grub`` that add arguments to every normal entry.

    GRUB_CMDLINE_LINUX_DEFAULT is not on the lines of recovery entries: a machine that does not come up with ours does
    so without them.
    """
    ours = " ".join(arguments)
    if exact:
        return f"GRUB_CMDLINE_LINUX={_KEPT}\nGRUB_CMDLINE_LINUX_DEFAULT={shlex.quote(ours)}\n"
    return f'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT "{shlex.quote(ours)}\n'
