# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an annotation remembers of a declaration."""

from __future__ import annotations

import copy
import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.record import (
    LAST_APPLIED,
    declared_part,
    read_record,
    with_record,
)

DOCUMENT: dict[str, t.Any] = {
    "apiVersion": "kubevirt.io/v1",
    "kind": "VirtualMachine",
    "metadata": {"name": "vm", "namespace": "ns", "labels": {"a": "b"}, "uid": "u"},
    "spec": {
        "template": {
            "spec": {
                "domain": {"cpu": {"cores": 2}},
                "volumes": [{"name": "seed", "cloudInitNoCloud": {"userData": "hunter2"}}],
            }
        }
    },
    "status": {"ready": True},
}


def test_there_and_back() -> None:
    before = copy.deepcopy(DOCUMENT)
    written = with_record(DOCUMENT, declared_part(DOCUMENT))
    assert before == DOCUMENT
    record = read_record(written)
    assert record is not None
    assert record["metadata"] == {"labels": {"a": "b"}}
    assert record["spec"]["template"]["spec"]["domain"] == {"cpu": {"cores": 2}}
    assert "hunter2" not in written["metadata"]["annotations"][LAST_APPLIED]
    assert written["spec"] == DOCUMENT["spec"]


def test_the_declared_part_has_no_record_and_is_no_part_of_the_document() -> None:
    written = with_record(DOCUMENT, declared_part(DOCUMENT))
    part = declared_part(written)
    assert part == declared_part(DOCUMENT)
    part["spec"]["template"]["spec"]["domain"]["cpu"]["cores"] = 8
    assert written["spec"]["template"]["spec"]["domain"]["cpu"]["cores"] == 2
    assert {*part} == {"metadata", "spec"}


def test_the_same_declaration_is_the_same_text() -> None:
    one = with_record(DOCUMENT, {"spec": {"a": 1, "b": 2}})
    other = with_record(DOCUMENT, {"spec": {"b": 2, "a": 1}})
    assert one == other


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", '"a"', "true"])
def test_a_record_that_cannot_be_read_is_none(text: str) -> None:
    assert read_record({"metadata": {"annotations": {LAST_APPLIED: text}}}) is None


@pytest.mark.parametrize("vm", [{}, {"metadata": {}}, {"metadata": {"annotations": None}}])
def test_no_record(vm: dict[str, t.Any]) -> None:
    assert read_record(vm) is None
