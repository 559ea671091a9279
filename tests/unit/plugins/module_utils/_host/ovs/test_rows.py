# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A row beside what is declared of it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._host.ovs.rows import (
    change_row,
    fields_of,
    is_ours,
    outcome,
)

SET = ["set", "Interface", "a"]


def row(record: str = "", **columns: t.Any) -> dict[str, t.Any]:
    return {"external_ids": {"rtvirt": record} if record else {}, **columns}


CASES: dict[str, tuple[dict[str, t.Any] | None, dict[str, str], list[list[str]]]] = {
    "a new row is ours, and all of it": (
        None,
        {"type": "dpdk", "options:n_rxq": "2"},
        [[*SET, "type=dpdk", 'options:n_rxq="2"', 'external_ids:rtvirt="options:n_rxq row type"']],
    ),
    "what is there is not written": (row("row type", type="dpdk"), {"type": "dpdk"}, []),
    "a row of others that fits is not even marked": (row(type="dpdk"), {"type": "dpdk"}, []),
    "a row of others: only what we set is ours": (
        row(type="dpdk", mtu_request=1500),
        {"type": "dpdk", "mtu_request": "9000"},
        [[*SET, "mtu_request=9000", 'external_ids:rtvirt="mtu_request"']],
    ),
    "what is not declared any more is unset, others' stays": (
        row("mtu_request options:n_rxq row", mtu_request=9000, options={"n_rxq": "2", "theirs": "1"}),
        {},
        [
            [*SET, 'external_ids:rtvirt="row"'],
            ["clear", "Interface", "a", "mtu_request"],
            ["remove", "Interface", "a", "options", "n_rxq"],
        ],
    ),
    "what somebody else has unset is no more ours": (
        row("mtu_request row"),
        {},
        [[*SET, 'external_ids:rtvirt="row"']],
    ),
    "of others, with nothing of ours left": (
        row("mtu_request", mtu_request=9000),
        {},
        [["clear", "Interface", "a", "mtu_request"], ["remove", "Interface", "a", "external_ids", "rtvirt"]],
    ),
    "a column that cannot be cleared": (
        row("row type", type="dpdk"),
        {},
        [[*SET, 'external_ids:rtvirt="row"'], [*SET, 'type=""']],
    ),
    "spaces, quotes and equals signs": (
        row("options:x", options={"x": "1"}),
        {"options:x": 'a="b c", d'},
        [[*SET, 'options:x="a=\\"b c\\", d"']],
    ),
    "a mask in other words": (row(other_config={"pmd-cpu-mask": "0C"}), {"other_config:pmd-cpu-mask": "0xc"}, []),
    "a mask that is none": (
        row(other_config={"pmd-cpu-mask": "?"}),
        {"other_config:pmd-cpu-mask": "0xc"},
        [[*SET, 'other_config:pmd-cpu-mask="0xc"', 'external_ids:rtvirt="other_config:pmd-cpu-mask"']],
    ),
    "a set, in any order": (row(trunks=[2, 1]), {"trunks": "1,2"}, []),
}


@pytest.mark.parametrize("what", CASES)
def test_change_row(what: str) -> None:
    now, wanted, commands = CASES[what]
    assert change_row("Interface a", now, wanted)[1] == commands


def test_what_a_row_will_have() -> None:
    now = row("tag mtu_request row", tag=1, mtu_request=9000, lacp="active")
    assert outcome(now, {"tag": "2"}) == {"tag": "2", "lacp": "active"}


def test_fields() -> None:
    read = row(type="", tag=0, trunks=[], lacp=None, options={"a": "1"}, other_config={}, bridge="no field")
    assert fields_of(read) == {"tag": "0", "options:a": "1"}
    assert (is_ours(row("row tag")), is_ours(row("tag")), is_ours(row())) == (True, False, False)
