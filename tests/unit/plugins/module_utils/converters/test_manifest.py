# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Given to a VirtualMachine: every option to its field, and every field back to the option that set it."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import (
    OPTIONS,
    Options,
    declaration_spec,
    declarations,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import (
    from_options,
    merge_options,
    pod_spec,
)

Given = dict[str, t.Any]
POD = ("spec", "template", "spec")
DOMAIN = (*POD, "domain")
DEVICES = (*DOMAIN, "devices")
DISK = {"name": "root", "disk": {"bus": "virtio"}, "volume": {"emptyDisk": {"capacity": "1Gi"}}}
NIC = {"name": "lan", "bridge": {}, "network": {"libvirt": {"bridge": "br0"}}}


def at(document: t.Any, path: tuple[t.Any, ...]) -> t.Any:
    for step in path:
        document = document[step]
    return document


def leaves(value: t.Any, path: tuple[t.Any, ...] = ()) -> dict[tuple[t.Any, ...], t.Any]:
    """Every value of a tree that is no filled dict, by its place."""
    if isinstance(value, dict) and value:
        found: dict[tuple[t.Any, ...], t.Any] = {}
        for key, item in value.items():
            found.update(leaves(item, (*path, key)))
        return found
    return {path: value}


#: Option -> a value, and all that it sets beside apiVersion and kind.
FIELDS: dict[str, tuple[t.Any, dict[tuple[t.Any, ...], t.Any]]] = {
    "affinity": ({"nodeAffinity": {}}, {(*POD, "affinity", "nodeAffinity"): {}}),
    "annotations": (
        {"a": "b"},
        {("metadata", "annotations", "a"): "b", ("spec", "template", "metadata", "annotations", "a"): "b"},
    ),
    "api_version": ("kubevirt.io/v1alpha3", {("apiVersion",): "kubevirt.io/v1alpha3"}),
    "autoattach_graphics_device": (False, {(*DEVICES, "autoattachGraphicsDevice"): False}),
    "autoattach_input_device": (True, {(*DEVICES, "autoattachInputDevice"): True}),
    "autoattach_mem_balloon": (False, {(*DEVICES, "autoattachMemBalloon"): False}),
    "autoattach_pod_interface": (False, {(*DEVICES, "autoattachPodInterface"): False}),
    "autoattach_serial_console": (False, {(*DEVICES, "autoattachSerialConsole"): False}),
    "block_multiqueue": (True, {(*DEVICES, "blockMultiQueue"): True}),
    "clock": ({"timezone": "Asia/Tokyo"}, {(*DOMAIN, "clock", "timezone"): "Asia/Tokyo"}),
    "cloud_init": (
        {"user_data": "#!/bin/sh\n"},
        {
            (*DEVICES, "disks"): [{"name": "cloudinit", "disk": {"bus": "virtio"}}],
            (*POD, "volumes"): [{"name": "cloudinit", "cloudInitNoCloud": {"userData": "#!/bin/sh\n"}}],
        },
    ),
    "cpu_cores": (4, {(*DOMAIN, "cpu", "cores"): 4}),
    "cpu_features": ([{"name": "vmx"}], {(*DOMAIN, "cpu", "features"): [{"name": "vmx"}]}),
    "cpu_limit": ("500m", {(*DOMAIN, "resources", "limits", "cpu"): "500m"}),
    "cpu_model": ("EPYC", {(*DOMAIN, "cpu", "model"): "EPYC"}),
    "cpu_sockets": (2, {(*DOMAIN, "cpu", "sockets"): 2}),
    "cpu_threads": (2, {(*DOMAIN, "cpu", "threads"): 2}),
    "data_volume_templates": (
        [{"metadata": {"name": "root"}, "spec": {}}],
        {("spec", "dataVolumeTemplates"): [{"metadata": {"name": "root"}, "spec": {}}]},
    ),
    "dedicated_cpus": (True, {(*DOMAIN, "cpu", "dedicatedCpuPlacement"): True}),
    "definition": ({"metadata": {"name": "x"}}, {("metadata", "name"): "x"}),
    "disks": (
        [DISK],
        {
            (*DEVICES, "disks"): [{"name": "root", "disk": {"bus": "virtio"}}],
            (*POD, "volumes"): [{"name": "root", "emptyDisk": {"capacity": "1Gi"}}],
        },
    ),
    "eviction_strategy": ("LiveMigrate", {(*POD, "evictionStrategy"): "LiveMigrate"}),
    "firmware": ({"bootloader": "bios"}, {(*DOMAIN, "firmware", "bootloader", "bios"): {}}),
    "gpus": ([{"name": "a", "mdev": "x"}], {(*DEVICES, "gpus"): [{"name": "a", "mdev": "x"}]}),
    "host_devices": ([{"name": "a", "pci": "x"}], {(*DEVICES, "hostDevices"): [{"name": "a", "pci": "x"}]}),
    "hostname": ("web", {(*POD, "hostname"): "web"}),
    "hugepages": ("1Gi", {(*DOMAIN, "memory", "hugepages", "pageSize"): "1Gi"}),
    "instancetype": ({"name": "u1.small"}, {("spec", "instancetype", "name"): "u1.small"}),
    "interfaces": (
        [NIC],
        {
            (*DEVICES, "interfaces"): [{"name": "lan", "bridge": {}}],
            (*POD, "networks"): [{"name": "lan", "libvirt": {"bridge": "br0"}}],
        },
    ),
    "io_threads_policy": ("auto", {(*DOMAIN, "ioThreadsPolicy"): "auto"}),
    "isolate_emulator_thread": (True, {(*DOMAIN, "cpu", "isolateEmulatorThread"): True}),
    "labels": (
        {"a": "b"},
        {("metadata", "labels", "a"): "b", ("spec", "template", "metadata", "labels", "a"): "b"},
    ),
    "machine_type": ("q35", {(*DOMAIN, "machine", "type"): "q35"}),
    "memory": ("4Gi", {(*DOMAIN, "memory", "guest"): "4Gi"}),
    "memory_limit": ("5Gi", {(*DOMAIN, "resources", "limits", "memory"): "5Gi"}),
    "cpu_thread_policy": ("require", {(*DOMAIN, "cpu", "libvirt", "threadPolicy"): "require"}),
    "memory_locked": (True, {(*DOMAIN, "memory", "libvirt", "locked"): True}),
    "multiqueue": (True, {(*DEVICES, "networkInterfaceMultiqueue"): True}),
    "name": ("vm1", {("metadata", "name"): "vm1"}),
    "namespace": ("telco", {("metadata", "namespace"): "telco"}),
    "networks": ([{"name": "a", "pod": {}}], {(*POD, "networks"): [{"name": "a", "pod": {}}]}),
    "node_selector": ({"zone": "a"}, {(*POD, "nodeSelector", "zone"): "a"}),
    "numa_passthrough": (True, {(*DOMAIN, "cpu", "numa", "guestMappingPassthrough"): {}}),
    "preference": ({"name": "fedora"}, {("spec", "preference", "name"): "fedora"}),
    "realtime": (True, {(*DOMAIN, "cpu", "realtime"): {}}),
    "realtime_mask": ("0-1", {(*DOMAIN, "cpu", "realtime", "mask"): "0-1"}),
    "run_strategy": ("Manual", {("spec", "runStrategy"): "Manual"}),
    "running": (True, {("spec", "running"): True}),
    "resources": ({"limits": {"cpu": 2}}, {(*DOMAIN, "resources", "limits", "cpu"): 2}),
    "smbios_uuid": (
        "6f4a52f8-3c5b-4c2f-9a35-1f2d3c4b5a69",
        {(*DOMAIN, "firmware", "uuid"): "6f4a52f8-3c5b-4c2f-9a35-1f2d3c4b5a69"},
    ),
    "spec": ({"domain": {"cpu": {"cores": 1}}}, {(*DOMAIN, "cpu", "cores"): 1}),
    "subdomain": ("web", {(*POD, "subdomain"): "web"}),
    "termination_grace_period_seconds": (30, {(*POD, "terminationGracePeriodSeconds"): 30}),
    "tolerations": ([{"key": "rt"}], {(*POD, "tolerations"): [{"key": "rt"}]}),
    "volumes": ([{"name": "a", "emptyDisk": {}}], {(*POD, "volumes"): [{"name": "a", "emptyDisk": {}}]}),
    "watchdog": ({"name": "dog"}, {(*DEVICES, "watchdog", "name"): "dog"}),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_sets_its_field_and_no_other(option: str) -> None:
    value, expected = FIELDS[option]
    before = copy.deepcopy(value)
    found = leaves(from_options({option: value}).document)
    assert found.pop(("kind",)) == "VirtualMachine"
    if option != "api_version":
        assert found.pop(("apiVersion",)) == "kubevirt.io/v1"
    assert found == expected
    assert value == before


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_that_is_not_given_declares_nothing(option: str) -> None:
    assert from_options({option: None}).document == from_options({}).document


@pytest.mark.parametrize("option", [option for option in OPTIONS if option != "firmware"])
def test_a_field_is_told_by_the_option_that_set_it(option: str) -> None:
    value, expected = FIELDS[option]
    manifest = from_options({option: value})
    for path, found in expected.items():
        # Of a list it is the items that are told.
        where = (*path, 0) if isinstance(found, list) else path
        assert manifest.option_path(where).startswith(option), path


FIRMWARE: dict[str, tuple[Given, Given]] = {
    "EFI is without secure boot unless it says so": (
        {"bootloader": "efi"},
        {"firmware": {"bootloader": {"efi": {"secureBoot": False}}}},
    ),
    "EFI with secure boot": (
        {"bootloader": "efi", "secure_boot": True, "smm": True},
        {"firmware": {"bootloader": {"efi": {"secureBoot": True}}}, "features": {"smm": {"enabled": True}}},
    ),
    "SMM off": ({"smm": False}, {"features": {"smm": {"enabled": False}}}),
    "nothing": ({"bootloader": None, "secure_boot": None, "smm": None}, {}),
    "no secure boot alone": ({"secure_boot": False}, {}),
}


@pytest.mark.parametrize("what", FIRMWARE)
def test_firmware(what: str) -> None:
    given, expected = FIRMWARE[what]
    assert pod_spec(from_options({"firmware": given}).document).get("domain", {}) == expected


@pytest.mark.parametrize("option", ["realtime", "numa_passthrough"])
def test_a_mode_that_is_off_is_not_on(option: str) -> None:
    assert pod_spec(from_options({option: False}).document) == {}


def test_a_mask_does_not_turn_on_what_is_off() -> None:
    """Such as a mask of the task's, under an entry of vms that is not real-time."""
    cpu = pod_spec(from_options({"realtime": False, "realtime_mask": "0-1"}).document).get("domain", {}).get("cpu", {})
    assert "realtime" not in cpu


@pytest.mark.parametrize(
    ("option", "field"),
    [("realtime", {"realtime": {"mask": "0"}}), ("numa_passthrough", {"numa": {"guestMappingPassthrough": {}}})],
)
def test_a_mode_that_is_off_is_off_over_a_definition_that_has_it(option: str, field: Given) -> None:
    definition = {"spec": {"template": {"spec": {"domain": {"cpu": {"cores": 2, **field}}}}}}
    cpu = pod_spec(from_options({"definition": definition, option: False}).document)["domain"]["cpu"]
    assert cpu.get("realtime") is None
    assert (cpu.get("numa") or {}).get("guestMappingPassthrough") is None


# --- cloud-init ------------------------------------------------------------------------------------------------------


def cloud_init(**given: t.Any) -> Given:
    (volume,) = pod_spec(from_options({"cloud_init": given}).document)["volumes"]
    return t.cast(Given, volume["cloudInitNoCloud"])


@pytest.mark.parametrize(
    ("given", "config"),
    [
        ({"hostname": "a"}, {"hostname": "a"}),
        ({"ssh_authorized_keys": ["ssh-ed25519 A"]}, {"ssh_authorized_keys": ["ssh-ed25519 A"]}),
        ({"users": ["default", {"name": "admin"}]}, {"users": ["default", {"name": "admin"}]}),
        ({"hostname": "a", "user_data": {"packages": ["x"]}}, {"hostname": "a", "packages": ["x"]}),
        ({"hostname": "a", "user_data": {"hostname": "b"}}, {"hostname": "b"}),
        ({"user_data": {"z": 1, "a": 2}}, {"a": 2, "z": 1}),
    ],
)
def test_short_forms_of_cloud_init(given: Given, config: Given) -> None:
    source = cloud_init(**given)
    assert set(source) == {"userData"}
    header, _newline, body = source["userData"].partition("\n")
    assert header == "#cloud-config"
    assert json.loads(body) == config


def test_text_is_left_as_it_is() -> None:
    assert cloud_init(user_data="#!/bin/sh\n", network_data="version: 2\n") == {
        "userData": "#!/bin/sh\n",
        "networkData": "version: 2\n",
    }


def test_a_mapping_of_network_data_is_written_out() -> None:
    source = cloud_init(network_data={"version": 2, "ethernets": {}})
    assert set(source) == {"networkData"}
    assert json.loads(source["networkData"]) == {"version": 2, "ethernets": {}}


def test_the_same_data_is_the_same_text() -> None:
    assert cloud_init(user_data={"a": 1, "b": 2}) == cloud_init(user_data={"b": 2, "a": 1})


# --- Layers ----------------------------------------------------------------------------------------------------------


def definition(**pod: t.Any) -> Given:
    return {"metadata": {"name": "old", "labels": {"x": "y"}}, "spec": {"running": False, "template": {"spec": pod}}}


def test_spec_is_laid_over_options_and_these_over_the_definition() -> None:
    document = from_options(
        {
            "definition": definition(domain={"cpu": {"cores": 1, "sockets": 1, "threads": 1, "model": "EPYC"}}),
            "name": "new",
            "cpu_cores": 2,
            "cpu_sockets": 2,
            "spec": {"domain": {"cpu": {"sockets": 3}}},
        }
    ).document
    assert document["metadata"] == {"name": "new", "labels": {"x": "y"}}
    assert document["spec"]["running"] is False
    assert pod_spec(document)["domain"]["cpu"] == {"cores": 2, "sockets": 3, "threads": 1, "model": "EPYC"}


def test_named_items_of_all_layers_meet() -> None:
    document = from_options(
        {
            "definition": definition(
                domain={
                    "devices": {"disks": [{"name": "a", "disk": {"bus": "sata"}}, {"name": "root", "serial": "1"}]}
                },
                volumes=[{"name": "root", "emptyDisk": {"capacity": "2Gi"}}],
            ),
            "disks": [DISK],
            "spec": {"domain": {"devices": {"disks": [{"name": "a", "bootOrder": 1}]}}},
        }
    ).document
    assert at(document, DEVICES)["disks"] == [
        {"name": "a", "disk": {"bus": "sata"}, "bootOrder": 1},
        {"name": "root", "serial": "1", "disk": {"bus": "virtio"}},
    ]
    assert at(document, POD)["volumes"] == [{"name": "root", "emptyDisk": {"capacity": "1Gi"}}]


def test_nested_volumes_are_laid_over_those_beside_them() -> None:
    document = from_options({"volumes": [{"name": "root", "libvirt": {"format": "qcow2"}}], "disks": [DISK]}).document
    assert at(document, POD)["volumes"] == [
        {"name": "root", "libvirt": {"format": "qcow2"}, "emptyDisk": {"capacity": "1Gi"}}
    ]


def test_a_nested_volume_may_have_a_name_of_its_own() -> None:
    disk = {**DISK, "volume": {"name": "other", "emptyDisk": {}}}
    assert at(from_options({"disks": [disk]}).document, POD)["volumes"] == [{"name": "other", "emptyDisk": {}}]


def test_disks_come_before_cloud_init() -> None:
    document = from_options({"cloud_init": {"hostname": "a"}, "disks": [DISK]}).document
    assert [disk["name"] for disk in at(document, DEVICES)["disks"]] == ["root", "cloudinit"]


# --- Paths -----------------------------------------------------------------------------------------------------------

MANY: Given = {
    "name": "vm1",
    "memory": "1Gi",
    "memory_limit": "2Gi",
    "resources": {"requests": {"cpu": 2}},
    "cpu_cores": 2,
    "labels": {"a": "b"},
    "realtime": True,
    "realtime_mask": "0",
    "firmware": {"bootloader": "efi", "secure_boot": True, "smm": True},
    "disks": [DISK, {**DISK, "name": "data", "bootOrder": 2}],
    "volumes": [{"name": "spare", "emptyDisk": {}}],
    "interfaces": [NIC],
    "cloud_init": {"hostname": "a"},
    "watchdog": {"name": "dog", "i6300esb": {"action": "none"}},
    "host_devices": [{"name": "nic", "pci": "x"}],
    "definition": definition(
        domain={"devices": {"disks": [{"name": "old", "disk": {}}, {"name": "data", "serial": "1"}]}},
        volumes=[{"name": "old", "emptyDisk": {"capacity": "1Gi"}}],
        hostname="x",
    ),
    "spec": {"domain": {"devices": {"disks": [{"name": "extra", "disk": {}}]}, "ioThreadsPolicy": "auto"}},
}

PATHS: list[tuple[tuple[t.Any, ...], str]] = [
    (("metadata", "name"), "name"),
    (("metadata", "labels", "a"), "labels.a"),
    (("metadata", "labels", "x"), "definition.metadata.labels.x"),
    (("spec", "template", "metadata", "labels", "a"), "labels.a"),
    (("spec", "running"), "definition.spec.running"),
    ((*POD, "hostname"), "definition.spec.template.spec.hostname"),
    ((*DOMAIN, "memory", "guest"), "memory"),
    ((*DOMAIN, "resources", "limits", "memory"), "memory_limit"),
    ((*DOMAIN, "resources", "requests", "cpu"), "resources.requests.cpu"),
    ((*DOMAIN, "cpu", "cores"), "cpu_cores"),
    ((*DOMAIN, "cpu", "realtime"), "realtime"),
    ((*DOMAIN, "cpu", "realtime", "mask"), "realtime_mask"),
    ((*DOMAIN, "firmware", "bootloader", "efi", "secureBoot"), "firmware.secure_boot"),
    ((*DOMAIN, "features", "smm", "enabled"), "firmware.smm"),
    ((*DOMAIN, "ioThreadsPolicy"), "spec.domain.ioThreadsPolicy"),
    # The definition's disks come first, and keep their places: old, data, then root, cloudinit and extra.
    ((*DEVICES, "disks", 0, "disk", "bus"), "definition.spec.template.spec.domain.devices.disks[0].disk.bus"),
    ((*DEVICES, "disks", 1, "serial"), "definition.spec.template.spec.domain.devices.disks[1].serial"),
    ((*DEVICES, "disks", 1, "bootOrder"), "disks[1].bootOrder"),
    ((*DEVICES, "disks", 2, "disk", "bus"), "disks[0].disk.bus"),
    ((*DEVICES, "disks", 2, "cache"), "disks[0].cache"),
    ((*DEVICES, "disks", 2), "disks[0]"),
    ((*DEVICES, "disks", 3, "disk", "bus"), "cloud_init"),
    ((*DEVICES, "disks", 4, "disk"), "spec.domain.devices.disks[0].disk"),
    # volumes: old, spare, root, data, cloudinit.
    ((*POD, "volumes", 0, "emptyDisk", "capacity"), "definition.spec.template.spec.volumes[0].emptyDisk.capacity"),
    ((*POD, "volumes", 1, "emptyDisk"), "volumes[0].emptyDisk"),
    ((*POD, "volumes", 2), "disks[0].volume"),
    ((*POD, "volumes", 2, "emptyDisk", "capacity"), "disks[0].volume.emptyDisk.capacity"),
    ((*POD, "volumes", 3, "hostDisk", "path"), "disks[1].volume.hostDisk.path"),
    ((*POD, "volumes", 4, "cloudInitNoCloud", "userData"), "cloud_init"),
    ((*DEVICES, "interfaces", 0, "macAddress"), "interfaces[0].macAddress"),
    ((*POD, "networks", 0, "libvirt", "bridge"), "interfaces[0].network.libvirt.bridge"),
    ((*DEVICES, "watchdog", "i6300esb", "action"), "watchdog.i6300esb.action"),
    ((*DEVICES, "hostDevices", 0, "pci"), "host_devices[0].pci"),
    # Nobody has declared these.
    (("kind",), "kind"),
    (("status",), "status"),
]


@pytest.mark.parametrize(("path", "option"), PATHS)
def test_option_path(path: tuple[t.Any, ...], option: str) -> None:
    manifest = from_options(MANY)
    names = [disk["name"] for disk in at(manifest.document, DEVICES)["disks"]]
    assert names == ["old", "data", "root", "cloudinit", "extra"]
    assert [volume["name"] for volume in at(manifest.document, POD)["volumes"]] == [
        "old",
        "spare",
        "root",
        "data",
        "cloudinit",
    ]
    assert manifest.option_path(path) == option


# --- Several VMs -----------------------------------------------------------------------------------------------------


def test_an_entry_is_laid_over_the_task_s_options() -> None:
    defaults = {
        "memory": "1Gi",
        "labels": {"a": "1", "b": "1"},
        "disks": [DISK],
        "cpu_cores": None,
        "tolerations": [{"key": "x"}],
    }
    entry = {
        "name": "vm1",
        "memory": None,
        "labels": {"b": "2"},
        "disks": [{"name": "root", "volume": {"emptyDisk": {"capacity": "9Gi"}}}, {"name": "data"}],
        "tolerations": [],
    }
    before = copy.deepcopy((defaults, entry))
    assert merge_options(defaults, entry) == {
        "name": "vm1",
        "memory": "1Gi",
        "labels": {"a": "1", "b": "2"},
        "disks": [
            {"name": "root", "disk": {"bus": "virtio"}, "volume": {"emptyDisk": {"capacity": "9Gi"}}},
            {"name": "data"},
        ],
        "tolerations": [],
    }
    assert (defaults, entry) == before


def test_what_an_entry_leaves_open_inside_an_option_is_the_task_s() -> None:
    """Ansible fills suboptions that are not given with None."""
    defaults = {"firmware": {"bootloader": "efi", "secure_boot": True, "smm": True}}
    entry = {"firmware": {"bootloader": None, "secure_boot": False, "smm": None}}
    assert merge_options(defaults, entry)["firmware"] == {"bootloader": "efi", "secure_boot": False, "smm": True}


def test_declarations_of_one_vm() -> None:
    params = dict.fromkeys(OPTIONS)
    assert declarations({**params, "name": "a", "vms": None, "state": "present"}) == [Options({"name": "a"})]


def test_declarations_of_several_vms() -> None:
    params = {"memory": "1Gi", "vms": [{"name": "a"}, {"name": "b", "memory": "2Gi"}], "uri": "x"}
    assert [options.values for options in declarations(params)] == [
        {"name": "a", "memory": "1Gi"},
        {"name": "b", "memory": "2Gi"},
    ]


WRITTEN: list[tuple[tuple[t.Any, ...], str]] = [
    (("memory",), "memory"),
    (("cpu_cores",), "vms[0].cpu_cores"),
    # Only missing: the entry is where to write it.
    (("hugepages",), "vms[0].hugepages"),
    # Merged by name; each part stands where its user wrote it.
    (("disks", 0, "disk", "bus"), "disks[0].disk.bus"),
    (("disks", 1, "disk", "bus"), "vms[0].disks[1].disk.bus"),
    (("disks", 1, "serial"), "disks[1].serial"),
    (("disks", 2, "disk"), "vms[0].disks[0].disk"),
    (("resources", "limits", "cpu"), "resources.limits.cpu"),
    (("resources", "limits", "memory"), "vms[0].resources.limits.memory"),
    # Lists without names are replaced as a whole.
    (("tolerations", 0, "key"), "vms[0].tolerations[0].key"),
]


@pytest.mark.parametrize(("place", "path"), WRITTEN)
def test_an_option_s_path_is_where_its_user_wrote_it(place: tuple[t.Any, ...], path: str) -> None:
    params = {
        "memory": "1Gi",
        "disks": [{"name": "root", "disk": {"bus": "sata"}}, {"name": "data", "serial": "x"}],
        "resources": {"limits": {"cpu": 1}},
        "tolerations": [{"key": "a"}],
        "vms": [
            {
                "name": "a",
                "cpu_cores": 2,
                "disks": [{"name": "extra", "disk": {}}, {"name": "data", "disk": {"bus": "scsi"}}],
                "resources": {"limits": {"memory": "2Gi"}},
                "tolerations": [{"key": "b"}],
            }
        ],
    }
    (options,) = declarations(params)
    assert options.path(place) == path


def test_no_vms_are_no_vms() -> None:
    assert declarations({"name": "a", "vms": []}) == []


def test_options_of_vms_are_those_of_one_and_none_has_a_default() -> None:
    spec = declaration_spec()
    assert spec["vms"]["options"] == {key: value for key, value in spec.items() if key != "vms"}
    assert not [key for key, value in OPTIONS.items() if "default" in value or value.get("required")]
    assert set(FIELDS) == set(OPTIONS)
