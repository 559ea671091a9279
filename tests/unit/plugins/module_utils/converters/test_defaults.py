# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""KubeVirt's defaults: only where nothing is declared."""

from __future__ import annotations

import copy
import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils.converters.defaults import (
    guest_memory,
    vcpu_count,
    with_defaults,
)

Spec = dict[str, t.Any]


def domain(**given: t.Any) -> Spec:
    return {"domain": given}


def resources(**given: t.Any) -> Spec:
    return domain(resources=given)


@pytest.mark.parametrize(
    ("spec", "count"),
    [
        ({}, None),
        (domain(), None),
        (domain(cpu={}), None),
        (domain(cpu={"model": "host-model"}), None),
        (domain(cpu={"cores": 2}), 2),
        (domain(cpu={"threads": 2}), 2),
        (domain(cpu={"sockets": 2, "cores": 3, "threads": 2}), 12),
        (domain(cpu={"cores": 2, "sockets": 0}), 2),
        (resources(limits={"cpu": "3"}), 3),
        (resources(requests={"cpu": 2}), 2),
        (resources(requests={"cpu": 2}, limits={"cpu": 4}), 4),
        (resources(limits={"cpu": "1500m"}), 2),
        (resources(limits={"cpu": "1m"}), 1),
        (resources(limits={"cpu": 0}), 1),
        (resources(limits={"memory": "1Gi"}), None),
        ({"domain": {"cpu": {"cores": 2}, "resources": {"limits": {"cpu": 8}}}}, 2),
    ],
)
def test_vcpu_count(spec: Spec, count: int | None) -> None:
    before = copy.deepcopy(spec)
    assert vcpu_count(spec) == count
    assert spec == before


@pytest.mark.parametrize(
    ("given", "amount"),
    [
        ({}, None),
        ({"memory": {"hugepages": {"pageSize": "1Gi"}}}, "1Gi"),
        ({"memory": {"hugepages": {"pageSize": "1Gi"}}, "resources": {"limits": {"memory": "2Gi"}}}, "2Gi"),
        ({"resources": {"requests": {"memory": "3Gi"}, "limits": {"memory": "2Gi"}}}, "3Gi"),
        ({"memory": {"guest": "4Gi"}, "resources": {"requests": {"memory": "3Gi"}}}, "4Gi"),
    ],
)
def test_guest_memory(given: Spec, amount: str | None) -> None:
    assert guest_memory({"domain": given}) == amount


def test_everything_that_a_new_domain_needs() -> None:
    assert with_defaults({}) == {
        "domain": {
            "cpu": {"sockets": 1, "model": "host-model"},
            "machine": {"type": "q35"},
            "firmware": {"bootloader": {"bios": {}}},
            "features": {"acpi": {}},
            "clock": {"utc": {}},
            "devices": {"interfaces": [{"name": "default", "masquerade": {}, "model": "virtio"}]},
        },
        "networks": [{"name": "default", "pod": {}}],
    }


def devices(**given: t.Any) -> Spec:
    return domain(devices=given)


@pytest.mark.parametrize(
    ("spec", "keywords", "path", "value"),
    [
        ({}, {"virt_type": "qemu"}, ("cpu", "model"), "maximum"),
        ({}, {"arch": "aarch64"}, ("machine", "type"), "virt"),
        ({}, {"arch": "aarch64"}, ("cpu", "model"), "host-passthrough"),
        ({}, {"arch": "aarch64", "virt_type": "qemu"}, ("cpu", "model"), "maximum"),
        ({}, {"arch": "s390x"}, ("machine", "type"), "s390-ccw-virtio"),
        ({}, {"arch": "aarch64"}, ("firmware", "bootloader"), {"efi": {"secureBoot": False}}),
        (domain(cpu={"model": "EPYC"}), {}, ("cpu", "model"), "EPYC"),
        (domain(cpu={"threads": 2}), {}, ("cpu",), {"threads": 2, "model": "host-model"}),
        (resources(limits={"cpu": 3}), {}, ("cpu", "sockets"), 3),
        (resources(limits={"memory": "2Gi"}), {}, ("memory", "guest"), "2Gi"),
        (domain(machine={"type": "pc"}), {}, ("machine", "type"), "pc"),
        (domain(clock={"timezone": "Asia/Tokyo"}), {}, ("clock",), {"timezone": "Asia/Tokyo"}),
        (
            domain(firmware={"bootloader": {"efi": {}}}),
            {},
            ("firmware", "bootloader", "efi", "secureBoot"),
            True,
        ),
        (
            domain(firmware={"bootloader": {"efi": {"secureBoot": False}}}),
            {},
            ("firmware", "bootloader", "efi", "secureBoot"),
            False,
        ),
        (domain(features={"smm": {}}), {}, ("features",), {"acpi": {}, "smm": {}}),
        (domain(features={"acpi": {"enabled": False}}), {}, ("features", "acpi"), {"enabled": False}),
        (devices(disks=[{"name": "a"}]), {}, ("devices", "disks", 0, "disk"), {"bus": "sata"}),
        (devices(disks=[{"name": "a", "disk": None}]), {}, ("devices", "disks", 0, "disk"), {"bus": "sata"}),
        (devices(disks=[{"name": "a"}]), {"arch": "aarch64"}, ("devices", "disks", 0, "disk"), {"bus": "virtio"}),
        (
            devices(disks=[{"name": "a", "cdrom": {}}]),
            {"arch": "aarch64"},
            ("devices", "disks", 0, "cdrom"),
            {"bus": "scsi"},
        ),
        (devices(disks=[{"name": "a", "cdrom": {}}]), {}, ("devices", "disks", 0, "cdrom"), {"bus": "sata"}),
        (
            devices(disks=[{"name": "a", "disk": {"bus": "virtio"}}]),
            {},
            ("devices", "disks", 0, "disk"),
            {"bus": "virtio"},
        ),
        (
            devices(interfaces=[{"name": "a", "bridge": {}, "model": "e1000"}]),
            {},
            ("devices", "interfaces"),
            [{"name": "a", "bridge": {}, "model": "e1000"}],
        ),
        (devices(inputs=[{"name": "a"}]), {}, ("devices", "inputs", 0, "bus"), "usb"),
        (devices(watchdog={"name": "a"}), {}, ("devices", "watchdog", "i6300esb"), {"action": "reset"}),
        (
            devices(watchdog={"name": "a", "i6300esb": {"action": "none"}}),
            {},
            ("devices", "watchdog", "i6300esb"),
            {"action": "none"},
        ),
    ],
)
def test_a_default(spec: Spec, keywords: dict[str, str], path: tuple[t.Any, ...], value: t.Any) -> None:
    before = copy.deepcopy(spec)
    found = with_defaults(spec, **keywords)["domain"]
    for step in path:
        found = found[step]
    assert found == value
    assert spec == before


@pytest.mark.parametrize(
    "spec",
    [
        devices(autoattachPodInterface=False),
        devices(interfaces=[{"name": "a", "bridge": {}}]),
        {"domain": {}, "networks": [{"name": "a", "pod": {}}]},
    ],
)
def test_no_interface_but_what_is_declared(spec: Spec) -> None:
    result = with_defaults(spec)
    assert len(result["domain"]["devices"].get("interfaces", [])) == len(
        spec["domain"].get("devices", {}).get("interfaces", [])
    )
    assert result.get("networks") == spec.get("networks")


def test_defaults_of_defaults_are_the_same() -> None:
    spec = devices(disks=[{"name": "a"}], watchdog={"name": "b"})
    assert with_defaults(with_defaults(spec)) == with_defaults(spec)
