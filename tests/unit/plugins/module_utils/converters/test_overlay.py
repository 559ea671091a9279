# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laying trees over one another: dicts deeply, named lists by name, all else replaced, and nothing changed in place."""

from __future__ import annotations

import copy
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import (
    is_named_list,
    overlay,
    render_path,
)

A, B = {"name": "a", "x": 1}, {"name": "b"}

CASES: dict[str, tuple[t.Any, t.Any, t.Any]] = {
    "a value": (1, 2, 2),
    "nothing below": (None, {"a": {"b": 1}}, {"a": {"b": 1}}),
    "dicts merge deeply": ({"a": {"b": 1, "c": 2}}, {"a": {"c": 3, "d": 4}}, {"a": {"b": 1, "c": 3, "d": 4}}),
    "a dict over a value": ({"a": 1}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    "a value over a dict": ({"a": {"b": 1}}, {"a": 1}, {"a": 1}),
    "None replaces": ({"a": 1}, {"a": None}, {"a": None}),
    "false replaces": ({"a": True}, {"a": False}, {"a": False}),
    "an empty dict adds nothing": ({"a": {"b": 1}}, {"a": {}}, {"a": {"b": 1}}),
    "an empty list replaces": ({"a": [A]}, {"a": []}, {"a": []}),
    "plain lists are replaced": ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
    "named lists merge by name": ([A, B], [{"name": "b", "y": 2}], [A, {"name": "b", "y": 2}]),
    "named items keep the base's order": ([A, B], [{"name": "b"}, {"name": "a"}], [A, B]),
    "a new item comes last": ([B], [A, {"name": "b", "y": 1}], [{"name": "b", "y": 1}, A]),
    "items merge deeply": (
        [{"name": "a", "disk": {"bus": "sata"}}],
        [{"name": "a", "disk": {"readonly": True}}],
        [{"name": "a", "disk": {"bus": "sata", "readonly": True}}],
    ),
    "a name twice in the patch stays twice": ([], [A, {"name": "a", "x": 2}], [A, {"name": "a", "x": 2}]),
    "a name twice over one": (
        [A],
        [{"name": "a", "x": 3}, {"name": "a", "x": 2}],
        [{"name": "a", "x": 3}, {"name": "a", "x": 2}],
    ),
    "a nameless item makes it a plain list": ([A], [{"x": 1}], [{"x": 1}]),
    "a named list over a plain one replaces it": ([{"x": 1}], [A], [A]),
}


@pytest.mark.parametrize("what", CASES)
def test_overlay(what: str) -> None:
    base, patch, result = CASES[what]
    before = copy.deepcopy((base, patch))
    assert overlay(base, patch) == result
    assert (base, patch) == before


def test_the_result_shares_nothing_with_what_it_was_made_of() -> None:
    base: t.Any = {"a": {"b": [1]}, "list": [{"name": "a", "x": [1]}]}
    patch: t.Any = {"c": {"d": [2]}, "list": [{"name": "b", "y": [2]}]}
    result = overlay(base, patch)
    for value in (result["a"]["b"], result["c"]["d"], result["list"][0]["x"], result["list"][1]["y"]):
        value.append(3)
    assert base == {"a": {"b": [1]}, "list": [{"name": "a", "x": [1]}]}
    assert patch == {"c": {"d": [2]}, "list": [{"name": "b", "y": [2]}]}


def test_places_are_told_where_they_landed_and_where_they_stood() -> None:
    seen: dict[t.Any, t.Any] = {}
    base = {"disks": [{"name": "a"}, {"name": "b"}]}
    overlay(
        base, {"disks": [{"name": "c"}, {"name": "b", "bus": 1}]}, on_set=lambda at, stood: seen.update({at: stood})
    )
    assert seen[("disks", 2)] == ("disks", 0)
    assert seen[("disks", 1, "bus")] == ("disks", 1, "bus")
    assert seen[("disks", 2, "name")] == ("disks", 0, "name")
    assert ("disks", 0, "name") not in seen


@pytest.mark.parametrize(
    ("value", "named"),
    [([A, B], True), ([], False), ([A, {"x": 1}], False), ([A, "b"], False), ({"name": "a"}, False), ("name", False)],
)
def test_is_named_list(value: t.Any, named: bool) -> None:
    assert is_named_list(value) is named


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("disks", 0, "disk", "bus"), "disks[0].disk.bus"),
        ((0, "a"), "[0].a"),
        (("a", 0, 1), "a[0][1]"),
    ],
)
def test_render_path(path: t.Any, text: str) -> None:
    assert render_path(path) == text


TREES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
)


@given(TREES, TREES)
def test_laying_the_same_twice_is_laying_it_once(base: t.Any, patch: t.Any) -> None:
    once = overlay(base, patch)
    assert overlay(once, patch) == once


@given(TREES)
def test_a_tree_over_nothing_or_over_itself_is_itself(tree: t.Any) -> None:
    assert overlay(None, tree) == tree
    assert overlay(tree, tree) == tree
