# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domains edited by hand: what is declared is brought back, what is not declared stays."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import run_one

ROOT, LAN = "devices/disk[root]", "devices/interface[lan]"
#: An edit as (pattern, replacement), and the path and values of the difference that the next run shows.
EDITS: dict[str, tuple[tuple[str, str], tuple[str, str, str]]] = {
    "memory": ((r"(<memory unit='KiB'>)65536", r"\g<1>98304"), ("memory", "98304", "65536")),
    "vcpus": ((r"(<vcpu placement='static'>)2", r"\g<1>3"), ("vcpu", "3", "2")),
    "cache": ((r"cache='none'", "cache='writeback'"), (f"{ROOT}/driver/@cache", "writeback", "none")),
    "serial": ((r"<serial>R1</serial>", "<serial>R2</serial>"), (f"{ROOT}/serial", "R2", "R1")),
    "boot order": ((r"<boot order='1'/>", "<boot order='7'/>"), (f"{ROOT}/boot/@order", "7", "1")),
    "file": (
        (r"(<source file='[^']*)/second.img", r"\1/other.img"),
        ("devices/disk[second]/source/@file", "{folder}/other.img", "{folder}/second.img"),
    ),
    "action": ((r"action='poweroff'", "action='reset'"), ("devices/watchdog/@action", "reset", "poweroff")),
    "mac": (
        (r"(<mac address='de:ad:00:00:00):01'", r"\1:02'"),
        (f"{LAN}/mac/@address", "de:ad:00:00:00:02", "de:ad:00:00:00:01"),
    ),
    "bridge": ((r"bridge='br9'", "bridge='br8'"), (f"{LAN}/source/@bridge", "br8", "br9")),
    "model": (
        (r"(<source bridge='br9'/>\s*<model type=)'virtio'", r"\1'e1000'"),
        (f"{LAN}/model/@type", "e1000", "virtio"),
    ),
    "clock": ((r"offset='utc'", "offset='localtime'"), ("clock/@offset", "localtime", "utc")),
    "cpu": ((r"<cpu mode='maximum'", "<cpu mode='host-model'"), ("cpu/@mode", "host-model", "maximum")),
    "balloon": ((r"(<memballoon model=)'none'", r"\1'virtio'"), ("devices/memballoon/@model", "virtio", "none")),
    "iothreads": ((r"<iothreads>1</iothreads>", "<iothreads>4</iothreads>"), ("iothreads", "4", "1")),
}
REMOVED = {
    "watchdog": (r"<watchdog .*?</watchdog>", "devices/watchdog"),
    "disk": (r"<disk type='file' device='disk'>(?:(?!</disk>).)*second\.img.*?</disk>", "devices/disk[second]"),
    "interface": (r"<interface .*?</interface>", "devices/interface[lan]"),
    "rng": (r"<rng .*?</rng>", "devices/rng"),
    "serial console": (r"<serial type.*?</serial>\s*<console.*?</console>", "devices/serial"),
}


def declared(bed: Bed, **options: t.Any) -> dict[str, t.Any]:
    root = {**bed.disk("root"), "cache": "none", "serial": "R1", "bootOrder": 1}
    lan = {"name": "lan", "bridge": {}, "model": "virtio", "macAddress": "de:ad:00:00:00:01"}
    return bed.bare(
        cpu_cores=2,
        cpu_model="maximum",
        disks=[root, bed.disk("second")],
        interfaces=[{**lan, "network": {"libvirt": {"bridge": "br9"}}}],
        io_threads_policy="shared",
        watchdog={"name": "dog", "i6300esb": {"action": "poweroff"}},
        clock={"utc": {}},
        autoattach_mem_balloon=False,
        autoattach_serial_console=True,
        spec={"domain": {"devices": {"rng": {}}}},
        **options,
    )


def identity(bed: Bed) -> dict[str, t.Any]:
    """What a redefinition must not change: the UUID, and MAC and PCI addresses by alias or kind."""
    domain = bed.xml()
    found: dict[str, t.Any] = {"uuid": domain.findtext("uuid"), "machine": domain.find("os/type").get("machine")}
    for device in domain.findall("devices/*"):
        alias, address, mac = device.find("alias"), device.find("address"), device.find("mac")
        name = (device.tag, device.get("index"), device.get("model"), None if alias is None else alias.get("name"))
        found[str(name)] = [dict(part.attrib) for part in (address, mac) if part is not None]
    return found


@pytest.mark.parametrize("edit", EDITS)
def test_a_declared_field_is_brought_back(bed: Bed, edit: str) -> None:
    run_one(**declared(bed))
    (bed.folder / "other.img").write_bytes(bytes(1 << 20))
    # libvirt sorts what it is given for the second time.
    bed.edit()
    before = bed.text()
    replacement, (path, was, becomes) = EDITS[edit]
    bed.edit(*([(r"<topology .*?/>", "")] if edit == "vcpus" else []), replacement)
    edited = bed.text()
    assert edited != before
    predicted = run_one(check=True, **declared(bed))
    assert bed.text() == edited
    done = run_one(**declared(bed))
    shown = [(c["path"], c["before"], c["after"]) for c in done["changes"]]
    values = [None if value is None else value.format(folder=bed.folder) for value in (was, becomes)]
    assert (path, *values) in shown
    assert (done["changes"], done["diff"]) == (predicted["changes"], predicted["diff"])
    assert done["actions"] == ["redefine"]
    lost = set(done["diff"][0]["before"].splitlines()) - set(done["diff"][0]["after"].splitlines())
    assert lost
    assert bed.text() == before
    assert run_one(**declared(bed))["changed"] is False


@pytest.mark.parametrize("part", REMOVED)
def test_a_declared_part_that_was_removed_comes_back(bed: Bed, part: str) -> None:
    run_one(**declared(bed))
    before = identity(bed)
    pattern, path = REMOVED[part]
    bed.edit((pattern, ""))
    done = run_one(**declared(bed))
    assert (path, None) in [(change["path"], change["before"]) for change in done["changes"]]
    after = identity(bed)
    assert after.keys() == before.keys()
    assert (after["uuid"], after["machine"]) == (before["uuid"], before["machine"])
    assert run_one(**declared(bed))["changed"] is False


def test_pins_and_vcpus_set_by_virsh_are_brought_back(bed: Bed, free_cpus: None) -> None:
    options = bed.bare(cpu_cores=2, dedicated_cpus=True, cpu_pool="0-1")
    run_one(**options)
    pins = run_one(**options)["pins"]
    bed.domain().pinVcpuFlags(0, (True, True), 2)
    bed.domain().pinEmulator((True, False), 2)
    bed.domain().setVcpusFlags(1, 2)
    done = run_one(**options)
    # Pins that were cut from two places may be placed anew: what counts is one CPU each.
    assert sorted(cpu for cpus in done["pins"]["vcpus"].values() for cpu in cpus) == [0, 1]
    assert done["pins"]["emulator"] == pins["emulator"]
    assert {"cputune/vcpupin[0]/@cpuset", "cputune/emulatorpin/@cpuset"} & {c["path"] for c in done["changes"]}
    vcpu = bed.xml().find("vcpu")
    assert (vcpu.text, vcpu.get("current")) == ("2", None)
    assert run_one(**options)["changed"] is False


def test_what_was_added_by_hand_stays(bed: Bed) -> None:
    run_one(**declared(bed))
    mine = (
        f"<disk type='file' device='disk'><source file='{bed.folder}/mine.img'/><target dev='vdz' bus='virtio'/></disk>"
        "<interface type='user'><mac address='52:54:00:01:02:03'/></interface><sound model='ich9'/>"
        "<channel type='unix'><target type='virtio' name='mine.0'/></channel>"
    )
    (bed.folder / "mine.img").write_bytes(bytes(1 << 20))
    bed.edit(
        (r"</devices>", mine + "</devices>"),
        (r"<memory ", "<title>my title</title><description>my words</description><memory "),
        (r"</metadata>", "<note xmlns='http://example.com/note'>my note</note></metadata>"),
    )
    edited = bed.text()
    assert run_one(**declared(bed))["changed"] is False
    done = run_one(**declared(bed, cpu_sockets=2))
    assert {change["path"] for change in done["changes"]} == {"vcpu", "cpu/topology/@sockets"}
    after = bed.text()
    for words in ("mine.img", "52:54:00:01:02:03", "ich9", "mine.0", "my title", "my words", "my note"):
        assert words in edited
        assert words in after


def test_a_dropped_declaration_is_taken_away(bed: Bed) -> None:
    run_one(**declared(bed))
    before = identity(bed)
    options = declared(bed)
    del options["watchdog"], options["spec"], options["io_threads_policy"]
    options["disks"] = options["disks"][:1]
    options["interfaces"] = []
    predicted = run_one(check=True, **options)
    done = run_one(**options)
    removed = {change["path"] for change in done["changes"] if change["after"] is None}
    assert removed >= {"devices/watchdog", "devices/disk[second]", "devices/interface[lan]", "iothreads"}
    assert (predicted["changes"], predicted["diff"]) == (done["changes"], done["diff"])
    domain = bed.xml()
    assert domain.find("devices/watchdog") is None
    assert domain.find("devices/interface") is None
    assert [s.get("file") for s in domain.findall("devices/disk/source")] == [f"{bed.folder}/root.img"]
    # The file of a disk that is no longer declared is nobody's to remove.
    assert (bed.folder / "second.img").exists()
    after = identity(bed)
    assert {key: before[key] for key in after} == after
    assert run_one(**options)["changed"] is False


def test_identity_stays_over_redefinitions(bed: Bed) -> None:
    run_one(**declared(bed))
    before = identity(bed)
    run_one(**declared(bed, cpu_threads=2, memory_limit="1Gi", machine_type="q35"))
    extra = declared(bed)
    extra["disks"] = [bed.disk("first"), *extra["disks"]]
    extra["interfaces"] = [{"name": "a", "masquerade": {}, "network": {"pod": {}}}, *extra["interfaces"]]
    run_one(**extra)
    after = identity(bed)
    assert {key: after[key] for key in before} == before
    targets = {s.find("source").get("file"): s.find("target").get("dev") for s in bed.xml().findall("devices/disk")}
    assert targets[f"{bed.folder}/root.img"] == "vda"


@pytest.mark.parametrize("part", ["watchdog", "graphics", "balloon", "acpi", "rng"])
def test_what_a_new_vm_has_by_default_may_be_changed_by_hand(bed: Bed, part: str) -> None:
    """A default is for creating: nobody declared it, so a user's own choice is left alone."""
    options = {"name": bed.name(), "memory": "64Mi", "autoattach_pod_interface": False}
    run_one(**options)
    edits = {
        "watchdog": (r"</devices>", "<watchdog model='i6300esb' action='none'/></devices>"),
        "graphics": (r"<graphics .*?</video>", ""),
        "balloon": (r"<memballoon .*?</memballoon>", "<memballoon model='none'/>"),
        "acpi": (r"<acpi/>", "<acpi/><apic/>"),
        "rng": (r"<rng .*?</rng>", ""),
    }
    bed.edit(edits[part])
    edited = bed.text()
    result = run_one(**options)
    assert (result["changed"], result["changes"]) == (False, [])
    assert bed.text() == edited
