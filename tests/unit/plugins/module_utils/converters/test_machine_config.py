# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents for OpenShift's operators.

What they are held to was compared by hand (2026-11) with what Butane 0.24 makes of document B's configuration, with
ignition-validate 2.14, and with the CRDs of openshift/api and cluster-node-tuning-operator, which no registry has.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.rtvirt.core.plugins.module_utils.converters.machine_config import machine_config

CPUS = {"isolated_cpus": "4-31", "housekeeping_cpus": "0-3"}
CARD = {"devices": [{"id": "10de:1eb8"}]}


def profile(**spec: t.Any) -> dict[str, t.Any]:
    return {
        "apiVersion": "performance.openshift.io/v2",
        "kind": "PerformanceProfile",
        "metadata": {"name": "rtvirt-worker-rt"},
        "spec": {
            "cpu": {"isolated": "4-31", "reserved": "0-3"},
            "nodeSelector": {"node-role.kubernetes.io/worker-rt": ""},
            **spec,
        },
    }


def config(files: dict[str, str], *arguments: str) -> dict[str, t.Any]:
    written = [
        {"path": path, "mode": 420, "overwrite": True, "contents": {"source": f"data:,{text}"}}
        for path, text in files.items()
    ]
    return {
        "apiVersion": "machineconfiguration.openshift.io/v1",
        "kind": "MachineConfig",
        "metadata": {
            "name": "100-worker-rt-rtvirt",
            "labels": {"machineconfiguration.openshift.io/role": "worker-rt"},
        },
        "spec": {
            "config": {"ignition": {"version": "3.2.0"}, **({"storage": {"files": written}} if files else {})},
            **({"kernelArguments": [*arguments]} if arguments else {}),
        },
    }


#: As Butane writes them.
VFIO = {
    "/etc/modprobe.d/vfio.conf": "options%20vfio-pci%20ids%3D10de%3A1eb8%0A",
    "/etc/modules-load.d/vfio-pci.conf": "vfio-pci%0A",
}
NESTED = "/etc/modprobe.d/zz-rtvirt-nested.conf"


@pytest.mark.parametrize(
    ("declaration", "vendor", "documents"),
    [
        ({"iommu_vfio": CARD}, "intel", [config(VFIO, "intel_iommu=on", "iommu=pt")]),
        ({"iommu_vfio": {"devices": [{"id": "10DE:1EB8"}] * 2}}, "amd", [config(VFIO, "iommu=pt")]),
        ({"iommu_vfio": {**CARD, "method": "ids"}}, "arm", [config(VFIO, "iommu.passthrough=1")]),
        ({"kernel_cmdline": {"args": ["a=b", "c"]}, "nested_kvm": None}, "intel", [config({}, "a=b", "c")]),
        ({"nested_kvm": {}}, "intel", [config({NESTED: "options%20kvm_intel%20nested%3D1%0A"})]),
        ({"nested_kvm": {"enabled": False}}, "amd", [config({NESTED: "options%20kvm_amd%20nested%3D0%0A"})]),
        (
            {"rt_host_prep": CPUS, "default_kernel": {"kernel": "realtime"}},
            "intel",
            [profile(realTimeKernel={"enabled": True}, workloadHints={"realTime": True})],
        ),
        # The operator refuses the kernel beside the word that nothing is real-time.
        (
            {"rt_host_prep": {**CPUS, "workload": "dpdk"}, "default_kernel": {"kernel": "realtime"}},
            "intel",
            [profile(realTimeKernel={"enabled": True})],
        ),
        (
            {
                "rt_host_prep": {**CPUS, "isolated_cpus": "4-7,8-31", "workload": "dpdk"},
                "hugepages": {
                    "pools": [{"size": "1G", "count": 16, "node": None}, {"size": "1G", "count": 2, "node": 1}]
                },
                "iommu_vfio": CARD,
                "kernel_cmdline": {"args": ["c"]},
            },
            "intel",
            [
                profile(
                    hugepages={
                        "defaultHugepagesSize": "1G",
                        "pages": [{"size": "1G", "count": 16}, {"size": "1G", "count": 2, "node": 1}],
                    },
                    realTimeKernel={"enabled": False},
                    workloadHints={"realTime": False},
                ),
                config(VFIO, "intel_iommu=on", "iommu=pt", "c"),
            ],
        ),
    ],
)
def test_the_documents(declaration: dict[str, t.Any], vendor: str, documents: list[dict[str, t.Any]]) -> None:
    assert machine_config(declaration, "worker-rt", vendor) == documents


MISTAKES: dict[str, tuple[dict[str, t.Any], str, str]] = {
    "nothing": ({"nested_kvm": None}, "declaration", "is empty"),
    "a part": ({"watchdog": {}}, "watchdog", "write rt_host_prep, hugepages"),
    "no options": ({"nested_kvm": True}, "nested_kvm", "write its options"),
    "an option": ({"rt_host_prep": {**CPUS, "tuned_profile": "x"}}, "rt_host_prep.tuned_profile", "isolated_cpus"),
    "a choice": ({"rt_host_prep": {**CPUS, "workload": "x"}}, "rt_host_prep.workload", "write realtime or dpdk"),
    "another kernel": (
        {"rt_host_prep": CPUS, "default_kernel": {"kernel": "6.1"}},
        "default_kernel.kernel",
        "realtime",
    ),
    "a switch": ({"nested_kvm": {"enabled": "no"}}, "nested_kvm.enabled", "write bool"),
    "a list": ({"kernel_cmdline": {"args": "a b"}}, "kernel_cmdline.args", "write a list"),
    "an argument": ({"kernel_cmdline": {"args": ["a", "b c"]}}, "kernel_cmdline.args[1]", "write one argument"),
    "addresses": (
        {"iommu_vfio": {"devices": [{"address": "0000:3b:00.0"}]}},
        "iommu_vfio.devices[0]",
        "write id alone",
    ),
    "an id": ({"iommu_vfio": {"devices": [{"id": "10de"}]}}, "iommu_vfio.devices[0].id", "such as 10de:1eb8"),
    "no devices": ({"iommu_vfio": {}}, "iommu_vfio.devices", "is empty"),
    "a method": ({"iommu_vfio": {**CARD, "method": "driver_override"}}, "iommu_vfio.method", "write ids"),
    "auto": ({"rt_host_prep": {**CPUS, "isolated_cpus": "auto"}}, "rt_host_prep.isolated_cpus", "write both lists out"),
    "all others": ({"rt_host_prep": {**CPUS, "isolated_cpus": "^0"}}, "rt_host_prep.isolated_cpus", "both lists out"),
    "one list": ({"rt_host_prep": {"isolated_cpus": "1"}}, "rt_host_prep.housekeeping_cpus", "write both lists out"),
    "both": ({"rt_host_prep": {**CPUS, "housekeeping_cpus": "0-4"}}, "rt_host_prep.housekeeping_cpus", "has CPU 4"),
    "pages alone": ({"hugepages": {"pools": []}}, "rt_host_prep", "is missing"),
    "a kernel alone": ({"default_kernel": {"kernel": "realtime"}}, "rt_host_prep", "is missing"),
}
POOLS: dict[str, tuple[dict[str, t.Any], str, str]] = {
    "a pool": ({"pools": [{"sizes": 1}]}, "pools[0]", "write size, count"),
    "a size": ({"pools": [{"size": "1Gi", "count": 1}]}, "pools[0].size", "such as 2M or 1G"),
    "a count": ({"pools": [{"size": "1G", "count": "1"}]}, "pools[0].count", "write a number"),
    "a node": ({"pools": [{"size": "1G", "count": 1, "node": -1}]}, "pools[0].node", "write a number"),
    "twice": ({"pools": [{"size": "1G", "count": 1}] * 2}, "pools[1]", "stand twice"),
    "a default": ({"pools": [], "default_size": "1"}, "default_size", "such as 2M or 1G"),
    "no default": (
        {"pools": [{"size": "1G", "count": 1}, {"size": "2M", "count": 1}]},
        "default_size",
        "of several sizes needs it",
    ),
}
MISTAKES.update(
    {
        f"{what} of pages": ({"rt_host_prep": CPUS, "hugepages": options}, f"hugepages.{path}", message)
        for what, (options, path, message) in POOLS.items()
    }
)


@pytest.mark.parametrize("what", MISTAKES)
def test_what_nodes_cannot_be_told(what: str) -> None:
    declaration, path, message = MISTAKES[what]
    with pytest.raises(DeclarationError) as refused:
        machine_config(declaration)
    ((told, text),) = [(problem.path, problem.message) for problem in refused.value.problems]
    assert told == path
    assert message in text


def test_a_role_and_a_vendor() -> None:
    with pytest.raises(DeclarationError, match=r"role: is 'Worker'.*; vendor: is 'via': write intel, amd, arm"):
        machine_config({"nested_kvm": {}}, "Worker", "via")
