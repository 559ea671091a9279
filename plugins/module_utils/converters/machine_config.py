# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's declaration to what OpenShift's operators prepare nodes by: a PerformanceProfile and a MachineConfig.

Nodes of OpenShift are the Machine Config Operator's: what anybody else changes on one is undone, or keeps it from being
updated. CPUs, huge pages and the kernel are the Node Tuning Operator's, which has the kubelet go by them too.

Source: Ignition's configuration specification 3.2.0, and the APIs machineconfiguration.openshift.io/v1 and
performance.openshift.io/v2.
"""

from __future__ import annotations

import re
import typing as t
import urllib.parse

from ansible_collections.rtvirt.core.plugins.module_utils._errors import ConversionError, DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils.converters import cpuset
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import PCI_ID

__all__ = ["KERNEL_ARGUMENTS", "machine_config"]

#: What the IOMMU is turned on by, by the CPUs' vendor. AMD's is on where the firmware has it
#: on: there is no amd_iommu=on.
KERNEL_ARGUMENTS = {"intel": ["intel_iommu=on", "iommu=pt"], "amd": ["iommu=pt"], "arm": ["iommu.passthrough=1"]}

_IGNITION = "3.2.0"
_MODE = 0o644
_SIZE = re.compile(r"\d+[kMG]")
_ROLE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")

#: Parts and options of the module ``host`` that there is something for; anything else would be lost without a word.
_PARTS: dict[str, dict[str, t.Any]] = {
    "rt_host_prep": {"isolated_cpus": str, "housekeeping_cpus": str, "workload": ("realtime", "dpdk")},
    "hugepages": {"pools": list, "default_size": str},
    "iommu_vfio": {"devices": list, "method": ("ids",)},
    "nested_kvm": {"enabled": bool},
    "default_kernel": {"kernel": ("realtime",)},
    "kernel_cmdline": {"args": list},
}


def machine_config(
    declaration: t.Mapping[str, t.Any], role: str = "worker", vendor: str = "intel"
) -> list[dict[str, t.Any]]:
    """The documents that prepare all nodes of a role as ``host`` would prepare one host.

    :arg declaration: parts of ``host`` with their options, and ``kernel_cmdline``.
    :arg role: that of the MachineConfigPool, in whose nodes' labels it stands too.
    :arg vendor: of the nodes' CPUs, a key of :data:`KERNEL_ARGUMENTS`.
    :returns: a PerformanceProfile (CPUs, huge pages, kernel), a MachineConfig (the rest), or one of them.
    :raises DeclarationError: with all that is wrong, and all that nodes cannot be told so.
    """
    problems = list(_problems(declaration, role, vendor))
    parts: dict[str, dict[str, t.Any]] = {}
    if not problems:
        parts = {name: dict(one) for name, one in declaration.items() if one is not None}
        problems += _check_cpus(parts)
        problems += _check_pools(parts.get("hugepages", {}))
        problems += _check_devices(parts.get("iommu_vfio"))
    if problems:
        raise DeclarationError(problems)
    arguments = list(parts.get("kernel_cmdline", {}).get("args") or [])
    documents = []
    if "rt_host_prep" in parts:
        documents.append(_performance_profile(parts, role))
    files = _files(parts, vendor)
    if "iommu_vfio" in parts:
        arguments = [*KERNEL_ARGUMENTS[vendor], *arguments]
    if files or arguments:
        documents.append(_machine_config(files, arguments, role))
    return documents


def _problems(declaration: t.Mapping[str, t.Any], role: str, vendor: str) -> t.Iterator[Problem]:
    if not _ROLE.fullmatch(role):
        yield Problem("role", f"is {role!r}: write the name of a MachineConfigPool, such as worker or worker-rt")
    if vendor not in KERNEL_ARGUMENTS:
        yield Problem("vendor", f"is {vendor!r}: write {', '.join(KERNEL_ARGUMENTS)}")
    if all(options is None for options in declaration.values()):
        yield Problem("declaration", f"is empty: write one or more of {', '.join(_PARTS)}")
    for name, options in declaration.items():
        if name not in _PARTS:
            yield Problem(str(name), f"is nothing that nodes can be told so: write {', '.join(_PARTS)}")
        elif options is not None and not isinstance(options, dict):
            yield Problem(name, f"is {options!r}: write its options")
        else:
            for key, value in (options or {}).items():
                yield from _option(name, str(key), value)


def _option(part: str, key: str, value: t.Any) -> t.Iterator[Problem]:
    known = _PARTS[part].get(key)
    if known is None:
        yield Problem(f"{part}.{key}", f"is nothing that nodes can be told so: write {', '.join(_PARTS[part])}")
    elif isinstance(known, tuple):
        if value not in known:
            yield Problem(f"{part}.{key}", f"is {value!r}: write {' or '.join(known)}")
    elif not isinstance(value, known):
        yield Problem(f"{part}.{key}", f"is {value!r}: write {'a list' if known is list else known.__name__}")
    elif known is list and key == "args":
        wrong = [index for index, one in enumerate(value) if not isinstance(one, str) or not one or " " in one]
        yield from (Problem(f"{part}.{key}[{index}]", f"is {value[index]!r}: write one argument") for index in wrong)


def _check_cpus(parts: dict[str, dict[str, t.Any]]) -> t.Iterator[Problem]:
    given = parts.get("rt_host_prep")
    if given is None:
        # A PerformanceProfile has no other part without them.
        for name in ("hugepages", "default_kernel"):
            if name in parts:
                yield Problem(
                    "rt_host_prep", f"is missing: {name} goes into a PerformanceProfile, which needs its CPUs"
                )
        return
    found: dict[str, frozenset[int]] = {}
    for option in ("isolated_cpus", "housekeeping_cpus"):
        try:
            found[option] = frozenset(cpuset.parse(given.get(option) or ""))
        except ConversionError as error:
            yield Problem(
                f"rt_host_prep.{option}", f"{error.message}; of nodes no CPU is known, so write both lists out"
            )
            continue
        if not found[option]:
            yield Problem(f"rt_host_prep.{option}", "is missing: of nodes no CPU is known, so write both lists out")
    if len(found) == 2 and (both := frozenset.intersection(*found.values())):
        message = f"has CPU {cpuset.format_ranges(both)}, which is isolated too: leave it out of one list"
        yield Problem("rt_host_prep.housekeeping_cpus", message)


def _check_pools(given: dict[str, t.Any]) -> t.Iterator[Problem]:
    seen: set[tuple[t.Any, t.Any]] = set()
    for index, pool in enumerate(given.get("pools") or []):
        at = f"hugepages.pools[{index}]"
        if not isinstance(pool, dict) or pool.keys() - {"size", "count", "node"}:
            yield Problem(at, f"is {pool!r}: write size, count and, for pages of one NUMA node, node")
            continue
        if not _SIZE.fullmatch(str(pool.get("size"))):
            yield Problem(f"{at}.size", f"is {pool.get('size')!r}: write a size of pages such as 2M or 1G")
        for key in ("count", "node"):
            value = pool.get(key)
            is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
            if not is_number and (key, value) != ("node", None):
                yield Problem(f"{at}.{key}", f"is {value!r}: write a number, 0 or more")
        place = (pool.get("size"), pool.get("node"))
        if place in seen:
            yield Problem(at, f"pages of {place[0]} stand twice: leave one out")
        seen.add(place)
    size = given.get("default_size")
    if size is not None and not _SIZE.fullmatch(size):
        yield Problem("hugepages.default_size", f"is {size!r}: write a size of pages such as 2M or 1G")
    elif size is None and len({one for one, _node in seen}) > 1:
        yield Problem("hugepages.default_size", "is missing: a PerformanceProfile with pages of several sizes needs it")


def _check_devices(given: dict[str, t.Any] | None) -> t.Iterator[Problem]:
    if given is None:
        return
    if not given.get("devices"):
        yield Problem("iommu_vfio.devices", "is empty: write devices by their id")
    for index, device in enumerate(given.get("devices") or []):
        at = f"iommu_vfio.devices[{index}]"
        if not isinstance(device, dict) or {key for key, value in device.items() if value is not None} != {"id"}:
            yield Problem(at, f"is {device!r}: write id alone, as addresses and drivers are a node's own")
        elif not PCI_ID.fullmatch(str(device["id"])):
            yield Problem(f"{at}.id", f"is {device['id']!r}: write vendor and device, such as 10de:1eb8")


def _performance_profile(parts: dict[str, dict[str, t.Any]], role: str) -> dict[str, t.Any]:
    cpus, pages = parts["rt_host_prep"], parts.get("hugepages", {})
    isolated, reserved = (
        cpuset.format_ranges(cpuset.parse(cpus[option])) for option in ("isolated_cpus", "housekeeping_cpus")
    )
    spec: dict[str, t.Any] = {"cpu": {"isolated": isolated, "reserved": reserved}}
    if pages.get("pools"):
        size = pages.get("default_size") or pages["pools"][0]["size"]
        spec["hugepages"] = {"defaultHugepagesSize": size, "pages": [_given(pool) for pool in pages["pools"]]}
    realtime, kernel = cpus.get("workload", "realtime") == "realtime", "default_kernel" in parts
    spec["realTimeKernel"] = {"enabled": kernel}
    # The operator refuses the kernel beside the word that nothing is real-time.
    if realtime or not kernel:
        spec["workloadHints"] = {"realTime": realtime}
    spec["nodeSelector"] = {f"node-role.kubernetes.io/{role}": ""}
    return {
        "apiVersion": "performance.openshift.io/v2",
        "kind": "PerformanceProfile",
        "metadata": {"name": f"rtvirt-{role}"},
        "spec": spec,
    }


def _given(options: dict[str, t.Any]) -> dict[str, t.Any]:
    return {key: value for key, value in options.items() if value is not None}


def _files(parts: dict[str, dict[str, t.Any]], vendor: str) -> dict[str, str]:
    """Path -> text of what modprobe and systemd read."""
    files: dict[str, str] = {}
    if "iommu_vfio" in parts:
        ids = dict.fromkeys(str(device["id"]).lower() for device in parts["iommu_vfio"]["devices"])
        files["/etc/modprobe.d/vfio.conf"] = f"options vfio-pci ids={','.join(ids)}\n"
        files["/etc/modules-load.d/vfio-pci.conf"] = "vfio-pci\n"
    if "nested_kvm" in parts:
        module = {"intel": "kvm_intel", "amd": "kvm_amd"}.get(vendor)
        if module:
            enabled = int(parts["nested_kvm"].get("enabled", True))
            files["/etc/modprobe.d/zz-rtvirt-nested.conf"] = f"options {module} nested={enabled}\n"
    return files


def _machine_config(files: dict[str, str], arguments: list[str], role: str) -> dict[str, t.Any]:
    config: dict[str, t.Any] = {"ignition": {"version": _IGNITION}}
    if files:
        config["storage"] = {
            "files": [
                {
                    "path": path,
                    "mode": _MODE,
                    "overwrite": True,
                    "contents": {"source": f"data:,{urllib.parse.quote(text)}"},
                }
                for path, text in files.items()
            ]
        }
    spec: dict[str, t.Any] = {"config": config}
    if arguments:
        spec["kernelArguments"] = arguments
    return {
        "apiVersion": "machineconfiguration.openshift.io/v1",
        "kind": "MachineConfig",
        # Names count: a later one is laid over an earlier.
        "metadata": {
            "name": f"100-{role}-rtvirt",
            "labels": {"machineconfiguration.openshift.io/role": role},
        },
        "spec": spec,
    }
