# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three documents to one patch: declared is set, no longer declared is removed, all else stays."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.comparison import compare, merge_patch
from ansible_collections.rtvirt.core.plugins.module_utils._vm.secrets import hashed

Tree = dict[str, t.Any]


def apply_patch(document: t.Any, patch: t.Any) -> t.Any:
    """RFC 7386, as its own pseudocode has it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply_patch(result.get(key), value)
    return result


def spec(**fields: t.Any) -> Tree:
    return {"spec": fields}


@pytest.mark.parametrize(
    ("live", "declared", "last", "merged"),
    [
        # set
        ({}, {"a": 1}, None, {"a": 1}),
        ({"a": 1}, {"a": 2}, None, {"a": 2}),
        ({"a": {"b": 1}}, {"a": {"c": 2}}, None, {"a": {"b": 1, "c": 2}}),
        ({"a": 1}, {"a": {"b": 1}}, None, {"a": {"b": 1}}),
        ({}, {"a": {}}, None, {"a": {}}),
        ({"a": {"theirs": 1}}, {"a": {}}, None, {"a": {"theirs": 1}}),
        # removed
        ({"a": 1}, {}, {"a": 1}, {}),
        ({"a": 5}, {}, {"a": 1}, {}),
        ({"a": {"b": 1, "c": 2}}, {}, {"a": {"b": 1}}, {"a": {"c": 2}}),
        ({"a": {"b": 1}}, {}, {"a": {"b": 1}}, {}),
        ({"a": {"b": {"c": 1}}}, {}, {"a": {"b": {"c": 1}}}, {}),
        ({"a": {}}, {}, {"a": {}}, {}),
        ({}, {}, {"a": 1}, {}),
        # left
        ({"a": 1}, {}, None, {"a": 1}),
        ({"a": [1]}, {"b": 1}, {"b": 1}, {"a": [1], "b": 1}),
        # lists without names are values
        ({"a": [1, 2]}, {"a": [2]}, {"a": [1, 2]}, {"a": [2]}),
        ({"a": [{"key": "x"}]}, {"a": [{"key": "y"}]}, None, {"a": [{"key": "y"}]}),
        ({"a": [1]}, {}, {"a": [1]}, {}),
        # named ones merge
        ({"a": [{"name": "x", "v": 1}]}, {"a": [{"name": "x", "w": 2}]}, None, {"a": [{"name": "x", "v": 1, "w": 2}]}),
        ({"a": [{"name": "x"}, {"name": "t"}]}, {"a": [{"name": "y"}]}, {"a": [{"name": "x"}]},
         {"a": [{"name": "t"}, {"name": "y"}]}),
        ({"a": [{"name": "t"}]}, {"a": []}, None, {"a": [{"name": "t"}]}),
        ({"a": [{"name": "x"}]}, {}, {"a": [{"name": "x"}]}, {}),
        ({"a": [{"name": "x"}, {"name": "t"}]}, {}, {"a": [{"name": "x"}]}, {"a": [{"name": "t"}]}),
        ({}, {"a": [{"name": "x"}]}, None, {"a": [{"name": "x"}]}),
        ({"a": [{"metadata": {"name": "x"}, "v": 1}]}, {"a": [{"metadata": {"name": "x"}, "v": 2}]}, None,
         {"a": [{"metadata": {"name": "x"}, "v": 2}]}),
        # the order is the server's
        ({"a": [{"name": "y"}, {"name": "x"}]}, {"a": [{"name": "x"}, {"name": "y"}]}, None,
         {"a": [{"name": "y"}, {"name": "x"}]}),
    ],
)  # fmt: skip
def test_merged(live: Tree, declared: Tree, last: Tree | None, merged: Tree) -> None:
    before = copy.deepcopy((live, declared, last))
    result = compare(live, declared, last)
    assert result.merged == merged
    assert (live, declared, last) == before
    assert bool(result.differences) == (merged != live)


@pytest.mark.parametrize(
    ("place", "live", "declared", "same"),
    [
        (("memory", "guest"), "1Gi", "1024Mi", True),
        (("memory", "guest"), "1Gi", "1073741824", True),
        (("memory", "guest"), "1Gi", 1073741824, True),
        (("memory", "guest"), "1Gi", "1G", False),
        (("memory", "guest"), "much", "1Gi", False),
        (("limits", "cpu"), "1500m", "1.5", True),
        (("limits", "cpu"), "2", 2, True),
        (("requests", "vendor/device"), "1", 1, True),
        (("requests", "storage"), "1Gi", "1024Mi", True),
        (("emptyDisk", "capacity"), "1Gi", "1024Mi", True),
        # no quantities
        (("labels", "size"), "1Gi", "1024Mi", False),
        (("cpu", "cores"), 2, "2", False),
        (("cpu", "cores"), 1, True, False),
        (("efi", "secureBoot"), True, 1, False),
        (("a", "b"), 1, 1.0, True),
        (("userData",), "secret", hashed("secret"), True),
        (("userData",), "other", hashed("secret"), False),
    ],
)
def test_the_same_in_other_words(place: tuple[str, ...], live: t.Any, declared: t.Any, same: bool) -> None:
    def tree(value: t.Any) -> Tree:
        for step in reversed(place):
            value = {step: value}
        return t.cast(Tree, value)

    result = compare(tree(live), tree(declared), None)
    assert (result.differences == []) == same
    assert result.merged == tree(live if same else declared)


@pytest.mark.parametrize(
    ("live", "declared", "last", "drifted"),
    [
        ({"a": 2}, {"a": 1}, {"a": 1}, True),
        ({}, {"a": 1}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, {"a": 1}, False),
        ({"a": 3}, {"a": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, None, False),
        ({}, {"a": [{"name": "x"}]}, {"a": [{"name": "x"}]}, True),
        ({"a": [{"name": "t"}]}, {"a": [{"name": "x"}]}, {"a": [{"name": "x"}]}, True),
        ({"a": [{"name": "t"}]}, {"a": [{"name": "x"}]}, {"a": [{"name": "t2"}]}, False),
    ],
)
def test_drifted_is_what_another_has_changed_since(
    live: Tree, declared: Tree, last: Tree | None, drifted: bool
) -> None:
    (difference,) = compare(live, declared, last).differences
    assert difference.drifted is drifted


def test_differences_have_paths_by_names_and_no_secrets() -> None:
    live = spec(volumes=[{"name": "seed", "cloudInitNoCloud": {"userData": "old secret"}}])
    declared = spec(volumes=[{"name": "seed", "cloudInitNoCloud": {"userData": "new secret"}}])
    (difference,) = compare(live, declared, None).differences
    assert difference.path == "spec.volumes.seed.cloudInitNoCloud.userData"
    assert "secret" not in repr(difference)
    (added,) = compare(spec(volumes=[]), declared, None).differences
    assert added.path == "spec.volumes.seed"
    assert "secret" not in repr(added)


# Any trees of a VM's kinds of values. Null is in none: a declaration leaves it out, a server does not keep it.
_KEYS = st.sampled_from(["a", "b", "guest", "limits"])
_SCALARS = st.one_of(st.booleans(), st.integers(0, 3), st.sampled_from(["", "x", "1Gi", "1024Mi"]))
_NAMES = st.sampled_from(["n1", "n2", "n3"])


def _deeper(inner: st.SearchStrategy[t.Any]) -> st.SearchStrategy[t.Any]:
    item = st.builds(lambda name, rest: {**rest, "name": name}, _NAMES, st.dictionaries(_KEYS, inner, max_size=2))
    named = st.lists(item, max_size=3, unique_by=lambda one: one["name"])
    return st.one_of(st.dictionaries(_KEYS, inner, max_size=3), named, st.lists(_SCALARS, max_size=2))


_TREES: st.SearchStrategy[Tree] = st.dictionaries(_KEYS, st.recursive(_SCALARS, _deeper, max_leaves=12), max_size=3)


def named(value: t.Any) -> dict[str, t.Any] | None:
    """The items of a named list by their names, None of anything else."""
    is_one = isinstance(value, list) and bool(value) and all(isinstance(one, dict) and "name" in one for one in value)
    return {f"[{one['name']}]": one for one in value} if is_one else None


def parts(value: t.Any) -> dict[str, t.Any] | None:
    return value if isinstance(value, dict) else named(value)


def untouched(live: t.Any, declared: t.Any, last: t.Any) -> dict[tuple[str, ...], t.Any]:
    """The leaves of a tree that nobody of us has ever said anything about, by their places."""
    inside = parts(live)
    if declared is None and last is None:
        if not inside:
            return {(): live}
        return {(key, *at): leaf for key, one in inside.items() for at, leaf in untouched(one, None, None).items()}
    result: dict[tuple[str, ...], t.Any] = {}
    # Two of another kind replace each other; so does one that was declared as a whole, and is not any more.
    sides = [side for side in (declared, last) if side is not None]
    if inside is None or any(not parts(side) or isinstance(side, dict) != isinstance(live, dict) for side in sides):
        return result
    for key, one in inside.items():
        now, before = (parts(declared) or {}).get(key), (parts(last) or {}).get(key)
        if now is None and before is not None and isinstance(live, list):
            continue
        result.update({(key, *at): leaf for at, leaf in untouched(one, now, before).items()})
    return result


def leaf_at(tree: t.Any, place: tuple[str, ...]) -> t.Any:
    for step in place:
        tree = (parts(tree) or {}).get(step)
    return tree


@given(_TREES, _TREES, _TREES)
@settings(max_examples=600, deadline=None)
def test_after_the_patch_nothing_differs_and_the_rest_is_untouched(live: Tree, declared: Tree, last: Tree) -> None:
    result = compare(live, declared, last)
    patched = apply_patch(live, merge_patch(live, result.merged))
    assert patched == result.merged
    again = compare(patched, declared, declared)
    assert again.differences == []
    assert again.merged == patched
    for place, leaf in untouched(live, declared or None, last or None).items():
        assert leaf_at(patched, place) == leaf, place


@given(_TREES, _TREES)
@settings(max_examples=300, deadline=None)
def test_a_merge_patch_leads_from_one_to_the_other(live: Tree, wanted: Tree) -> None:
    patch = merge_patch(live, wanted)
    assert apply_patch(live, patch) == wanted
    assert bool(patch) == (json.dumps(live, sort_keys=True) != json.dumps(wanted, sort_keys=True))


@pytest.mark.parametrize(
    "declared",
    [
        {"cpu": {"dedicatedCpuPlacement": False, "isolateEmulatorThread": False}},
        {"nodeSelector": {}},
        {"hostname": ""},
        {"disks": [{"name": "root", "disk": {"readonly": False}}]},
        {"resources": {"limits": {}}},
    ],
)
def test_what_the_server_leaves_out_is_no_difference(declared: Tree) -> None:
    live = {"cpu": {}, "disks": [{"name": "root", "disk": {}}], "resources": {}}
    assert compare(spec(**live), spec(**declared), None).differences == []


@pytest.mark.parametrize(
    "declared",
    [
        {"disks": [{"name": "cd", "cdrom": {"readonly": False}}]},
        {"storageClassName": ""},
        {"nodeSelector": {"node-role.kubernetes.io/worker": ""}},
        {"nodeSelector": {"hostname": ""}},
        {"acpi": {"enabled": False}},
        {"rng": {}},
    ],
)
def test_what_the_server_keeps_is_one(declared: Tree) -> None:
    live = {"disks": [{"name": "cd", "cdrom": {}}], "acpi": {}, "nodeSelector": {}}
    assert len(compare(spec(**live), spec(**declared), None).differences) == 1


def test_items_that_share_a_name_are_no_items_by_name() -> None:
    headers = {"httpHeaders": [{"name": "X", "value": "1"}, {"name": "X", "value": "2"}]}
    comparison = compare(spec(**headers), spec(**headers), spec(**headers))
    assert (comparison.merged, comparison.differences) == (spec(**headers), [])


def test_what_kubectl_left_is_not_shown() -> None:
    """It is a whole manifest as text."""
    key = "kubectl.kubernetes.io/last-applied-configuration"
    declared = {"metadata": {"annotations": {key: "userData: hunter2"}}}
    (difference,) = compare({"metadata": {"annotations": {"a": "b"}}}, declared, None).differences
    assert "hunter2" not in str(vars(difference))
