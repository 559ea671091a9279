# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is cut off before any one thing that it does: the next run completes it, and all of it can be undone."""

from __future__ import annotations

import itertools
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._host import feeding
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import FileChange
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host import (
    bootloader_tools,
    test_cmdline,
    test_default_kernel,
    test_host,
    test_hugepages,
    test_kvm_options,
    test_mediated_devices,
    test_nested_kvm,
    test_realtime,
    test_tuned,
    test_vfio,
    test_watchdog,
)
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.tree import Tree


class PowerCut(BaseException):
    """Nothing of ours catches it."""


class Scenario(t.NamedTuple):
    machine: t.Callable[[Path], t.Any]
    present: t.Callable[[t.Any], dict[str, t.Any]]
    absent: t.Callable[[t.Any], dict[str, t.Any]]


def vfio_machine(root: Path) -> Tree:
    machine = test_vfio.Machine(root)
    machine.put("/usr/sbin/update-initramfs", "")
    return machine


def watchdog_machine(root: Path) -> Tree:
    machine = test_watchdog.Machine(root)
    machine.put("/usr/sbin/watchdog", "")
    return machine


def vfio(method: str) -> Scenario:
    return Scenario(
        vfio_machine,
        lambda machine: test_vfio.run(machine, test_vfio.entry(id="8086:10d3"), method=method),
        lambda machine: test_vfio.run(machine, state="absent"),
    )


def watchdog(feeder: str) -> Scenario:
    return Scenario(
        watchdog_machine,
        lambda machine: test_watchdog.run(machine, feeder=feeder),
        lambda machine: test_watchdog.run(machine, state="absent"),
    )


SCENARIOS = {
    "kernel_cmdline": Scenario(
        bootloader_tools.debian,
        lambda machine: test_cmdline.run(machine, *test_cmdline.RT),
        lambda machine: test_cmdline.run(machine, state="absent"),
    ),
    "default_kernel": Scenario(
        lambda root: test_default_kernel.with_kernels(bootloader_tools.debian(root)),
        test_default_kernel.run,
        lambda machine: test_default_kernel.run(machine, None, state="absent"),
    ),
    "hugepages": Scenario(
        test_hugepages.Kernel,
        lambda machine: test_hugepages.run(machine, *test_hugepages.DECLARED, mounts=True, at_boot="service"),
        lambda machine: test_hugepages.run(machine, state="absent"),
    ),
    "rt_host_prep": Scenario(
        test_realtime.Machine,
        lambda machine: test_realtime.run(machine, isolated_cpus="auto"),
        lambda machine: test_realtime.run(machine, state="absent"),
    ),
    "rt_host_prep with KVM loaded": Scenario(
        test_kvm_options.Machine,
        test_kvm_options.run,
        lambda machine: test_kvm_options.run(machine, state="absent"),
    ),
    "rt_host_prep by TuneD": Scenario(
        test_tuned.Machine,
        lambda machine: test_realtime.run(machine, **test_tuned.BY_TUNED),
        lambda machine: test_realtime.run(machine, state="absent"),
    ),
    "nested_kvm": Scenario(
        lambda root: test_nested_kvm.Machine(root, loaded="Y"),
        lambda machine: test_nested_kvm.run(machine, enabled=False),
        lambda machine: test_nested_kvm.run(machine, state="absent"),
    ),
    "host": Scenario(
        test_host.laid_out,
        lambda machine: test_host.run(
            machine, rt_host_prep=test_host.CPUS, hugepages=test_host.POOLS, default_kernel=test_host.REALTIME
        ),
        lambda machine: test_host.run(
            machine, rt_host_prep=test_host.ABSENT, hugepages=test_host.ABSENT, default_kernel=test_host.ABSENT
        ),
    ),
    "iommu_vfio": vfio("driver_override"),
    "iommu_vfio ids": vfio("ids"),
    "mediated_devices": Scenario(
        test_mediated_devices.Machine,
        lambda machine: test_mediated_devices.run(machine, test_mediated_devices.one()),
        test_mediated_devices.run,
    ),
    "watchdog": watchdog("systemd"),
    "watchdog daemon": watchdog("daemon"),
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "_PATIENCE", 0)


def cut(machine: Tree, steps: int, act: t.Callable[[Tree], object]) -> bool:
    """Have the power go after so many files, attributes and tools. :returns: whether there were as many."""
    left = iter(range(steps))

    def counted(do: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        def step(*arguments: t.Any) -> t.Any:
            if next(left, None) is None:
                raise PowerCut
            return do(*arguments)

        return step

    write = counted(machine.apply)

    def apply(changes: t.Iterable[FileChange]) -> None:
        for change in changes:
            write([change])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "apply", apply)
        patch.setattr(machine, "tell", counted(machine.tell))
        patch.setattr(machine, "answer", counted(machine.answer))
        try:
            act(machine)
        except PowerCut:
            return True
    return False


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_is_completed(name: str, tmp_path: Path) -> None:
    make, present, _absent = SCENARIOS[name]
    whole = make(tmp_path / "whole")
    present(whole)
    for steps in itertools.count():
        machine = make(tmp_path / f"cut-{steps}")
        if not cut(machine, steps, present):
            break
        present(machine)
        assert machine.files() == whole.files(), steps
        assert {*machine.ran} >= {*whole.ran}, steps
        assert not present(machine)["changed"], steps
    assert steps > 2


@pytest.mark.parametrize("name", SCENARIOS)
def test_it_is_undone(name: str, tmp_path: Path) -> None:
    make, present, absent = SCENARIOS[name]
    for steps in itertools.count():
        machine = make(tmp_path / f"cut-{steps}")
        before = machine.files()
        if not cut(machine, steps, present):
            break
        absent(machine)
        assert machine.files() == before, steps


@pytest.mark.parametrize("name", SCENARIOS)
def test_its_end_is_completed(name: str, tmp_path: Path) -> None:
    make, present, absent = SCENARIOS[name]
    for steps in itertools.count():
        machine = make(tmp_path / f"cut-{steps}")
        before = machine.files()
        present(machine)
        if not cut(machine, steps, absent):
            break
        absent(machine)
        assert machine.files() == before, steps
        assert not absent(machine)["changed"], steps
