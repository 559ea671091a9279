# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole domains: names, what is declared of them, and what holds for every declaration that admission lets in."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.drift import reconcile
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.document import (
    complete_domain,
    declared_domain,
    placement_request,
    to_text,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import (
    ABSENT,
    Context,
    absent,
    device_name,
    el,
    kib,
    strip_absent,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import domain_name, from_options
from ansible_collections.rtvirt.core.plugins.module_utils.converters.placement import PlacementError, Request

Convert = t.Callable[..., t.Any]


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({"name": "vm1"}, "vm1"),
        ({"name": "vm1", "namespace": "telco"}, "telco_vm1"),
        ({"name": "vm1", "namespace": ""}, "vm1"),
        ({"name": "vm1", "namespace": None}, "vm1"),
    ],
)
def test_domain_name(metadata: dict[str, t.Any], name: str) -> None:
    assert domain_name({"metadata": metadata}) == name


def test_a_namespace_is_in_the_names_of_files(convert: Convert) -> None:
    convert({"namespace": "telco", "cloud_init": {"hostname": "a"}}).holds(
        "name = 'telco_vm1'",
        "devices/disk/source/@file = '/srv/vms/telco_vm1.cloudinit.iso'",
        "contains(devices/serial/log/@file, 'telco_vm1')",
    )


@pytest.mark.parametrize(
    ("options", "request_"),
    [
        ({"cpu_cores": 4}, None),
        ({"cpu_cores": 4, "dedicated_cpus": False}, None),
        ({"cpu_cores": 4, "dedicated_cpus": True}, Request(vcpus=4)),
        ({"resources": {"limits": {"cpu": 3}}, "dedicated_cpus": True}, Request(vcpus=3)),
        (
            {
                "cpu_cores": 2,
                "cpu_threads": 2,
                "dedicated_cpus": True,
                "isolate_emulator_thread": True,
                "numa_passthrough": True,
                "io_threads_policy": "shared",
            },
            Request(vcpus=4, threads=2, isolate_emulator=True, io_threads=1, numa_passthrough=True),
        ),
        (
            {"cpu_threads": 2, "dedicated_cpus": True, "cpu_thread_policy": "require"},
            Request(vcpus=2, threads=2, siblings=True),
        ),
        ({"cpu_threads": 2, "dedicated_cpus": True, "cpu_thread_policy": "prefer"}, Request(vcpus=2, threads=2)),
    ],
)
def test_placement_request(options: dict[str, t.Any], request_: Request | None) -> None:
    document = from_options(options).document
    assert placement_request(document.get("spec", {}).get("template", {}).get("spec", {}), "x86_64") == request_


def declared_text(options: dict[str, t.Any]) -> str:
    return ET.tostring(declared_domain(from_options({"name": "vm1", **options}).document, Context("vm1")), "unicode")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, '<domain type="kvm" />'),
        ({"memory": "1Gi"}, '<domain type="kvm"><memory unit="KiB">1048576</memory></domain>'),
        (
            {"watchdog": {"name": "dog"}},
            '<domain type="kvm"><devices><watchdog model="i6300esb" /></devices></domain>',
        ),
        (
            {"cpu_model": "host-passthrough"},
            '<domain type="kvm"><cpu mode="host-passthrough" /></domain>',
        ),
        (
            {"cpu_features": [{"name": "vmx", "policy": "disable"}]},
            '<domain type="kvm"><cpu><feature policy="disable" name="vmx" /></cpu></domain>',
        ),
        (
            {"machine_type": "q35"},
            '<domain type="kvm"><os><type arch="x86_64" machine="q35">hvm</type></os></domain>',
        ),
        (
            {"autoattach_mem_balloon": False},
            '<domain type="kvm"><devices><memballoon model="none" /></devices></domain>',
        ),
        (
            {"autoattach_serial_console": False},
            f'<domain type="kvm"><devices><serial {ABSENT}="yes" /><console {ABSENT}="yes" /></devices></domain>',
        ),
        (
            {"autoattach_graphics_device": False},
            f'<domain type="kvm"><devices><graphics {ABSENT}="yes" /><video {ABSENT}="yes" /></devices></domain>',
        ),
        ({"autoattach_pod_interface": False}, '<domain type="kvm" />'),
        ({"firmware": {"bootloader": "bios"}}, f'<domain type="kvm"><os firmware="{ABSENT}" /></domain>'),
    ],
)
def test_nothing_but_what_is_declared_is_in_the_declared_document(options: dict[str, t.Any], text: str) -> None:
    assert declared_text(options) == text


def test_a_declared_disk_says_nothing_of_discards_and_errors() -> None:
    text = declared_text(
        {"disks": [{"name": "root", "disk": {"bus": "virtio"}, "volume": {"hostDisk": {"path": "/a", "type": "Disk"}}}]}
    )
    assert "discard" not in text
    assert "error_policy" not in text
    assert "<address" not in text
    assert '<source file="/a" />' in text


def test_the_manifest_is_not_changed() -> None:
    document = from_options({"name": "vm1", "memory": "1Gi", "disks": [], "interfaces": []}).document
    before = repr(document)
    complete_domain(document, Context("vm1"))
    declared_domain(document, Context("vm1"))
    assert repr(document) == before


def test_text_is_indented_like_libvirts_and_says_the_same(convert: Convert) -> None:
    complete = convert({}).complete
    lines = to_text(complete).splitlines()
    assert lines[0] == '<domain type="kvm">'
    assert lines[1] == "  <name>vm1</name>"
    assert to_text(ET.fromstring(to_text(complete))) == to_text(complete)


def test_marks_are_taken_out_however_deep() -> None:
    root = el("a", None, el("b", None, absent("c"), el("d")), absent("e"))
    assert ET.tostring(strip_absent(root), "unicode") == "<a><b><d /></b></a>"
    root = el("a", {"x": ABSENT, "y": "1"}, el("b", {"x": ABSENT}), el("c", {"x": ABSENT}, el("d")))
    assert ET.tostring(strip_absent(root), "unicode") == '<a y="1"><c><d /></c></a>'


@pytest.mark.parametrize(
    ("alias", "name"),
    [("ua-disk-root", "root"), ("ua-net-my-lan", "my-lan"), ("virtio-disk0", None), ("ua-mine", None), (None, None)],
)
def test_device_name(alias: str | None, name: str | None) -> None:
    assert device_name(el("disk", None, None if alias is None else el("alias", {"name": alias}))) == name


@pytest.mark.parametrize(("count", "text"), [(1024, "1"), (1025, "2"), (0, "0"), (2**31, "2097152")])
def test_kib(count: int, text: str) -> None:
    assert kib(count) == text


# --- What holds for any declaration ---------------------------------------------------------------------------------

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,5}[a-z0-9]", fullmatch=True)
FLAGS = st.booleans()
SWITCHES = st.fixed_dictionaries({}, optional={"enabled": FLAGS})


def options_of(**given: st.SearchStrategy[t.Any]) -> st.SearchStrategy[dict[str, t.Any]]:
    """Any choice of these."""
    return st.fixed_dictionaries({}, optional=given)


CPU = options_of(
    cpu_cores=st.integers(1, 3),
    cpu_sockets=st.integers(1, 2),
    cpu_threads=st.integers(1, 2),
    cpu_model=st.sampled_from(["host-model", "host-passthrough", "maximum", "Skylake-Server"]),
    cpu_features=st.lists(
        options_of(policy=st.sampled_from(["force", "require", "optional", "disable", "forbid"])), max_size=3
    ).map(lambda items: [{"name": f"f{index}", **item} for index, item in enumerate(items)]),
    io_threads_policy=st.sampled_from(["shared", "auto"]),
)
PLACED = st.sampled_from(
    [
        {},
        {},
        {"dedicated_cpus": True},
        {"dedicated_cpus": True, "isolate_emulator_thread": True},
        {"dedicated_cpus": True, "numa_passthrough": True, "hugepages": "2Mi"},
        {"dedicated_cpus": True, "numa_passthrough": True, "hugepages": "2Mi", "realtime": True},
        {"dedicated_cpus": True, "numa_passthrough": True, "hugepages": "1Gi", "realtime": True, "realtime_mask": "0"},
        {"hugepages": "2Mi"},
    ]
)
MACHINE = options_of(
    namespace=NAMES,
    machine_type=st.sampled_from(["q35", "pc-q35-7.2", "pc"]),
    memory_limit=st.sampled_from(["8Gi", "9G"]),
    memory_locked=FLAGS,
    firmware=st.sampled_from(
        [
            {"bootloader": "bios"},
            {"bootloader": "efi"},
            {"bootloader": "efi", "secure_boot": True, "smm": True},
            {"smm": False},
        ]
    ),
    clock=st.sampled_from(
        [
            {"utc": {}},
            {"utc": {"offsetSeconds": -60}, "timer": {"kvm": {}, "hpet": {"present": False}}},
            {"timezone": "Asia/Tokyo", "timer": {"rtc": {"tickPolicy": "catchup", "track": "guest"}}},
        ]
    ),
    cloud_init=options_of(hostname=NAMES, network_data=st.just({"version": 2})).filter(bool),
)
DEVICES = options_of(
    watchdog=options_of(
        i6300esb=options_of(
            action=st.sampled_from(["reset", "shutdown", "poweroff", "pause", "none", "dump", "inject-nmi"])
        )
    ).map(lambda item: {"name": "dog", **item}),
    multiqueue=FLAGS,
    block_multiqueue=FLAGS,
    autoattach_graphics_device=FLAGS,
    autoattach_input_device=FLAGS,
    autoattach_mem_balloon=FLAGS,
    autoattach_pod_interface=FLAGS,
    autoattach_serial_console=FLAGS,
    host_devices=st.just([{"name": "nic", "pci": "0000:3b:00.1"}]),
    gpus=st.just([{"name": "gpu", "mdev": "4b20d080-1b54-4048-85b3-a6a62d165c01"}]),
)
SPEC = st.fixed_dictionaries(
    {},
    optional={
        "domain": options_of(
            features=options_of(
                acpi=SWITCHES,
                apic=SWITCHES,
                kvm=options_of(hidden=FLAGS),
                hyperv=options_of(
                    relaxed=SWITCHES,
                    vapic=SWITCHES,
                    synic=SWITCHES,
                    synictimer=SWITCHES,
                    tlbflush=SWITCHES,
                    spinlocks=st.just({"spinlocks": 8191}),
                    vendorid=st.just({"vendorid": "KVM Hv"}),
                ),
            ),
            devices=options_of(
                rng=st.just({}),
                tpm=options_of(enabled=FLAGS, persistent=FLAGS),
                logSerialConsole=FLAGS,
                inputs=options_of(type=st.just("tablet"), bus=st.sampled_from(["usb", "virtio"])).map(
                    lambda item: [{"name": "pointer", "type": "tablet", **item}]
                ),
                filesystems=st.just([{"name": "src", "virtiofs": {}}]),
            ),
        )
    },
)


@st.composite
def disks(draw: st.DrawFn) -> list[dict[str, t.Any]]:
    result = []
    for index, name in enumerate(draw(st.lists(NAMES, max_size=4, unique=True))):
        kind = draw(st.sampled_from(["disk", "disk", "disk", "cdrom", "lun"]))
        buses = ["scsi", "sata", "usb"] if kind == "cdrom" else ["virtio", "scsi", "sata", "usb"]
        target = {"bus": "scsi"} if kind == "lun" else draw(options_of(bus=st.sampled_from(buses)))
        settings_ = draw(
            options_of(
                cache=st.sampled_from(["none", "writethrough", "writeback"]),
                io=st.just("threads"),
                errorPolicy=st.sampled_from(["stop", "ignore", "report", "enospace"]),
                serial=st.from_regex(r"[A-Za-z0-9_.+-]{1,20}", fullmatch=True),
                bootOrder=st.just(index + 1),
                blockSize=st.just({"custom": {"logical": 512, "physical": 4096}}),
            )
        )
        path = f"/srv/{index}"
        device = {"libvirt": {"device": f"/dev/{index}"}}
        volume = (
            device
            if kind == "lun"
            else draw(
                st.sampled_from(
                    [
                        {"hostDisk": {"path": path, "type": "Disk"}},
                        {
                            "hostDisk": {"path": path, "type": "DiskOrCreate", "capacity": "1Gi"},
                            "libvirt": {"format": "qcow2"},
                        },
                        {"emptyDisk": {"capacity": "1Gi"}},
                        device,
                        {"cloudInitNoCloud": {"userData": "#cloud-config\n"}},
                    ]
                )
            )
        )
        result.append({"name": name, kind: target, **settings_, "volume": volume})
    return result


@st.composite
def interfaces(draw: st.DrawFn) -> list[dict[str, t.Any]]:
    result = []
    for index, name in enumerate(draw(st.lists(NAMES, max_size=3, unique=True))):
        network = draw(
            st.sampled_from(
                [
                    {"pod": {}},
                    {"libvirt": {"network": "default"}},
                    {"libvirt": {"network": "default", "portgroup": "storage"}},
                    {"libvirt": {"bridge": "br0"}},
                    {"libvirt": {"macvtap": {"device": "eth1"}}},
                    {"libvirt": {"macvtap": {"device": "eth1", "mode": "private"}}},
                ]
            )
        )
        more = draw(
            options_of(
                model=st.sampled_from(["e1000", "e1000e", "igb", "pcnet", "rtl8139", "virtio"]),
                macAddress=st.sampled_from(["52:54:00:12:34:56", "02-00-00-AA-BB-CC"]),
                state=st.sampled_from(["up", "down"]),
                bootOrder=st.just(100 + index),
            )
        )
        result.append({"name": name, "masquerade" if "pod" in network else "bridge": {}, "network": network, **more})
    return result


@st.composite
def declarations(draw: st.DrawFn) -> dict[str, t.Any]:
    options = {"name": draw(NAMES), "memory": draw(st.sampled_from(["1Gi", "3Gi"]))}
    for part in (CPU, PLACED, MACHINE, DEVICES):
        options.update(draw(part))
    options.update(draw(st.fixed_dictionaries({}, optional={"disks": disks(), "interfaces": interfaces()})))
    spec = draw(SPEC)
    if "filesystems" in spec.get("domain", {}).get("devices", {}):
        spec["volumes"] = [{"name": "src", "libvirt": {"directory": "/srv/src"}}]
    return {**options, "spec": spec}


def lacks(complete: ET.Element, declared: ET.Element) -> str | None:
    """The first part of a declared tree that the complete one does not have with the same value."""
    for name, value in declared.attrib.items():
        if complete.get(name) != value:
            return f"{declared.tag}/@{name} = {value}"
    if (declared.text or "").strip() and (complete.text or "").strip() != (declared.text or "").strip():
        return f"{declared.tag} = {declared.text}"
    for child in declared:
        missing = [lacks(other, child) for other in complete.findall(child.tag)]
        if None not in missing:
            return f"{declared.tag}/{missing[0] if missing else child.tag}"
    return None


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(options=declarations(), kvm=FLAGS)
def test_every_declaration_that_is_let_in_gives_a_domain_that_libvirts_schema_lets_in(
    convert: Convert, options: dict[str, t.Any], kvm: bool
) -> None:
    try:
        converted = convert(options, virt_type="kvm" if kvm else "qemu")
    except (DeclarationError, PlacementError):
        assume(False)
        raise
    # The schema has been asked by convert(). What is declared is in the domain, and nothing of it has another value.
    assert ABSENT not in to_text(converted.complete)
    assert lacks(converted.complete, strip_absent(converted.declared)) is None


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(options=declarations())
def test_what_libvirt_makes_of_a_domain_needs_no_change(
    convert: Convert, stored: t.Callable[[ET.Element], ET.Element], options: dict[str, t.Any]
) -> None:
    """Whatever libvirt splits, reorders or adds: a second run has nothing to do."""
    try:
        converted = convert(options)
    except (DeclarationError, PlacementError):
        assume(False)
        raise
    domain = stored(converted.complete)
    _merged, changes = reconcile(domain, complete=converted.complete, declared=converted.declared)
    assert changes == []


def test_lacks_sees_a_difference() -> None:
    """The control of the test above."""
    complete = ET.fromstring("<a x='1'><b>2</b><c n='1'/><c n='2'><d/></c></a>")
    assert lacks(complete, ET.fromstring("<a x='1'><b>2</b><c n='2'><d/></c></a>")) is None
    for different in ("<a x='2'/>", "<a y='1'/>", "<a><b>3</b></a>", "<a><c n='1'><d/></c></a>", "<a><e/></a>"):
        assert lacks(complete, ET.fromstring(different)) is not None


#: The complete real-time VM of the quickstart's kind: all that matters to it, seen together.
REALTIME = {
    "cpu_cores": 2,
    "cpu_model": "host-passthrough",
    "memory": "1Gi",
    "hugepages": "2Mi",
    "dedicated_cpus": True,
    "isolate_emulator_thread": True,
    "numa_passthrough": True,
    "realtime": True,
    "memory_locked": True,
    "io_threads_policy": "shared",
    "autoattach_mem_balloon": False,
    "autoattach_graphics_device": False,
    "watchdog": {"name": "dog", "i6300esb": {"action": "inject-nmi"}},
    "disks": [
        {"name": "root", "disk": {"bus": "virtio"}, "volume": {"hostDisk": {"path": "/srv/rt.img", "type": "Disk"}}}
    ],
}


def test_a_real_time_vm(convert: Convert) -> None:
    convert(REALTIME).holds(
        "count(cputune/vcpupin) = 2",
        "count(cputune/vcpusched[@scheduler='fifo'][@priority='1']) = 2",
        "count(cputune/emulatorpin) = 1",
        "cputune/iothreadpin[@iothread='1']/@cpuset = cputune/emulatorpin/@cpuset",
        "not(cputune/vcpupin/@cpuset = cputune/emulatorpin/@cpuset)",
        "features/pmu/@state = 'off'",
        "memoryBacking[hugepages/page/@size='2048'][nosharepages][locked][source/@type='memfd']",
        "count(cpu/numa/cell) = 1",
        "numatune/memnode/@mode = 'strict'",
        "devices/memballoon/@model = 'none'",
        "not(devices/graphics)",
        "devices/watchdog/@action = 'inject-nmi'",
        "devices/disk/driver/@iothread = '1'",
    )
