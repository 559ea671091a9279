# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which CPUs are isolated, on hosts of several shapes."""

from __future__ import annotations

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._host.isolation import isolate
from ansible_collections.rtvirt.core.plugins.module_utils._host.topology import Topology
from ansible_collections.rtvirt.core.plugins.module_utils.converters.cpuset import format_ranges


def topology(cpus: int, *, nodes: int = 1, threads: int = 1) -> Topology:
    """Nodes one after the other; the second threads of all cores come after the first ones, as on Intel's."""
    cores = cpus // threads
    groups = [frozenset(core + thread * cores for thread in range(threads)) for core in range(cores)]
    share = cores // nodes
    places = {node: frozenset().union(*groups[node * share : (node + 1) * share]) for node in range(nodes)}
    return Topology(frozenset(range(cpus)), tuple(groups), places)


PLAIN = topology(4)
LARGE = topology(16, nodes=2, threads=2)  # cores 0-7, node 1 from core 4; CPU n and n + 8 share a core


@pytest.mark.parametrize(
    ("host", "isolated", "housekeeping", "options", "apart", "house"),
    [
        (PLAIN, "2-3", None, {}, "2-3", "0-1"),
        (PLAIN, None, "0", {}, "1-3", "0"),
        (PLAIN, "^0", None, {}, "1-3", "0"),
        (PLAIN, "0-3,^0", None, {}, "1-3", "0"),
        (PLAIN, "2-3", "0-1", {}, "2-3", "0-1"),
        (PLAIN, "auto", None, {}, "1-3", "0"),
        (PLAIN, None, "auto", {}, "1-3", "0"),
        (PLAIN, "auto", None, {"cores_per_node": 3}, "3", "0-2"),
        (LARGE, "auto", None, {}, "1-3,5-7,9-11,13-15", "0,4,8,12"),
        (LARGE, "auto", None, {"cores_per_node": 2}, "2-3,6-7,10-11,14-15", "0-1,4-5,8-9,12-13"),
        (LARGE, "1-3,9-11", None, {}, "1-3,9-11", "0,4-8,12-15"),
        (LARGE, "1-3", None, {"split_cores": True}, "1-3", "0,4-15"),
        (LARGE, "auto", "0,8", {}, "1-7,9-15", "0,8"),
    ],
)
def test_sides(
    host: Topology, isolated: str | None, housekeeping: str | None, options: dict[str, int], apart: str, house: str
) -> None:
    found = isolate(host, isolated, housekeeping, **options)
    assert (format_ranges(found.isolated), format_ranges(found.housekeeping)) == (apart, house)


def test_a_node_without_a_cpu_that_keeps_house_is_remarked_on() -> None:
    assert "NUMA node 1" in isolate(LARGE, None, "0,8").remarks[0]
    assert isolate(LARGE, "auto", None).remarks == ()
