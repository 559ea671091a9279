# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes that outlive their VM: those of dataVolumeTemplates are the VM's, and go with it unless they are released.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import ApiError, Session
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at

__all__ = ["release_volumes"]

_VERSION = "cdi.kubevirt.io/v1beta1"


def release_volumes(session: Session, vm: t.Mapping[str, t.Any]) -> list[str]:
    """Take the VM out of the owners of its DataVolumes; their names."""
    metadata = mapping_at(vm, "metadata")
    released: list[str] = []
    for template in mapping_at(vm, "spec").get("dataVolumeTemplates") or []:
        name = mapping_at(template, "metadata").get("name")
        path = f"/apis/{_VERSION}/namespaces/{metadata['namespace']}/datavolumes/{name}"
        try:
            volume = session.get(path)
        except ApiError as error:
            if error.status != 404:
                raise
            continue
        owners = mapping_at(volume, "metadata").get("ownerReferences") or []
        kept = [owner for owner in owners if owner.get("uid") != metadata["uid"]]
        if kept != owners:
            version = mapping_at(volume, "metadata")["resourceVersion"]
            session.patch(path, {"metadata": {"ownerReferences": kept or None, "resourceVersion": version}})
            released.append(str(name))
    return released
