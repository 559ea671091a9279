# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM that is deleted for a term: kept as it is, and stopped, until the term is over or it is declared again. Pure.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

It is Nova's soft delete, whose term is a setting of all hosts (``reclaim_instance_interval``); here it is the VM's own.
"""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem

__all__ = ["Deletion", "check_term"]

#: Ten years; a term in milliseconds is not meant.
_LONGEST = 10 * 366 * 86400


@dataclass(frozen=True)
class Deletion:
    """:ivar deleted: when it was deleted, in seconds since 1970.
    :ivar term: for how many seconds it is kept from then on.
    """

    deleted: int
    term: int

    def is_over(self, now: float) -> bool:
        return now >= self.deleted + self.term

    def described(self) -> dict[str, str]:
        """The times in UTC, as Kubernetes writes them (RFC 3339)."""
        return {"deleted_at": _written(self.deleted), "reclaim_at": _written(self.deleted + self.term)}


def check_term(params: t.Mapping[str, t.Any]) -> None:
    """:raises DeclarationError: for a ``reclaim_after`` that is none, or beside another state than ``absent``."""
    term, state = params["reclaim_after"], params["state"]
    if not 0 <= term <= _LONGEST:
        raise DeclarationError([Problem("reclaim_after", f"is {term}: write 0 to {_LONGEST} seconds (ten years)")])
    if term and state != "absent":
        message = f"is of a VM that is deleted, and state is {state}: write state: absent, or leave it out"
        raise DeclarationError([Problem("reclaim_after", message)])


def _written(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
