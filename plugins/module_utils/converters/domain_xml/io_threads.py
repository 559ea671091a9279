# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""I/O threads: how many a domain has and which disk each serves.

KubeVirt's policies: ``shared`` is one thread, ``auto`` as many as disks but at most two for each vCPU,
``supplementalPool`` a number of its own. A disk with ``dedicatedIOThread`` has one to itself, after those.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils.converters import defaults

__all__ = ["assign", "thread_count"]


def assign(spec: t.Mapping[str, t.Any], vcpus: int, arch: str) -> dict[str, int]:
    """I/O thread (from 1) of each virtio disk that has one, by the disk's name."""
    domain = spec.get("domain") or {}
    disks = [
        disk for disk in (domain.get("devices") or {}).get("disks") or [] if defaults.bus_of(disk, arch) == "virtio"
    ]
    own = [disk["name"] for disk in disks if disk.get("dedicatedIOThread")]
    pooled = [disk["name"] for disk in disks if not disk.get("dedicatedIOThread")]
    policy = domain.get("ioThreadsPolicy")
    if policy is None and not own:
        return {}
    pool = _pool_size(domain, policy, vcpus, len(pooled))
    threads = {name: index % pool + 1 for index, name in enumerate(pooled)} if pool else {}
    threads.update({name: pool + index + 1 for index, name in enumerate(own)})
    return threads


def thread_count(spec: t.Mapping[str, t.Any], vcpus: int, arch: str) -> int:
    """I/O threads of the domain, 0 for none."""
    domain = spec.get("domain") or {}
    used = max(assign(spec, vcpus, arch).values(), default=0)
    policy = domain.get("ioThreadsPolicy")
    return max(used, _pool_size(domain, policy, vcpus, 0)) if policy else used


def _pool_size(domain: t.Mapping[str, t.Any], policy: str | None, vcpus: int, disks: int) -> int:
    if policy == "supplementalPool":
        return int((domain.get("ioThreads") or {}).get("supplementalPoolThreadCount") or 1)
    if policy == "auto":
        isolated = (domain.get("cpu") or {}).get("isolateEmulatorThread")
        return 1 if isolated else max(1, min(disks, 2 * vcpus))
    return 1 if policy == "shared" or disks else 0
