# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error root of the collection, and the few kinds that callers tell apart.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Code below ``main()`` raises one of these and never exits. Only a module's ``main()`` turns them into ``fail_json``.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils import _zipped

# Whatever of the collection is loaded comes by here.
_zipped.use_compiled()

__all__ = ["ConversionError", "DeclarationError", "Problem", "RtvirtError", "WaitError"]


class RtvirtError(Exception):
    """Anything the collection refuses or cannot do.

    :arg message: what is wrong and what would be right, as a sentence for the user.
    :arg details: values for the module's result beside ``msg`` (JSON types only).
    """

    def __init__(self, message: str, **details: t.Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class ConversionError(RtvirtError, ValueError):
    """A value that a converter cannot read. Also a :class:`ValueError`, for callers outside the collection."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong with a declaration.

    :arg path: the field in the words of whoever wrote it: the option's path, ``vms[2].disks[0].disk.bus``.
    :arg message: what is wrong and what would be right.
    :arg manifest_path: the same field in the VirtualMachine, empty where the manifest has none.
    """

    path: str
    message: str
    manifest_path: str = ""

    def __str__(self) -> str:
        where = f" ({self.manifest_path})" if self.manifest_path and self.manifest_path != self.path else ""
        return f"{self.path}{where}: {self.message}"


class DeclarationError(RtvirtError):
    """A declaration with one or more problems, all told at once."""

    def __init__(self, problems: t.Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems]
        message = lines[0] if len(lines) == 1 else f"{len(lines)} problems: " + "; ".join(lines)
        super().__init__(message, problems=[vars(problem) for problem in self.problems])


class WaitError(RtvirtError):
    """A wait that ended without what was waited for: a timeout, or a state from which it cannot come any more."""
