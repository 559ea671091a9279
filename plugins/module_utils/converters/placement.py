# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a VM's threads run: host topology and free CPUs in, pins of vCPUs, emulator and I/O threads out.

PUBLIC: pure functions, no Ansible and no libvirt connection needed. The order follows KubeVirt's
``dedicatedCpuPlacement`` (whole cores of one NUMA node, then fragments of it, then other nodes) and nova's ``prefer``
thread policy. Same input, same pins; and pins in force are kept as long as they are valid.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import ConversionError
from ansible_collections.rtvirt.core.plugins.module_utils.converters import cpuset

__all__ = ["Core", "Placement", "PlacementError", "Request", "Topology", "default_pool", "place"]
__all__ += ["topology_from_capabilities"]


class PlacementError(ConversionError):
    """The host's free CPUs cannot hold what was requested."""


@dataclass(frozen=True)
class Core:
    """One physical core: its NUMA node and socket, and its CPU numbers (SMT siblings) in ascending order."""

    node: int
    socket: int
    cpus: tuple[int, ...]


@dataclass(frozen=True)
class Topology:
    """The CPUs of a host. :raises ConversionError: when there are none."""

    cores: tuple[Core, ...]

    def __post_init__(self) -> None:
        if not self.cpus:
            raise ConversionError("the host's topology holds no CPU: give at least one core with a CPU")

    @property
    def cpus(self) -> frozenset[int]:
        return frozenset(cpu for core in self.cores for cpu in core.cpus)

    @property
    def nodes(self) -> tuple[int, ...]:
        """The NUMA nodes that have CPUs, ascending."""
        return tuple(sorted({core.node for core in self.cores}))

    def siblings(self, cpus: frozenset[int]) -> frozenset[int]:
        """The CPUs of every core that has one of these, these included."""
        return frozenset(cpu for core in self.cores if cpus.intersection(core.cpus) for cpu in core.cpus)

    def node_of(self, cpu: int) -> int:
        """:raises ConversionError: when the host has no such CPU."""
        for core in self.cores:
            if cpu in core.cpus:
                return core.node
        raise ConversionError(f"this host has no CPU {cpu}: its CPUs are {cpuset.format_ranges(self.cpus)}")


@dataclass(frozen=True)
class Request:
    """What a VM wants.

    :arg vcpus: number of dedicated vCPUs.
    :arg threads: threads per core that the guest sees; vCPUs 0 to ``threads - 1`` are its first core, and so on.
    :arg isolate_emulator: one more dedicated CPU, for the emulator (KubeVirt's ``isolateEmulatorThread``).
    :arg io_threads: number of I/O threads.
    :arg numa_passthrough: never split a guest core across NUMA nodes (KubeVirt's ``guestMappingPassthrough``).
    :arg siblings: never split one across cores of the host (nova's thread policy ``require``).
    :raises ConversionError: when that makes no whole number of guest cores.
    """

    vcpus: int
    threads: int = 1
    isolate_emulator: bool = False
    io_threads: int = 0
    numa_passthrough: bool = False
    siblings: bool = False

    def __post_init__(self) -> None:
        if self.vcpus < 1 or self.threads < 1 or self.vcpus % self.threads:
            raise ConversionError(f"{self.vcpus} vCPUs do not make cores of {self.threads} threads: write a multiple")

    @property
    def dedicated(self) -> int:
        """How many host CPUs it takes."""
        return self.vcpus + self.isolate_emulator


@dataclass(frozen=True)
class Placement:
    """Pins. As the ``current`` of :func:`place` the first two fields are enough: they can be read off a domain.

    :arg vcpus: the host CPU of each vCPU, by index.
    :arg emulator: host CPUs of the emulator.
    :arg io_threads: host CPUs of each I/O thread, by index.
    :arg cells: host NUMA nodes in ascending order, each with the indexes of the vCPUs on it.
    :arg isolated: whether the emulator's CPU is the VM's alone.
    """

    vcpus: tuple[int, ...]
    emulator: frozenset[int]
    io_threads: tuple[frozenset[int], ...] = ()
    cells: tuple[tuple[int, tuple[int, ...]], ...] = ()
    isolated: bool = False

    @property
    def nodes(self) -> tuple[int, ...]:
        """The host NUMA nodes that the vCPUs are on, ascending."""
        return tuple(node for node, _vcpus in self.cells)

    @property
    def dedicated(self) -> frozenset[int]:
        """All host CPUs that no other VM may be given."""
        return frozenset(self.vcpus) | (self.emulator if self.isolated else frozenset())


def topology_from_capabilities(xml: str) -> Topology:
    """Read libvirt's host capabilities (``virsh capabilities``): ``host/topology/cells``.

    A CPU without ``siblings`` is a core of its own. Siblings that are listed in no cell are offline and left out.

    :raises ConversionError: when the text is not XML, has numbers that are none, or describes no CPU.
    """
    cores: list[Core] = []
    seen: set[int] = set()
    try:
        for cell in ET.fromstring(xml).iterfind("./host/topology/cells/cell"):
            found = {int(cpu.get("id", "")): cpu for cpu in cell.iterfind("./cpus/cpu")}
            for number, cpu in sorted(found.items()):
                if number not in seen:  # the kernel's numa=fake lists a CPU in several cells: the first one counts
                    siblings = cpuset.parse(cpu.get("siblings", "")) & set(found) - seen | {number}
                    socket = int(cpu.get("socket_id", "0"))
                    cores.append(Core(int(cell.get("id", "")), socket, tuple(sorted(siblings))))
                    seen |= siblings
    except (ET.ParseError, ValueError) as error:
        raise ConversionError(f"the host's capabilities cannot be read: {error}") from error
    return Topology(tuple(sorted(cores, key=lambda core: (core.node, core.cpus))))


def default_pool(topology: Topology, isolated: frozenset[int]) -> frozenset[int]:
    """The CPUs to dedicate to VMs: the kernel's isolated ones, else all but the core of the lowest CPU."""
    return isolated & topology.cpus or topology.cpus.difference(min(core.cpus for core in topology.cores))


def place(
    topology: Topology,
    request: Request,
    *,
    pool: frozenset[int],
    taken: frozenset[int],
    current: Placement | None = None,
) -> Placement:
    """Give a VM its CPUs.

    :arg pool: host CPUs for dedicated use; those that the host does not have are ignored.
    :arg taken: host CPUs that others own: the :attr:`Placement.dedicated` of all VMs but this one.
    :arg current: this VM's pins in force. Kept exactly, unless they no longer fit the request, the pool and ``taken``.
    :returns: pins; dedicated CPUs are distinct and in ``pool - taken``. An emulator that is not isolated, and the I/O
        threads with it, run on the host's CPUs outside the pool (if there are any, on those that nobody owns, and whose
        cores have no part in the pool), or with the vCPUs when there are none.
    :raises PlacementError: when the free CPUs are too few, or cannot hold a guest core within one NUMA node or core.
    """
    free = (pool & topology.cpus) - taken
    current = current or Placement(vcpus=(), emulator=frozenset())
    keep = _still_valid(topology, request, current.vcpus, free)
    vcpus = current.vcpus if keep else _choose(topology, request, free)
    if len(vcpus) < request.vcpus or len(free) < request.dedicated:
        raise PlacementError(_shortage(request, pool & topology.cpus, free))
    where = [topology.node_of(cpu) for cpu in vcpus]
    spare = free.difference(vcpus)
    emulator = current.emulator
    if not request.isolate_emulator:
        outside = topology.cpus - pool
        emulator = outside - topology.siblings(pool) - taken or outside - taken or outside or frozenset(vcpus)
    elif len(emulator) != 1 or not emulator <= spare:
        near = frozenset(cpu for cpu in spare if topology.node_of(cpu) == where[0])
        emulator = frozenset(_choose(topology, Request(vcpus=1), near or spare))
    cells = ((node, tuple(index for index, on in enumerate(where) if on == node)) for node in sorted(set(where)))
    return Placement(vcpus, emulator, (emulator,) * request.io_threads, tuple(cells), request.isolate_emulator)


def _shortage(request: Request, pool: frozenset[int], free: frozenset[int]) -> str:
    bound = "splitting a core over cores of the host" if request.siblings else "crossing NUMA within a core"
    without = f" without {bound}" if len(free) >= request.dedicated else ""
    return (
        f"could not fit {request.vcpus // request.threads} cores of {request.threads} threads{without}:"
        f" {request.dedicated} dedicated CPUs are needed and {len(free)} are free; of the CPU pool"
        f" '{cpuset.format_ranges(pool)}', {len(pool - free)} are taken: give a larger cpu_pool or fewer vCPUs"
    )


def _still_valid(topology: Topology, request: Request, vcpus: tuple[int, ...], free: frozenset[int]) -> bool:
    if len(vcpus) != request.vcpus or len(set(vcpus)) != len(vcpus) or not free.issuperset(vcpus):
        return False
    guest_cores = [frozenset(vcpus[first : first + request.threads]) for first in range(0, len(vcpus), request.threads)]
    if request.siblings:
        return all(any(guest_core.issubset(core.cpus) for core in topology.cores) for guest_core in guest_cores)
    within = (len({topology.node_of(cpu) for cpu in guest_core}) == 1 for guest_core in guest_cores)
    return not request.numa_passthrough or all(within)


def _choose(topology: Topology, request: Request, free: frozenset[int]) -> tuple[int, ...]:
    """Host CPUs by vCPU index; too few of them when a guest core would be split as it must not be."""
    stock = _Stock(topology, free)
    vcpus, threads = request.vcpus, request.threads
    fitting = [node for node in topology.nodes if stock.room(node, threads if request.siblings else 1) >= vcpus]
    # One node if possible: one with siblings for all guest cores, then with room for the emulator, then the fullest.
    fitting.sort(key=lambda node: (stock.room(node, threads) < vcpus, *_fit(stock.room(node), request.dedicated)))
    nodes = tuple(fitting[:1]) or topology.nodes
    # A guest core gets siblings, else loose CPUs of one node, else loose CPUs of any.
    steps = [(threads, threads), (1, threads), (1, 1)]
    steps = steps[:1] if request.siblings else steps[:2] if request.numa_passthrough else steps
    chosen: list[int] = []
    for run, portion in steps:
        for _node in nodes:  # each round completes the VM or uses up a node
            left = vcpus - len(chosen)
            rooms = {node: stock.room(node, run) // portion * portion for node in nodes}
            node = min(nodes, key=lambda node: _fit(rooms[node], left))
            chosen += stock.take(node, min(rooms[node], left), run)
    guest_cores = [chosen[first : first + threads] for first in range(0, len(chosen), threads)]
    guest_cores.sort(key=lambda core: topology.node_of(core[0]))  # neighbouring vCPUs share a node
    return tuple(cpu for core in guest_cores for cpu in core)


class _Stock:
    """The free CPUs of each core, while they are given away in runs of siblings."""

    def __init__(self, topology: Topology, free: frozenset[int]) -> None:
        self._free = {core: [cpu for cpu in core.cpus if cpu in free] for core in topology.cores}

    def room(self, node: int, run: int = 1) -> int:
        """How many CPUs of a node can be had in runs of so many siblings."""
        return sum(len(cpus) // run * run for core, cpus in self._free.items() if core.node == node)

    def take(self, node: int, count: int, run: int) -> list[int]:
        """So many CPUs of a node: whole cores, then the rest of broken ones; only then is a whole core broken."""
        taken: list[int] = []
        while len(taken) < count:
            left = count - len(taken)
            cores = [core for core, cpus in self._free.items() if core.node == node and len(cpus) >= run]
            cpus = self._free[min(cores, key=lambda core: self._cost(core, left, run))]
            share = min(len(cpus) // run * run, left)
            taken += cpus[:share]
            del cpus[:share]
        return taken

    def _cost(self, core: Core, left: int, run: int) -> tuple[int, bool, int]:
        free, size = len(self._free[core]), len(core.cpus)
        breaks = 1 if free < size else 0 if size <= left else 2
        return (breaks, *_fit(free // run * run, left))


def _fit(room: int, wanted: int) -> tuple[bool, int]:
    """Sort key: the smallest room that holds all that is wanted; where none does, the largest."""
    return (room < wanted, abs(room - wanted))
