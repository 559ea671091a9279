# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declarations with none to two mistakes in them, as users make them; some of them turn out to be none."""

from __future__ import annotations

import copy
import typing as t
from pathlib import Path

import yaml
from hypothesis import strategies as st

from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import OPTIONS
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import merge_options
from ansible_collections.rtvirt.core.tests.integration.control_plane.corpus import Options, valid

Place = tuple[t.Union[str, int], ...]

_DATA: dict[str, t.Any] = yaml.safe_load(Path(__file__).with_name("mistakes.yml").read_text())
_VALUES: dict[str, list[t.Any]] = _DATA["values"]
_ADDITIONS: list[Options] = _DATA["additions"]
#: The bound of cloud-init's data, and one more.
_ADDITIONS += [{"cloud_init": {"user_data": "x" * size}} for size in (2048, 2049)]
KINDS = [*["value"] * 4, *["addition"] * 4, *["type"] * 2, "drop", "twice", "misspelt"]
_OF_OTHER_TYPES: list[t.Any] = [7, 1.5, "text", "", True, [], {}, [None], {"no such key": 1}, -1]


def places(value: t.Any, at: Place = ()) -> t.Iterator[Place]:
    """Every place in a tree but its root."""
    items: t.Iterable[tuple[str | int, t.Any]]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*at, key)
        yield from places(item, (*at, key))


def holder(options: Options, place: Place) -> t.Any:
    held: t.Any = options
    for step in place[:-1]:
        held = held[step]
    return held


def is_free(place: Place) -> bool:
    """Whether a module's argument spec lets any value through to there."""
    return len(place) > 1 and OPTIONS[str(place[0])]["type"] in ("dict", "list") and not is_structured(place)


def is_structured(place: Place) -> bool:
    return "options" in OPTIONS[str(place[0])] or (len(place) == 2 and isinstance(place[1], int))


def is_name(place: Place) -> bool:
    """Whether the declaration cannot even be merged without it: disks[0].name."""
    return len(place) == 3 and place[2] == "name"


@st.composite
def mistake(draw: t.Callable[..., t.Any], options: Options) -> str:
    """Makes one mistake, and tells which."""
    kind = draw(st.sampled_from(KINDS))
    if kind == "addition":
        addition = draw(st.sampled_from(_ADDITIONS))
        options.update(merge_options(options, copy.deepcopy(addition)))
        return f"added {addition}"
    everywhere = list(places(options))
    chosen = {
        "value": [place for place in everywhere if place[-1] in _VALUES and not (is_name(place) and len(place) > 1)],
        "type": [place for place in everywhere if is_free(place) and not is_name(place)],
        "drop": [place for place in everywhere if place != ("name",) and not is_name(place)],
        "twice": [place for place in everywhere if isinstance(place[-1], int)],
        "misspelt": [place for place in everywhere if is_free(place) and isinstance(place[-1], str)],
    }[kind]
    if not chosen:
        return "none"
    place = draw(st.sampled_from(chosen))
    parent, key = holder(options, place), place[-1]
    if kind == "value":
        parent[key] = copy.deepcopy(draw(st.sampled_from(_VALUES[str(key)])))
    elif kind == "type":
        parent[key] = copy.deepcopy(draw(st.sampled_from(_OF_OTHER_TYPES)))
    elif kind == "twice":
        parent.append(copy.deepcopy(parent[key]))
    elif is_name(place):
        return "none"
    else:
        value = parent.pop(key)
        if kind == "misspelt":
            parent[f"{key}s"] = value
    return f"{kind} at {place}{f': {parent[key]!r}' if kind in ('value', 'type') else ''}"


@st.composite
def declarations(draw: t.Callable[..., t.Any]) -> tuple[Options, list[str]]:
    """A declaration, and the mistakes in it."""
    options = draw(valid())
    return options, [draw(mistake(options)) for _number in range(draw(st.sampled_from([0, 1, 1, 2, 2])))]


def additions_alone() -> t.Iterator[tuple[Options, list[str]]]:
    """Each addition to an otherwise plain declaration: what was drawn may not have had all of them."""
    for addition in _ADDITIONS:
        plain = {"name": "vm1", "memory": "1Gi"}
        yield merge_options(plain, copy.deepcopy(addition)), [f"added {addition}"]
