# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in force on a host, in one report: the facts that plans use, and that prove them afterwards.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._host.cmdline import running_arguments
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.hugepages import read_pools
from ansible_collections.rtvirt.core.plugins.module_utils._host.kvm import nested
from ansible_collections.rtvirt.core.plugins.module_utils._host.ovs.database import facts_of_ovs
from ansible_collections.rtvirt.core.plugins.module_utils._host.pci import in_the_way, read_devices
from ansible_collections.rtvirt.core.plugins.module_utils._host.running_vms import running_vms
from ansible_collections.rtvirt.core.plugins.module_utils._host.topology import read_topology
from ansible_collections.rtvirt.core.plugins.module_utils._host.tuned import active_profile
from ansible_collections.rtvirt.core.plugins.module_utils.converters.cpuset import format_ranges

__all__ = ["facts_of", "kernel_facts"]


def facts_of(host: Host) -> dict[str, t.Any]:
    return {
        "cpus": _cpus(host),
        "kernel": kernel_facts(host),
        "hugepages": [pool.result() for pool in read_pools(host)],
        "pci_devices": _devices(host),
        "kvm": _kvm(host),
        "running_vms": [vm.name for vm in running_vms(host)],
        "ovs": facts_of_ovs(host),
        "tuned_profile": active_profile(host) or None,
    }


def _cpus(host: Host) -> dict[str, t.Any]:
    topology = read_topology(host)
    folder = "/sys/devices/system/cpu"
    return {
        "online": format_ranges(topology.online),
        "isolated": host.word(f"{folder}/isolated"),
        "nohz_full": host.word(f"{folder}/nohz_full").replace("(null)", ""),
        "cores": [format_ranges(core) for core in topology.cores],
        "nodes": {str(node): format_ranges(cpus) for node, cpus in topology.nodes.items()},
    }


def kernel_facts(host: Host) -> dict[str, t.Any]:
    version = host.word("/proc/sys/kernel/version")
    return {
        "release": host.word("/proc/sys/kernel/osrelease"),
        "version": version,
        # /sys/kernel/realtime is not there on every real-time kernel.
        "realtime": "PREEMPT_RT" in version or host.word("/sys/kernel/realtime") == "1",
        "args": running_arguments(host),
    }


def _devices(host: Host) -> list[dict[str, t.Any]]:
    devices = read_devices(host)
    return [
        {
            "address": one.address,
            "vendor": one.vendor,
            "device": one.device,
            "class": one.class_code,
            "driver": one.driver or None,
            "iommu_group": one.group,
            "viable": one.group is not None and not in_the_way(one, devices),
            "in_the_way": [other.address for other in in_the_way(one, devices)] if one.group is not None else [],
            "numa_node": one.node,
            "interfaces": list(one.interfaces),
            # As the KubeVirt CR's permittedHostDevices takes it.
            "pci_device_selector": f"{one.vendor}:{one.device}".upper(),
            **_virtual(host, one.address),
        }
        for one in devices
    ]


def _virtual(host: Host, address: str) -> dict[str, t.Any]:
    """SR-IOV's functions of a device, and its mediated devices (Linux, Documentation/ABI, sysfs-bus-pci)."""
    folder = f"/sys/bus/pci/devices/{address}"
    functions = (host.target(f"{folder}/{name}") for name in host.names(folder) if re.fullmatch(r"virtfn\d+", name))
    return {
        "physical_function": host.target(f"{folder}/physfn"),
        "virtual_functions": sorted(name for name in functions if name),
        "mdev_types": host.names(f"{folder}/mdev_supported_types"),
    }


def _kvm(host: Host) -> dict[str, t.Any]:
    module = next((name for name in ("kvm_intel", "kvm_amd") if nested(host, name) is not None), None)
    return {
        "device": host.exists("/dev/kvm"),
        "module": module,
        "nested": module is not None and nested(host, module) is True,
    }
