# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/admission.md says what our admission does; a real server says the rest, in tests/integration/control_plane."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.cluster import CLUSTER_RULES, lacking
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.rules import admit
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import Options
from ansible_collections.rtvirt.core.tests.integration.control_plane.strictness import EARLIER, SERVERS, STRICTER, Row


def problems_of_new(options: dict[str, t.Any]) -> t.Sequence[Problem]:
    """What is wrong with a VM that is to be made."""
    try:
        (manifest,) = admit([Options(options)], CLUSTER_RULES)
    except DeclarationError as error:
        return error.problems
    return lacking(manifest)


@pytest.mark.parametrize("row", [*STRICTER, *EARLIER], ids=lambda row: row.example)
def test_it_is_refused_as_the_table_says(row: Row) -> None:
    problems = problems_of_new(row.options)
    assert any(row.covers(problem) for problem in problems), problems


@pytest.mark.parametrize("row", SERVERS, ids=lambda row: row.example)
def test_what_is_left_to_the_server_is_admitted(row: Row) -> None:
    assert admit([Options(row.options)], CLUSTER_RULES)


def test_the_tables_are_read() -> None:
    assert len(STRICTER) > 30
    assert len(EARLIER) > 5
    assert len(SERVERS) > 4
