# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles' switches as text, as surveys, inventories and -e give them: 'false' must not be taken for consent."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[2] / "roles"

#: A module's argument, which it converts itself.
HANDED_ON = re.compile(r'^\s*[a-z_]+: "\{\{ [a-z_]+( \| default\(omit(, true)?\))? \}\}"$')


def options(kind: str) -> list[tuple[str, str]]:
    """(role, variable) of each that is of a type."""
    found: dict[tuple[str, str], None] = {}
    for path in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        entries: dict[str, t.Any] = yaml.safe_load(path.read_text())["argument_specs"]
        for entry in entries.values():
            for name, option in (entry.get("options") or {}).items():
                if option["type"] == kind:
                    found[path.parts[-3], name] = None
    return list(found)


def uses(role: str, name: str) -> list[str]:
    """The lines that reckon with a variable, without what they tell the user to set."""
    files = [*ROLES.joinpath(role).glob("tasks/*.yml"), *ROLES.joinpath(role).glob("handlers/*.yml")]
    lines = [re.sub(rf"\bset {name}\b", "", line) for file in files for line in file.read_text().splitlines()]
    return [line for line in lines if re.search(rf"\b{name}\b", line) and not HANDED_ON.match(line)]


@pytest.mark.parametrize(("role", "name"), options("bool"))
def test_a_switch_is_made_a_bool_where_it_counts(role: str, name: str) -> None:
    assert [line for line in uses(role, name) if not re.search(rf"\b{name} \| bool", line)] == []


@pytest.mark.parametrize(("role", "name"), options("int"))
def test_a_number_is_made_one_where_it_is_reckoned_with(role: str, name: str) -> None:
    assert [line for line in uses(role, name) if re.search(rf"\b{name} [-+*/<>=]", line)] == []
