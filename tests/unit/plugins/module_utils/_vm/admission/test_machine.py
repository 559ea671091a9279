# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only KubeVirt wants of a machine: its names, CPUs, memory, firmware and features."""

from __future__ import annotations

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.cluster import CLUSTER_RULES
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.rules import admit
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import Options
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._vm.admission.cases import (
    Table,
    assert_told,
    domain,
    pod,
    vm,
)

TABLE: Table = {
    "a name in capitals": (vm(name="VM1"), "name", "a DNS name"),
    "a long name": (vm(name="a" * 254), "name", "at most 253"),
    "a namespace with a dot": (vm(namespace="a.b"), "namespace", "at most 63"),
    "API version": (vm(api_version="v1"), "api_version", "kubevirt.io/v1"),
    "run strategy": (vm(run_strategy="Never"), "run_strategy", "Always, Halted"),
    "run strategy and running": (vm(run_strategy="Always", running=True), "running", "one of them"),
    "machine type of i440fx": (vm(machine_type="pc"), "machine_type", "q35*"),
    "machine type of another architecture": (
        vm(machine_type="q35", spec={"architecture": "arm64"}),
        "machine_type",
        "virt*",
    ),
    "architecture": (pod(architecture="sparc"), "spec.architecture", "amd64, arm64 or s390x"),
    "CPU model of libvirt": (vm(cpu_model="maximum"), "cpu_model", "host-model"),
    "negative cores": (domain(cpu={"cores": -1}), "spec.domain.cpu.cores", "0 or more"),
    "sockets above their most": (domain(cpu={"sockets": 4, "maxSockets": 2}), "spec.domain.cpu.sockets", "maxSockets"),
    "memory grows to less": (domain(memory={"maxGuest": "1Gi"}), "spec.domain.memory.maxGuest", "raise it"),
    "memory grows in odd steps": (
        domain(memory={"maxGuest": "4095Mi"}),
        "spec.domain.memory.maxGuest",
        "no multiple of 2Mi",
    ),
    "little memory grows": (
        vm(memory="512Mi", spec={"domain": {"memory": {"maxGuest": "4Gi"}}}),
        "memory",
        "less than 1Gi",
    ),
    "memory of encrypted guests grows": (
        domain(memory={"maxGuest": "4Gi"}, launchSecurity={"sev": {}}),
        "spec.domain.memory.maxGuest",
        "launchSecurity",
    ),
    **{
        f"a real-time mask that KubeVirt does not read: {mask}": (
            vm(
                cpu_cores=8,
                dedicated_cpus=True,
                numa_passthrough=True,
                hugepages="2Mi",
                realtime=True,
                realtime_mask=mask,
            ),
            "realtime_mask",
            f"write {same}",
        )
        for mask, same in (("^0", "1-7"), ("0-7,^2-3", "0-1,4-7"), ("0-6:1/2", "0,2,4,6"))
    },
    "memory that makes no cells of pages": (
        vm(
            memory="1536Mi",
            cpu_cores=1,
            dedicated_cpus=True,
            numa_passthrough=True,
            hugepages="1Gi",
            resources={"requests": {"memory": "1Gi"}},
        ),
        "memory",
        "1Gi or 2Gi",
    ),
    "threads of libvirt": (vm(cpu_thread_policy="prefer"), "cpu_thread_policy", "leave cpu_thread_policy out"),
    "memory of libvirt": (vm(memory_locked=True), "memory_locked", "leave memory_locked out"),
    "kernel of libvirt": (
        domain(firmware={"kernelBoot": {"libvirt": {"kernelPath": "/boot/vmlinuz"}}}),
        "spec.domain.firmware.kernelBoot.libvirt.kernelPath",
        "kernelBoot.container",
    ),
    "kernel arguments without a kernel": (
        domain(firmware={"kernelBoot": {"kernelArgs": "quiet"}}),
        "spec.domain.firmware.kernelBoot.kernelArgs",
        "add container",
    ),
    "a kernel without a file": (
        domain(firmware={"kernelBoot": {"container": {"image": "a"}}}),
        "spec.domain.firmware.kernelBoot.container",
        "initrdPath",
    ),
    "a kernel by a relative path": (
        domain(firmware={"kernelBoot": {"container": {"image": "a", "kernelPath": "vmlinuz"}}}),
        "spec.domain.firmware.kernelBoot.container.kernelPath",
        "absolute path",
    ),
    "a kernel without an image": (
        domain(firmware={"kernelBoot": {"container": {"kernelPath": "/vmlinuz"}}}),
        "spec.domain.firmware.kernelBoot.container.image",
        "is missing",
    ),
    "ACPI tables of nothing": (domain(firmware={"acpi": {}}), "spec.domain.firmware.acpi", "slicNameRef"),
    "ACPI tables of no volume": (
        domain(firmware={"acpi": {"slicNameRef": "slic"}}),
        "spec.domain.firmware.acpi.slicNameRef",
        "volume of a secret",
    ),
    "Hyper-V without what it needs": (
        domain(features={"hyperv": {"synic": {}, "vpindex": {"enabled": False}}}),
        "spec.domain.features.hyperv.synic",
        "turn vpindex on",
    ),
    "Hyper-V twice": (
        domain(features={"hyperv": {}, "hypervPassthrough": {}}),
        "spec.domain.features.hypervPassthrough",
        "one of them",
    ),
    "hostname": (pod(hostname="a.b"), "spec.hostname", "a DNS label"),
    "subdomain": (pod(subdomain="Lab"), "spec.subdomain", "a DNS name"),
    "a field that is misplaced": (pod(runStrategy="Always"), "spec.runStrategy", "use definition, or state"),
}


def test_the_defaults_of_arm64() -> None:
    """No secure boot without SMM, and virtio disks (pkg/defaults/arm64.go)."""
    disk = {
        "name": "root",
        "disk": {},
        "dedicatedIOThread": True,
        "volume": {"persistentVolumeClaim": {"claimName": "a"}},
    }
    spec = {"architecture": "arm64", "domain": {"firmware": {"bootloader": {"efi": {}}}}}
    assert admit([Options(vm(disks=[disk], spec=spec))], CLUSTER_RULES)


@pytest.mark.parametrize("what", TABLE)
def test_a_mistake_is_told_by_its_path_with_its_remedy(what: str) -> None:
    assert_told(TABLE[what])
