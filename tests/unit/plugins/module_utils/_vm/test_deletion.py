# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The term of a VM that is deleted and kept."""

from __future__ import annotations

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.rtvirt.core.plugins.module_utils._vm.deletion import Deletion, check_term

DELETION = Deletion(deleted=1764476400, term=3600)


@pytest.mark.parametrize(("now", "over"), [(1764476400, False), (1764479999.9, False), (1764480000, True)])
def test_it_is_over_after_its_last_second(now: float, over: bool) -> None:
    assert DELETION.is_over(now) is over


def test_its_times_are_written_in_utc() -> None:
    assert DELETION.described() == {"deleted_at": "2025-11-30T04:20:00Z", "reclaim_at": "2025-11-30T05:20:00Z"}


@pytest.mark.parametrize(("state", "term"), [("absent", 0), ("absent", 60), ("running", 0), ("reclaimed", 0)])
def test_a_term_of_a_vm_that_is_deleted(state: str, term: int) -> None:
    check_term({"state": state, "reclaim_after": term})


@pytest.mark.parametrize(("state", "term"), [("absent", -1), ("absent", 10**9), ("present", 60), ("reclaimed", 1)])
def test_a_term_that_is_refused(state: str, term: int) -> None:
    with pytest.raises(DeclarationError, match=r"^reclaim_after"):
        check_term({"state": state, "reclaim_after": term})
