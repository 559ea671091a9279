# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cloud-init's data may hold passwords: it is remembered as hashes, and never printed.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import hashlib
import json
import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils.converters import defaults
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at, pod_spec
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import copied

__all__ = [
    "KUBECTL_RECORD",
    "cloud_init_sources",
    "hashed",
    "is_hash",
    "is_path",
    "printable_options",
    "redacted",
    "unprinted",
    "without_user_info",
]

_HASH = re.compile(r"sha256:[0-9a-f]{64}")

#: KubeVirt's kinds of cloud-init volumes, and their fields that hold data and not a reference to a Secret.
_KINDS = ("cloudInitNoCloud", "cloudInitConfigDrive")
_DATA = ("userData", "userDataBase64", "networkData", "networkDataBase64")

#: Fields and options that hold cloud-init's data, and their keys that do not. Whatever else stands there may be a
#: secret in the wrong place: under a key that is misspelt, or as text for a mapping.
_SOURCES = (*_KINDS, "cloud_init", "cloud_init_nocloud")
_HARMLESS = ("hostname", "name", "networkDataSecretRef", "secretRef", "ssh_authorized_keys")

#: Options and fields that may hold such a source, and are mappings or lists.
_CONTAINERS = ("definition", "disks", "inline", "resource_definition", "spec", "vms", "volume", "volumes")

#: The annotation in which kubectl leaves a whole manifest as text, cloud-init's data in it.
KUBECTL_RECORD = "kubectl.kubernetes.io/last-applied-configuration"

_HIDDEN = "********"

#: User and password in a URL; of a cluster's or a proxy's also what stands there alone, which may be a token.
_USER_INFO = re.compile(r"//[^/@\s:]*:[^/@\s]*@")
_ANY_USER_INFO = re.compile(r"//[^/@]*@")


def hashed(value: str) -> str:
    """What stands for a secret: enough to see that it changed."""
    return "sha256:" + hashlib.sha256(value.encode()).hexdigest()


def is_hash(value: t.Any) -> bool:
    """Whether a value is the hash that stands for a secret in a record."""
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def redacted(document: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A VirtualMachine with cloud-init's data as hashes."""
    result: dict[str, t.Any] = copied(dict(document))
    annotations = mapping_at(result, "metadata", "annotations")
    record = annotations.get(KUBECTL_RECORD)
    if record is not None and not is_hash(record):
        # Templates of older Ansible make a mapping of what is JSON.
        annotations[KUBECTL_RECORD] = hashed(record if isinstance(record, str) else json.dumps(record, sort_keys=True))
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


def unprinted(value: t.Any, key: t.Any = None) -> t.Any:
    """A copy of a task's options, or of a VM, as it may be shown: without cloud-init's data, wherever it stands.

    :arg key: the key that the value has.
    """
    if key == KUBECTL_RECORD and value is not None:
        return _HIDDEN
    if key in _SOURCES and value is not None:
        if not isinstance(value, dict):
            return _HIDDEN
        return {name: item if name in _HARMLESS or item is None else _HIDDEN for name, item in value.items()}
    if isinstance(value, dict):
        return {name: unprinted(item, name) for name, item in value.items()}
    if isinstance(value, list):
        # An item is what its list holds.
        return [unprinted(item, key) for item in value]
    if not isinstance(value, str):
        return value
    return _HIDDEN if key in (*_CONTAINERS, *_DATA) else without_user_info(value)


def without_user_info(text: str) -> str:
    """A text, with user and password of a URL in it hidden."""
    return _USER_INFO.sub(f"//{_HIDDEN}@", text) if "@" in text else text


def printable_options(options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A task's options as they may be shown."""
    shown: dict[str, t.Any] = unprinted(dict(options))
    if isinstance(shown.get("vms"), list):
        # Of a thousand VMs, the options that are not given are most of what there is to show.
        shown["vms"] = [defaults.without_nulls(vm) for vm in shown["vms"]]
    if shown.get("kubeconfig") is not None and not is_path(shown["kubeconfig"]):
        shown["kubeconfig"] = _HIDDEN
    for option in ("host", "proxy"):
        if isinstance(shown.get(option), str):
            shown[option] = _ANY_USER_INFO.sub(f"//{_HIDDEN}@", shown[option])
    return shown


def is_path(kubeconfig: t.Any) -> bool:
    """Whether a kubeconfig is named, and not written out."""
    return isinstance(kubeconfig, (str, bytes)) and not {"{", "\n"} & {*str(kubeconfig)}
