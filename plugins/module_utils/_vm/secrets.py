# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cloud-init's data may hold passwords: it is remembered as hashes, and never printed.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import copy
import hashlib
import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at, pod_spec

__all__ = ["cloud_init_sources", "hashed", "is_hash", "redacted", "unprinted"]

_HASH = re.compile(r"sha256:[0-9a-f]{64}")

#: KubeVirt's kinds of cloud-init volumes, and their fields that hold data and not a reference to a Secret.
_KINDS = ("cloudInitNoCloud", "cloudInitConfigDrive")
_DATA = ("userData", "userDataBase64", "networkData", "networkDataBase64")

#: Keys of options that hold the same.
_OPTIONS = ("user_data", "network_data", "users", *_DATA)

_HIDDEN = "********"


def hashed(value: str) -> str:
    """What stands for a secret: enough to see that it changed."""
    return "sha256:" + hashlib.sha256(value.encode()).hexdigest()


def is_hash(value: t.Any) -> bool:
    """Whether a value is the hash that stands for a secret in a record."""
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def redacted(document: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A VirtualMachine with cloud-init's data as hashes."""
    result = copy.deepcopy(dict(document))
    for source in cloud_init_sources(pod_spec(result)).values():
        for key in _DATA:
            # A record's manifest that is declared again stands for the same data.
            if isinstance(source.get(key), str) and not is_hash(source[key]):
                source[key] = hashed(source[key])
    return result


def cloud_init_sources(spec: t.Mapping[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    """The cloud-init sources of an instance's spec, by the volume's name."""
    volumes = [volume for volume in spec.get("volumes") or [] if isinstance(volume, dict)]
    return {
        str(volume.get("name")): mapping_at(volume, kind) for volume in volumes for kind in _KINDS if kind in volume
    }


def unprinted(value: t.Any) -> t.Any:
    """A copy of a task's options as they may be shown: without cloud-init's data, wherever it stands."""
    if isinstance(value, dict):
        return {
            key: _HIDDEN if key in _OPTIONS and item is not None else unprinted(item) for key, item in value.items()
        }
    return [unprinted(item) for item in value] if isinstance(value, list) else value
