# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""cloud-init's NoCloud seed: an ISO image labelled cidata with meta-data, user-data and network-config.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import base64
import io
import json
import traceback
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError

__all__ = ["is_seed", "seed_files", "write_seed"]


def seed_files(source: t.Mapping[str, t.Any], *, vm_name: str) -> dict[str, bytes]:
    """The files of a seed by name, from a ``cloudInitNoCloud`` volume.

    The instance's id follows the VM's name, as in KubeVirt: changed data does not make cloud-init take the guest for a
    new one, with new host keys.
    """
    meta_data = {"instance-id": f"{vm_name}.libvirt", "local-hostname": vm_name}
    files = {"meta-data": json.dumps(meta_data).encode() + b"\n"}
    for name, key in (("user-data", "userData"), ("network-config", "networkData")):
        if source.get(f"{key}Base64") is not None:
            files[name] = base64.b64decode(source[f"{key}Base64"])
        elif source.get(key) is not None:
            files[name] = source[key].encode()
    # cloud-init ignores a seed without user-data.
    files.setdefault("user-data", b"")
    return files


def is_seed(path: str) -> bool:
    """Whether a file is an ISO image with a seed's label (ECMA-119: the primary descriptor is sector 16)."""
    with open(path, "rb") as file:
        file.seek(16 * 2048)
        descriptor = file.read(72)
    return descriptor[1:6] == b"CD001" and descriptor[40:72].strip().lower() == b"cidata"


def write_seed(path: str, source: t.Mapping[str, t.Any], *, vm_name: str) -> None:
    """Write the seed. :raises RtvirtError: where the library that makes ISO images is missing."""
    try:
        import pycdlib
    except ImportError as error:
        raise RtvirtError(
            "the Python library pycdlib, which makes cloud-init's ISO, is not installed on this host: "
            "install python3-pycdlib, or pycdlib by pip",
            exception=traceback.format_exc(),
        ) from error
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="cidata")
    for index, (name, content) in enumerate(sorted(seed_files(source, vm_name=vm_name).items())):
        iso.add_fp(io.BytesIO(content), len(content), f"/FILE{index}.;1", rr_name=name, joliet_path=f"/{name}")
    iso.write(path)
    iso.close()
