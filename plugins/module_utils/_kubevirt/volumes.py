# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""DataVolumes that outlive the VM that they were made for.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

``propagationPolicy: Orphan`` asks for just this, and is not enough: the garbage collector takes a VM only out of
objects that it knows. It looks for new kinds every 30 s (kube-controller-manager), and what it learns of then
and finds with an owner that is no more, it removes.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import objects
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import ApiError, Session
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at

__all__ = ["release"]

_CONFLICTS = 5


def release(session: Session, vm: t.Mapping[str, t.Any], known: t.Collection[str] = ()) -> list[str]:
    """Take a VM out of the owners of its DataVolumes, and say which of these are there.

    virt-controller puts it back, unless the VM is being deleted.

    :arg known: names of those that were its own, and may have lost it as their owner since.
    :raises RtvirtError: where the server refuses.
    """
    namespace, owner = vm["metadata"]["namespace"], vm["metadata"]["uid"]
    try:
        there = {
            name: volume
            for name, volume in _volumes(session, vm).items()
            if (name in known or owner in _owners(volume)) and not volume["metadata"].get("deletionTimestamp")
        }
        for name, volume in there.items():
            _disown(session, (namespace, name), volume, owner)
    except ApiError as error:
        message = f"cannot be taken out of the owners of its DataVolumes, which would go with it: {error.message}"
        raise RtvirtError(f"{vm['metadata']['name']}: {message}", **error.details) from error
    return sorted(there)


def _volumes(session: Session, vm: t.Mapping[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    """Those of the namespace; of its templates alone where they may not be listed. Without CDI there are none."""
    namespace = vm["metadata"]["namespace"]
    try:
        pages = [*session.pages(objects.object_path(objects.DATA_VOLUMES, namespace))]
        return {one["metadata"]["name"]: one for page in pages for one in page["items"]}
    except ApiError as error:
        if error.status == 404:
            return {}
        if error.status != 403:
            raise
    templates = mapping_at(vm, "spec").get("dataVolumeTemplates") or []
    names = [str(mapping_at(template, "metadata").get("name")) for template in templates]
    found = {name: objects.read_one(session, objects.DATA_VOLUMES, (namespace, name)) for name in names}
    return {name: volume for name, volume in found.items() if volume is not None}


def _owners(document: t.Mapping[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    return {one["uid"]: one for one in mapping_at(document, "metadata").get("ownerReferences") or []}


def _disown(session: Session, key: objects.Key, volume: dict[str, t.Any] | None, owner: str) -> None:
    """Patched anew where someone else was faster; CDI writes to volumes as they are filled."""
    attempt = 1
    while volume is not None and owner in _owners(volume):
        others = [one for uid, one in _owners(volume).items() if uid != owner]
        metadata = {"resourceVersion": volume["metadata"]["resourceVersion"], "ownerReferences": others}
        try:
            session.patch(objects.object_path(objects.DATA_VOLUMES, *key), {"metadata": metadata})
            return
        except ApiError as error:
            if error.status not in (404, 409) or attempt == _CONFLICTS:
                raise
        attempt += 1
        volume = objects.read_one(session, objects.DATA_VOLUMES, key)
