# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for a host's huge pages: counts to write, units to write, and what was there before us.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import FileChange, Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.hugepage_units import apply_units, plan_units
from ansible_collections.rtvirt.core.plugins.module_utils._host.hugepages import (
    CountChange,
    Pool,
    Wanted,
    allocate,
    boot_arguments,
    check_wanted,
    format_size,
    knows_nodes_at_boot,
    read_pools,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.record import read_record, record_changes
from ansible_collections.rtvirt.core.plugins.module_utils._host.settings import SettingsPlan

__all__ = ["HugepagePlan", "Missing", "apply_hugepages", "plan_hugepages"]

_RECORD = "hugepages"


@dataclass(frozen=True)
class HugepagePlan:
    """What brings a host's pools to what is declared.

    :ivar pools: as they are.
    :ivar first: by size and node, ``2048/0``, the count before the first run: what ``state: absent`` goes back to.
    :ivar kernel_args: what makes the pools at boot; none where a unit does, or nothing is to.
    :ivar lasting: whether they are there after a boot.
    """

    pools: tuple[Pool, ...]
    changes: tuple[CountChange, ...]
    units: SettingsPlan
    first: dict[str, int]
    recorded: tuple[FileChange, ...]
    kernel_args: tuple[str, ...]
    lasting: bool

    @property
    def changed(self) -> bool:
        return bool(self.changes or self.units.changed or self.recorded)


@dataclass(frozen=True)
class Missing:
    """Pages that the kernel could not get."""

    size: int
    node: int | None
    wanted: int
    got: int

    def __str__(self) -> str:
        where = "" if self.node is None else f" on node {self.node}"
        return f"{self.got} of {self.wanted} pages of {format_size(self.size)}{where}"


def plan_hugepages(
    host: Host, wanted: t.Sequence[Wanted], *, at_boot: str, default_size: int | None, mounts: bool, reserve: int | None
) -> HugepagePlan:
    """Plan pools; those of a run before that are not among them go back to what they were.

    :arg at_boot: ``auto``, ``kernel_args``, ``service`` or ``none``.
    :arg reserve: KiB that each node keeps for all else, None for the usual.
    :raises DeclarationError: for what :func:`check_wanted` refuses, and units where there is no systemd.
    """
    if at_boot == "auto":
        nodes = any(one.node is not None for one in wanted)
        at_boot = "service" if nodes and not knows_nodes_at_boot(host) else "kernel_args"
    first: dict[str, int] = read_record(host, _RECORD).get("first", {})
    pools = read_pools(host)
    if wanted and default_size is not None:
        _check_default(default_size, pools, at_boot)
    covered = {(pool.size, pool.node): pool.count for pool in pools for one in wanted if _covers(one, pool)}
    # A node, or a size, that is gone since has nothing to be given back.
    there = {(pool.size, pool.node) for pool in pools}
    given_back = [_wanted(key, count) for key, count in first.items() if _place(key) in there - covered.keys()]
    mounted = {one.size for one in wanted if one.count} if mounts else set()
    units = plan_units(host, wanted if at_boot == "service" else (), mounted)
    if units.changed and not host.runs_systemd():
        option = "at_boot" if at_boot == "service" else "mounts"
        raise DeclarationError([Problem(option, "is done by units of systemd, which does not run here: switch it off")])
    changes = check_wanted(host, [*wanted, *given_back], reserve)
    kept = {f"{size}/{node}": first.get(f"{size}/{node}", count) for (size, node), count in covered.items()}
    return HugepagePlan(
        pools=tuple(pools),
        changes=tuple(changes),
        units=units,
        first=kept,
        recorded=record_changes(host, _RECORD, {"first": kept}),
        kernel_args=tuple(boot_arguments(wanted, default_size)) if wanted and at_boot == "kernel_args" else (),
        lasting=at_boot != "none",
    )


def _check_default(size: int, pools: t.Iterable[Pool], at_boot: str) -> None:
    """:raises DeclarationError: for a size that this kernel has not, or that nothing would set."""
    sizes = sorted({pool.size for pool in pools})
    if size not in sizes:
        known = ", ".join(map(format_size, sizes)) or "none"
        raise DeclarationError([Problem("default_size", f"is {format_size(size)}: this kernel has pages of {known}")])
    if at_boot != "kernel_args":
        message = f"is set by a kernel argument, and at_boot is {at_boot}: take kernel_args, or leave it out"
        raise DeclarationError([Problem("default_size", message)])


def apply_hugepages(host: Host, plan: HugepagePlan, seconds: float) -> list[Missing]:
    """Write the counts, the units and our record.

    :arg seconds: how long to try for each pool.
    :returns: what the kernel could not get, and what a boot will bring.
    :raises RtvirtError: where it could not, and no boot would; the pools are as they were before.
    """
    # A run that is cut off leaves a record of all that may be ours.
    both = {**read_record(host, _RECORD).get("first", {}), **plan.first}
    host.apply(record_changes(host, _RECORD, {"first": both}))
    got = allocate(host, plan.changes, seconds)
    pairs = zip(plan.changes, got)
    missing = [
        Missing(asked.size, asked.node, asked.after, one.after) for asked, one in pairs if one.after < asked.after
    ]
    if missing and not plan.lasting:
        allocate(host, [CountChange(one.size, one.node, one.after, one.before) for one in reversed(got)], 0)
        told = ", ".join(map(str, missing))
        raise RtvirtError(f"the kernel could get {told}, and nothing was left reserved: free memory, or have at_boot")
    if plan.units.changed:
        apply_units(host, plan.units)
    host.apply(record_changes(host, _RECORD, {"first": plan.first}))
    return missing


def _covers(one: Wanted, pool: Pool) -> bool:
    return one.size == pool.size and one.node in (None, pool.node)


def _place(key: str) -> tuple[int, int]:
    size, _slash, node = key.partition("/")
    return int(size), int(node)


def _wanted(key: str, count: int) -> Wanted:
    size, node = _place(key)
    return Wanted(size, node, count, f"what was reserved before ({format_size(size)} on node {node})")
