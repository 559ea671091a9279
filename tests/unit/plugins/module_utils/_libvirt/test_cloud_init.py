# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The seed of cloud-init: files and their contents, read back from a real image."""

from __future__ import annotations

import base64
import io
import json
import typing as t
from pathlib import Path

import pycdlib
import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.cloud_init import seed_files, write_seed

META_DATA = {"instance-id": "vm1.libvirt", "local-hostname": "vm1"}

SOURCES: dict[str, tuple[dict[str, t.Any], dict[str, bytes]]] = {
    "both": (
        {"userData": "#cloud-config\nü: 1\n", "networkData": "version: 2\n"},
        {"user-data": "#cloud-config\nü: 1\n".encode(), "network-config": b"version: 2\n"},
    ),
    "user data alone": ({"userData": "#!/bin/sh\n"}, {"user-data": b"#!/bin/sh\n"}),
    "network alone": ({"networkData": "version: 2\n"}, {"network-config": b"version: 2\n", "user-data": b""}),
    "base64": (
        {
            "userDataBase64": base64.b64encode(b"\x00\x01").decode(),
            "networkDataBase64": base64.b64encode(b"v").decode(),
        },
        {"user-data": b"\x00\x01", "network-config": b"v"},
    ),
    "large": ({"userData": "x" * 100_000}, {"user-data": b"x" * 100_000}),
}


@pytest.mark.parametrize("what", SOURCES)
def test_seed_files(what: str) -> None:
    source, files = SOURCES[what]
    found = seed_files(source, vm_name="vm1")
    assert json.loads(found.pop("meta-data")) == META_DATA
    assert found == files


def read_back(path: Path, joliet: bool) -> dict[str, bytes]:
    """The files of an image by the names that Linux (Rock Ridge) or Windows (Joliet) shows."""
    iso = pycdlib.PyCdlib()
    iso.open(str(path))
    try:
        key = "joliet_path" if joliet else "rr_path"
        contents = {}
        for child in iso.list_children(**{key: "/"}):
            if child.is_file():
                name = child.file_identifier().decode("utf-16_be") if joliet else child.rock_ridge.name().decode()
                buffer = io.BytesIO()
                iso.get_file_from_iso_fp(buffer, **{key: f"/{name}"})
                contents[name] = buffer.getvalue()
        return contents
    finally:
        iso.close()


@pytest.mark.parametrize("joliet", [False, True])
@pytest.mark.parametrize("what", SOURCES)
def test_the_image_holds_the_files_by_both_names(tmp_path: Path, what: str, joliet: bool) -> None:
    source, files = SOURCES[what]
    path = tmp_path / "seed.iso"
    write_seed(str(path), source, vm_name="vm1")
    found = read_back(path, joliet)
    assert json.loads(found.pop("meta-data")) == META_DATA
    assert found == files


def test_the_image_has_the_label_that_cloud_init_looks_for(tmp_path: Path) -> None:
    path = tmp_path / "seed.iso"
    write_seed(str(path), {"userData": "x"}, vm_name="vm1")
    # ISO 9660, 8.4.12: the volume identifier of the primary volume descriptor in sector 16.
    with path.open("rb") as file:
        file.seek(16 * 2048 + 40)
        assert file.read(32).decode().rstrip().lower() == "cidata"


def test_the_instance_stays_the_same_when_its_data_changes() -> None:
    """Else cloud-init would take the guest for a new one, with new host keys."""
    seeds = [seed_files({"userData": data}, vm_name="vm1")["meta-data"] for data in ("a", "b")]
    assert seeds[0] == seeds[1]
    assert seeds[0] != seed_files({"userData": "a"}, vm_name="vm2")["meta-data"]
