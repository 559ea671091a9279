# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CPU topology that Nova would give a VM."""

from __future__ import annotations

from ansible_collections.rtvirt.core.plugins.module_utils.converters.nova.request import Options, Request

__all__ = ["topology"]

_TOPOLOGY = ("sockets", "cores", "threads")


def topology(request: Request, vcpus: int) -> Options:
    """Of all topologies the one that is most as it is wanted, then that with the fewest threads, then the most sockets.

    What an image wants, and how much at most, goes before what a flavor does (``get_cpu_topology_constraints``).
    """
    limits, most = _of_topology(request, "hw:cpu_max_")
    flavor, image = _of_topology(request, "hw:cpu_")
    for part, limit, own, value in zip(_TOPOLOGY, limits, most, image):
        if _above(own, limit):
            request.add(f"properties.hw_cpu_max_{part}", f"is {own}, and the flavor allows {limit}: write that or less")
        if _above(value, own or limit):
            request.add(f"properties.hw_cpu_{part}", f"is {value}, of at most {own or limit}: write that or less")
    bounds = [own or limit for own, limit in zip(most, limits)]
    # What a flavor wants beyond a bound is no mistake to Nova, and then it wants nothing at all.
    wanted = image if any(image) else [] if any(map(_above, flavor, bounds)) else flavor
    possible = [
        (sockets, cores, vcpus // (sockets * cores))
        for sockets in range(1, vcpus + 1)
        for cores in range(1, vcpus // sockets + 1)
        if vcpus % (sockets * cores) == 0
    ]
    allowed = [one for one in possible if not any(map(_above, one, bounds))]
    if not allowed:
        told = " x ".join(f"{bound or vcpus} {part}" for bound, part in zip(bounds, _TOPOLOGY))
        request.add("vcpus", f"{vcpus} are not to be had of {told} at most: raise hw:cpu_max_…")
        return {}

    def rank(one: tuple[int, int, int]) -> tuple[int, int, int]:
        return sum(value == want for value, want in zip(one, wanted)), one[0] * one[1], one[0]

    best = max(allowed, key=rank)
    return {f"cpu_{part}": value for part, value in zip(_TOPOLOGY, best)}


def _of_topology(request: Request, name: str) -> tuple[list[int | None], list[int | None]]:
    """What flavor and image say of sockets, cores and threads."""
    flavor, image = ([request.whole(one, f"{name}{part}") for part in _TOPOLOGY] for one in ("flavor", "image"))
    return flavor, image


def _above(value: int | None, bound: int | None) -> bool:
    return value is not None and bound is not None and value > bound
