# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB of Debian and Ubuntu: a drop-in of ours, and update-grub.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.boot_entries import Entry, Exchange, Steps
from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.grub_files import menu_entries, settings
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.record import signed

__all__ = ["GrubDropIn"]

#: Read last of all: what comes after would lay itself over ours.
_FILE = "/etc/default/grub.d/zz-rtvirt.cfg"
_DEFAULT = "/etc/default/grub.d/zz-rtvirt-kernel.cfg"
_MENU = "/boot/grub/grub.cfg"
_CHOSEN = re.compile(r'^\s*set default="[^"]*>gnulinux-(?P<release>[^"]+)-advanced-', re.MULTILINE)


class GrubDropIn:
    """Arguments of ours are in a file of ours; those of others stay where they are."""

    name = "grub"

    def __init__(self, host: Host) -> None:
        self._host = host

    @staticmethod
    def is_there(host: Host) -> bool:
        return host.has_tool("update-grub") and host.exists("/etc/default/grub")

    def entries(self) -> list[Entry]:
        menu = self._host.read(_MENU)
        entries = [] if menu is None else menu_entries(menu)
        if not entries:
            raise RtvirtError(f"{_MENU} has no entry of a kernel of this system: does it boot by GRUB? Run update-grub")
        return entries

    def steps(self, entries: t.Sequence[Entry], exchange: Exchange) -> Steps:
        ours = exchange.ours(entries[0].arguments)
        text = signed("kernel_cmdline", settings(ours, exact=exchange.exact)) if ours or exchange.exact else None
        return Steps(self._host.changes(_FILE, text), ("update-grub",))

    def bring_in(self, steps: Steps) -> None:
        self._host.must_run(*steps.command)

    def default_kernel(self) -> str | None:
        chosen = _CHOSEN.search(self._host.read(_MENU) or "")
        return chosen["release"] if chosen else None

    def default_steps(self, release: str) -> Steps:
        # By its place in the menu: entries move up and down with the kernels that are installed.
        entry = rf"'(?P<entry>gnulinux-{re.escape(release)}-advanced-[^']+)'"
        menu = re.search(
            rf"^submenu .*?'(?P<menu>gnulinux-advanced-[^']+)'.*?{entry}",
            self._host.read(_MENU) or "",
            re.DOTALL | re.MULTILINE,
        )
        if menu is None:
            raise RtvirtError(f"{_MENU} has no entry for {release}: run update-grub")
        text = signed("default_kernel", f"GRUB_DEFAULT='{menu['menu']}>{menu['entry']}'\n")
        return Steps(self._host.changes(_DEFAULT, text), ("update-grub",))

    def restored_steps(self, _release: str | None) -> Steps:
        # What it was is in files that we have not touched.
        return Steps(self._host.changes(_DEFAULT, None), ("update-grub",))
