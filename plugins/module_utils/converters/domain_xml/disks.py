# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks and CD-ROMs with the volumes behind them, and shared folders."""

from __future__ import annotations

import itertools
import string
import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils.converters import defaults
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml import io_threads
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import (
    ABSENT,
    Context,
    alias,
    el,
    switched,
)

__all__ = ["disk_elements", "volume_file", "volume_format", "volumes_by_name"]

#: Guest device name by bus, as libvirt and Linux have it.
_PREFIX = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd"}

#: Disks that libvirt puts on one SCSI controller before it adds another, of a model of its own choice.
_SCSI_UNITS = 7


def volumes_by_name(spec: t.Mapping[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    return {volume["name"]: volume for volume in spec.get("volumes") or []}


def volume_file(volume: t.Mapping[str, t.Any], context: Context) -> str | None:
    """Path of the file behind a volume, None for a volume that is no file."""
    if "hostDisk" in volume:
        return str(volume["hostDisk"]["path"])
    suffix = {"emptyDisk": "qcow2", "cloudInitNoCloud": "iso"}
    for kind, ending in suffix.items():
        if kind in volume:
            # The volume's name has no dot, so that no two VMs come to one file.
            return f"{context.volume_dir}/{context.domain_name}.{volume['name']}.{ending}"
    return None


def volume_format(volume: t.Mapping[str, t.Any]) -> str:
    """Image format of a volume. Never probed: a guest could write itself another format's header."""
    if "emptyDisk" in volume:
        return "qcow2"
    return str((volume.get("libvirt") or {}).get("format") or "raw")


def disk_elements(spec: dict[str, t.Any], context: Context) -> list[ET.Element | None]:
    devices = spec["domain"].get("devices") or {}
    volumes = volumes_by_name(spec)
    threads = io_threads.assign(spec, context.vcpus, context.arch)
    disks = devices.get("disks") or []
    buses = {disk["name"]: defaults.bus_of(disk, context.arch) for disk in disks}
    targets = _targets(buses, context.disk_targets)
    elements: list[ET.Element | None] = []
    for disk in disks:
        volume = volumes.get(disk["name"], {})
        queues = _queues(devices, context) if buses[disk["name"]] == "virtio" else None
        elements.append(_disk(disk, volume, targets[disk["name"]], queues, threads.get(disk["name"]), context))
    # libvirt goes by the letters, which SATA and USB disks have too.
    on_scsi = [_number(targets[name]) // _SCSI_UNITS for name, bus in buses.items() if bus == "scsi"]
    elements += [_scsi_controller(index, devices, context) for index in range(max(on_scsi, default=-1) + 1)]
    elements += [_filesystem(filesystem, volumes) for filesystem in devices.get("filesystems") or []]
    return elements


def _targets(buses: t.Mapping[str, str], kept: t.Mapping[str, str]) -> dict[str, str]:
    """Device names by disks' names: those already given stay, the others get the first free letter of their bus."""
    targets = {name: kept[name] for name, bus in buses.items() if kept.get(name, "").startswith(_PREFIX[bus])}
    # Disks of the domain that are not ours hold their names too.
    used = {*targets.values(), *kept.values()}
    for name, bus in buses.items():
        if name not in targets:
            targets[name] = next(letters for letters in _letters(_PREFIX[bus]) if letters not in used)
            used.add(targets[name])
    return targets


def _letters(prefix: str) -> t.Iterator[str]:
    """sda … sdz, sdaa …, sdaaa …, as Linux counts disks."""
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_lowercase, repeat=length):
            yield prefix + "".join(letters)


def _number(target: str) -> int:
    """Which of its bus a disk is by its name: 0 for sda, 26 for sdaa."""
    number = 0
    for letter in target[2:]:
        number = 26 * number + string.ascii_lowercase.index(letter) + 1
    return number - 1


def _disk(
    disk: dict[str, t.Any],
    volume: dict[str, t.Any],
    target: str,
    queues: int | str | None,
    thread: int | None,
    context: Context,
) -> ET.Element:
    kind = defaults.target_kind(disk)
    settings = disk.get(kind) or {}
    tray = "open" if settings.get("tray") == "open" else None
    device = (volume.get("libvirt") or {}).get("device")
    source = {"dev": device} if device else {"file": volume_file(volume, context)}
    read_only = kind == "cdrom" or "cloudInitNoCloud" in volume or settings.get("readonly")
    return el(
        "disk",
        {"type": "block" if device else "file", "device": kind},
        _driver(disk, kind, volume, queues, thread, context),
        el("source", source) if any(source.values()) else None,
        el("target", {"dev": target, "bus": defaults.bus_of(disk, context.arch), "tray": tray}),
        _block_size(disk.get("blockSize")),
        switched("readonly", read_only),
        switched("shareable", disk.get("shareable")),
        None if disk.get("serial") is None else el("serial", None, str(disk["serial"])),
        None if disk.get("bootOrder") is None else el("boot", {"order": disk["bootOrder"]}),
        alias("disk", disk["name"]),
    )


def _driver(
    disk: dict[str, t.Any],
    kind: str,
    volume: dict[str, t.Any],
    queues: int | str | None,
    thread: int | None,
    context: Context,
) -> ET.Element:
    """KubeVirt's defaults for a writable disk: discards reach the host, an I/O error stops the guest."""
    writable = context.complete and kind != "cdrom"
    return el(
        "driver",
        {
            "name": "qemu",
            "type": volume_format(volume),
            "cache": "none" if disk.get("shareable") else disk.get("cache"),
            "io": disk.get("io"),
            "error_policy": disk.get("errorPolicy") or ("stop" if writable else None),
            "discard": "unmap" if writable else None,
            "queues": queues,
            "iothread": thread,
        },
    )


def _block_size(given: dict[str, t.Any] | None) -> ET.Element | None:
    custom = (given or {}).get("custom")
    if custom is None:
        return None
    return el("blockio", {"logical_block_size": custom["logical"], "physical_block_size": custom["physical"]})


def _queues(devices: dict[str, t.Any], context: Context) -> int | str | None:
    """Queues of a virtio disk, or of the controller of SCSI ones."""
    multiqueue = devices.get("blockMultiQueue")
    return None if multiqueue is None else context.vcpus if multiqueue else ABSENT


def _scsi_controller(index: int, devices: dict[str, t.Any], context: Context) -> ET.Element:
    queues = _queues(devices, context)
    return el(
        "controller",
        {"type": "scsi", "index": index, "model": "virtio-scsi"},
        None if queues is None else el("driver", {"queues": queues}),
    )


def _filesystem(filesystem: dict[str, t.Any], volumes: dict[str, dict[str, t.Any]]) -> ET.Element:
    folder = (volumes.get(filesystem["name"], {}).get("libvirt") or {}).get("directory")
    return el(
        "filesystem",
        {"type": "mount", "accessmode": "passthrough"},
        el("driver", {"type": "virtiofs"}),
        el("source", {"dir": folder}),
        el("target", {"dir": filesystem["name"]}),
        alias("fs", filesystem["name"]),
    )
