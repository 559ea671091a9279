# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flavors and images of Nova as declarations. Topologies were compared with Nova 34.0.0's on 3000 random flavors."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.cluster import CLUSTER_RULES
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.rules import LIBVIRT_RULES, admit
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import Options, checked
from ansible_collections.rtvirt.core.plugins.module_utils.converters.nova.options import nova

FOUR = {"cpu_sockets": 4, "cpu_cores": 1, "cpu_threads": 1}


def flavor(vcpus: int = 1, ram: int = 1024, **more: t.Any) -> dict[str, t.Any]:
    return {"name": "m1", "vcpus": vcpus, "ram": ram, "disk": 20, **more}


def asked(*specs: tuple[str, str], image: dict[str, t.Any] | None = None, **more: t.Any) -> dict[str, t.Any]:
    """What extra specs and properties add to a VM of four vCPUs."""
    found = nova(flavor(4, extra_specs=dict(specs)), image, **more)
    return {key: value for key, value in found.items() if key != "memory" and FOUR.get(key) != value}


def test_threads_of_one_core() -> None:
    specs = {"hw:cpu_policy": "dedicated", "hw:cpu_thread_policy": "require"}
    found = nova(flavor(4, extra_specs={**specs, "hw:cpu_threads": "2"}))
    assert (found["cpu_threads"], found["cpu_thread_policy"]) == (2, "require")
    with pytest.raises(DeclarationError, match=r"hw:cpu_thread_policy: is 'require', .*: write hw:cpu_threads=2"):
        nova(flavor(4, extra_specs=specs))


def test_a_flavor_alone() -> None:
    assert nova(flavor(4, 3072)) == {"memory": "3Gi", "cpu_sockets": 4, "cpu_cores": 1, "cpu_threads": 1}
    assert nova({"ram": "1536", "vcpus": "1", "properties": {}}, {})["memory"] == "1536Mi"


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        (("hw:cpu_policy", "dedicated"), {"dedicated_cpus": True}),
        (("hw:cpu_policy", "shared"), {}),
        (("hw:cpu_thread_policy", "prefer"), {}),
        (("hw:emulator_threads_policy", "isolate"), {"isolate_emulator_thread": True}),
        (("hw:cpu_realtime", "yes"), {"realtime": True, "numa_passthrough": True}),
        (("hw:cpu_realtime", "no"), {}),
        (("hw:watchdog_action", "reset"), {"watchdog": {"name": "watchdog", "i6300esb": {"action": "reset"}}}),
        (("hw:watchdog_action", "disabled"), {}),
        (("hw:vif_multiqueue_enabled", "True"), {"multiqueue": True}),
        (("hw:hide_hypervisor_id", "1"), {"spec": {"domain": {"features": {"kvm": {"hidden": True}}}}}),
        (("hw:tpm_version", "2.0"), {"spec": {"domain": {"devices": {"tpm": {"persistent": True}}}}}),
        (("hw:mem_page_size", "small"), {}),
        (("hw:mem_page_size", "any"), {}),
        (("hw:mem_page_size", "4"), {}),
        (("hw:mem_page_size", "2048"), {"hugepages": "2Mi"}),
        (("hw:mem_page_size", "2MB"), {"hugepages": "2Mi"}),
        (("hw:mem_page_size", "1GiB"), {"hugepages": "1Gi"}),
        (("hw:mem_page_size", "1048576"), {"hugepages": "1Gi"}),
        (("hw:numa_nodes", "1"), {}),
        (("hw_rng:allowed", "true"), {}),
    ],
)
def test_extra_specs(spec: tuple[str, str], options: dict[str, t.Any]) -> None:
    assert asked(spec) == options


@pytest.mark.parametrize(
    ("properties", "options"),
    [
        ({"hw_firmware_type": "uefi"}, {"firmware": {"bootloader": "efi"}}),
        ({"hw_machine_type": "q35"}, {"machine_type": "q35"}),
        ({"os_secure_boot": "required", "hw_firmware_type": "uefi", "hw_machine_type": "pc-q35-9.0"},
         {"firmware": {"bootloader": "efi", "secure_boot": True, "smm": True}, "machine_type": "pc-q35-9.0"}),
        # As openstacksdk has it, with all that it knows and is not there.
        ({"needs_secure_boot": "required", "is_hw_vif_multiqueue_enabled": True, "hw_cpu_sockets": None,
          "os_type": None, "properties": {"hw_firmware_type": "uefi"}, "architecture": "x86_64"},
         {"firmware": {"bootloader": "efi", "secure_boot": True, "smm": True}, "multiqueue": True}),
        ({"os_type": "linux", "vm_mode": "hvm", "hw_machine_type": ""}, {}),
        ({"img_hide_hypervisor_id": True}, {"spec": {"domain": {"features": {"kvm": {"hidden": True}}}}}),
        ({"hw_qemu_guest_agent": "yes", "hw_rng_model": "virtio"}, {}),
        # What an image is, and not how a VM is made.
        ({"os_distro": "debian", "owner": "me", "min_ram": 512, "disk_format": "qcow2"}, {}),
        ({"properties": {"hw_vif_multiqueue_enabled": "true"}, "name": "debian"}, {"multiqueue": True}),
    ],
)  # fmt: skip
def test_properties(properties: dict[str, t.Any], options: dict[str, t.Any]) -> None:
    assert asked(image=properties) == options


def test_who_has_the_say() -> None:
    watchdog = asked(("hw:watchdog_action", "reset"), image={"hw_watchdog_action": "poweroff"})["watchdog"]
    assert watchdog["i6300esb"]["action"] == "poweroff"
    realtime = ("hw:cpu_realtime", "yes")
    both = asked(realtime, ("hw:cpu_realtime_mask", "^0"), image={"hw_cpu_realtime_mask": "^0-1"})
    assert both["realtime_mask"] == "2-3"
    # One that begins with an exclusion is of all vCPUs, whatever else it has.
    assert asked(realtime, ("hw:cpu_realtime_mask", "^0,2"))["realtime_mask"] == "1-3"
    dedicated = ("hw:cpu_policy", "dedicated")
    assert asked(dedicated, image={"hw_cpu_policy": "shared"}) == {"dedicated_cpus": True}
    hidden = {"spec": {"domain": {"features": {"kvm": {"hidden": True}}}}}
    assert asked(("hw:hide_hypervisor_id", "true"), image={"img_hide_hypervisor_id": "false"}) == hidden
    assert asked(("hide_hypervisor_id", "false"), image={"img_hide_hypervisor_id": "true"}) == hidden
    one = nova(flavor(1, extra_specs={"hw:vif_multiqueue_enabled": "true"}), {"hw_vif_multiqueue_enabled": "false"})
    assert "multiqueue" not in one
    # Without it a mask means nothing.
    assert asked(("hw:cpu_realtime_mask", "^0")) == {}
    assert asked(("hw:mem_page_size", "large"), image={"hw_mem_page_size": "2MB"}) == {"hugepages": "2Mi"}
    with pytest.raises(DeclarationError, match=r"properties.hw_mem_page_size: is '1GB', and extra_specs.hw:mem_"):
        asked(("hw:mem_page_size", "2MB"), image={"hw_mem_page_size": "1GB"})
    assert asked(("hw:vif_multiqueue_enabled", "yes"), image={"hw_vif_multiqueue_enabled": "true"}) == {
        "multiqueue": True
    }


def test_pages_of_whichever_size() -> None:
    for size in ("large", "any"):
        assert asked(("hw:mem_page_size", size), large_pages="1Gi") == {"hugepages": "1Gi"}
    for wrong in ("1GB", ["1Gi"]):
        with pytest.raises(DeclarationError, match=r"^large_pages: "):
            asked(("hw:mem_page_size", "large"), large_pages=wrong)
    with pytest.raises(DeclarationError, match="is 'large', any size that a host has: say which by large_pages"):
        asked(("hw:mem_page_size", "large"))


@pytest.mark.parametrize(
    ("vcpus", "specs", "properties", "topology"),
    [
        (8, {"hw:cpu_max_sockets": "2"}, {}, (2, 4, 1)),
        (8, {"hw:cpu_sockets": "2", "hw:cpu_cores": "2", "hw:cpu_threads": "2"}, {}, (2, 2, 2)),
        (4, {"hw:cpu_threads": "2"}, {}, (2, 1, 2)),
        # What an image wants goes before all that the flavor wants.
        (8, {"hw:cpu_sockets": "1", "hw:cpu_threads": "4"}, {"hw_cpu_threads": "4"}, (2, 1, 4)),
        # A flavor that wants more than is allowed wants nothing.
        (8, {"hw:cpu_sockets": "4", "hw:cpu_max_sockets": "2", "hw:cpu_cores": "1"}, {}, (2, 4, 1)),
        (2, {"hw:cpu_sockets": "4"}, {}, (2, 1, 1)),
    ],
)
def test_topologies(
    vcpus: int, specs: dict[str, str], properties: dict[str, str], topology: tuple[int, int, int]
) -> None:
    found = nova(flavor(vcpus, extra_specs=specs), properties)
    assert (found["cpu_sockets"], found["cpu_cores"], found["cpu_threads"]) == topology


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"ram": 0}, "ram: is 0: write a number of 1 or more"),
        ({"vcpus": None}, "vcpus: is None"),
        ({"extra_specs": "hw:cpu_policy='dedicated'"}, "extra_specs: is .*: write a mapping, as 'openstack fl"),
        ({"extra_specs": {"hw:cpu_policy": "mixed"}}, "is 'mixed', which is not conv.*name hw:cpu_policy in ignore"),
        ({"extra_specs": {"hw:cpu_thread_policy": "isolate"}}, "a cpu_pool with one CPU of each core"),
        ({"extra_specs": {"hw:numa_nodes": "2", "hw:numa_cpus.0": "0"}}, "^2 problems: .*up to placement"),
        ({"extra_specs": {"trait:CUSTOM_RT": "required"}}, "chooses a host: the inventory does that"),
        ({"extra_specs": {"resources:VGPU": "1"}}, "the devices that the module mediated_devices has made"),
        ({"extra_specs": {"quota:cpu_shares": "10"}}, "has no counterpart"),
        ({"extra_specs": {"hw_rng:allowed": "false"}}, "hw_rng:allowed: is 'false', which is not converted"),
        ({"extra_specs": {"hw:cpu_sockets": "two"}}, "hw:cpu_sockets: is 'two': write a number"),
        ({"extra_specs": {"hw:cpu_realtime": "yes", "hw:cpu_realtime_mask": "^0-8"}}, "write some of the vCPUs 0-0"),
        ({"extra_specs": {"hw:cpu_realtime": "yes", "hw:cpu_realtime_mask": "x"}}, "hw:cpu_realtime_mask: "),
        ({"extra_specs": {"hw:machine_type": "q35"}}, "and Nova reads it of the image alone: name hw:machine_type"),
        ({"extra_specs": {"os:secure_boot": "required"}}, "counts with hw_firmware_type=uefi alone"),
        ({"extra_specs": {"resources:PCPU": "4"}}, "write dedicated_cpus"),
        ({"extra_specs": {"trait:HW_CPU_HYPERTHREADING": "forbidden"}}, "a cpu_pool with one CPU of each core"),
        ({"extra_specs": {"hw:cpu_realtime_mask": ["^0"]}}, "is .*: write text"),
        ({"ram": "1" * 5000}, "ram: is "),
        ({"extra_specs": {"hw:mem_page_size": "0"}}, "is '0': write small"),
        ({"extra_specs": {"hw:mem_page_size": "huge"}}, "is 'huge': write small, large, any, or a size"),
        ({"vcpus": 8, "extra_specs": {"hw:cpu_max_sockets": "1", "hw:cpu_max_cores": "2", "hw:cpu_max_threads": "2"}},
         "vcpus: 8 are not to be had of 1 sockets x 2 cores x 2 threads at most"),
    ],
)  # fmt: skip
def test_what_is_refused(given: dict[str, t.Any], told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        nova(flavor(**given))


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ({"hw_cpu_sockets": "4", "hw_cpu_max_sockets": "2"}, "properties.hw_cpu_sockets: is 4, of at most 2"),
        ({"hw_cpu_max_sockets": "8"}, "properties.hw_cpu_max_sockets: is 8, and the flavor allows 4"),
        ({"hw_cpu_realtime": "yes"}, "and Nova reads it of the flavor alone: name hw_cpu_realtime in ignore"),
        ({"hw_mem_page_size": "2MB"}, "of an image it counts where the flavor says large or any"),
        ({"os_type": "windows"}, "write clock, and spec.domain.features.hyperv"),
        ({"properties": "hw_cpu_policy='dedicated'"}, "properties: is .*: write a mapping, as 'openstack image show"),
        ({"trait:HW_CPU_HYPERTHREADING": "required"}, "write cpu_threads: 2"),
        # Of two of which one is unknown, the other is not told.
        ({"hw_cpu_thread_policy": "isolate"}, "^properties.hw_cpu_thread_policy: is 'isolate'"),
        ({"os_secure_boot": "required", "hw_firmware_type": "uefi", "hw_machine_type": "pc"}, "secure boot needs q35"),
        ({"hw_disk_bus": "scsi"}, r"is of the disks: write the bus of each\): name hw_disk_bus in ignore"),
    ],
)
def test_what_is_refused_of_an_image(properties: dict[str, t.Any], told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        nova(flavor(4, extra_specs={"hw:cpu_max_sockets": "4", "hw:cpu_thread_policy": "prefer"}), properties)


def test_what_may_be_left_out() -> None:
    specs = {"trait:CUSTOM_RT": "required", "hw:numa_nodes": "2", "aggregate_instance_extra_specs:rt": "true"}
    image = {"hw_disk_bus": "scsi", "hw_scsi_model": "virtio-scsi"}
    ignore = ["trait:*", "hw:numa_nodes", "aggregate_*", "hw_disk_bus", "hw_scsi_model"]
    assert nova(flavor(4, extra_specs=specs), image, ignore=ignore) == {"memory": "1Gi", **FOUR}


def test_a_realtime_flavor_is_a_declaration() -> None:
    """That of Nova's documentation on real time, with pages as KubeVirt wants them."""
    specs = {
        "hw:cpu_policy": "dedicated",
        "hw:cpu_realtime": "yes",
        "hw:cpu_realtime_mask": "^0-1",
        "hw:mem_page_size": "1GB",
        "hw:emulator_threads_policy": "isolate",
    }
    options = nova(flavor(4, 4096, extra_specs=specs))
    assert options == {
        "memory": "4Gi",
        "cpu_sockets": 4,
        "cpu_cores": 1,
        "cpu_threads": 1,
        "dedicated_cpus": True,
        "isolate_emulator_thread": True,
        "realtime": True,
        "realtime_mask": "2-3",
        "hugepages": "1Gi",
        "numa_passthrough": True,
    }
    for rules in (LIBVIRT_RULES, CLUSTER_RULES):
        [manifest] = admit([Options(checked({"name": "rt1", "namespace": "default", **options}))], rules)
        assert manifest.document["spec"]["template"]["spec"]["domain"]["cpu"]["realtime"] == {"mask": "2-3"}
