# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB where there is neither update-grub nor grubby (SUSE and others): grub2-mkconfig, and lines in /etc/default/grub.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: GRUB 2.06 ``util/grub-mkconfig.in``; ``--update-bls-cmdline`` is Red Hat's: since RHEL 9.3 the entries of
``/boot/loader/entries`` stay as they are without it (edpm-ansible #650).
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.bls import bls_entries, tuned_changes
from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.boot_entries import (
    RECORD,
    Entry,
    Exchange,
    Steps,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.grub_files import menu_entries, settings
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import FileChange, Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.record import read_record

__all__ = ["GrubSettings"]

_FILE = "/etc/default/grub"
_MENU = "/boot/grub2/grub.cfg"
_BEGIN = "# rtvirt.core.kernel_cmdline: begin"
_END = "# rtvirt.core.kernel_cmdline: end"

#: Said where the file had no end of its last line, which is to go as it came.
_JOINED = " (the line end before this is ours)"

_OURS = re.compile(
    rf"(?:\n{re.escape(_BEGIN + _JOINED)}|^{re.escape(_BEGIN)})\n.*?^{re.escape(_END)}\n", re.DOTALL | re.MULTILINE
)


class GrubSettings:
    name = "grub2"

    def __init__(self, host: Host) -> None:
        self._host = host

    @staticmethod
    def is_there(host: Host) -> bool:
        return host.has_tool("grub2-mkconfig") and host.exists(_FILE) and host.exists(_MENU)

    def entries(self) -> list[Entry]:
        entries = bls_entries(self._host, by_tuned=not self._is_exact()) or menu_entries(self._host.read(_MENU) or "")
        if not entries:
            raise RtvirtError(f"{_MENU} has no entry of a kernel of this system: does it boot by GRUB?")
        return entries

    def steps(self, entries: t.Sequence[Entry], exchange: Exchange) -> Steps:
        others = _OURS.sub("", self._host.read(_FILE) or "")
        ours = exchange.ours(entries[0].arguments)
        text = others
        if ours or exchange.exact:
            begin = _BEGIN if others.endswith("\n") else f"\n{_BEGIN}{_JOINED}"
            text += f"{begin}\n{settings(ours, exact=exchange.exact)}{_END}\n"
        command = ["grub2-mkconfig", "-o", _MENU]
        if "--update-bls-cmdline" in self._host.run("grub2-mkconfig", "--help").output:
            command.append("--update-bls-cmdline")
        # A run that was cut off may have left entries without TuneD's variable.
        return Steps((*self._host.changes(_FILE, text), *self._tuned_changes()), tuple(command))

    def _is_exact(self) -> bool:
        """Whether entries are to have nothing but ours, so that TuneD's goes too."""
        return bool(read_record(self._host, RECORD).get("exact"))

    def _tuned_changes(self) -> tuple[FileChange, ...]:
        return () if self._is_exact() else tuned_changes(self._host)

    def bring_in(self, steps: Steps) -> None:
        self._host.must_run(*steps.command)
        # It has written the options of entries anew, without TuneD's variable.
        self._host.apply(self._tuned_changes())

    def default_kernel(self) -> str | None:
        return None

    def default_steps(self, release: str) -> Steps:
        raise RtvirtError("the kernel that boots is set here by update-grub or grubby alone: set GRUB_DEFAULT")

    def restored_steps(self, release: str | None) -> Steps:
        raise RtvirtError("the kernel that boots is set here by update-grub or grubby alone: set GRUB_DEFAULT")
