# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans from declarations, a host and its domains: no connection, no change."""

from __future__ import annotations

import copy
import tempfile
import typing as t
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.domains import Domain
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.hardware import Hardware
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.host_check import Settings, check_cpus, check_remote
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.plan import VmPlan
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.planner import Planner
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.record import read_record
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.volumes import apply_volume
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.rules import LIBVIRT_RULES, admit
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import Options
from ansible_collections.rtvirt.core.plugins.module_utils.converters.placement import Core, Topology

Given = dict[str, t.Any]
Stored = t.Callable[[ET.Element], ET.Element]

MIB = 1 << 20
GIB = 1 << 30
HOST = Host(
    arch="x86_64",
    virt_types=("kvm", "qemu"),
    topology=Topology(tuple(Core(0, 0, (cpu,)) for cpu in range(6))),
    page_sizes=(2 * MIB, GIB),
    free_pages={2 * MIB: 600, GIB: 0},
    qemu_user=(0, 0),
)
DEDICATED: Given = {"cpu_cores": 2, "dedicated_cpus": True}
REALTIME: Given = {**DEDICATED, "cpu_cores": 1, "hugepages": "2Mi", "numa_passthrough": True, "realtime": True}


#: What a QEMU offers that can be all that is declared here.
OFFER = """<domainCapabilities>
  <os><enum name='firmware'><value>efi</value></enum></os>
  <cpu><mode name='host-model' supported='yes'/><mode name='host-passthrough' supported='yes'/></cpu>
  <devices><tpm supported='yes'/></devices>
</domainCapabilities>"""


class Bed:
    """A host with its domains, and tasks for it."""

    def __init__(self, stored: Stored, folder: Path) -> None:
        self.domains: dict[str, Domain] = {}
        self.host = HOST
        self.polling: frozenset[int] = frozenset()
        self._stored = stored
        self.folder = folder

    def plans(self, *declarations: Given, **settings: t.Any) -> list[VmPlan]:
        given = [Options({"name": "vm1", **options}, f"vms[{index}].") for index, options in enumerate(declarations)]
        manifests = admit(given, LIBVIRT_RULES, names_only=settings.get("state") == "absent")
        settings = {"volume_dir": str(self.folder), **settings}
        hardware = Hardware(Mock(**{"getDomainCapabilities.return_value": OFFER}), "x86_64")
        planner = Planner(self.host, Settings(**settings), self.domains, frozenset(), self.polling, hardware)
        return [planner.plan(manifest) for manifest in manifests]

    def plan(self, options: Given, **settings: t.Any) -> VmPlan:
        options = {"memory": "64Mi", **options} if settings.get("state") != "absent" else options
        return self.plans(options, **settings)[0]

    def refused(self, options: Given, **settings: t.Any) -> list[tuple[str, str]]:
        with pytest.raises(DeclarationError) as refusal:
            self.plan(options, **settings)
        return [(problem.path, problem.message) for problem in refusal.value.problems]

    def apply(self, plan: VmPlan, *, running: bool = False, paused: bool = False) -> Domain:
        """What libvirt would have after the plan."""
        definition = plan.definition if plan.definition is not None else plan.before
        assert definition is not None
        for step in plan.volumes:
            Path(step.path).write_bytes(b"\0" * (step.size or 512))
        return self.add(definition, running=running, paused=paused)

    def add(self, definition: ET.Element, *, running: bool = False, paused: bool = False) -> Domain:
        definition = self._stored(definition)
        up = running or paused
        name = str(definition.findtext("name"))
        self.domains[name] = Domain(
            handle=None,
            name=name,
            uuid=str(definition.findtext("uuid")),
            state="paused" if paused else "running" if running else "shutoff",
            persistent=True,
            autostart=False,
            definition=definition,
            running=copy.deepcopy(definition) if up else None,
        )
        return self.domains[name]


@pytest.fixture
def bed(stored: Stored, tmp_path: Path) -> Bed:
    return Bed(stored, tmp_path)


def pins(plan: VmPlan) -> list[str | None]:
    assert plan.complete is not None
    return [pin.get("cpuset") for pin in plan.complete.findall("cputune/vcpupin")]


# --- A new VM --------------------------------------------------------------------------------------------------------


def test_a_new_vm_is_defined_with_its_record_and_not_started(bed: Bed) -> None:
    plan = bed.plan({"cpu_cores": 2, "labels": {"a": "b"}})
    assert plan.existing is None
    assert plan.definition is not None
    assert plan.definition.findtext("name") == "vm1"
    assert (plan.changes, plan.pending, plan.power, plan.adopted, plan.undefine) == ([], [], [], False, False)
    assert plan.before is None
    assert plan.after is plan.definition
    record = read_record(plan.definition)
    assert record is not None
    assert record.manifest["metadata"] == {"name": "vm1", "labels": {"a": "b"}}
    assert record.created == ()


@pytest.mark.parametrize(
    ("state", "power"),
    [("present", []), ("running", ["start"]), ("stopped", []), ("paused", ["start paused"]), ("restarted", ["start"])],
)
def test_power_of_a_new_vm(bed: Bed, state: str, power: list[str]) -> None:
    assert bed.plan({}, state=state).power == power


@pytest.mark.parametrize(
    ("strategy", "power"), [("Always", ["start"]), ("Once", ["start"]), ("Halted", []), ("Manual", [])]
)
def test_a_manifest_s_strategy_counts_where_the_task_only_declares(bed: Bed, strategy: str, power: list[str]) -> None:
    assert bed.plan({"definition": {"spec": {"runStrategy": strategy}}}).power == power


def test_a_new_vm_needs_memory(bed: Bed) -> None:
    with pytest.raises(DeclarationError) as refusal:
        bed.plans({"cpu_cores": 1})
    (problem,) = refusal.value.problems
    assert "memory" in problem.path
    assert "a new one needs memory" in problem.message


def test_a_vm_that_is_there_needs_none(bed: Bed) -> None:
    bed.apply(bed.plan({"memory": "64Mi"}))
    assert bed.plans({"cpu_cores": 1})[0].existing is not None


def test_files_to_make_are_remembered_as_ours(bed: Bed) -> None:
    path = bed.folder / "root.img"
    disk = {
        "name": "root",
        "disk": {},
        "volume": {"hostDisk": {"path": str(path), "type": "DiskOrCreate", "capacity": "1Mi"}},
    }
    plan = bed.plan({"disks": [disk], "cloud_init": {"hostname": "a"}})
    created = [step.path for step in plan.volumes]
    assert created[0] == str(path)
    assert len(created) == 2
    assert plan.definition is not None
    record = read_record(plan.definition)
    assert record is not None
    assert [*record.created, *record.seeds] == created
    assert not path.exists()


# --- A VM that is there -----------------------------------------------------------------------------------------------

DECLARED: dict[str, Given] = {
    "plain": {"cpu_cores": 2},
    "real-time": REALTIME,
    "real-time, two vCPUs": {**REALTIME, "cpu_cores": 2},
    "cloud-init": {"cloud_init": {"hostname": "a"}},
    "disks": {"disks": [{"name": "scratch", "disk": {"bus": "virtio"}, "volume": {"emptyDisk": {"capacity": "1Mi"}}}]},
    "no USB, no graphics": {"autoattach_graphics_device": False},
}


@pytest.mark.parametrize("power", ["stopped", "running", "paused"])
@pytest.mark.parametrize("what", DECLARED)
def test_a_second_run_has_nothing_to_do(bed: Bed, what: str, power: str) -> None:
    if "disks" in DECLARED[what]:
        # A real image, as plan_volumes reads its header.
        plan = bed.plan(DECLARED[what])
        Path(plan.volumes[0].path).write_bytes(b"QFI\xfb" + b"\0" * 20 + MIB.to_bytes(8, "big"))
        plan.volumes.clear()
        bed.apply(plan, running=power == "running", paused=power == "paused")
    else:
        bed.apply(bed.plan(DECLARED[what]), running=power == "running", paused=power == "paused")
    plan = bed.plan(DECLARED[what])
    assert (plan.definition, plan.changes, plan.pending, plan.volumes, plan.power) == (None, [], [], [], [])
    assert plan.adopted is False
    assert plan.after is plan.before


def test_a_domain_of_others_is_adopted_without_a_write(bed: Bed) -> None:
    definition = bed.plan({"cpu_cores": 2}).definition
    assert definition is not None
    definition.remove(definition.find("metadata"))
    bed.add(definition)
    plan = bed.plan({"cpu_cores": 2})
    assert (plan.adopted, plan.definition, plan.changes) == (True, None, [])


def test_a_difference_of_an_adopted_domain_is_a_change_and_is_remembered(bed: Bed) -> None:
    definition = bed.plan({"cpu_cores": 2}).definition
    assert definition is not None
    definition.remove(definition.find("metadata"))
    bed.add(definition)
    plan = bed.plan({"cpu_cores": 3})
    assert plan.adopted is True
    assert "vcpu" in [change.path for change in plan.changes]
    assert plan.definition is not None
    assert read_record(plan.definition) is not None


def test_a_changed_declaration_is_defined_anew_with_the_uuid_it_has(bed: Bed) -> None:
    domain = bed.apply(bed.plan({"cpu_cores": 2}))
    plan = bed.plan({"cpu_cores": 3})
    assert {change.path: (change.before, change.after) for change in plan.changes} == {
        "vcpu": ("2", "3"),
        "cpu/topology/@cores": ("2", "3"),
    }
    assert plan.definition is not None
    assert plan.definition.findtext("uuid") == domain.uuid
    assert plan.pending == []


def test_a_running_vm_has_the_same_differences_pending(bed: Bed) -> None:
    bed.apply(bed.plan({"cpu_cores": 2}), running=True)
    plan = bed.plan({"cpu_cores": 3})
    assert plan.pending == plan.changes != []
    assert plan.power == []


def test_what_was_staged_before_is_still_pending_although_it_is_defined(bed: Bed) -> None:
    bed.apply(bed.plan({"cpu_cores": 2}), running=True)
    old = bed.domains["vm1"].running
    domain = bed.apply(bed.plan({"cpu_cores": 3}), running=True)
    bed.domains["vm1"] = replace(domain, running=old)
    plan = bed.plan({"cpu_cores": 3})
    assert (plan.definition, plan.changes) == (None, [])
    assert "vcpu" in [change.path for change in plan.pending]


def test_a_running_guest_s_expanded_cpu_is_no_difference(bed: Bed) -> None:
    """libvirt shows host-model of a running guest as the model that it came to."""
    domain = bed.apply(bed.plan({"cpu_model": "host-model"}), running=True)
    assert domain.running is not None
    cpu = domain.running.find("cpu")
    assert cpu is not None
    cpu.attrib.update(mode="custom", match="exact", check="full")
    ET.SubElement(cpu, "model", {"fallback": "forbid"}).text = "Skylake-Client-IBRS"
    assert bed.plan({"cpu_model": "host-model"}).pending == []
    assert "cpu/@mode" in [change.path for change in bed.plan({"cpu_model": "host-passthrough"}).pending]


def test_new_data_of_cloud_init_makes_a_new_seed(bed: Bed) -> None:
    first = bed.plan({"cloud_init": {"hostname": "a"}})
    bed.apply(first)
    apply_volume(first.volumes[0], vm_name="vm1")
    plan = bed.plan({"cloud_init": {"hostname": "b"}})
    assert [step.action for step in plan.volumes] == ["seed"]
    assert plan.definition is not None


def test_a_declaration_that_says_less_is_remembered_though_nothing_changes(bed: Bed) -> None:
    bed.apply(bed.plan({"labels": {"a": "b"}}))
    plan = bed.plan({})
    assert plan.definition is not None
    record = read_record(plan.definition)
    assert record is not None
    assert "labels" not in record.manifest["metadata"]


def test_what_was_made_before_stays_remembered(bed: Bed) -> None:
    bed.apply(bed.plan({"cloud_init": {"hostname": "a"}}))
    definition = bed.plan({"cpu_cores": 2, "cloud_init": {"hostname": "a"}}).definition
    assert definition is not None
    record = read_record(definition)
    assert record is not None
    assert len(record.seeds) == 1


def test_another_virt_type_is_refused(bed: Bed) -> None:
    bed.apply(bed.plan({}, virt_type="qemu"))
    assert bed.refused({}, virt_type="kvm")[0][0] == "virt_type"
    assert bed.plan({}, virt_type="auto").changes == []
    assert bed.plan({}, virt_type="qemu").changes == []


def test_a_virt_type_that_the_host_has_not(bed: Bed) -> None:
    bed.host = replace(HOST, virt_types=("qemu",))
    with pytest.raises(RtvirtError, match="virt_type: this host offers no kvm: write auto or qemu"):
        bed.plan({}, virt_type="kvm")


@pytest.mark.parametrize(("autostart", "planned"), [(None, None), (False, None), (True, True)])
def test_autostart(bed: Bed, autostart: bool | None, planned: bool | None) -> None:
    assert bed.plan({}, autostart=autostart).autostart is planned
    domain = bed.apply(bed.plan({}))
    bed.domains["vm1"] = replace(domain, autostart=True)
    assert bed.plan({}, autostart=autostart).autostart is {None: None, True: None, False: False}[autostart]


# --- CPUs ------------------------------------------------------------------------------------------------------------


def test_vms_of_one_task_never_share_a_dedicated_cpu(bed: Bed) -> None:
    plans = bed.plans(*({"name": f"vm{number}", "memory": "64Mi", **DEDICATED} for number in range(2)))
    taken = [cpu for plan in plans for cpu in pins(plan)]
    assert sorted(taken) == ["1", "2", "3", "4"]


def test_cpus_of_others_are_not_given_again(bed: Bed) -> None:
    """Those of a running and of a stopped domain, whoever made them."""
    bed.apply(bed.plan({"name": "other", **DEDICATED}), running=True)
    bed.apply(bed.plan({"name": "stopped", "cpu_cores": 1, "dedicated_cpus": True}))
    assert sorted(map(str, pins(bed.plan(DEDICATED)))) == ["4", "5"]


def test_pins_in_force_count_beside_those_that_are_defined(bed: Bed) -> None:
    domain = bed.apply(bed.plan({"name": "other", **DEDICATED}), running=True)
    definition = copy.deepcopy(domain.definition)
    definition.remove(definition.find("cputune"))
    bed.domains["other"] = replace(domain, definition=definition)
    assert sorted(map(str, pins(bed.plan(DEDICATED)))) == ["3", "4"]


def test_pins_are_kept(bed: Bed) -> None:
    bed.apply(bed.plan({"name": "first", **DEDICATED}))
    bed.apply(bed.plan(DEDICATED))
    del bed.domains["first"]
    assert pins(bed.plan(DEDICATED)) == ["3", "4"]


def test_too_few_cpus_are_told_by_the_option(bed: Bed) -> None:
    bed.apply(bed.plan({"name": "other", "cpu_cores": 4, "dedicated_cpus": True}))
    ((path, message),) = bed.refused(DEDICATED)
    assert path == "vms[0].dedicated_cpus"
    assert "2 dedicated CPUs are needed and 1 are free" in message
    assert "cpu_pool" in message


def test_a_pool_is_where_dedicated_vcpus_are_and_others_are_not(bed: Bed) -> None:
    assert pins(bed.plan(DEDICATED, cpu_pool="4-5")) == ["4", "5"]
    floating = bed.plan({"cpu_cores": 2}, cpu_pool="4-5")
    assert floating.complete is not None
    assert floating.complete.find("vcpu").get("cpuset") == "0-3"
    bed.polling = frozenset({1})
    floating = bed.plan({"cpu_cores": 2}, cpu_pool="4-5")
    assert floating.complete is not None
    assert floating.complete.find("vcpu").get("cpuset") == "0,2-3"


def test_a_pool_that_the_host_has_not_is_told_by_its_option(bed: Bed) -> None:
    with pytest.raises(RtvirtError, match=r"^cpu_pool: this host has no CPU 6-9"):
        bed.plan(DEDICATED, cpu_pool="4-9")


@pytest.mark.parametrize(("pool", "message"), [("3-1", "1-3"), ("all", "all")])
def test_a_pool_that_is_none_is_told_by_its_option(pool: str, message: str) -> None:
    with pytest.raises(RtvirtError, match=rf"^cpu_pool: .*{message}"):
        check_cpus("cpu_pool", pool)


# --- Huge pages ------------------------------------------------------------------------------------------------------


def test_a_page_size_that_the_host_has_not(bed: Bed) -> None:
    bed.host = replace(HOST, page_sizes=(2 * MIB,))
    ((path, message),) = bed.refused({"hugepages": "1Gi", "memory": "1Gi"})
    assert path == "vms[0].hugepages"
    assert "it offers 2Mi" in message


def test_too_few_free_pages_are_told_before_a_start(bed: Bed) -> None:
    ((path, message),) = bed.refused({"hugepages": "2Mi", "memory": "2Gi"}, state="running")
    assert path == "vms[0].hugepages"
    assert "needs 1024 free pages of 2Mi" in message
    assert "the host has 600" in message
    assert bed.plan({"hugepages": "2Mi", "memory": "2Gi"}, state="present").definition is not None


def test_vms_of_one_task_take_pages_from_one_another(bed: Bed) -> None:
    half = {"hugepages": "2Mi", "memory": "800Mi"}
    assert bed.plan(half, state="running").power == ["start"]
    with pytest.raises(DeclarationError) as refusal:
        bed.plans({"name": "a", **half}, {"name": "b", **half}, state="running")
    assert refusal.value.problems[0].path == "vms[1].hugepages"
    assert "the host has 200" in refusal.value.problems[0].message


def test_a_restart_gives_back_the_pages_that_it_takes(bed: Bed) -> None:
    options = {"hugepages": "2Mi", "memory": "800Mi"}
    bed.apply(bed.plan(options), running=True)
    bed.host = replace(HOST, free_pages={2 * MIB: 0})
    assert bed.plan(options, state="restarted").power == ["shut down", "start"]


def test_a_restart_that_needs_more_pages_than_it_gives_back_is_refused(bed: Bed) -> None:
    bed.apply(bed.plan({"hugepages": "2Mi", "memory": "64Mi"}), running=True)
    bed.host = replace(HOST, free_pages={2 * MIB: 0})
    ((path, _message),) = bed.refused({"hugepages": "2Mi", "memory": "128Mi"}, state="restarted")
    assert path == "vms[0].hugepages"


def test_a_restart_for_pending_changes_needs_its_pages_too(bed: Bed) -> None:
    """allow_restart restarts as state: restarted does."""
    bed.apply(bed.plan({"hugepages": "2Mi", "memory": "64Mi"}), running=True)
    bed.host = replace(HOST, free_pages={2 * MIB: 0})
    refused = bed.refused({"hugepages": "2Mi", "memory": "128Mi"}, state="running", allow_restart=True)
    assert [path for path, _message in refused] == ["vms[0].hugepages"]


# --- Files -----------------------------------------------------------------------------------------------------------


def test_files_that_are_missing_are_told_by_the_option_they_are_declared_by(bed: Bed) -> None:
    path = str(bed.folder / "no.img")
    disk = {"name": "root", "disk": {}, "volume": {"hostDisk": {"path": path, "type": "Disk"}}}
    kernel = {"domain": {"firmware": {"kernelBoot": {"libvirt": {"kernelPath": path}}}}}
    assert bed.refused({"disks": [disk]})[0][0] == "vms[0].disks[0].volume.hostDisk.path"
    found = bed.refused({"spec": kernel})
    assert [path for path, _message in found] == ["vms[0].spec.domain.firmware.kernelBoot.libvirt.kernelPath"]
    assert "does not exist" in found[0][1]


def test_all_problems_of_a_host_are_told_at_once(bed: Bed) -> None:
    bed.host = replace(HOST, page_sizes=(2 * MIB,))
    kernel = {"domain": {"firmware": {"kernelBoot": {"libvirt": {"kernelPath": "/no/vmlinuz", "initrdPath": "/no/x"}}}}}
    assert len(bed.refused({"hugepages": "1Gi", "memory": "1Gi", "spec": kernel})) == 3


REMOTE: list[tuple[Given, str]] = [
    ({"cloud_init": {"hostname": "a"}}, "vms[0].cloud_init"),
    (
        {"disks": [{"name": "a", "disk": {}, "volume": {"emptyDisk": {"capacity": "1Gi"}}}]},
        "vms[0].disks[0].volume",
    ),
    (
        {
            "disks": [
                {
                    "name": "a",
                    "disk": {},
                    "volume": {"hostDisk": {"path": "/a", "type": "DiskOrCreate", "capacity": "1Gi"}},
                }
            ]
        },
        "vms[0].disks[0].volume",
    ),
]


@pytest.mark.parametrize(("options", "path"), REMOTE)
def test_a_remote_host_s_files_are_not_made(options: Given, path: str) -> None:
    given = Options({"name": "vm1", "memory": "64Mi", **options}, "vms[0].")
    (manifest,) = admit([given], LIBVIRT_RULES)
    with pytest.raises(DeclarationError) as refusal:
        check_remote([manifest], removes=False, has_pool=True)
    (problem,) = refusal.value.problems
    assert problem.path.startswith(path)
    assert "run the module there" in problem.message


def test_a_remote_host_s_files_may_be_used(bed: Bed) -> None:
    disk = {"name": "root", "disk": {}, "volume": {"hostDisk": {"path": "/no/such.img", "type": "Disk"}}}
    kernel = {"domain": {"firmware": {"kernelBoot": {"libvirt": {"kernelPath": "/no/vmlinuz"}}}}}
    plan = bed.plan({"disks": [disk], "spec": kernel}, local=False)
    assert plan.definition is not None
    assert plan.volumes == []


# --- Removal ---------------------------------------------------------------------------------------------------------


def test_an_absent_vm_stays_absent(bed: Bed) -> None:
    plan = bed.plan({}, state="absent")
    assert (plan.undefine, plan.power, plan.definition, plan.remove, plan.keep) == (False, [], None, [], [])


@pytest.mark.parametrize("delete", [False, True])
@pytest.mark.parametrize(
    ("power", "steps"), [("running", ["shut down"]), ("paused", ["resume", "shut down"]), ("stopped", [])]
)
def test_only_what_was_made_for_a_vm_goes_with_it_and_only_on_request(
    bed: Bed, power: str, steps: list[str], delete: bool
) -> None:
    theirs = bed.folder / "theirs.img"
    theirs.write_bytes(b"\0" * 512)
    ours = bed.folder / "ours.img"
    disks = [
        {"name": "theirs", "disk": {}, "volume": {"hostDisk": {"path": str(theirs), "type": "Disk"}}},
        {
            "name": "ours",
            "disk": {},
            "volume": {"hostDisk": {"path": str(ours), "type": "DiskOrCreate", "capacity": "1Mi"}},
        },
    ]
    options = {"disks": disks, "cloud_init": {"hostname": "a"}}
    bed.apply(bed.plan(options), running=power == "running", paused=power == "paused")
    plan = bed.plan({}, state="absent", delete_volumes=delete)
    assert (plan.undefine, plan.power, plan.remove_state, plan.after) == (True, steps, delete, None)
    seed = next(path for path in plan.remove if path.endswith(".iso"))
    assert sorted(plan.remove) == sorted([seed, str(ours)] if delete else [seed])
    assert sorted(plan.keep) == sorted([str(theirs)] if delete else [str(theirs), str(ours)])


def test_an_iso_of_the_user_s_own_is_kept(bed: Bed) -> None:
    iso = bed.folder / "debian.iso"
    iso.write_bytes(b"\0" * 512)
    disk = {"name": "iso", "cdrom": {"bus": "sata"}, "volume": {"hostDisk": {"path": str(iso), "type": "Disk"}}}
    bed.apply(bed.plan({"disks": [disk]}))
    plan = bed.plan({}, state="absent", delete_volumes=True)
    assert (plan.remove, plan.keep) == ([], [str(iso)])


def test_a_disk_that_was_made_and_is_named_like_a_seed_is_kept_without_request(bed: Bed) -> None:
    """A name alone does not make a file a seed."""
    path = bed.folder / "data.iso"
    volume = {"hostDisk": {"path": str(path), "type": "DiskOrCreate", "capacity": "1Mi"}}
    bed.apply(bed.plan({"disks": [{"name": "data", "disk": {}, "volume": volume}]}))
    plan = bed.plan({}, state="absent", delete_volumes=False)
    assert (plan.remove, plan.keep) == ([], [str(path)])


def test_nothing_of_a_domain_of_others_is_removed_with_it(bed: Bed) -> None:
    path = bed.folder / "root.img"
    path.write_bytes(b"\0" * 512)
    disk = {"name": "root", "disk": {}, "volume": {"hostDisk": {"path": str(path), "type": "Disk"}}}
    definition = bed.plan({"disks": [disk]}).definition
    assert definition is not None
    definition.remove(definition.find("metadata"))
    bed.add(definition)
    plan = bed.plan({}, state="absent", delete_volumes=True)
    assert (plan.undefine, plan.remove, plan.keep) == (True, [], [str(path)])


def test_cpus_on_which_a_switch_polls_are_taken(bed: Bed) -> None:
    free = bed.plan(DEDICATED)
    bed.polling = frozenset(int(str(cpu)) for cpu in pins(free))
    assert not set(pins(bed.plan(DEDICATED))) & set(pins(free))
    bed.polling = frozenset(range(1, 6))
    ((path, message),) = bed.refused(DEDICATED)
    assert (path, "CPUs" in message) == ("vms[0].dedicated_cpus", True)


# --- vhost-user ------------------------------------------------------------------------------------------------------


def vhostuser(socket: Path) -> Given:
    network = {"libvirt": {"vhostuser": {"socket": str(socket)}}}
    return {"hugepages": "2Mi", "interfaces": [{"name": "data", "vhostuser": {}, "network": network}]}


SOCKET = "vms[0].interfaces[0].network.libvirt.vhostuser.socket"


def test_a_socket_of_another_domain_is_refused(bed: Bed, tmp_path: Path) -> None:
    bed.apply(bed.plan({"name": "first", **vhostuser(tmp_path / "data")}))
    assert bed.refused(vhostuser(tmp_path / "data")) == [
        (SOCKET, f"{tmp_path}/data is the socket of first: write another")
    ]
    # Its own is no other's.
    assert bed.plan({"name": "first", **vhostuser(tmp_path / "data")}).changes == []


def test_a_folder_of_sockets_has_to_be_there_for_a_start_only(bed: Bed, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    assert bed.plan(vhostuser(absent / "data")).definition is not None
    ((path, message),) = bed.refused(vhostuser(absent / "data"), state="running")
    assert path == SOCKET
    assert message.startswith(f"there is no folder {absent} on this host")


@pytest.mark.parametrize(
    ("user", "mode", "fits"), [((0, 0), 0o700, True), ((9, 9), 0o755, False), ((9, 9), 0o733, True)]
)
def test_a_folder_that_qemu_may_not_write_to(bed: Bed, user: tuple[int, int], mode: int, fits: bool) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(mode)
        bed.host = replace(HOST, qemu_user=user)
        if fits:
            assert bed.plan(vhostuser(Path(folder, "data")), state="running").power == ["start"]
        else:
            ((path, message),) = bed.refused(vhostuser(Path(folder, "data")), state="running")
            assert (path, "QEMU's user (9)" in message) == (SOCKET, True)


def test_a_guest_that_goes_on_holds_its_cpus_until_it_is_restarted(bed: Bed) -> None:
    """Its new pins count, and those that it runs with."""
    bed.apply(bed.plan({"name": "first", **DEDICATED}), running=True)
    smaller = {"name": "first", "memory": "64Mi", "cpu_cores": 1, "dedicated_cpus": True}
    second = {"memory": "64Mi", **DEDICATED}
    assert sorted(map(str, pins(bed.plans(smaller, second)[1]))) == ["3", "4"]
    restarted = bed.plans(smaller, {**second, "cpu_cores": 4}, allow_restart=True)
    assert sorted(map(str, pins(restarted[1]))) == ["2", "3", "4", "5"]


def test_pages_of_another_size_are_not_given_back(bed: Bed) -> None:
    bed.apply(bed.plan({"hugepages": "2Mi", "memory": "4Gi"}), running=True)
    ((path, message),) = bed.refused({"hugepages": "1Gi", "memory": "4Gi"}, state="restarted")
    assert (path, "the host has 0" in message) == ("vms[0].hugepages", True)


def test_a_vm_that_is_stopped_needs_no_pages_for_what_is_pending(bed: Bed) -> None:
    bed.apply(bed.plan({"hugepages": "2Mi", "memory": "64Mi"}), running=True)
    bed.host = replace(HOST, free_pages={2 * MIB: 0})
    plan = bed.plan({"hugepages": "2Mi", "memory": "128Mi"}, state="stopped", allow_restart=True)
    assert plan.power == ["shut down"]


def test_a_spoilt_record_of_another_domain_hurts_nobody(bed: Bed) -> None:
    domain = bed.apply(bed.plan({"name": "other", **DEDICATED}))
    record = next(iter(domain.definition.find("metadata")))
    record.text = (
        str(record.text).replace('"dedicatedCpuPlacement": true', '"x": 1').replace('"cpu": {', '"cpu": "abc", "y": {')
    )
    assert sorted(map(str, pins(bed.plan(DEDICATED)))) == ["3", "4"]


def test_a_uuid_may_be_written_in_any_way(bed: Bed) -> None:
    plain = "6f4a52f83c5b4b0e9d7a1f2e3d4c5b6a"
    options = {"spec": {"domain": {"firmware": {"uuid": plain.upper()}}}}
    domain = bed.apply(bed.plan(options))
    assert domain.uuid == "6f4a52f8-3c5b-4b0e-9d7a-1f2e3d4c5b6a"
    assert bed.plan(options).definition is None


def test_a_uuid_of_another_domain_is_refused(bed: Bed) -> None:
    other = bed.apply(bed.plan({"name": "first"}))
    assert bed.refused({"smbios_uuid": other.uuid}) == [
        ("vms[0].smbios_uuid", f"{other.uuid} is first's: write another")
    ]
    assert [one.path for one in bed.plan({"name": "first", "smbios_uuid": other.uuid}).changes] == ["metadata"]


def test_more_vcpus_than_libvirt_gives_a_guest(bed: Bed) -> None:
    ((path, message),) = bed.refused({"cpu_sockets": 4, "cpu_cores": 64})
    assert (path, "at most 255" in message) == ("vms[0].cpu_cores", True)


def test_a_numa_cell_needs_a_page(bed: Bed) -> None:
    bed.host = replace(HOST, topology=Topology(tuple(Core(cpu % 2, cpu % 2, (cpu,)) for cpu in range(6))))
    three = {**DEDICATED, "cpu_cores": 5, "numa_passthrough": True, "hugepages": "1Gi", "memory": "1Gi"}
    ((path, message),) = bed.refused(three)
    assert (path, "fewer huge pages than the 2 NUMA nodes" in message) == ("vms[0].memory", True)
    assert bed.plan({**three, "memory": "2Gi"}).definition is not None
