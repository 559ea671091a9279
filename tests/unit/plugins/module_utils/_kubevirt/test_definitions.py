# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a declared network and the definition that is there to what is sent."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.definitions import Planned, plan_definition
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.record import LAST_APPLIED
from ansible_collections.rtvirt.core.plugins.module_utils.converters.network import network_attachment

Object = dict[str, t.Any]

KEY = ("ns", "net")


def declared(**options: t.Any) -> Object:
    return network_attachment({"name": "net", "namespace": "ns", "ovs": {"bridge": "br1"}, **options})


def there(**options: t.Any) -> Object:
    """One as this collection has made it."""
    document: Object = json.loads(json.dumps(plan_definition(KEY, declared(**options), None).body))
    document["metadata"].update({"resourceVersion": "7", "uid": "u"})
    return document


def plan(live: Object | None, **options: t.Any) -> Planned:
    return plan_definition(KEY, declared(**options), live)


def test_a_new_one() -> None:
    made = plan(None, labels={"a": "b"})
    assert made.action == "create"
    assert {**made.body["metadata"]["annotations"]}.keys() == {LAST_APPLIED}
    assert made.body["spec"] == declared()["spec"]


def test_one_that_is_as_declared() -> None:
    assert plan(there()).action == ""
    assert plan(there(labels={"a": "b"}), labels={"a": "b"}).action == ""


def test_a_change() -> None:
    changed = plan(there(), ovs={"bridge": "br2"})
    assert changed.action == "update"
    assert changed.body["spec"] == declared(ovs={"bridge": "br2"})["spec"]
    assert changed.body["metadata"]["resourceVersion"] == "7"
    assert "labels" not in changed.body["metadata"]


def test_what_is_no_longer_declared_is_taken_away() -> None:
    live = there(labels={"ours": "1"}, resource_name="a/b")
    live["metadata"]["labels"]["theirs"] = "1"
    metadata = plan(live).body["metadata"]
    assert metadata["labels"] == {"ours": None}
    assert metadata["annotations"]["k8s.v1.cni.cncf.io/resourceName"] is None


def test_the_same_in_another_spelling() -> None:
    live = declared()
    live["metadata"]["resourceVersion"] = "7"
    live["spec"]["config"] = json.dumps(json.loads(live["spec"]["config"]))
    assert plan(live).action == ""
    live["spec"]["config"] = "no JSON"
    assert plan(live).action == "update"


def test_one_that_is_to_go() -> None:
    assert plan_definition(KEY, None, None).action == ""
    assert plan_definition(KEY, None, there()).action == "delete"


def test_what_is_remembered_follows_what_is_declared_where_nothing_differs() -> None:
    """Else a label that somebody took away would be ours when another sets it."""
    live = there(labels={"a": "b"})
    del live["metadata"]["labels"]
    forgotten = plan(live)
    assert forgotten.action == "update"
    live["metadata"]["annotations"].update(forgotten.body["metadata"]["annotations"])
    live["metadata"]["labels"] = {"a": "theirs"}
    assert plan(live).action == ""
