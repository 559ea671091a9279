# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""DPDK of Open vSwitch: the settings that are declared, and what of them a host cannot give.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: ``ovs-vswitchd.conf.db(5)``, Open_vSwitch, other_config. A switch whose DPDK cannot be initialised ends, and
takes the host's network with it: so memory and CPUs are looked at before.
"""

from __future__ import annotations

import difflib
import re
import typing as t
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from ansible_collections.rtvirt.core.plugins.module_utils._errors import ConversionError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.hugepages import read_pools
from ansible_collections.rtvirt.core.plugins.module_utils._host.topology import read_topology
from ansible_collections.rtvirt.core.plugins.module_utils.converters.cpuset import format_mask, format_ranges, parse

__all__ = ["RESTART_FIELDS", "START_FIELDS", "Wanted", "check_cpus", "check_memory", "spell", "wanted_fields"]

#: Settings that ovs-vswitchd reads when it starts, with DPDK or without.
_STARTS = ("hw-offload", "n-offload-threads", "tc-policy", "userspace-tso-enable")
START_FIELDS = frozenset(f"other_config:{key}" for key in _STARTS)

#: Those, and settings that it reads once, when it initialises DPDK.
RESTART_FIELDS = frozenset(
    f"other_config:{key}"
    for key in (
        *("dpdk-init", "dpdk-socket-mem", "dpdk-socket-limit", "dpdk-alloc-mem", "dpdk-lcore-mask", "dpdk-extra"),
        *("dpdk-hugepage-dir", "vhost-sock-dir", "vhost-iommu-support", "vhost-postcopy-support", "per-port-memory"),
        "shared-mempool-config",
        *_STARTS,
    )
)

#: Others that there are, to tell a slip of the pen by.
_LIVE = (
    *("pmd-cpu-mask", "pmd-sleep-max", "pmd-maxsleep", "pmd-rxq-assign", "pmd-rxq-isolate", "pmd-perf-metrics"),
    *("pmd-auto-lb", "pmd-auto-lb-load-threshold", "pmd-auto-lb-improvement-threshold", "pmd-auto-lb-rebal-interval"),
    *("smc-enable", "emc-insert-inv-prob", "tx-flush-interval", "n-handler-threads"),
    *(
        "n-revalidator-threads",
        "max-idle",
        "max-revalidator",
        "flow-limit",
        "flow-restore-wait",
        "stats-update-interval",
    ),
)

#: Key -> the option that has it.
_OPTIONS = {
    "dpdk-init": "dpdk_init",
    "dpdk-socket-mem": "socket_mem",
    "pmd-cpu-mask": "pmd_cpus",
    "dpdk-lcore-mask": "lcore_cpus",
    "dpdk-extra": "extra",
}

#: libvirt's definitions, and the domains that run.
_DOMAINS = ("/etc/libvirt/qemu", "/run/libvirt/qemu")


@dataclass(frozen=True)
class Wanted:
    """What is declared.

    :ivar fields: of the row Open_vSwitch.
    :ivar socket_mem: MiB of each NUMA node, None where nothing is said.
    """

    fields: dict[str, str]
    socket_mem: tuple[int, ...] | None
    pmd_cpus: frozenset[int] = field(default_factory=frozenset)
    lcore_cpus: frozenset[int] = field(default_factory=frozenset)

    @property
    def initialises(self) -> bool:
        return self.fields.get("other_config:dpdk-init") != "false"


def wanted_fields(params: t.Mapping[str, t.Any], host: Host, problems: list[Problem]) -> Wanted:
    """What the options declare; what is wrong with them is added to the problems."""
    config = {"dpdk-init": params["dpdk_init"]}
    memory = params["socket_mem"]
    if memory is not None:
        config["dpdk-socket-mem"] = ",".join(map(str, memory))
        if any(amount < 0 for amount in memory) or not any(memory):
            message = f"is {config['dpdk-socket-mem']!r}: write MiB for each NUMA node, such as [1024, 1024]"
            problems.append(Problem("socket_mem", message))
    cpus = {option: _cpus(option, params[option], host, problems) for option in ("pmd_cpus", "lcore_cpus")}
    for key, option in (("pmd-cpu-mask", "pmd_cpus"), ("dpdk-lcore-mask", "lcore_cpus")):
        if cpus[option]:
            config[key] = format_mask(cpus[option])
    if params["extra"] is not None:
        config["dpdk-extra"] = params["extra"]
    config.update(_others(params["other_config"], problems))
    fields = {f"other_config:{key}": value for key, value in config.items()}
    return Wanted(fields, None if memory is None else tuple(memory), cpus["pmd_cpus"], cpus["lcore_cpus"])


def _cpus(option: str, text: str | None, host: Host, problems: list[Problem]) -> frozenset[int]:
    if text is None:
        return frozenset()
    try:
        cpus = frozenset(parse(text, read_topology(host).online))
    except ConversionError as error:
        problems.append(Problem(option, error.message))
        return frozenset()
    if not cpus:
        problems.append(Problem(option, f"is {text!r}, which is no CPU: write some, such as 2-3"))
    return cpus


def _others(given: t.Mapping[str, t.Any], problems: list[Problem]) -> dict[str, str]:
    """Keys by Open vSwitch's own names."""
    known = [*(name.partition(":")[2] for name in RESTART_FIELDS), *_LIVE]
    found = {}
    for key, value in given.items():
        where = f"other_config.{key}"
        close = difflib.get_close_matches(str(key), known, n=1, cutoff=0.8)
        if key in _OPTIONS:
            problems.append(Problem(where, f"is an option of its own: write {_OPTIONS[key]}"))
        elif isinstance(value, (dict, list)) or value is None:
            problems.append(Problem(where, "is no single value: write text, a number, true or false"))
        elif key not in known and close:
            problems.append(Problem(where, f"is not known: did you mean {close[0]}?"))
        else:
            found[str(key)] = str(value).lower() if isinstance(value, bool) else str(value)
    return found


def spell(fields: t.Mapping[str, str], version: str, problems: list[Problem]) -> dict[str, str]:
    """The fields by the names that a version has: ``pmd-sleep-max`` was ``pmd-maxsleep`` in 3.1, and not before."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    names = {"other_config:pmd-sleep-max": "other_config:pmd-maxsleep"}
    if numbers >= (3, 2):
        names = {old: new for new, old in names.items()}
    spelt = {names.get(name, name): value for name, value in fields.items()}
    if "other_config:pmd-maxsleep" in spelt and numbers < (3, 1):
        problems.append(Problem("other_config.pmd-sleep-max", f"needs Open vSwitch 3.1, and this is {version}"))
    return spelt


def check_memory(host: Host, wanted: Wanted, held: t.Sequence[int]) -> list[Problem]:
    """Huge pages that DPDK will not find when it starts.

    :arg held: MiB of each node that a switch has which will be stopped before.
    """
    free = {
        node: sum((pool.count - pool.used) * pool.size // 1024 for pool in read_pools(host) if pool.node == node)
        for node in {pool.node for pool in read_pools(host)}
    }
    remedy = "reserve more (rtvirt.core.hugepages)"
    if wanted.socket_mem is None:
        if any(free.values()) or any(held):
            return []
        return [Problem("socket_mem", f"is not said, and this host has no free huge pages at all: {remedy}")]
    problems = []
    for node, amount in enumerate(wanted.socket_mem):
        have = free.get(node, 0) + (held[node] if node < len(held) else 0)
        if amount and node not in free:
            problems.append(Problem(f"socket_mem[{node}]", f"this host has no NUMA node {node}: leave it out"))
        elif amount > have:
            message = f"is {amount} MiB, and node {node} has {have} MiB of free huge pages: {remedy}, or write less"
            problems.append(Problem(f"socket_mem[{node}]", message))
    return problems


def check_cpus(host: Host, wanted: Wanted) -> tuple[list[Problem], list[str]]:
    """CPUs that poll threads cannot have, and those that they should rather not."""
    topology = read_topology(host)
    problems: list[Problem] = []
    warnings: list[str] = []
    for option, cpus in (("pmd_cpus", wanted.pmd_cpus), ("lcore_cpus", wanted.lcore_cpus)):
        if cpus - topology.online:
            offline, online = format_ranges(cpus - topology.online), format_ranges(topology.online)
            problems.append(Problem(option, f"CPUs {offline} are not online here: this host has {online}"))
    both = wanted.pmd_cpus & wanted.lcore_cpus
    if both:
        problems.append(Problem("lcore_cpus", f"CPUs {format_ranges(both)} are in pmd_cpus, which poll without end"))
    clashes = {
        f"CPUs {format_ranges(cpus & wanted.pmd_cpus)} are vCPUs' of {name}: choose others": None
        for name, cpus in _pinned(host)
        if cpus & wanted.pmd_cpus
    }
    problems += [Problem("pmd_cpus", message) for message in clashes]
    isolated = frozenset(parse(host.word("/sys/devices/system/cpu/isolated") or ""))
    if wanted.pmd_cpus - isolated:
        told = format_ranges(wanted.pmd_cpus - isolated)
        warnings.append(f"pmd_cpus: CPUs {told} are not isolated: whatever else runs there takes time from packets")
    warnings += _apart(wanted, topology.nodes)
    return problems, warnings


def _apart(wanted: Wanted, nodes: t.Mapping[int, frozenset[int]]) -> t.Iterator[str]:
    """Memory and poll threads on different nodes."""
    if wanted.socket_mem is None or not wanted.pmd_cpus:
        return
    for node, cpus in nodes.items():
        memory = wanted.socket_mem[node] if node < len(wanted.socket_mem) else 0
        if memory and not cpus & wanted.pmd_cpus:
            yield f"pmd_cpus: none is on node {node}, which has {memory} MiB of socket_mem"
        elif cpus & wanted.pmd_cpus and not memory:
            told = format_ranges(cpus & wanted.pmd_cpus)
            yield f"socket_mem: node {node} has none, and CPUs {told} of pmd_cpus"


def _pinned(host: Host) -> t.Iterator[tuple[str, frozenset[int]]]:
    """The domains of libvirt, and the CPUs that they have one vCPU each pinned to."""
    for path in (f"{folder}/{name}" for folder in _DOMAINS for name in host.names(folder) if name.endswith(".xml")):
        try:
            document = ET.fromstring(host.read(path) or "")
        except ET.ParseError:
            continue
        pins = [parse(pin.get("cpuset", "")) for pin in document.iter("vcpupin")]
        yield path.rpartition("/")[2][:-4], frozenset(cpu for pin in pins if len(pin) == 1 for cpu in pin)
