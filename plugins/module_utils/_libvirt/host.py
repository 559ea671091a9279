# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host offers its domains, from libvirt's capabilities.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import typing as t
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field, replace

from ansible_collections.rtvirt.core.plugins.module_utils._errors import (
    ConversionError,
    DeclarationError,
    Problem,
    RtvirtError,
)
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.connection import doing
from ansible_collections.rtvirt.core.plugins.module_utils.converters import cpuset
from ansible_collections.rtvirt.core.plugins.module_utils.converters.placement import (
    Topology,
    default_pool,
    topology_from_capabilities,
)

try:
    import libvirt
except ImportError:  # connection.py tells
    pass

__all__ = ["Host", "host_from_capabilities", "isolated_cpus", "polling_cpus", "read_host"]

#: What the kernel tells of CPUs that are set apart. In the first are those of ``isolcpus`` with ``domain`` alone, which
#: hosts for DPDK are not booted with.
_ISOLATED = (pathlib.Path("/sys/devices/system/cpu/isolated"), pathlib.Path("/sys/devices/system/cpu/nohz_full"))


@dataclass(frozen=True)
class Host:
    """A hypervisor.

    :ivar virt_types: what its QEMU can do for its own architecture, ``kvm`` first.
    :ivar page_sizes: huge page sizes in bytes.
    :ivar free_pages: huge pages that are free over all nodes, by size.
    :ivar machines: machine types that its QEMU has, with their short names.
    :ivar networks: libvirt's networks and whether each is active, None where the host does not say.
    :ivar portgroups: the names of their groups of ports.
    :ivar qemu_user: numbers of the user and group that guests run as.
    """

    arch: str
    virt_types: tuple[str, ...]
    topology: Topology
    page_sizes: tuple[int, ...]
    free_pages: t.Mapping[int, int] = field(default_factory=dict)
    qemu_user: tuple[int, int] = (0, 0)
    networks: t.Mapping[str, bool] | None = None
    portgroups: t.Mapping[str, frozenset[str]] = field(default_factory=dict)
    machines: frozenset[str] = frozenset()

    def virt_type(self, wanted: str) -> str:
        """The virtualization type for a new domain. :raises DeclarationError: for one that the host does not offer."""
        if wanted == "auto":
            return self.virt_types[0]
        if wanted not in self.virt_types:
            message = f"this host offers no {wanted}: write auto or {' or '.join(self.virt_types)}"
            raise DeclarationError([Problem("virt_type", message)])
        return wanted

    def pool(self, wanted: str | None, isolated: frozenset[int]) -> frozenset[int]:
        """CPUs for dedicated vCPUs. :raises DeclarationError: for CPUs that the host does not have."""
        if wanted is None:
            return default_pool(self.topology, isolated)
        pool = cpuset.parse(wanted, self.topology.cpus)
        missing, have = (cpuset.format_ranges(cpus) for cpus in (pool - self.topology.cpus, self.topology.cpus))
        if missing:
            raise DeclarationError([Problem("cpu_pool", f"this host has no CPU {missing}: its CPUs are {have}")])
        return pool


def host_from_capabilities(xml: str) -> Host:
    """:raises RtvirtError: for capabilities without a guest of the host's own architecture."""
    try:
        root = ET.fromstring(xml)
    except ET.ParseError as error:
        raise RtvirtError(f"the capabilities are no XML ({error}): give what virsh capabilities prints") from error
    arch = root.findtext("host/cpu/arch", "x86_64")
    offered = {
        domain.get("type", "")
        for guest in root.findall(f"guest/arch[@name='{arch}']")
        for domain in guest.findall("domain")
    }
    virt_types = tuple(kind for kind in ("kvm", "qemu") if kind in offered)
    if not virt_types:
        raise RtvirtError(f"this host's libvirt offers no QEMU guests of {arch}: install QEMU for it")
    sizes = {int(pages.get("size", 0)) * 1024 for pages in root.findall("host/cpu/pages")}
    return Host(
        arch=arch,
        virt_types=virt_types,
        topology=topology_from_capabilities(xml),
        # The least is that of plain pages: 4 KiB, or 64 KiB on arm.
        page_sizes=tuple(sorted(sizes)[1:]),
        qemu_user=_qemu_user(root),
        machines=frozenset(machine.text or "" for machine in root.findall(f"guest/arch[@name='{arch}']//machine")),
    )


def _qemu_user(capabilities: ET.Element) -> tuple[int, int]:
    """The DAC security model's label, ``+64055:+994``; root where the host has no such model."""
    for model in capabilities.findall("host/secmodel"):
        if model.findtext("model") == "dac":
            user, group = str(model.findtext("baselabel", "+0:+0")).replace("+", "").split(":")
            return int(user), int(group)
    return 0, 0


def read_host(connection: t.Any) -> Host:
    with doing("read the host's capabilities"):
        host = host_from_capabilities(connection.getCapabilities())
    free: dict[int, int] = {}
    if host.page_sizes:
        sizes = [size // 1024 for size in host.page_sizes]
        with doing("count free huge pages"):
            # A dict of counts by page size in KiB for each node.
            for counts in connection.getFreePages(sizes, min(host.topology.nodes), len(host.topology.nodes)).values():
                for size, count in counts.items():
                    free[size * 1024] = free.get(size * 1024, 0) + count
    networks, portgroups = None, {}
    # A host may have no driver for networks.
    with contextlib.suppress(libvirt.libvirtError):
        handles = {network.name(): network for network in connection.listAllNetworks()}
        portgroups = {name: _portgroups(network.XMLDesc(0)) for name, network in handles.items()}
        networks = {name: bool(network.isActive()) for name, network in handles.items()}
    return replace(host, free_pages=free, networks=networks, portgroups=portgroups)


def _portgroups(network: str) -> frozenset[str]:
    return frozenset(group.get("name", "") for group in ET.fromstring(network).findall("portgroup"))


def isolated_cpus() -> frozenset[int]:
    """The CPUs that this machine's kernel isolates (isolcpus), or else those that it does not tick on (nohz_full)."""
    told = (path.read_text().replace("(null)", "") for path in _ISOLATED if path.exists())
    return next(filter(None, map(cpuset.parse, told)), frozenset())


def polling_cpus() -> frozenset[int]:
    """The CPUs of this machine on which Open vSwitch polls (pmd-cpu-mask): whoever shares one starves it.

    None where there is no switch that answers.
    """
    command = ["ovs-vsctl", "--no-wait", "--timeout=5", "--if-exists", "get", "Open_vSwitch", "."]
    try:
        done = subprocess.run([*command, "other_config:pmd-cpu-mask"], capture_output=True, text=True, check=False)
        mask = done.stdout.strip().strip('"') if done.returncode == 0 else ""
        return cpuset.parse_mask(mask) if mask else frozenset()
    except (OSError, ConversionError):
        return frozenset()
