# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files behind a VM's volumes: what is there, what is missing, and making it. Nothing is ever overwritten.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

A file is made beside its place and renamed into it when it is whole: one with a final name is never half made.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pathlib
import pwd
import shutil
import tempfile
import typing as t
from dataclasses import dataclass, field

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt import cloud_init, folders, images
from ansible_collections.rtvirt.core.plugins.module_utils._vm import secrets
from ansible_collections.rtvirt.core.plugins.module_utils.converters import quantity
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml import disks
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import Context
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path

__all__ = ["Attached", "Misfit", "VolumeStep", "apply_volume", "plan_volumes", "remove_files"]

Volume = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class VolumeStep:
    """One file to make, grow or renew.

    :ivar action: ``create``, ``grow``, or ``seed`` for a cloud-init image.
    :ivar image_format: of the file at ``path``.
    :ivar size: bytes that the guest is to see, None where an image or the seed decides.
    """

    action: str
    path: str
    volume: Volume
    size: int | None = None
    image_format: str = "raw"

    def __str__(self) -> str:
        if self.size is None:
            return f"{self.action} {self.path}"
        size = quantity.from_bytes(self.size)
        return f"grow {self.path} to {size}" if self.action == "grow" else f"{self.action} {self.path} ({size})"


@dataclass(frozen=True)
class Misfit:
    """What is wrong with a volume on this host; ``path`` is the field below the list of volumes."""

    path: Path
    message: str


@dataclass(frozen=True)
class Attached:
    """The volumes that a domain has already.

    :ivar files: files that are its disks: what a guest writes into them is not looked at.
    :ivar layers: (file, format) of the disks that have gone on to a snapshot, by the declared file.
    :ivar changed_seeds: names of the cloud-init volumes whose data is not what the file was made from.
    """

    files: t.Container[str] = ()
    layers: t.Mapping[str, tuple[str, str]] = field(default_factory=dict)
    changed_seeds: t.Container[str] = ()


def plan_volumes(
    volumes: t.Sequence[Volume], context: Context, qemu_user: tuple[int, int], attached: Attached
) -> tuple[list[VolumeStep], list[Misfit]]:
    """Steps that bring the files to what is declared, and what this host cannot do.

    :arg qemu_user: numbers of the user and group that must reach the files.
    """
    steps: list[VolumeStep] = []
    misfits: list[Misfit] = []
    for index, volume in enumerate(volumes):
        path = disks.volume_file(volume, context)
        found: VolumeStep | Misfit | None
        with _failing(f"look at the volume {volume['name']}"):
            if path is None:
                found = _look_at_device(volume)
            elif "cloudInitNoCloud" in volume:
                found = _plan_seed(volume, path, attached)
            else:
                found = _plan_disk(volume, path, attached)
            closed = folders.closed_folder(path, qemu_user) if path else None
        if closed:
            message = f"{path} is below {closed}, which QEMU's user may not enter: move it, or chmod o+x {closed}"
            found = Misfit(("hostDisk", "path"), message)
        if isinstance(found, VolumeStep):
            steps.append(found)
        elif found is not None:
            misfits.append(Misfit((index, *found.path), found.message))
    return steps, misfits


def _look_at_device(volume: Volume) -> Misfit | None:
    own = mapping_at(volume, "libvirt")
    path = own.get("device") or own.get("directory")
    return Misfit(("libvirt",), f"{path} does not exist on this host") if path and not os.path.exists(path) else None


def _plan_seed(volume: Volume, path: str, attached: Attached) -> VolumeStep | Misfit | None:
    if volume["name"] not in attached.changed_seeds and os.path.exists(path):
        return None
    if os.path.lexists(path) and not (os.path.isfile(path) and cloud_init.is_seed(path)):
        message = f"{path}, where its image would be, is something else: move it, or set volume_dir"
        return Misfit(("cloudInitNoCloud",), message)
    hashed = next((key for key, value in volume["cloudInitNoCloud"].items() if secrets.is_hash(value)), None)
    if hashed:
        message = "is the hash of data that libvirt_vm_info shows, not the data: write the data itself"
        return Misfit(("cloudInitNoCloud", hashed), message)
    return VolumeStep("seed", path, volume)


def _plan_disk(volume: Volume, path: str, attached: Attached) -> VolumeStep | Misfit | None:
    kind = "hostDisk" if "hostDisk" in volume else "emptyDisk"
    given = volume[kind]
    creates = kind == "emptyDisk" or given.get("type") == "DiskOrCreate"
    size = None if given.get("capacity") is None else quantity.to_bytes(given["capacity"])
    if os.path.isdir(path):
        return Misfit((kind, "path"), f"{path} is a folder: write the path of a file in it")
    if os.path.lexists(path):
        return _plan_existing(volume, path, kind, size if creates else None, attached)
    if not creates:
        message = f"{path} does not exist on this host: write type DiskOrCreate with a capacity to create it"
        return Misfit((kind, "path"), message)
    return _check_sources(volume, kind, size) or VolumeStep("create", path, volume, size, disks.volume_format(volume))


def _plan_existing(
    volume: Volume, declared: str, kind: str, size: int | None, attached: Attached
) -> VolumeStep | Misfit | None:
    path, image_format = attached.layers.get(declared, (declared, disks.volume_format(volume)))
    if not os.path.exists(path):
        return Misfit((kind, "path"), f"{path} is a link to nothing: is its file system mounted?")
    if image_format == "raw" and declared not in attached.files and images.is_qcow2(path):
        return Misfit(("libvirt", "format"), f"is raw, and {path} is a qcow2 image: write format qcow2")
    actual = images.virtual_size(path, image_format)
    if actual is None:
        return Misfit(("libvirt", "format"), f"{path} is no {image_format} image: write the format that the file has")
    if size is not None and size < actual:
        have = quantity.from_bytes(actual)
        return Misfit((kind, "capacity"), f"{path} is {have}, a disk is never shrunk: write {have} or more")
    return VolumeStep("grow", path, volume, size, image_format) if size is not None and size > actual else None


def _check_sources(volume: Volume, kind: str, size: int | None) -> Misfit | None:
    """Whether what a disk is to be made of is there, is what it is said to be, and fits."""
    own = mapping_at(volume, "libvirt")
    for key, look_up in (("owner", pwd.getpwnam), ("group", grp.getgrnam)):
        try:
            look_up(own.get(key) or "root")
        except KeyError:
            return Misfit(("libvirt", key), f"this host has no {key} {own[key]!r}")
    for key, format_key in (("image", "imageFormat"), ("backingFile", "backingFormat")):
        path = str(own.get(key, ""))
        if not path.startswith("/"):
            continue
        if not os.path.isfile(path):
            return Misfit(("libvirt", key), f"{path} does not exist on this host")
        declared = images.source_format(path, own.get(format_key))
        if images.is_qcow2(path) != (declared == "qcow2"):
            found = "qcow2" if images.is_qcow2(path) else "raw"
            return Misfit(("libvirt", format_key), f"is {declared}, and {path} is a {found} image: write {found}")
        actual = images.virtual_size(path, declared) or 0
        if size is not None and size < actual:
            return Misfit((kind, "capacity"), f"{path} is {quantity.from_bytes(actual)}: write that or more")
        checksum = own.get("checksum") if key == "image" else None
        has = checksum and images.checksum_of(path, checksum)
        if has != checksum:
            return Misfit(("libvirt", "checksum"), f"is {checksum}, and {path} has {has}: it is another image")
    return None


def apply_volume(step: VolumeStep, *, vm_name: str) -> None:
    """Do one step. :raises RtvirtError: with nothing left behind at the path that was not there before."""
    if step.action == "grow":
        images.resize_image(step.path, step.image_format, step.size or 0)
        return
    folder = pathlib.Path(step.path).parent
    # Searchable for QEMU's user, not readable: the names of other VMs' disks are nobody's business.
    with _failing(f"create {folder}"):
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    with _beside(step.path) as unfinished, _failing(f"create {step.path}"):
        if step.action == "seed":
            cloud_init.write_seed(unfinished, step.volume["cloudInitNoCloud"], vm_name=vm_name)
        else:
            images.create_image(unfinished, step.image_format, step.size, mapping_at(step.volume, "libvirt"))
        _set_owner(unfinished, mapping_at(step.volume, "libvirt"))
        if step.action == "create":
            # link() fails where rename() would replace: a file that appeared meanwhile is somebody's.
            os.link(unfinished, step.path)
        else:
            os.replace(unfinished, step.path)


def remove_files(paths: t.Iterable[str]) -> list[str]:
    """Remove files; the ones that were there."""
    removed = []
    for path in paths:
        with _failing(f"remove {path}"), contextlib.suppress(FileNotFoundError):
            os.unlink(path)
            removed.append(path)
    return removed


@contextlib.contextmanager
def _beside(path: str) -> t.Iterator[str]:
    """The name of an unfinished file in the same folder, gone at the end whatever happens."""
    with _failing(f"create {path}"):
        handle, unfinished = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".rtvirt-")
    os.close(handle)
    try:
        yield unfinished
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(unfinished)


def _set_owner(path: str, own: t.Mapping[str, t.Any]) -> None:
    """Owner and mode as declared. By default root's own: libvirt hands the file to QEMU's user while a guest runs."""
    with _failing(f"set the owner of {path}"):
        if own.get("owner"):
            shutil.chown(path, user=own["owner"])
        if own.get("group"):
            shutil.chown(path, group=own["group"])
        os.chmod(path, int(own["mode"], 8) if own.get("mode") else 0o600)


@contextlib.contextmanager
def _failing(action: str) -> t.Iterator[None]:
    try:
        yield
    except (OSError, LookupError) as error:
        raise RtvirtError(f"{action}: {error}") from error
