# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which CPUs of a host are for virtual machines alone, and which keep house. Pure.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import ConversionError, DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._host.topology import Topology
from ansible_collections.rtvirt.core.plugins.module_utils.converters.cpuset import format_ranges, parse

__all__ = ["Isolation", "isolate"]


@dataclass(frozen=True)
class Isolation:
    """:ivar remarks: what is allowed, and most likely not meant."""

    isolated: frozenset[int]
    housekeeping: frozenset[int]
    remarks: tuple[str, ...] = ()


def isolate(
    topology: Topology,
    isolated: str | None,
    housekeeping: str | None,
    *,
    cores_per_node: int = 1,
    split_cores: bool = False,
) -> Isolation:
    """Divide the CPUs that are online.

    :arg isolated: a CPU list such as ``2-7`` or ``^0,^1``, ``auto``, or None for all that do not keep house.
    :arg housekeeping: the same, None for all that are not isolated.
    :arg cores_per_node: with ``auto``, how many cores of each NUMA node keep house: its first ones.
    :arg split_cores: whether CPUs of one core may be on both sides.
    :raises DeclarationError: for CPUs that there are not, none left on a side, CPU 0 isolated, a divided core, …
    """
    problems: list[Problem] = []
    given: dict[str, frozenset[int]] = {}
    for option, text in (("isolated_cpus", isolated), ("housekeeping_cpus", housekeeping)):
        if text is None or text == "auto":
            continue
        try:
            given[option] = frozenset(parse(text, topology.online))
        except ConversionError as error:
            problems.append(Problem(option, error.message))
            continue
        absent = given[option] - topology.online
        if absent:
            there = format_ranges(topology.online)
            problems.append(Problem(option, f"CPU {format_ranges(absent)} is not there: this host has {there}"))
        elif not given[option]:
            problems.append(Problem(option, "is empty: write CPUs such as 2-7, or auto"))
    if isolated is None and housekeeping is None:
        problems.append(Problem("isolated_cpus", "is missing: write CPUs such as 2-7, or auto"))
    if cores_per_node < 1:
        problems.append(Problem("housekeeping_cores", f"is {cores_per_node}: write 1 or more"))
    if problems:
        raise DeclarationError(problems)
    apart, house = _divided(topology, given, cores_per_node)
    problems = list(_problems(topology, apart, house, given, split_cores=split_cores))
    if problems:
        raise DeclarationError(problems)
    remarks = [
        f"NUMA node {node} has isolated CPUs and none that keeps house: interrupts of its devices go to another node"
        for node, cpus in topology.nodes.items()
        if cpus & apart and not cpus & house
    ]
    return Isolation(apart, house, tuple(remarks))


def _divided(
    topology: Topology, given: t.Mapping[str, frozenset[int]], cores_per_node: int
) -> tuple[frozenset[int], frozenset[int]]:
    apart, house = given.get("isolated_cpus"), given.get("housekeeping_cpus")
    if apart is None and house is None:
        kept: set[int] = set()
        for cpus in topology.nodes.values():
            cores = [core for core in topology.cores if core <= cpus]
            kept |= set().union(*cores[:cores_per_node])
        house = frozenset(kept)
    if house is None:
        house = topology.online - (apart or frozenset())
    return (topology.online - house if apart is None else apart), house


def _problems(
    topology: Topology,
    apart: frozenset[int],
    house: frozenset[int],
    given: t.Mapping[str, frozenset[int]],
    *,
    split_cores: bool,
) -> t.Iterator[Problem]:
    option = "isolated_cpus" if "isolated_cpus" in given or not given else "housekeeping_cpus"
    if apart & house:
        yield Problem(
            "housekeeping_cpus", f"CPU {format_ranges(apart & house)} is in isolated_cpus too: choose one side"
        )
        return
    neither = topology.online - apart - house
    if neither:
        yield Problem("housekeeping_cpus", f"CPU {format_ranges(neither)} is on neither side: leave this option out")
    if not house:
        yield Problem(option, "leaves no CPU for the host itself: keep at least CPU 0")
    elif 0 in apart and 0 in topology.online:
        yield Problem(option, "isolates CPU 0, on which the kernel boots and keeps its time: isolate others")
    if not apart:
        yield Problem(option, "leaves no CPU to isolate: this host has too few, or too many keep house")
    divided = [core for core in topology.cores if core & apart and core & house]
    if divided and not split_cores:
        cores = "; ".join(format_ranges(core) for core in divided)
        message = f"divides cores whose CPUs slow each other down ({cores}): take whole cores, or set split_cores"
        yield Problem(option, message)
