# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which CPUs are isolated, on hosts of several shapes."""

from __future__ import annotations

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError
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


@pytest.mark.parametrize(
    ("host", "isolated", "housekeeping", "options", "path", "words"),
    [
        (PLAIN, None, None, {}, "isolated_cpus", "is missing"),
        (PLAIN, "4", None, {}, "isolated_cpus", "CPU 4 is not there: this host has 0-3"),
        (PLAIN, "2-9", None, {}, "isolated_cpus", "CPU 4-9 is not there"),
        (PLAIN, None, "8", {}, "housekeeping_cpus", "CPU 8 is not there"),
        (PLAIN, "3-1", None, {}, "isolated_cpus", "1-3"),
        (PLAIN, "a", None, {}, "isolated_cpus", "a"),
        (PLAIN, "-1", None, {}, "isolated_cpus", "1"),
        (PLAIN, "", None, {}, "isolated_cpus", "is empty"),
        (PLAIN, None, "", {}, "housekeeping_cpus", "is empty"),
        (PLAIN, "0-1,^0-1", None, {}, "isolated_cpus", "is empty"),
        (PLAIN, "2-3", "0-2", {}, "housekeeping_cpus", "CPU 2 is in isolated_cpus too"),
        (PLAIN, "2", "0-1", {}, "housekeeping_cpus", "CPU 3 is on neither side"),
        (PLAIN, "0-3", None, {}, "isolated_cpus", "leaves no CPU for the host"),
        (PLAIN, "0", None, {}, "isolated_cpus", "isolates CPU 0"),
        (PLAIN, None, "1", {}, "housekeeping_cpus", "isolates CPU 0"),
        (PLAIN, None, "0-3", {}, "housekeeping_cpus", "leaves no CPU to isolate"),
        (PLAIN, "auto", None, {"cores_per_node": 4}, "isolated_cpus", "leaves no CPU to isolate"),
        (PLAIN, "auto", None, {"cores_per_node": 0}, "housekeeping_cores", "write 1 or more"),
        (topology(1), "auto", None, {}, "isolated_cpus", "leaves no CPU to isolate"),
        (LARGE, "1-3", None, {}, "isolated_cpus", "divides cores"),
        (LARGE, None, "0-7", {}, "housekeeping_cpus", "0,8; 1,9"),
    ],
)
def test_bad_input(
    host: Topology, isolated: str | None, housekeeping: str | None, options: dict[str, int], path: str, words: str
) -> None:
    with pytest.raises(DeclarationError) as raised:
        isolate(host, isolated, housekeeping, **options)
    told = [str(problem) for problem in raised.value.problems]
    assert any(line.startswith(f"{path}: ") and words in line for line in told), told
