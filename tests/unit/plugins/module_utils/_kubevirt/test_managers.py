# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has changed a field."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.managers import manager_of

NOBODY = {"manager": None, "time": None}


def live(*entries: tuple[str, str, dict[str, t.Any]]) -> dict[str, t.Any]:
    fields = [{"manager": name, "time": time, "fieldsV1": fields} for name, time, fields in entries]
    return {"metadata": {"managedFields": fields}}


CORES = {"f:spec": {"f:cpu": {".": {}, "f:cores": {}}}}
DISKS = {"f:spec": {"f:disks": {}}}


@pytest.mark.parametrize(
    ("entries", "place", "manager"),
    [
        ([("edit", "2", CORES)], ("spec", "cpu", "cores"), "edit"),
        ([("edit", "2", CORES)], ("spec", "cpu", "sockets"), None),
        ([("edit", "2", CORES)], ("spec", "cpu"), "edit"),
        ([("edit", "2", DISKS)], ("spec", "disks", "root", "serial"), "edit"),
        ([("rtvirt.core", "2", CORES)], ("spec", "cpu", "cores"), None),
        ([("first", "1", CORES), ("second", "2", CORES)], ("spec", "cpu", "cores"), "second"),
        ([("first", "3", CORES), ("second", "2", CORES)], ("spec", "cpu", "cores"), "first"),
        ([("rtvirt.core", "9", CORES), ("edit", "2", CORES)], ("spec", "cpu", "cores"), "edit"),
        ([("edit", "2", {"f:metadata": {"f:labels": {"f:a.b/c": {}}}})], ("metadata", "labels", "a.b/c"), "edit"),
        ([], ("spec",), None),
    ],
)
def test_manager_of(entries: list[t.Any], place: tuple[str, ...], manager: str | None) -> None:
    assert manager_of(live(*entries), place)["manager"] == manager


@pytest.mark.parametrize("vm", [{}, {"metadata": {}}, {"metadata": {"managedFields": None}}])
def test_without_bookkeeping(vm: dict[str, t.Any]) -> None:
    assert manager_of(vm, ("spec",)) == NOBODY


def test_an_entry_without_fields_or_time() -> None:
    vm = {"metadata": {"managedFields": [{"manager": "a"}, {"manager": "b", "fieldsV1": CORES}]}}
    assert manager_of(vm, ("spec", "cpu", "cores")) == {"manager": "b", "time": None}
