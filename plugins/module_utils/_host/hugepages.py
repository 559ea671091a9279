# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pools of huge pages by size and NUMA node: what there is, what is wanted, and how it is had now and after a boot.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: Linux ``Documentation/admin-guide/mm/hugetlbpage.rst``. The kernel allocates what it can and calls that a
success, so what was got is read. Nodes on the command line (``hugepages=0:4,1:8``) are known since Linux 5.16.
"""

from __future__ import annotations

import re
import time
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host

__all__ = [
    "CountChange",
    "Pool",
    "Wanted",
    "allocate",
    "boot_arguments",
    "check_wanted",
    "format_size",
    "knows_nodes_at_boot",
    "parse_size",
    "predicted",
    "read_pools",
]

_SIZE = re.compile(r"(\d+)\s*([kKMG])(?:i?B)?")
_FACTOR = {"k": 1, "K": 1, "M": 1024, "G": 1024 * 1024}
_NODES = "/sys/devices/system/node"

#: What a node keeps of its memory, in KiB, unless it is told otherwise: 2 GiB, or a tenth where that is less.
_RESERVE = 2 * 1024 * 1024


@dataclass(frozen=True)
class Pool:
    """The huge pages of one size on one node, as they are.

    :ivar size: of a page, in KiB.
    :ivar count: pages of the pool, those lent beyond it (surplus) not among them.
    :ivar used: pages that somebody has.
    """

    size: int
    node: int
    count: int
    used: int

    @property
    def path(self) -> str:
        return f"{_NODES}/node{self.node}/hugepages/hugepages-{self.size}kB/nr_hugepages"

    def result(self) -> dict[str, t.Any]:
        """As tasks return it."""
        return {**vars(self), "size": format_size(self.size)}


@dataclass(frozen=True)
class Wanted:
    """What is declared of a size.

    :ivar node: None for pages on whichever node, as the kernel spreads them.
    :ivar path: the option's, for messages.
    """

    size: int
    node: int | None
    count: int
    path: str


@dataclass(frozen=True)
class CountChange:
    """One count to be written: of a pool, or of a size on all nodes together (``node`` is None)."""

    size: int
    node: int | None
    before: int
    after: int

    @property
    def path(self) -> str:
        if self.node is None:
            return f"/sys/kernel/mm/hugepages/hugepages-{self.size}kB/nr_hugepages"
        return Pool(self.size, self.node, 0, 0).path


def parse_size(text: str) -> int | None:
    """``2M``, ``2MiB``, ``1G`` or ``64kB`` in KiB, None for anything else."""
    match = _SIZE.fullmatch(text.strip())
    return int(match[1]) * _FACTOR[match[2]] if match else None


def format_size(size: int) -> str:
    """A size as the kernel's command line takes it: ``2M``, ``1G``."""
    for letter, factor in (("G", _FACTOR["G"]), ("M", _FACTOR["M"])):
        if size % factor == 0:
            return f"{size // factor}{letter}"
    return f"{size}K"


def read_pools(host: Host) -> list[Pool]:
    """All pools of this host, by node and size."""
    found = []
    for node in _numbers(host, _NODES, r"node(\d+)"):
        folder = f"{_NODES}/node{node}/hugepages"
        for size in _numbers(host, folder, r"hugepages-(\d+)kB"):
            count, free, surplus = (
                int(host.word(f"{folder}/hugepages-{size}kB/{name}_hugepages") or 0)
                for name in ("nr", "free", "surplus")
            )
            found.append(Pool(size, node, count - surplus, count - free))
    return found


def _numbers(host: Host, folder: str, pattern: str) -> list[int]:
    matches = (re.fullmatch(pattern, name) for name in host.names(folder))
    return sorted(int(match[1]) for match in matches if match)


def check_wanted(host: Host, wanted: t.Sequence[Wanted], reserve: int | None = None) -> list[CountChange]:
    """The counts to be written, those that get smaller first.

    :arg reserve: KiB that each node keeps of its memory for all else, None for the usual.
    :raises DeclarationError: for sizes and nodes that there are not, pages in use that would go, and a pool that leaves
        a node too little.
    """
    pools = {(pool.size, pool.node): pool for pool in read_pools(host)}
    problems = list(_unknown(wanted, pools))
    if wanted and not pools:
        problems = [Problem("pools", "this kernel has no huge pages: boot one with CONFIG_HUGETLBFS")]
    if problems:
        raise DeclarationError(problems)
    changes = []
    for one in wanted:
        there = [pool for pool in pools.values() if pool.size == one.size and one.node in (None, pool.node)]
        before, used = sum(pool.count for pool in there), sum(pool.used for pool in there)
        if one.node is None:
            # Promised to somebody who has not touched them yet; of which node is not known.
            used += int(host.word(f"/sys/kernel/mm/hugepages/hugepages-{one.size}kB/resv_hugepages") or 0)
        if one.count < min(used, before):
            where = "" if one.node is None else f" on node {one.node}"
            message = (
                f"is {one.count}, and {used} pages of {format_size(one.size)} are in use{where}: stop what uses them"
            )
            problems.append(Problem(f"{one.path}.count", message))
        if one.count != before:
            changes.append(CountChange(one.size, one.node, before, one.count))
    problems += _too_much(host, wanted, pools, reserve)
    if problems:
        raise DeclarationError(problems)
    return sorted(changes, key=lambda change: change.after > change.before)


def _unknown(wanted: t.Sequence[Wanted], pools: t.Mapping[tuple[int, int], Pool]) -> t.Iterator[Problem]:
    sizes, nodes = sorted({size for size, _node in pools}), sorted({node for _size, node in pools})
    seen: set[tuple[int, int | None]] = set()
    for one in wanted:
        if one.size not in sizes:
            there = ", ".join(map(format_size, sizes))
            yield Problem(f"{one.path}.size", f"this host has no pages of {format_size(one.size)}: it has {there}")
        if one.node is not None and one.node not in nodes:
            yield Problem(f"{one.path}.node", f"there is no node {one.node}: there are {', '.join(map(str, nodes))}")
        if (one.size, one.node) in seen:
            yield Problem(one.path, "is declared twice: leave one out")
        elif any(size == one.size and (node is None) != (one.node is None) for size, node in seen):
            message = f"pages of {format_size(one.size)} are declared with a node and without: give each pool its node"
            yield Problem(f"{one.path}.node", message)
        seen.add((one.size, one.node))


def _too_much(
    host: Host, wanted: t.Sequence[Wanted], pools: t.Mapping[tuple[int, int], Pool], reserve: int | None
) -> t.Iterator[Problem]:
    """Pools that leave a node less than its reserve; those on whichever node are taken to be spread evenly."""
    nodes = _with_memory(host, pools)
    for node in nodes:
        total = _node_memory(host, node)
        keep = min(_RESERVE, total // 10) if reserve is None else reserve
        after = {size: pool.count * size for (size, where), pool in pools.items() if where == node}
        grows = ""
        for one in wanted:
            if one.node not in (None, node):
                continue
            kib = (one.count if one.node is not None else -(-one.count // len(nodes))) * one.size
            grows = one.path if kib > after[one.size] else grows
            after[one.size] = kib
        left = total - sum(after.values())
        if grows and left < keep:
            yield Problem(
                f"{grows}.count",
                f"leaves node {node} {max(0, left) // 1024} MiB of its {total // 1024} MiB for all else, and it keeps"
                f" {keep // 1024} MiB: reserve fewer pages, or lower reserve",
            )


def _with_memory(host: Host, pools: t.Iterable[tuple[int, int]]) -> list[int]:
    """The nodes that the kernel spreads pages over: one may have CPUs and no memory."""
    return sorted({node for _size, node in pools if _node_memory(host, node)})


def _node_memory(host: Host, node: int) -> int:
    match = re.search(r"MemTotal:\s+(\d+) kB", host.read(f"{_NODES}/node{node}/meminfo") or "")
    return int(match[1]) if match else 0


def allocate(host: Host, changes: t.Iterable[CountChange], seconds: float) -> list[CountChange]:
    """Write counts, and read what the kernel has made of them.

    :arg seconds: how long to try again, after a request to put memory together.
    :returns: the changes as they were carried out; ``after`` is what was got.
    """
    done = []
    for change in changes:
        until = time.monotonic() + seconds
        while True:
            host.tell(change.path, str(change.after))
            got = int(host.word(change.path) or 0)
            if got == change.after or time.monotonic() > until:
                break
            host.tell("/proc/sys/vm/compact_memory", "1")
            time.sleep(0.2)
        done.append(CountChange(change.size, change.node, change.before, got))
    return done


def predicted(pools: t.Iterable[Pool], changes: t.Sequence[CountChange]) -> list[Pool]:
    """Pools as changes will leave them; what is for no node is taken to be spread evenly, as the kernel does."""
    pools = list(pools)
    nodes = sorted({pool.node for pool in pools})
    result = []
    for pool in pools:
        count = pool.count
        for change in changes:
            if change.size == pool.size and change.node == pool.node:
                count = change.after
            elif change.size == pool.size and change.node is None:
                share, rest = divmod(change.after, len(nodes))
                count = share + (nodes.index(pool.node) < rest)
        result.append(replace(pool, count=count))
    return result


def knows_nodes_at_boot(host: Host) -> bool:
    """Whether the kernel takes ``hugepages=0:4,1:8``."""
    release = re.match(r"(\d+)\.(\d+)", host.word("/proc/sys/kernel/osrelease"))
    return release is not None and (int(release[1]), int(release[2])) >= (5, 16)


def boot_arguments(wanted: t.Iterable[Wanted], default_size: int | None = None) -> list[str]:
    """The kernel arguments that make pools at boot, each size once, with its counts after it."""
    counts: dict[int, list[Wanted]] = {}
    for one in wanted:
        counts.setdefault(one.size, []).append(one)
    arguments = [] if default_size is None else [f"default_hugepagesz={format_size(default_size)}"]
    for size, ones in sorted(counts.items(), reverse=True):
        texts = [str(one.count) if one.node is None else f"{one.node}:{one.count}" for one in ones]
        arguments += [f"hugepagesz={format_size(size)}", f"hugepages={','.join(texts)}"]
    return arguments
