# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plans make of machines of many shapes, by what their kernels told (tests/lab_host/record.py)."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.rtvirt.core.plugins.module_utils._host.facts import facts_of
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks import hugepages, iommu_vfio, rt_host_prep
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.tree import TREES, Tree, carry_out

#: Cores, NUMA nodes, and what isolated_cpus: auto isolates and has keep house.
SHAPES = {
    "intel-2-nodes": (["0", "1", "2", "3"], {"0": "0-1", "1": "2-3"}, "1,3", "0,2"),
    "intel-smt": (["0-1", "2-3", "4-5", "6-7"], {"0": "0-7"}, "2-7", "0-1"),
    "intel-smt-2-nodes": (["0-1", "2-3", "4-5", "6-7"], {"0": "0-3", "1": "4-7"}, "2-3,6-7", "0-1,4-5"),
    "intel-4-nodes-1-core": (["0", "1", "2", "3"], {"0": "0", "1": "1", "2": "2", "3": "3"}, None, None),
    "amd-2-nodes": (["0", "1", "2", "3"], {"0": "0-1", "1": "2-3"}, "1,3", "0,2"),
    "intel-no-iommu": (["0", "1"], {"0": "0-1"}, "1", "0"),
}
SSH_NIC, DISK, ALONE, ONE_OF_TWO, OTHER = "0000:00:03.0", "0000:00:02.0", "0000:01:00.0", "0000:81:00.0", "0000:81:00.1"


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    return t.cast("str", request.param)


@pytest.fixture
def machine(shape: str, tmp_path: Path) -> Tree:
    machine = Tree(tmp_path)
    machine.lay_out(shape)
    return machine


def options(module: t.Any, **given: t.Any) -> dict[str, t.Any]:
    return {**{name: option.get("default") for name, option in module.ARGUMENTS.items()}, **given}


def refused(module: t.Any, machine: Tree, **given: t.Any) -> str:
    with pytest.raises(DeclarationError) as error:
        carry_out(module, options(module, **given), machine, check=True)
    return error.value.message


def device(address: str) -> list[dict[str, str | None]]:
    return [{"address": address, "id": None, "class": None, "driver": None}]


def test_every_tree_is_looked_at() -> None:
    assert {path.stem for path in TREES.iterdir()} == {*SHAPES}


def test_cpus(machine: Tree, shape: str) -> None:
    cores, nodes, isolated, housekeeping = SHAPES[shape]
    cpus = facts_of(machine)["cpus"]
    assert (cpus["cores"], cpus["nodes"], cpus["isolated"], cpus["nohz_full"]) == (cores, nodes, "", "")
    if isolated is None:
        assert "isolated_cpus: leaves no CPU to isolate" in refused(rt_host_prep, machine, isolated_cpus="auto")
        return
    done = carry_out(rt_host_prep, options(rt_host_prep, isolated_cpus="auto"), machine, check=True)
    assert (done["isolated_cpus"], done["housekeeping_cpus"]) == (isolated, housekeeping)
    pstate = "amd_pstate=disable" if shape.startswith("amd") else "intel_pstate=disable"
    assert pstate in done["kernel_args"]


def test_threads_stay_together(machine: Tree, shape: str) -> None:
    if "smt" in shape:
        assert "divides cores" in refused(rt_host_prep, machine, isolated_cpus="3")
    elif "4-nodes" not in shape:
        done = carry_out(rt_host_prep, options(rt_host_prep, isolated_cpus="1"), machine, check=True)
        assert done["isolated_cpus"] == "1"


def test_hugepages_leave_each_node_its_reserve(machine: Tree, shape: str) -> None:
    facts = facts_of(machine)["hugepages"]
    assert {(pool["size"], pool["node"]) for pool in facts} >= {("2M", int(node)) for node in SHAPES[shape][1]}
    last = len(SHAPES[shape][1]) - 1
    pool = {"size": "2M", "node": last, "count": 64}
    done = carry_out(hugepages, options(hugepages, pools=[pool], mounts=False), machine, check=True)
    assert {**pool, "used": 0} in done["pools"]
    pool["count"] = 100000
    assert f"leaves node {last} 0 MiB" in refused(hugepages, machine, pools=[pool], mounts=False)


def test_devices(machine: Tree, shape: str) -> None:
    devices = {one["address"]: one for one in facts_of(machine)["pci_devices"]}
    assert devices[ALONE]["interfaces"] == ["enp1s0"]
    if shape == "intel-no-iommu":
        assert {one["iommu_group"] for one in devices.values()} == {None}
        assert "IOMMU" in refused(iommu_vfio, machine, devices=device(ALONE))
        return
    assert (devices[ALONE]["viable"], devices[ALONE]["in_the_way"]) == (True, [])
    assert (devices[ONE_OF_TWO]["viable"], devices[ONE_OF_TWO]["in_the_way"]) == (False, [OTHER])
    assert f"shares IOMMU group {devices[OTHER]['iommu_group']} with {OTHER} (e1000e)" in refused(
        iommu_vfio, machine, devices=device(ONE_OF_TWO)
    )
    done = carry_out(iommu_vfio, options(iommu_vfio, devices=device(ONE_OF_TWO) + device(OTHER)), machine, check=True)
    assert [one["driver"] for one in done["devices"]] == ["vfio-pci", "vfio-pci"]
    args = ["iommu=pt"] if shape.startswith("amd") else ["intel_iommu=on", "iommu=pt"]
    assert done["kernel_args"] == args


def test_what_the_host_needs_is_not_given_away(machine: Tree, shape: str) -> None:
    assert "enp0s3 has the default route" in refused(iommu_vfio, machine, devices=device(SSH_NIC))
    assert "vda1 is mounted on /" in refused(iommu_vfio, machine, devices=device(DISK))


def test_kvm_as_it_is_loaded(machine: Tree, shape: str) -> None:
    """Only the AMD machine has a CPU's module beside it; on the others kvm_intel does not load."""
    given = options(rt_host_prep, isolated_cpus=SHAPES[shape][2] or "1-3")
    machine.put("/sys/module/kvm/parameters/nx_huge_pages", "Y\n")
    done = carry_out(rt_host_prep, given, machine, check=True)
    (anew,) = (one["after"] for one in done["diff"] if one["after_header"] == "options that KVM is loaded anew for")
    assert (anew, done["reboot_required"]) == ("kvm.nx_huge_pages\n", False)
    machine.put("/sys/module/kvm_amd/refcnt" if shape.startswith("amd") else "/sys/module/kvm/refcnt", "1\n")
    assert carry_out(rt_host_prep, given, machine, check=True)["reboot_required"]
