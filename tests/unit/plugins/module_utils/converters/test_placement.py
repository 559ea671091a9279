# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Placement: tables of hosts and requests with the pins expected, and what must hold for any host and request."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rtvirt.core.plugins.module_utils._errors import ConversionError
from ansible_collections.rtvirt.core.plugins.module_utils.converters import cpuset
from ansible_collections.rtvirt.core.plugins.module_utils.converters.placement import (
    Core,
    Placement,
    PlacementError,
    Request,
    Topology,
    default_pool,
    place,
    topology_from_capabilities,
)


def host(cores: int, threads: int = 1, nodes: int = 1) -> Topology:
    """Numbered as Linux does: first one thread of every core, node by node, then their siblings."""
    every = range(cores * nodes)
    return Topology(
        tuple(
            Core(n // cores, n // cores, tuple(n + cores * nodes * thread for thread in range(threads))) for n in every
        )
    )


PLAIN = host(8)
SMT = host(4, threads=2)  # siblings 0,4 1,5 2,6 3,7
SMT_16 = host(8, threads=2)  # siblings 0,8 .. 7,15
TWO_NODES = host(4, nodes=2)  # 0-3, 4-7
TWO_SMT_NODES = host(4, threads=2, nodes=2)  # 0-3,8-11 and 4-7,12-15, siblings n,n+8
MIXED = Topology((Core(0, 0, (0, 1)), Core(0, 0, (2, 3)), Core(0, 0, (4,)), Core(0, 0, (5,))))  # two kinds of core


def placed(topology: Topology, request: Request, pool: str, taken: str = "", **more: t.Any) -> Placement:
    return place(topology, request, pool=cpuset.parse(pool), taken=cpuset.parse(taken), **more)


class Case(t.NamedTuple):
    what: str
    topology: Topology
    request: Request
    pool: str
    taken: str
    vcpus: tuple[int, ...]


CASES = [
    Case("one CPU each, lowest first", PLAIN, Request(3), "2-7", "", (2, 3, 4)),
    Case("taken CPUs are stepped over", PLAIN, Request(3), "2-7", "3,5", (2, 4, 6)),
    Case("the whole pool", PLAIN, Request(6), "2-7", "", (2, 3, 4, 5, 6, 7)),
    Case("a pool larger than the host", PLAIN, Request(2), "6-63", "", (6, 7)),
    Case("KubeVirt: siblings of a core one after the other", SMT_16, Request(4), "1-3,5,9-11,13", "", (1, 9, 2, 10)),
    Case("KubeVirt: all of them", SMT_16, Request(8), "1-3,5,9-11,13", "", (1, 9, 2, 10, 3, 11, 5, 13)),
    Case("nova prefer, 2 of 4 cores x 2", SMT, Request(2), "0-7", "", (0, 4)),
    Case("nova prefer, 4 of 4 cores x 2", SMT, Request(4), "0-7", "", (0, 4, 1, 5)),
    Case("nova prefer, two cores fragmented", SMT, Request(2), "0-7", "0,1", (2, 6)),
    Case("nova require, two cores fragmented", SMT, Request(2, threads=2), "0-7", "0,1", (2, 6)),
    Case(
        "nova require, siblings of another core",
        SMT,
        Request(2, threads=2, siblings=True),
        "0-7",
        "0,5,6",
        (3, 7),
    ),
    Case(
        "nova require, across nodes",
        TWO_SMT_NODES,
        Request(4, threads=2, siblings=True),
        "0,8,4,12,1,5",
        "",
        (0, 8, 4, 12),
    ),
    Case("nova prefer, only fragments", SMT, Request(2), "0-7", "0-3", (4, 5)),
    Case("an odd vCPU takes a fragment", SMT, Request(3), "0-7", "0", (1, 5, 4)),
    Case("a single vCPU takes a fragment", SMT, Request(1), "0-7", "6", (2,)),
    Case("a sibling outside the pool is a fragment too", SMT, Request(1), "1,5,2", "", (2,)),
    Case("a core is broken when there is no fragment", SMT, Request(3), "0-7", "", (0, 4, 1)),
    Case("large cores first, the odd vCPU on a small one", MIXED, Request(3), "0-5", "", (0, 1, 4)),
    Case("a small core before a fragment of a large one", MIXED, Request(1), "0-5", "0", (4,)),
    Case("two fragments before breaking a core", host(3, threads=4), Request(3), "0-11", "0-1,3-4,7", (6, 9, 10)),
    Case("of fragments, the one that holds the rest", host(3, threads=4), Request(2), "0-11", "3,6,9,10", (1, 4)),
    Case("guest threads share a core", SMT, Request(4, threads=2), "1-3,5-7", "", (1, 5, 2, 6)),
    Case("guest threads share what is left of a core", host(2, threads=4), Request(2, threads=2), "0-7", "0", (2, 4)),
    Case("a guest core in a large host core", host(2, threads=4), Request(2, threads=2), "0-7", "", (0, 2)),
    Case("pairs first, then loose CPUs", SMT, Request(4, threads=2), "1-3,5-7", "1,2", (3, 7, 5, 6)),
    Case("no pair left", SMT, Request(2, threads=2), "0-7", "0-3", (4, 5)),
    Case("guest threads without SMT", PLAIN, Request(4, threads=2), "2-7", "", (2, 3, 4, 5)),
    Case("more guest threads than the host has", SMT, Request(4, threads=4), "0-7", "", (0, 4, 1, 5)),
    Case("one node, lowest on a tie", TWO_NODES, Request(3), "0-7", "", (0, 1, 2)),
    Case("the node with the fewest free CPUs", TWO_NODES, Request(2), "0-7", "4", (5, 6)),
    Case("the node where all fits", TWO_NODES, Request(3), "1-7", "2", (4, 5, 6)),
    Case("pairs count more than the best fit", TWO_SMT_NODES, Request(2, threads=2), "0-15", "0-3", (4, 12)),
    Case("one node counts more than pairs", TWO_SMT_NODES, Request(4, threads=2), "0-3,8-9,5-6,13", "", (0, 8, 1, 9)),
    Case("loose CPUs of one node", TWO_SMT_NODES, Request(4, threads=2), "0-3,4,12", "", (0, 1, 2, 3)),
    Case("across nodes, the roomier first, in node order", TWO_NODES, Request(5), "1-7", "", (1, 4, 5, 6, 7)),
    Case("across nodes, whole cores", TWO_SMT_NODES, Request(6), "0-1,8-9,4-5,12-13", "", (0, 8, 1, 9, 4, 12)),
    Case(
        "across nodes, pairs first", TWO_SMT_NODES, Request(6, threads=2), "0-2,8,4-5,12-13", "", (0, 8, 4, 12, 5, 13)
    ),
    Case("across nodes, loose", TWO_NODES, Request(4, threads=2), "1-3,5", "", (1, 2, 3, 5)),
    Case(
        "NUMA passthrough, a pair on each node",
        TWO_SMT_NODES,
        Request(4, threads=2, numa_passthrough=True),
        "0,8,4,12,5",
        "",
        (0, 8, 4, 12),
    ),
    Case(
        "NUMA passthrough, loose CPUs of a node stay together",
        TWO_NODES,
        Request(4, threads=2, numa_passthrough=True),
        "0-2,4-6",
        "",
        (0, 1, 4, 5),
    ),
    Case("NUMA passthrough, odd nodes", TWO_NODES, Request(4, numa_passthrough=True), "0,4-6", "", (0, 4, 5, 6)),
    Case("a host with one CPU", host(1), Request(1), "0", "", (0,)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_vcpus(case: Case) -> None:
    assert placed(case.topology, case.request, case.pool, case.taken).vcpus == case.vcpus


@pytest.mark.parametrize(
    ("topology", "request_", "pool", "taken", "emulator", "dedicated"),
    [
        pytest.param(PLAIN, Request(2), "2-7", "", "0-1", "2-3", id="shared: what is not in the pool"),
        pytest.param(PLAIN, Request(2), "0-7", "", "0-1", "0-1", id="shared: no housekeeping CPU"),
        pytest.param(PLAIN, Request(2, isolate_emulator=True), "2-7", "", "4", "2-4", id="isolated"),
        pytest.param(PLAIN, Request(2, isolate_emulator=True), "2-7", "4", "5", "2-3,5", id="isolated, steps over"),
        pytest.param(SMT, Request(2, isolate_emulator=True), "1-3,5-7", "2", "6", "1,5-6", id="isolated, fragment"),
        pytest.param(SMT, Request(2), "1-2", "", "0,3-4,7", "1-2", id="off the siblings of the pool"),
        pytest.param(SMT, Request(2), "0-3", "", "4-7", "0-1", id="on them where there is nothing else"),
        pytest.param(TWO_NODES, Request(3, isolate_emulator=True), "1-7", "", "7", "4-7", id="node with room for it"),
        pytest.param(TWO_NODES, Request(2, isolate_emulator=True), "0,4-7", "", "6", "4-6", id="near vCPU 0"),
        pytest.param(TWO_NODES, Request(2, isolate_emulator=True), "0,4-6", "6", "0", "0,4-5", id="on another node"),
        pytest.param(
            TWO_NODES,
            Request(5, isolate_emulator=True),
            "0-3,5-7",
            "1",
            "7",
            "0,2-3,5-7",
            id="across nodes, what is left",
        ),
        pytest.param(
            TWO_SMT_NODES,
            Request(2, threads=2, isolate_emulator=True),
            "0,8,4-6",
            "",
            "4",
            "0,4,8",
            id="pairs count more than a near emulator",
        ),
    ],
)
def test_emulator(topology: Topology, request_: Request, pool: str, taken: str, emulator: str, dedicated: str) -> None:
    placement = placed(topology, request_, pool, taken)
    assert cpuset.format_ranges(placement.emulator) == emulator
    assert cpuset.format_ranges(placement.dedicated) == dedicated


@pytest.mark.parametrize(
    ("request_", "io_threads"),
    [
        (Request(2), []),
        (Request(2, io_threads=2), ["0-1", "0-1"]),
        (Request(2, io_threads=1, isolate_emulator=True), ["4"]),
    ],
)
def test_io_threads_run_with_the_emulator(request_: Request, io_threads: list[str]) -> None:
    assert [cpuset.format_ranges(cpus) for cpus in placed(PLAIN, request_, "2-7").io_threads] == io_threads


def test_cells_are_in_the_order_of_nodes() -> None:
    one = placed(TWO_NODES, Request(2), "5-7")
    two = placed(TWO_NODES, Request(5), "1-7")
    assert (one.nodes, one.cells) == ((1,), ((1, (0, 1)),))
    assert (two.nodes, two.cells) == ((0, 1), ((0, (0,)), (1, (1, 2, 3, 4))))


@pytest.mark.parametrize(
    ("request_", "pool", "taken", "needs"),
    [
        (
            Request(4),
            "2-4,6",
            "3,7",
            "4 dedicated CPUs are needed and 3 are free; of the CPU pool '2-4,6', 1 are taken",
        ),
        (
            Request(3, isolate_emulator=True),
            "5-7",
            "",
            "4 dedicated CPUs are needed and 3 are free; of the CPU pool '5-7'",
        ),
        (Request(1), "", "", "1 dedicated CPUs are needed and 0 are free; of the CPU pool '', 0 are taken"),
        (Request(1), "8-15", "", "1 dedicated CPUs are needed and 0 are free; of the CPU pool '', 0 are taken"),
    ],
)
def test_too_few_cpus(request_: Request, pool: str, taken: str, needs: str) -> None:
    with pytest.raises(PlacementError) as refusal:
        placed(PLAIN, request_, pool, taken)
    assert needs in refusal.value.message
    assert "NUMA" not in refusal.value.message
    assert refusal.value.message.endswith("give a larger cpu_pool or fewer vCPUs")


def test_numa_passthrough_splits_no_guest_core() -> None:
    with pytest.raises(PlacementError, match=r"could not fit 2 cores of 2 threads without crossing NUMA.*4 dedicated"):
        placed(TWO_NODES, Request(4, threads=2, numa_passthrough=True), "1-3,5")


def test_siblings_or_nothing() -> None:
    loose = r"could not fit 1 cores of 2 threads without splitting a core over cores of the host: 2 dedicated .* 4 are"
    with pytest.raises(PlacementError, match=loose):
        placed(SMT, Request(2, threads=2, siblings=True), "0-7", "0-3")
    apart = Placement((4, 5), frozenset())
    assert placed(SMT, Request(2, threads=2, siblings=True), "0-7", current=apart).vcpus == (0, 4)
    swapped = Placement((6, 2), frozenset())
    assert placed(SMT, Request(2, threads=2, siblings=True), "0-7", current=swapped).vcpus == (6, 2)


SIX = Placement(vcpus=(6, 3), emulator=frozenset({5}))


@pytest.mark.parametrize(
    ("request_", "pool", "taken", "vcpus", "emulator"),
    [
        pytest.param(Request(2), "2-7", "", (6, 3), "0-1", id="kept"),
        pytest.param(Request(2, isolate_emulator=True), "2-7", "", (6, 3), "5", id="kept with its emulator"),
        pytest.param(Request(2, isolate_emulator=True), "2-7", "5", (6, 3), "2", id="emulator's CPU taken"),
        pytest.param(Request(2, isolate_emulator=True), "2-4,6", "", (6, 3), "2", id="emulator's CPU not in the pool"),
        pytest.param(Request(3), "2-7", "", (2, 3, 4), "0-1", id="another number of vCPUs"),
        pytest.param(Request(1), "2-7", "", (2,), "0-1", id="fewer vCPUs"),
        pytest.param(Request(2), "2-5", "", (2, 3), "0-1,6-7", id="not in the pool"),
        pytest.param(Request(2), "2-7", "3", (2, 4), "0-1", id="taken"),
        pytest.param(Request(2, threads=2), "2-7", "", (6, 3), "0-1", id="not siblings, but in force"),
    ],
)
def test_pins_in_force(request_: Request, pool: str, taken: str, vcpus: tuple[int, ...], emulator: str) -> None:
    placement = placed(PLAIN, request_, pool, taken, current=SIX)
    assert (placement.vcpus, cpuset.format_ranges(placement.emulator)) == (vcpus, emulator)


def test_pins_in_force_twice_on_a_cpu_are_not_kept() -> None:
    assert placed(PLAIN, Request(2), "2-7", current=Placement((3, 3), frozenset())).vcpus == (2, 3)


def test_an_emulator_in_force_on_a_vcpu_or_on_several_cpus_moves() -> None:
    for emulator in ({3}, {4, 5}, set()):
        current = Placement((6, 3), frozenset(emulator))
        assert placed(PLAIN, Request(2, isolate_emulator=True), "2-7", current=current).emulator == {2}


def test_pins_in_force_that_split_a_guest_core_are_kept_without_numa_passthrough_only() -> None:
    current = Placement((1, 5), frozenset())
    assert placed(TWO_NODES, Request(2, threads=2), "1-7", current=current).vcpus == (1, 5)
    request = Request(2, threads=2, numa_passthrough=True)
    assert placed(TWO_NODES, request, "1-7", current=current).vcpus == (1, 2)
    unsplit = Placement((6, 5, 2, 1), frozenset())
    request = Request(4, threads=2, numa_passthrough=True)
    assert placed(TWO_NODES, request, "1-7", current=unsplit).vcpus == (6, 5, 2, 1)


@pytest.mark.parametrize(("vcpus", "threads"), [(0, 1), (-2, 1), (3, 2), (2, 0)])
def test_a_request_makes_whole_guest_cores(vcpus: int, threads: int) -> None:
    with pytest.raises(ConversionError, match=f"{vcpus} vCPUs do not make cores of {threads} threads"):
        Request(vcpus, threads=threads)


@pytest.mark.parametrize(
    ("topology", "isolated", "pool"),
    [
        (PLAIN, "", "1-7"),
        (SMT, "", "1-3,5-7"),
        (PLAIN, "4-7", "4-7"),
        (PLAIN, "6-15", "6-7"),
        (PLAIN, "8-15", "1-7"),
        (host(1), "", ""),
        (host(1, threads=2), "", ""),
        (Topology((Core(0, 0, (2, 3)), Core(1, 1, (0, 1)))), "", "2-3"),
    ],
)
def test_default_pool(topology: Topology, isolated: str, pool: str) -> None:
    assert cpuset.format_ranges(default_pool(topology, cpuset.parse(isolated))) == pool


def capabilities(*cells: str) -> str:
    body = "".join(f'<cell id="{n}"><cpus>{cpus}</cpus></cell>' for n, cpus in enumerate(cells))
    return f"<capabilities><host><topology><cells>{body}</cells></topology></host></capabilities>"


def cpu(number: int, siblings: str, socket: int = 0) -> str:
    return f'<cpu id="{number}" socket_id="{socket}" die_id="0" core_id="0" siblings="{siblings}"/>'


@pytest.mark.parametrize(
    ("xml", "cores"),
    [
        pytest.param(
            capabilities(cpu(0, "0,2") + cpu(1, "1,3") + cpu(2, "0,2") + cpu(3, "1,3")),
            [Core(0, 0, (0, 2)), Core(0, 0, (1, 3))],
            id="lists",
        ),
        pytest.param(capabilities(cpu(1, "0-1") + cpu(0, "0-1")), [Core(0, 0, (0, 1))], id="ranges"),
        pytest.param(capabilities(cpu(0, "0"), cpu(1, "1", 1)), [Core(0, 0, (0,)), Core(1, 1, (1,))], id="nodes"),
        pytest.param(capabilities("", cpu(0, "0")), [Core(1, 0, (0,))], id="a node of memory alone"),
        pytest.param(
            capabilities('<cpu id="1"/><cpu id="0"/>'), [Core(0, 0, (0,)), Core(0, 0, (1,))], id="no siblings"
        ),
        pytest.param(capabilities(cpu(0, "0,4")), [Core(0, 0, (0,))], id="a sibling is offline"),
        pytest.param(
            capabilities(cpu(0, "0-1"), cpu(1, "0-1")), [Core(0, 0, (0,)), Core(1, 0, (1,))], id="a split core"
        ),
        pytest.param(
            capabilities(cpu(0, "0") + cpu(1, "1"), cpu(0, "0") + cpu(1, "1")),
            [Core(0, 0, (0,)), Core(0, 0, (1,))],
            id="numa=fake",
        ),
        pytest.param(
            capabilities(cpu(0, "0-1"), cpu(0, "0-1") + cpu(1, "0-1")),
            [Core(0, 0, (0,)), Core(1, 0, (1,))],
            id="a sibling that an earlier cell has",
        ),
    ],
)
def test_topology_from_capabilities(xml: str, cores: list[Core]) -> None:
    assert topology_from_capabilities(xml) == Topology(tuple(cores))


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("<capabilities>", "the host's capabilities cannot be read: "),
        (capabilities('<cpu id="x"/>'), "the host's capabilities cannot be read: "),
        (capabilities("<cpu/>"), "the host's capabilities cannot be read: "),
        (capabilities(cpu(0, "0;1")), "the host's capabilities cannot be read: CPU list item '0;1'"),
        ("<capabilities/>", "the host's topology holds no CPU"),
        (capabilities(""), "the host's topology holds no CPU"),
    ],
)
def test_topology_from_capabilities_refuses(xml: str, message: str) -> None:
    with pytest.raises(ConversionError) as refusal:
        topology_from_capabilities(xml)
    assert refusal.value.message.startswith(message)


def test_topology_knows_its_cpus_and_nodes() -> None:
    assert TWO_SMT_NODES.cpus == frozenset(range(16))
    assert TWO_SMT_NODES.nodes == (0, 1)
    assert [TWO_SMT_NODES.node_of(number) for number in (0, 8, 7, 15)] == [0, 0, 1, 1]
    with pytest.raises(ConversionError, match="this host has no CPU 16: its CPUs are 0-15"):
        TWO_SMT_NODES.node_of(16)


TOPOLOGIES = st.builds(host, st.integers(1, 4), st.sampled_from([1, 2, 4]), st.integers(1, 3)) | st.just(MIXED)
REQUESTS = st.builds(
    lambda cores, threads, **flags: Request(cores * threads, threads, **flags),
    st.integers(1, 5),
    st.sampled_from([1, 2, 4]),
    isolate_emulator=st.booleans(),
    io_threads=st.integers(0, 2),
    numa_passthrough=st.booleans(),
)
CPUS = st.frozensets(st.integers(0, 50))


def split_cores(topology: Topology, vcpus: tuple[int, ...], threads: int) -> int:
    """How many guest cores are on more than one node."""
    nodes = [topology.node_of(number) for number in vcpus]
    return sum(len(set(nodes[first : first + threads])) > 1 for first in range(0, len(nodes), threads))


@given(TOPOLOGIES, REQUESTS, CPUS, CPUS, st.booleans())
def test_what_holds_for_any_placement(
    topology: Topology, request_: Request, outside: frozenset[int], taken: frozenset[int], housekeeping: bool
) -> None:
    pool = topology.cpus - outside if housekeeping else topology.cpus
    free = pool - taken
    per_node = [sum(topology.node_of(number) == node for number in free) for node in topology.nodes]
    try:
        placement = place(topology, request_, pool=pool, taken=taken)
    except PlacementError:
        guest_cores = sum(room // request_.threads for room in per_node)
        unsplittable = request_.numa_passthrough and guest_cores * request_.threads < request_.vcpus
        assert unsplittable or len(free) < request_.vcpus + request_.isolate_emulator
        return
    assert len(set(placement.vcpus)) == len(placement.vcpus) == request_.vcpus
    assert len(placement.dedicated) == request_.vcpus + request_.isolate_emulator
    assert placement.dedicated <= free
    assert placement.io_threads == (placement.emulator,) * request_.io_threads
    outside = topology.cpus - pool
    beside = frozenset(
        number for core in topology.cores if pool.intersection(core.cpus) for number in core.cpus if number not in pool
    )
    others = outside - beside - taken or outside - taken or outside or frozenset(placement.vcpus)
    assert request_.isolate_emulator or placement.emulator == others
    assert {index: topology.node_of(number) for index, number in enumerate(placement.vcpus)} == {
        index: node for node, indexes in placement.cells for index in indexes
    }
    assert placement.nodes == tuple(sorted(placement.nodes))
    assert (len(placement.nodes) == 1) == any(room >= request_.vcpus for room in per_node)
    assert not (request_.numa_passthrough and split_cores(topology, placement.vcpus, request_.threads))
    in_force = Placement(placement.vcpus, placement.emulator)
    for current in (None, placement, in_force):
        assert place(topology, request_, pool=pool, taken=taken, current=current) == placement


@given(TOPOLOGIES, REQUESTS, CPUS)
def test_what_holds_where_guest_cores_are_not_split(
    topology: Topology, request_: Request, taken: frozenset[int]
) -> None:
    request_ = dataclasses.replace(request_, siblings=True)
    rooms = [len(set(core.cpus) - taken) // request_.threads for core in topology.cores]
    free = topology.cpus - taken
    try:
        placement = place(topology, request_, pool=topology.cpus, taken=taken)
    except PlacementError:
        assert sum(rooms) * request_.threads < request_.vcpus or len(free) < request_.dedicated
        return
    for first in range(0, request_.vcpus, request_.threads):
        guest_core = set(placement.vcpus[first : first + request_.threads])
        assert any(guest_core <= set(core.cpus) for core in topology.cores)
    assert placement.dedicated <= free


@given(TOPOLOGIES, REQUESTS, CPUS, CPUS, st.lists(st.integers(0, 50), max_size=6), CPUS)
def test_any_pins_in_force_give_a_valid_and_stable_placement(
    topology: Topology,
    request_: Request,
    pool: frozenset[int],
    taken: frozenset[int],
    vcpus: list[int],
    emulator: frozenset[int],
) -> None:
    try:
        placement = place(topology, request_, pool=pool, taken=taken, current=Placement(tuple(vcpus), emulator))
    except PlacementError:
        with pytest.raises(PlacementError):
            place(topology, request_, pool=pool, taken=taken)
        return
    assert len(placement.dedicated) == request_.vcpus + request_.isolate_emulator
    assert placement.dedicated <= (pool & topology.cpus) - taken
    assert place(topology, request_, pool=pool, taken=taken, current=placement) == placement


def test_an_emulator_keeps_off_the_cpus_of_others_outside_the_pool() -> None:
    """A switch that polls, or a VM of another pool; where there are no others, it shares theirs."""
    assert cpuset.format_ranges(placed(PLAIN, Request(2), "2-7", "1").emulator) == "0"
    assert cpuset.format_ranges(placed(PLAIN, Request(2), "2-7", "0-1").emulator) == "0-1"
