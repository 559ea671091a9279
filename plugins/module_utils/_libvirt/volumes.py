# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files behind a VM's volumes: what is there, what is missing, and making it. Nothing is ever overwritten.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

A file is made beside its place and renamed into it when it is whole: one with a final name is never half made.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import typing as t
import urllib.parse
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.cloud_init import write_seed
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.disks import volume_file, volume_format
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import Context
from ansible_collections.rtvirt.core.plugins.module_utils.converters.quantity import from_bytes, to_bytes

__all__ = ["VolumeStep", "apply_volume", "closed_folder", "is_layer", "plan_volumes", "remove_files"]

_QCOW2_MAGIC = b"QFI\xfb"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class VolumeStep:
    """One file to make, grow or renew.

    :ivar action: ``create``, ``grow``, or ``seed`` for a cloud-init image.
    :ivar size: bytes that the guest is to see, None where an image or the seed decides.
    """

    action: str
    path: str
    volume: dict[str, t.Any]
    size: int | None = None

    def __str__(self) -> str:
        size = (
            ""
            if self.size is None
            else f" to {from_bytes(self.size)}"
            if self.action == "grow"
            else f" ({from_bytes(self.size)})"
        )
        return f"{self.action} {self.path}{size}"


def plan_volumes(
    volumes: t.Sequence[t.Mapping[str, t.Any]],
    context: Context,
    changed_seeds: t.Container[str],
    qemu_user: tuple[int, int],
    attached: t.Container[str] = (),
) -> tuple[list[VolumeStep], list[Problem]]:
    """Steps that bring the files to what is declared; problems name the volume's field below its list.

    :arg changed_seeds: names of the cloud-init volumes whose data is not what the file was made from.
    :arg attached: files that are disks of the VM already: what a guest writes into them is not looked at.
    :arg qemu_user: numbers of the user and group that must reach the files.
    """
    steps: list[VolumeStep] = []
    problems: list[Problem] = []
    for index, volume in enumerate(volumes):
        path = volume_file(volume, context)
        closed = closed_folder(path, qemu_user) if path else None
        if closed:
            message = f"{path} is below {closed}, which QEMU's user may not enter: move it, or chmod o+x {closed}"
            problems.append(Problem(f"[{index}].hostDisk.path", message))
        if path is None:
            path = (volume.get("libvirt") or {}).get("device") or (volume.get("libvirt") or {}).get("directory")
            if path and not os.path.exists(path):
                problems.append(Problem(f"[{index}].libvirt", f"{path} does not exist on this host"))
        elif "cloudInitNoCloud" in volume:
            if volume["name"] in changed_seeds or not os.path.exists(path):
                steps.append(VolumeStep("seed", path, dict(volume)))
        else:
            _plan_disk(index, volume, path, path in attached, steps, problems)
    return steps, problems


def closed_folder(path: str, user: tuple[int, int]) -> str | None:
    """The first folder above a file that a user (uid, gid) may not search, None where the file can be reached.

    libvirt gives QEMU the file itself, by its owner and label, but never the folders above it.
    """
    for folder in reversed(pathlib.Path(path).parents):
        try:
            status = folder.stat()
        except FileNotFoundError:
            return None
        mine = 0o100 if status.st_uid == user[0] else 0o010 if status.st_gid == user[1] else 0o001
        if user[0] != 0 and not status.st_mode & mine:
            return str(folder)
    return None


def _plan_disk(
    index: int,
    volume: t.Mapping[str, t.Any],
    path: str,
    attached: bool,
    steps: list[VolumeStep],
    problems: list[Problem],
) -> None:
    kind = "hostDisk" if "hostDisk" in volume else "emptyDisk"
    given = volume[kind]
    size = None if given.get("capacity") is None else to_bytes(given["capacity"])
    creates = kind == "emptyDisk" or given.get("type") == "DiskOrCreate"
    own = volume.get("libvirt") or {}
    if os.path.isdir(path):
        problems.append(Problem(f"[{index}].{kind}.path", f"{path} is a folder: write the path of a file in it"))
    elif volume_format(volume) == "raw" and not attached and _is_qcow2(path):
        message = f"is raw, and {path} is a qcow2 image: write format qcow2"
        problems.append(Problem(f"[{index}].libvirt.format", message))
    elif os.path.exists(path):
        actual = _virtual_size(path, volume_format(volume))
        if actual is None:
            message = f"{path} is no {volume_format(volume)} image: write the format that the file has"
            problems.append(Problem(f"[{index}].libvirt.format", message))
        elif size is not None and creates and size < actual:
            message = f"{path} is {from_bytes(actual)}, a disk is never shrunk: write {from_bytes(actual)} or more"
            problems.append(Problem(f"[{index}].{kind}.capacity", message))
        elif size is not None and creates and size > actual:
            steps.append(VolumeStep("grow", path, dict(volume), size))
    elif not creates:
        message = f"{path} does not exist on this host: write type DiskOrCreate with a capacity to create it"
        problems.append(Problem(f"[{index}].{kind}.path", message))
    else:
        for key in ("image", "backingFile"):
            if str(own.get(key, "")).startswith("/") and not os.path.exists(own[key]):
                problems.append(Problem(f"[{index}].libvirt.{key}", f"{own[key]} does not exist on this host"))
        steps.append(VolumeStep("create", path, dict(volume), size))


def _is_qcow2(path: str) -> bool:
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(_QCOW2_MAGIC)) == _QCOW2_MAGIC


def _virtual_size(path: str, image_format: str) -> int | None:
    """Bytes that the guest sees, None for a file that is not of the format. Read off the header: no tool, no lock."""
    with open(path, "rb") as file:
        if image_format == "qcow2":
            header = file.read(32)
            return int.from_bytes(header[24:32], "big") if header.startswith(_QCOW2_MAGIC) else None
        return file.seek(0, os.SEEK_END)


def is_layer(path: str, base: str) -> bool:
    """Whether an image is a layer over another: the other is in its chain of backing files."""
    try:
        chain = json.loads(_qemu_img("info", "--backing-chain", "--force-share", "--output=json", path))
    except RtvirtError:
        return False
    return any(image.get("filename") == base for image in chain[1:])


def apply_volume(step: VolumeStep, *, vm_name: str) -> None:
    """Do one step. :raises RtvirtError: with nothing left behind at the path that was not there before."""
    if step.action == "grow":
        _qemu_img("resize", "-f", volume_format(step.volume), step.path, str(step.size))
        return
    folder = pathlib.Path(step.path).parent
    # Searchable for QEMU's user, not readable: the names of other VMs' disks are nobody's business.
    with _failing(f"create {folder}"):
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    with _beside(step.path) as unfinished:
        if step.action == "seed":
            write_seed(unfinished, step.volume["cloudInitNoCloud"], vm_name=vm_name)
        else:
            _create(unfinished, step)
        _set_owner(unfinished, step.volume.get("libvirt") or {})
        with _failing(f"create {step.path}"):
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


def _create(path: str, step: VolumeStep) -> None:
    own = step.volume.get("libvirt") or {}
    image_format = volume_format(step.volume)
    size = [] if step.size is None else [str(step.size)]
    if own.get("image"):
        with _local_image(own, pathlib.Path(path).parent) as image:
            _qemu_img("convert", "-f", _image_format(own), "-O", image_format, image, path)
        actual = _virtual_size(path, image_format) or 0
        if step.size is not None and step.size < actual:
            raise RtvirtError(
                f"{step.path}: the image is {from_bytes(actual)}, the capacity {from_bytes(step.size)} too small"
            )
        if step.size is not None and step.size > actual:
            _qemu_img("resize", "-f", image_format, path, str(step.size))
    elif own.get("backingFile"):
        backing = ["-b", own["backingFile"], "-F", own.get("backingFormat") or _by_name(own["backingFile"])]
        _qemu_img("create", "-f", image_format, *backing, path, *size)
    else:
        _qemu_img("create", "-f", image_format, path, *size)


@contextlib.contextmanager
def _local_image(own: t.Mapping[str, t.Any], folder: pathlib.Path) -> t.Iterator[str]:
    """The path of an image, downloaded for the time being where it is a URL, its checksum verified."""
    image, checksum = own["image"], own.get("checksum")
    if image.startswith("/"):
        _verify(image, checksum)
        yield image
        return
    # A tenth of the time that the module takes to load, and few tasks download anything.
    import urllib.request

    with tempfile.NamedTemporaryFile(dir=folder, prefix=".rtvirt-download-") as file:
        try:
            with urllib.request.build_opener().open(image, timeout=60) as response:
                shutil.copyfileobj(response, file, _BLOCK)
        except OSError as error:
            raise RtvirtError(f"download {image}: {error}") from error
        file.flush()
        _verify(file.name, checksum, image)
        yield file.name


def _verify(path: str, checksum: str | None, source: str | None = None) -> None:
    if checksum is None:
        return
    kind, wanted = checksum.split(":", 1)
    digest = hashlib.new(kind)
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(_BLOCK), b""):
            digest.update(block)
    if digest.hexdigest() != wanted:
        raise RtvirtError(
            f"{source or path} has {kind}:{digest.hexdigest()}, declared is {checksum}: nothing was created"
        )


def _image_format(own: t.Mapping[str, t.Any]) -> str:
    return str(own.get("imageFormat") or _by_name(urllib.parse.urlparse(own["image"]).path))


def _by_name(path: str) -> str:
    return "qcow2" if path.endswith((".qcow2", ".qcow")) else "raw"


@contextlib.contextmanager
def _beside(path: str) -> t.Iterator[str]:
    """The name of an unfinished file in the same folder, gone at the end whatever happens."""
    folder, name = os.path.split(path)
    with _failing(f"create {path}"):
        handle, unfinished = tempfile.mkstemp(dir=folder, prefix=f".{name}-")
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


def _qemu_img(*arguments: str) -> str:
    command = ["qemu-img", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise RtvirtError("qemu-img is not installed on this host: install qemu-utils (qemu-img)") from error
    if done.returncode:
        raise RtvirtError(f"{' '.join(command)}: {done.stderr.strip()}", rc=done.returncode)
    return done.stdout
