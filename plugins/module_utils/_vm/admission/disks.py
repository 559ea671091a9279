# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of disks and the volumes behind them.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import base64
import binascii
import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._vm import secrets
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.report import DNS_LABEL, Report, listed
from ansible_collections.rtvirt.core.plugins.module_utils.converters import defaults
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path

__all__ = ["check_disks", "check_seed"]

_KINDS = ("disk", "cdrom", "lun")
_BUSES = ("virtio", "scsi", "sata", "usb")
_SOURCES = ("hostDisk", "emptyDisk", "cloudInitNoCloud")
_FORMATS = ("raw", "qcow2")

#: What of a volume's libvirt part means something, by its source.
_OF_FILE = ("owner", "group", "mode")
_OF_DISK = ("backingFile", "backingFormat", "checksum", "format", "image", "imageFormat", *_OF_FILE)
_OF_SOURCE = {
    "hostDisk": _OF_DISK,
    "emptyDisk": _OF_DISK,
    "cloudInitNoCloud": _OF_FILE,
    "libvirt.device": ("device", "format"),
    "libvirt.directory": ("directory",),
}
_SERIAL = re.compile(r"^[A-Za-z0-9_.+-]{1,256}$")
_CHECKSUM = re.compile(r"^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$")
_MODE = re.compile(r"^0?[0-7]{3}$")
_URL = re.compile(r"^[a-z][a-z0-9+]*://")

#: KubeVirt's range of a custom block size, in bytes.
_BLOCK_SIZES = [2**power for power in range(9, 22)]


def check_disks(report: Report) -> None:
    volumes = {volume.get("name"): volume for _at, volume in report.items("volumes")}
    names: set[str] = set()
    for at, disk in report.items("disks"):
        _check_disk(report, at, disk, names)
        volume = volumes.get(disk.get("name"), {})
        if report.backend == "libvirt":
            _check_behind(report, at, disk, volume)
        if disk.get("name") not in volumes and defaults.target_kind(disk) != "cdrom":
            report.add(
                (*at, "name"), f"{disk.get('name')!r} has no volume: add one of that name, or a volume to the disk"
            )
    for at, filesystem in report.items("filesystems"):
        report.once(at, str(filesystem.get("name")), names, "disks and filesystems must not have the same name")
        volume = volumes.get(filesystem.get("name"), {})
        if report.backend == "libvirt" and not (volume.get("libvirt") or {}).get("directory"):
            report.add((*at, "name"), "needs a volume of its name with libvirt.directory")
    _check_volumes(report, names)


def _check_disk(report: Report, at: Path, disk: dict[str, t.Any], names: set[str]) -> None:
    name = str(disk.get("name") or "")
    if not DNS_LABEL.fullmatch(name):
        report.add((*at, "name"), f"{name!r} is no DNS label: write lower-case letters, digits and -")
    report.once(at, name, names, "disks must not have the same name")
    kinds = [kind for kind in _KINDS if kind in disk]
    if len(kinds) > 1:
        report.add(at, f"has more than one target ({', '.join(kinds)}): write one of disk, cdrom, lun")
        return
    _check_target(report, at, disk)
    report.choice((*at, "cache"), disk.get("cache"), ("none", "writethrough", "writeback"))
    report.choice((*at, "io"), disk.get("io"), ("native", "threads"))
    report.choice((*at, "errorPolicy"), disk.get("errorPolicy"), ("stop", "ignore", "report", "enospace"))
    if disk.get("io") == "native" and disk.get("cache") in ("writethrough", "writeback"):
        report.add((*at, "io"), "native needs cache none: set cache, or io threads")
    if disk.get("shareable") and disk.get("cache") not in (None, "none"):
        report.add((*at, "cache"), "a shareable disk needs cache none")
    if disk.get("serial") is not None and not _SERIAL.fullmatch(str(disk["serial"])):
        report.add((*at, "serial"), "write at most 256 of letters, digits and _.+-")
    _check_block_size(report, at, disk)


def _check_behind(report: Report, at: Path, disk: dict[str, t.Any], volume: dict[str, t.Any]) -> None:
    """What libvirt wants of the volume behind a disk."""
    own = volume.get("libvirt") or {}
    if own.get("directory"):
        report.add((*at, "name"), f"{disk.get('name')!r} is a volume with libvirt.directory: share it as a filesystem")
    if defaults.target_kind(disk) != "lun":
        return
    if not own.get("device"):
        report.add((*at, "lun"), "needs a block device: give it a volume with libvirt.device, or write disk")
    elif own.get("format", "raw") != "raw":
        report.add((*at, "lun"), f"hands a raw device on, and its volume is {own['format']}: write disk, or format raw")
    if disk.get("serial") is not None:
        report.add((*at, "serial"), "a LUN has the serial number of its device: leave it out, or write disk")


def _check_target(report: Report, at: Path, disk: dict[str, t.Any]) -> None:
    kind, bus = defaults.target_kind(disk), defaults.bus_of(disk, report.architecture)
    settings = disk.get(kind) or {}
    where = (*at, kind, "bus") if kind in disk else at
    report.choice(where, bus, _BUSES)
    if kind == "cdrom" and bus == "virtio":
        report.add(where, "virtio has no CD-ROM: write sata, scsi or usb")
    if kind == "disk" and bus == "sata" and settings.get("readonly"):
        report.add((*at, kind, "readonly"), "a SATA hard disk cannot be read-only: write bus virtio or scsi")
    if kind == "cdrom":
        report.choice((*at, kind, "tray"), settings.get("tray"), ("open", "closed"))
    if kind == "lun" and bus not in ("scsi", "virtio"):
        report.add(where, f"bus {bus} has no LUNs: write bus scsi")
    if disk.get("dedicatedIOThread") and bus != "virtio":
        report.add((*at, "dedicatedIOThread"), f"bus {bus} has no I/O threads: write bus virtio")


def _check_block_size(report: Report, at: Path, disk: dict[str, t.Any]) -> None:
    block_size = disk.get("blockSize") or {}
    custom = block_size.get("custom")
    if custom is None:
        return
    where = (*at, "blockSize", "custom")
    if (block_size.get("matchVolume") or {"enabled": "matchVolume" in block_size}).get("enabled", True):
        report.add((*at, "blockSize", "matchVolume"), "stands beside custom: write one of them")
    if custom.get("logical") and (custom.get("discardGranularity") or 0) % custom["logical"]:
        report.add((*where, "discardGranularity"), "is no multiple of the logical size")
    sizes = [custom.get("logical"), custom.get("physical")]
    if any(size not in _BLOCK_SIZES for size in sizes):
        report.add(where, "logical and physical are powers of 2 from 512 to 2097152")
    elif t.cast(int, sizes[0]) > t.cast(int, sizes[1]):
        report.add((*where, "logical"), "is greater than physical")


def _check_volumes(report: Report, used: set[str]) -> None:
    names: set[str] = set()
    paths: dict[str, str] = {}
    for at, volume in report.items("volumes"):
        name = str(volume.get("name") or "")
        if not DNS_LABEL.fullmatch(name):
            report.add((*at, "name"), f"{name!r} is no DNS label: write lower-case letters, digits and -")
        report.once(at, name, names, "volumes must not have the same name")
        # On a cluster such a volume gets a disk, of KubeVirt's default bus.
        if name not in used and report.backend == "libvirt":
            report.add((*at, "name"), f"{name!r} has no disk: add a disk or filesystem of that name")
        if report.backend == "libvirt":
            _check_source(report, at, volume)
            path = defaults.host_path(volume)
            if path in paths:
                report.add(at, f"{path} is the volume {paths[path]!r} already: each disk needs a file of its own")
            elif path:
                paths[path] = name


def _check_source(report: Report, at: Path, volume: dict[str, t.Any]) -> None:
    kinds = [kind for kind in _SOURCES if kind in volume]
    own = volume.get("libvirt") or {}
    kinds += [f"libvirt.{key}" for key in ("device", "directory") if own.get(key)]
    if len(kinds) != 1:
        found = f"has {' and '.join(kinds)}" if kinds else "has no source"
        report.add(at, f"{found}: write exactly one of {', '.join(_SOURCES)}, libvirt.device or libvirt.directory")
        return
    means = _OF_SOURCE[kinds[0]]
    for key in own:
        if key not in means:
            remedy = f"write {listed(means)}, or leave it out"
            report.add((*at, "libvirt", key), f"means nothing beside {kinds[0]}: {remedy}")
    formats = ("qcow2",) if kinds == ["emptyDisk"] else _FORMATS
    for key, allowed in (("format", formats), ("imageFormat", _FORMATS), ("backingFormat", _FORMATS)):
        report.choice((*at, "libvirt", key), own.get(key), allowed)
    _check_image(report, (*at, "libvirt"), own)
    if "hostDisk" in volume:
        _check_host_disk(report, at, volume["hostDisk"] or {}, own)
    if "emptyDisk" in volume:
        at_capacity = (*at, "emptyDisk", "capacity")
        if (volume["emptyDisk"] or {}).get("capacity") is None:
            report.add(at_capacity, "is missing: write its size, such as 10Gi")
        _check_capacity(report, at_capacity, (volume["emptyDisk"] or {}).get("capacity"))
    if "cloudInitNoCloud" in volume:
        check_seed(report, (*at, "cloudInitNoCloud"), volume["cloudInitNoCloud"] or {})
    for key in ("device", "directory"):
        if own.get(key) and not own[key].startswith("/"):
            report.add((*at, "libvirt", key), f"{own[key]!r} is no absolute path")


def _check_host_disk(report: Report, at: Path, disk: dict[str, t.Any], own: dict[str, t.Any]) -> None:
    path = disk.get("path") or ""
    at_path, at_own = (*at, "hostDisk", "path"), (*at, "libvirt")
    if not path.startswith("/") or path.endswith("/") or ".." in path.split("/") or not path.isprintable():
        report.add(at_path, f"{path!r} is no absolute path of a file")
    report.choice((*at, "hostDisk", "type"), disk.get("type"), ("Disk", "DiskOrCreate"))
    _check_capacity(report, (*at, "hostDisk", "capacity"), disk.get("capacity"))
    sources = [key for key in ("image", "backingFile") if own.get(key)]
    if disk.get("type") == "DiskOrCreate" and disk.get("capacity") is None and not sources:
        report.add((*at, "hostDisk", "capacity"), "is missing: a disk to create needs its size, such as 10Gi")
    if sources and disk.get("type") != "DiskOrCreate":
        report.add((*at, "hostDisk", "type"), f"write DiskOrCreate: libvirt.{sources[0]} tells what to create it from")
    if own.get("format", "raw") == "raw" and path.endswith(".qcow2"):
        report.add(
            (*at_own, "format"), f"is raw, and {path} is named a qcow2 image: write format qcow2, or another name"
        )
    if own.get("backingFile") and own.get("format") != "qcow2":
        report.add((*at_own, "format"), "a disk over a backing file is qcow2: write format qcow2")


def _check_image(report: Report, at: Path, own: dict[str, t.Any]) -> None:
    image = own.get("image")
    if image and own.get("backingFile"):
        report.add((*at, "backingFile"), "stands beside image: a disk is a copy of an image or a layer over a file")
    if image and not image.startswith("/"):
        scheme = image.split("://")[0] if _URL.match(image) else None
        if scheme not in ("http", "https", "file"):
            shown = secrets.without_user_info(repr(image))
            report.add((*at, "image"), f"{shown} is neither an absolute path nor a http, https or file URL")
        elif not own.get("checksum"):
            report.add((*at, "checksum"), "is missing: an image from a URL needs its sha256:… or sha512:…")
    if own.get("checksum") and not _CHECKSUM.fullmatch(own["checksum"]):
        report.add((*at, "checksum"), "is no checksum: write sha256: and 64 hex digits, or sha512: and 128")
    if own.get("backingFile") and not own["backingFile"].startswith("/"):
        report.add((*at, "backingFile"), f"{own['backingFile']!r} is no absolute path")
    if own.get("mode") is not None and not _MODE.fullmatch(own["mode"]):
        report.add((*at, "mode"), f"{own['mode']!r} is no file mode: write it octal and quoted, such as '0640'")


def _check_capacity(report: Report, at: Path, capacity: t.Any) -> None:
    size = report.bytes_at(at, capacity)
    if size is not None and (size == 0 or size % 512):
        report.add(at, f"{capacity} is no size of a disk: write a multiple of 512 bytes, such as 10Gi")


def check_seed(report: Report, at: Path, source: dict[str, t.Any]) -> dict[str, int]:
    """Check cloud-init's data. :returns: its fields, and how many bytes each of them holds."""
    sizes: dict[str, int] = {}
    for key in ("userData", "networkData"):
        encoded = f"{key}Base64"
        if source.get(key) is not None and source.get(encoded) is not None:
            report.add((*at, encoded), f"stands beside {key}: write one of them")
        data = (source.get(key) or "").encode()
        if source.get(encoded) is not None:
            try:
                data = base64.b64decode(source[encoded], validate=True)
            except (binascii.Error, ValueError):
                report.add((*at, encoded), "is no base64")
        sizes[key if source.get(key) else encoded] = len(data)
    if not source:
        report.add(at, "is empty: write userData, networkData or a short form of cloud_init")
    return sizes
