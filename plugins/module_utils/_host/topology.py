# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CPUs of a host: which are online, which share a core, and which node they are on.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: Linux ``Documentation/admin-guide/cputopology.rst``.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils.converters.cpuset import parse

__all__ = ["Topology", "read_topology"]

_CPUS = "/sys/devices/system/cpu"
_NODES = "/sys/devices/system/node"


@dataclass(frozen=True)
class Topology:
    """:ivar cores: the CPUs of each core, ordered by their first CPU.
    :ivar nodes: the CPUs of each NUMA node.
    """

    online: frozenset[int]
    cores: tuple[frozenset[int], ...]
    nodes: t.Mapping[int, frozenset[int]]


def read_topology(host: Host) -> Topology:
    online = frozenset(parse(host.word(f"{_CPUS}/online") or "0"))
    cores = {_core(host, cpu) & online for cpu in online}
    nodes = {}
    for name in host.names(_NODES):
        match = re.fullmatch(r"node(\d+)", name)
        if match:
            cpus = frozenset(parse(host.word(f"{_NODES}/{name}/cpulist"))) & online
            # A node may have memory alone.
            nodes.update({int(match[1]): cpus} if cpus else {})
    return Topology(online, tuple(sorted(cores, key=min)), nodes or {0: online})


def _core(host: Host, cpu: int) -> frozenset[int]:
    """The CPUs that share a core with one, itself among them."""
    folder = f"{_CPUS}/cpu{cpu}/topology"
    siblings = host.word(f"{folder}/core_cpus_list") or host.word(f"{folder}/thread_siblings_list")
    return frozenset(parse(siblings)) | {cpu}
