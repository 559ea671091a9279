# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of disks and volumes that only a cluster has: what can be behind a volume, and which disk over it.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.cluster_networks import PCI_ADDRESS
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.disks import check_seed
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.report import Report
from ansible_collections.rtvirt.core.plugins.module_utils.converters import defaults
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path

__all__ = ["check_cluster_disks", "check_file_path"]

_SOURCES = (
    *("cloudInitConfigDrive", "cloudInitNoCloud", "configMap", "containerDisk", "containerPath", "dataVolume"),
    *("downwardAPI", "downwardMetrics", "emptyDisk", "ephemeral", "hostDisk", "memoryDump", "persistentVolumeClaim"),
    *("secret", "serviceAccount", "sysprep"),
)
_USUAL = "dataVolume, persistentVolumeClaim or containerDisk"

#: Of these a VM can have one.
_SINGLE = ("downwardMetrics", "memoryDump", "serviceAccount")

#: KubeVirt's bound of cloud-init's data in a VirtualMachine itself, in bytes.
_MOST_SEED = 2048

#: Bytes of a block on a SATA bus.
_SECTOR = 512


def check_cluster_disks(report: Report) -> None:
    volumes = {volume.get("name"): volume for _at, volume in report.items("volumes")}
    for at, disk in report.items("disks"):
        _check_disk(report, at, disk, volumes.get(disk.get("name"), {}))
    for at, filesystem in report.items("filesystems"):
        if filesystem.get("name") not in volumes:
            report.add((*at, "name"), f"{filesystem.get('name')!r} has no volume: add one of that name")
    _check_volumes(report)


def _check_volumes(report: Report) -> None:
    single: dict[str, int] = {}
    for at, volume in report.items("volumes"):
        kinds = [kind for kind in _SOURCES if volume.get(kind) is not None]
        # A source that is unknown here may be one of a newer KubeVirt.
        unknown = [key for key in volume if key != "name" and key not in _SOURCES]
        if len(kinds) > 1 or (not kinds and not unknown):
            report.add(at, f"has {' and '.join(kinds) or 'no source'}: write exactly one, such as {_USUAL}")
        for kind in kinds:
            if kind in _SINGLE and kind in single:
                report.add((*at, kind), f"is in volumes[{single[kind]}] already: a VM can have one {kind}")
            single.setdefault(kind, t.cast(int, at[-1]))
        _check_source(report, at, volume)


def _check_source(report: Report, at: Path, volume: dict[str, t.Any]) -> None:
    container = volume.get("containerDisk") or {}
    if container.get("path"):
        check_file_path(report, (*at, "containerDisk", "path"), container["path"])
    host_disk = volume.get("hostDisk") or {}
    report.choice((*at, "hostDisk", "type"), host_disk.get("type"), ("Disk", "DiskOrCreate"))
    capacity = report.bytes_at((*at, "hostDisk", "capacity"), host_disk.get("capacity"))
    if host_disk.get("type") == "Disk" and capacity:
        report.add((*at, "hostDisk", "capacity"), "is for a disk to create: write type DiskOrCreate, or leave it out")
    empty = volume.get("emptyDisk")
    if empty is not None and empty.get("capacity") is None:
        report.add((*at, "emptyDisk", "capacity"), "is missing: write its size, such as 10Gi")
    elif empty is not None:
        report.bytes_at((*at, "emptyDisk", "capacity"), empty["capacity"])
    for key in ("cloudInitNoCloud", "cloudInitConfigDrive"):
        if volume.get(key) is not None:
            _check_seed(report, (*at, key), volume[key])


def check_file_path(report: Report, at: Path, path: str) -> None:
    if path == "/" or posixpath.normpath(f"/{path}".replace("//", "/")) != path.rstrip("/"):
        report.add(at, f"{path!r} is no absolute path of a file: write one without . and ..")


def _check_seed(report: Report, at: Path, source: dict[str, t.Any]) -> None:
    # An empty text is a seed to libvirt_vm, and none to KubeVirt.
    given = {key: value for key, value in source.items() if value}
    for key, size in check_seed(report, at, given).items():
        reference = "secretRef" if key.startswith("userData") else "networkDataSecretRef"
        if size > _MOST_SEED:
            remedy = "put it into a Secret, and name that in secretRef or networkDataSecretRef"
            report.add((*at, key), f"has {size} bytes, KubeVirt takes {_MOST_SEED}: {remedy}")
        if size and (given.get(reference) or {}).get("name"):
            report.add((*at, reference), f"stands beside {key}: write one of them")


def _check_disk(report: Report, at: Path, disk: dict[str, t.Any], volume: dict[str, t.Any]) -> None:
    """What a disk can be is up to what is behind it."""
    kind = defaults.target_kind(disk)
    settings = disk.get(kind) or {}
    custom = (disk.get("blockSize") or {}).get("custom")
    if custom is not None and defaults.bus_of(disk, report.architecture) == "sata" and custom.get("logical") != _SECTOR:
        report.add((*at, "blockSize", "custom", "logical"), "is 512 on a SATA bus: write that, or bus virtio or scsi")
    claimed = any(volume.get(source) is not None for source in ("persistentVolumeClaim", "dataVolume"))
    if kind == "lun" and volume and not claimed:
        report.add((*at, "lun"), "needs a volume of a block device: use persistentVolumeClaim or dataVolume")
    if volume.get("downwardMetrics") is not None:
        if "disk" not in disk:
            report.add((*at, "disk"), "is missing: downwardMetrics are a disk of bus virtio")
        elif settings.get("bus") not in (None, "virtio"):
            report.add((*at, "disk", "bus"), f"{settings['bus']!r} has no downwardMetrics: write virtio")
    address = settings.get("pciAddress")
    if address and not PCI_ADDRESS.fullmatch(address):
        report.add((*at, kind, "pciAddress"), f"{address!r} is no PCI address: write it as 0000:81:00.1")
    if address and settings.get("bus") != "virtio":
        report.add((*at, "disk", "pciAddress"), "is only for bus virtio: write that, or leave the address out")
