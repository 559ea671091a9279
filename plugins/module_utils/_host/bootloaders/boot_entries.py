# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every boot loader is asked: its entries, and to have our arguments in each of them.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._host.host import FileChange
from ansible_collections.rtvirt.core.plugins.module_utils._host.kernel_arguments import SYSTEMS_OWN, with_ours, without

__all__ = ["RECORD", "Bootloader", "Entry", "Exchange", "Steps"]

#: Of whose arguments are whose.
RECORD = "kernel_cmdline"


@dataclass(frozen=True)
class Entry:
    """A kernel that can be booted.

    :ivar title: how the boot loader names it.
    :ivar arguments: what is configured for it.
    """

    title: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Exchange:
    """Our arguments, before and after.

    :ivar exact: whether nothing but ours is to be on the line.
    :ivar restored: what others had there before it was exact, where it is so no more.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    exact: bool = False
    restored: tuple[str, ...] = ()

    def others(self, line: t.Sequence[str]) -> list[str]:
        """What stays of a line."""
        rest = [*without(line, self.before), *self.restored]
        return [one for one in rest if SYSTEMS_OWN.match(one)] if self.exact else rest

    def ours(self, line: t.Sequence[str]) -> list[str]:
        """What is to be on it from us."""
        others = self.others(line)
        return with_ours(others, self.after)[len(others) :]

    def of(self, line: t.Sequence[str]) -> list[str]:
        """The whole line after it."""
        return [*self.others(line), *self.ours(line)]


@dataclass(frozen=True)
class Steps:
    """:ivar files: what we write ourselves.
    :ivar command: the boot loader's own tool, which then brings it into the entries.
    """

    files: tuple[FileChange, ...]
    command: tuple[str, ...]


class Bootloader(t.Protocol):
    """:ivar name: as results and messages have it."""

    name: str

    def entries(self) -> list[Entry]:
        """All that may be booted and is to have our arguments, and what the entries of new kernels are made of.

        Rescue entries are not among them.
        """

    def steps(self, entries: t.Sequence[Entry], exchange: Exchange) -> Steps:
        """What exchanges our arguments in these entries. :raises RtvirtError: where its tool cannot do that."""

    def bring_in(self, steps: Steps) -> None:
        """Have its tool do its part, when the files are written. :raises RtvirtError: where it fails."""

    def default_kernel(self) -> str | None:
        """The release that is set to boot, None where that is left to the boot loader."""

    def default_steps(self, release: str) -> Steps:
        """What sets the release that boots.

        :raises RtvirtError: where this boot loader cannot be told, or has no entry for it.
        """

    def restored_steps(self, release: str | None) -> Steps:
        """What brings back the choice of before ours, which had this release."""
