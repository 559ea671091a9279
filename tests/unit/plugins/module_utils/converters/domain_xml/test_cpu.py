# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""vCPUs: number, topology, model, features, pins, schedulers and NUMA cells."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.cpu import realtime_vcpus

DEDICATED = {"cpu_cores": 2, "dedicated_cpus": True}
NUMA = {**DEDICATED, "hugepages": "2Mi", "numa_passthrough": True}
REALTIME = {**NUMA, "realtime": True}

FACTS: dict[str, tuple[dict[str, t.Any], list[str]]] = {
    "one vCPU where nothing is said": (
        {},
        [
            "vcpu = '1'",
            "vcpu/@placement = 'static'",
            "not(vcpu/@cpuset)",
            "cpu/topology[@sockets='1'][@cores='1'][@threads='1']",
            "not(cputune)",
            "not(cpu/numa)",
        ],
    ),
    "topology": (
        {"cpu_sockets": 2, "cpu_cores": 3, "cpu_threads": 2},
        ["vcpu = '12'", "cpu/topology[@sockets='2'][@cores='3'][@threads='2']"],
    ),
    "vCPUs of the limit": (
        {"resources": {"limits": {"cpu": "3"}}},
        ["vcpu = '3'", "cpu/topology[@sockets='3'][@cores='1'][@threads='1']", "not(cputune)"],
    ),
    "vCPUs of a broken request are rounded up": ({"resources": {"requests": {"cpu": "1500m"}}}, ["vcpu = '2'"]),
    "a limit below the vCPUs is a quota": (
        {"cpu_cores": 4, "resources": {"limits": {"cpu": "1500m"}}},
        ["vcpu = '4'", "cputune/global_period = '100000'", "cputune/global_quota = '150000'"],
    ),
    "dedicated CPUs have no quota": (
        {**DEDICATED, "resources": {"limits": {"cpu": 2}}},
        ["not(cputune/global_quota)"],
    ),
    "model by default": ({}, ["cpu/@mode = 'host-model'", "not(cpu/model)"]),
    "host-passthrough": ({"cpu_model": "host-passthrough"}, ["cpu/@mode = 'host-passthrough'", "not(cpu/model)"]),
    "a named model is that or none": (
        {"cpu_model": "Skylake-Server"},
        [
            "cpu[@mode='custom'][@match='exact']",
            "cpu/model[@fallback='forbid'] = 'Skylake-Server'",
        ],
    ),
    "features": (
        {
            "cpu_features": [
                {"name": "tsc-deadline"},
                {"name": "invtsc", "policy": "require"},
                {"name": "vmx", "policy": "disable"},
                {"name": "pcid", "policy": "optional"},
                {"name": "x2apic", "policy": "force"},
                {"name": "mpx", "policy": "forbid"},
            ]
        },
        [
            "count(cpu/feature) = 6",
            "cpu/feature[@name='tsc-deadline'][@policy='require']",
            "cpu/feature[@name='invtsc'][@policy='require']",
            "cpu/feature[@name='vmx'][@policy='disable']",
            "cpu/feature[@name='pcid'][@policy='optional']",
            "cpu/feature[@name='x2apic'][@policy='force']",
            "cpu/feature[@name='mpx'][@policy='forbid']",
        ],
    ),
    "dedicated CPUs": (
        DEDICATED,
        [
            "count(cputune/vcpupin) = 2",
            "cputune/vcpupin[@vcpu='0'][@cpuset='1']",
            "cputune/vcpupin[@vcpu='1'][@cpuset='2']",
            "cputune/emulatorpin/@cpuset = '0'",
            "features/kvm/hint-dedicated/@state = 'on'",
            "not(cputune/vcpusched)",
            "not(features/pmu)",
            "not(memoryBacking)",
            "not(cpu/numa)",
        ],
    ),
    "an emulator of its own": (
        {**DEDICATED, "isolate_emulator_thread": True},
        ["cputune/emulatorpin/@cpuset = '3'", "count(cputune/vcpupin) = 2"],
    ),
    "I/O threads are where the emulator is": (
        {
            **DEDICATED,
            "isolate_emulator_thread": True,
            "io_threads_policy": "supplementalPool",
            "spec": {"domain": {"ioThreads": {"supplementalPoolThreadCount": 2}}},
        },
        [
            "iothreads = '2'",
            "count(cputune/iothreadpin) = 2",
            "cputune/iothreadpin[@iothread='1']/@cpuset = cputune/emulatorpin/@cpuset",
            "cputune/iothreadpin[@iothread='2']/@cpuset = cputune/emulatorpin/@cpuset",
        ],
    ),
    "NUMA without real-time": (
        NUMA,
        [
            "cpu/numa/cell[@id='0'][@cpus='0-1'][@memory='1048576'][@unit='KiB']",
            "not(cputune/vcpusched)",
            "not(features/pmu)",
            "not(memoryBacking/nosharepages)",
        ],
    ),
    "real-time": (
        REALTIME,
        [
            "count(cputune/vcpusched[@scheduler='fifo'][@priority='1']) = 2",
            "count(cputune/vcpusched) = 2",
            "cputune/vcpusched/@vcpus = '0'",
            "cputune/vcpusched/@vcpus = '1'",
            "count(cputune/vcpupin) = 2",
            "features/pmu/@state = 'off'",
            "memoryBacking/nosharepages",
            "not(memoryBacking/locked)",
            "memoryBacking/hugepages/page[@size='2048'][@unit='KiB']",
            "numatune/memory[@mode='strict']",
        ],
    ),
    "real-time of some": (
        {**REALTIME, "cpu_cores": 4, "realtime_mask": "1-3"},
        ["not(cputune/vcpusched/@vcpus = '0')", "cputune/vcpusched/@vcpus = '3'", "count(cputune/vcpusched) = 3"],
    ),
    "real-time of all but some": (
        {**REALTIME, "cpu_cores": 4, "realtime_mask": "^0,^2"},
        ["cputune/vcpusched/@vcpus = '1'", "cputune/vcpusched/@vcpus = '3'", "count(cputune/vcpusched) = 2"],
    ),
    "a guest core's threads": (
        {**DEDICATED, "cpu_threads": 2},
        ["vcpu = '4'", "cpu/topology/@threads = '2'", "count(cputune/vcpupin) = 4"],
    ),
}


@pytest.mark.parametrize("what", FACTS)
def test_cpu(convert: t.Callable[..., t.Any], what: str) -> None:
    options, facts = FACTS[what]
    convert(options).holds(*facts)


def test_emulation_has_no_model_of_the_host_and_no_hint_to_kvm(convert: t.Callable[..., t.Any]) -> None:
    convert(DEDICATED, virt_type="qemu").holds(
        "@type = 'qemu'", "cpu/@mode = 'maximum'", "not(features/kvm)", "count(cputune/vcpupin) = 2"
    )


def test_cells_are_split_by_page_and_their_vcpus_stay_with_them(convert: t.Callable[..., t.Any]) -> None:
    """Five vCPUs over nodes of three and two free CPUs; 513 pages, the odd one goes to the first cell."""
    options = {**REALTIME, "cpu_cores": 5, "memory": "1026Mi"}
    convert(options, taken=frozenset({6, 7})).holds(
        "count(cpu/numa/cell) = 2",
        "cpu/numa/cell[@id='0'][@cpus='0-2']/@memory = string(257 * 2048)",
        "cpu/numa/cell[@id='1'][@cpus='3-4']/@memory = string(256 * 2048)",
        "cputune/vcpupin[@vcpu='0']/@cpuset = '1'",
        "cputune/vcpupin[@vcpu='2']/@cpuset = '3'",
        "cputune/vcpupin[@vcpu='3']/@cpuset = '4'",
        "numatune/memory[@mode='strict'][@nodeset='0-1']",
        "numatune/memnode[@cellid='0'][@mode='strict'][@nodeset='0']",
        "numatune/memnode[@cellid='1'][@mode='strict'][@nodeset='1']",
        "memoryBacking/hugepages/page/@nodeset = '0-1'",
        "memoryBacking/allocation/@mode = 'immediate'",
        "memory = string(513 * 2048)",
    )


def test_a_cell_is_bound_to_the_node_it_is_on(convert: t.Callable[..., t.Any]) -> None:
    """Guest cell 0 on host node 1."""
    convert(NUMA, taken=frozenset({1, 2, 3})).holds(
        "count(cpu/numa/cell) = 1",
        "numatune/memnode[@cellid='0']/@nodeset = '1'",
        "memoryBacking/hugepages/page/@nodeset = '0'",
    )


def test_memory_of_dedicated_cpus_comes_from_their_node_if_it_can(convert: t.Callable[..., t.Any]) -> None:
    convert(DEDICATED, taken=frozenset({1, 2, 3})).holds(
        "numatune/memory[@mode='preferred'][@nodeset='1']", "not(numatune/memnode)"
    )


def test_floating_vcpus_stay_out_of_a_reserved_pool(convert: t.Callable[..., t.Any]) -> None:
    convert({"cpu_cores": 2}, shared_cpus="0-1").holds("vcpu[@cpuset='0-1'] = '2'", "not(cputune/vcpupin)")


@pytest.mark.parametrize(
    ("realtime", "vcpus"),
    [
        (None, set()),
        ({}, {0, 1, 2, 3}),
        ({"mask": ""}, {0, 1, 2, 3}),
        ({"mask": None}, {0, 1, 2, 3}),
        ({"mask": " 0-1 "}, {0, 1}),
        ({"mask": "0-3,^2"}, {0, 1, 3}),
        ({"mask": "^0"}, {1, 2, 3}),
    ],
)
def test_realtime_vcpus(realtime: dict[str, t.Any] | None, vcpus: set[int]) -> None:
    assert realtime_vcpus({"realtime": realtime}, 4) == vcpus
