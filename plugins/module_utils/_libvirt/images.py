# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disk images: what they are, and making them. The work is qemu-img's.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
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

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils.converters import quantity

__all__ = [
    "backing_chain",
    "checksum_of",
    "create_image",
    "is_layer",
    "is_qcow2",
    "resize_image",
    "source_format",
    "virtual_size",
]

_QCOW2_MAGIC = b"QFI\xfb"
_BLOCK = 1 << 20


def is_qcow2(path: str) -> bool:
    """Whether a file has the header of a qcow2 image."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(_QCOW2_MAGIC)) == _QCOW2_MAGIC


def virtual_size(path: str, image_format: str) -> int | None:
    """Bytes that the guest sees, None for a file that is not of the format. Read off the header: no tool, no lock."""
    with open(path, "rb") as file:
        if image_format == "qcow2":
            header = file.read(32)
            return int.from_bytes(header[24:32], "big") if header.startswith(_QCOW2_MAGIC) else None
        return file.seek(0, os.SEEK_END)


def source_format(path: str, declared: str | None) -> str:
    """Format of an image to copy or to lay a disk over: as declared, else by its name. Its content does not decide: a
    raw disk's guest can write itself any header."""
    return declared or ("qcow2" if path.endswith((".qcow2", ".qcow")) else "raw")


def backing_chain(path: str) -> list[str]:
    """The files below an image, nearest first; empty for one that stands alone.

    :raises RtvirtError: where that cannot be told; to take it for none could cost a guest's data.
    """
    chain = json.loads(_qemu_img("info", "--backing-chain", "--force-share", "--output=json", path))
    return [image["filename"] for image in chain[1:]]


def is_layer(path: str, base: str) -> bool:
    """Whether an image is a layer (a snapshot) over another. :raises RtvirtError: where that cannot be told."""
    # A file that is not there (any more) has nothing that could be lost.
    return os.path.exists(path) and base in backing_chain(path)


def resize_image(path: str, image_format: str, size: int) -> None:
    _qemu_img("resize", "-q", "-f", image_format, path, str(size))


def create_image(path: str, image_format: str, size: int | None, own: t.Mapping[str, t.Any]) -> None:
    """Make an image of ``size`` bytes at ``path``, where an empty file may be.

    :arg own: a volume's ``libvirt`` part: ``image`` to copy, or ``backingFile`` to lay it over.
    :raises RtvirtError: where qemu-img fails, or an image is not what it is declared to be.
    """
    arguments = [] if size is None else [str(size)]
    if own.get("image"):
        _copy_image(path, image_format, size, own)
    elif own.get("backingFile"):
        below = source_format(own["backingFile"], own.get("backingFormat"))
        _qemu_img("create", "-q", "-f", image_format, "-b", own["backingFile"], "-F", below, path, *arguments)
    else:
        _qemu_img("create", "-q", "-f", image_format, path, *arguments)


def _copy_image(path: str, image_format: str, size: int | None, own: t.Mapping[str, t.Any]) -> None:
    given = source_format(urllib.parse.urlparse(own["image"]).path, own.get("imageFormat"))
    with _local_image(own, pathlib.Path(path).parent) as image:
        if is_qcow2(image) != (given == "qcow2"):
            found = "qcow2" if is_qcow2(image) else "raw"
            raise RtvirtError(f"{own['image']} is a {found} image: write libvirt.imageFormat {found}")
        _qemu_img("convert", "-q", "-f", given, "-O", image_format, image, path)
    actual = virtual_size(path, image_format) or 0
    if size is not None and size < actual:
        needed, capacity = quantity.from_bytes(actual), quantity.from_bytes(size)
        raise RtvirtError(f"{own['image']} is {needed}, the capacity {capacity} is too small for it")
    if size is not None and size > actual:
        resize_image(path, image_format, size)


@contextlib.contextmanager
def _local_image(own: t.Mapping[str, t.Any], folder: pathlib.Path) -> t.Iterator[str]:
    """The path of an image, downloaded for the time being where it is a URL, that download's checksum verified."""
    image = own["image"]
    if image.startswith("/"):
        # Its checksum was looked at when the VM was planned.
        yield image
        return
    # A tenth of the time that the module takes to load, and few tasks download anything.
    import http.client
    import urllib.request

    with tempfile.NamedTemporaryFile(dir=folder, prefix=".rtvirt-") as file:
        try:
            with urllib.request.build_opener().open(image, timeout=60) as response:
                shutil.copyfileobj(response, file, _BLOCK)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise RtvirtError(f"download {image}: {error}") from error
        file.flush()
        found = checksum_of(file.name, own["checksum"])
        if found != own["checksum"]:
            raise RtvirtError(f"{image} has {found}, declared is {own['checksum']}: nothing was created")
        yield file.name


def checksum_of(path: str, like: str) -> str:
    """The checksum of a file, by the algorithm that ``like`` (``sha256:…``) names."""
    kind = like.partition(":")[0]
    digest = hashlib.new(kind)
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(_BLOCK), b""):
            digest.update(block)
    return f"{kind}:{digest.hexdigest()}"


def _qemu_img(*arguments: str) -> str:
    command = ["qemu-img", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise RtvirtError("qemu-img is not installed on this host: install qemu-utils (qemu-img)") from error
    if done.returncode:
        raise RtvirtError(f"{' '.join(command)}: {done.stderr.strip()}", rc=done.returncode)
    return done.stdout
