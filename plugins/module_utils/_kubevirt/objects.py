# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the API server has VirtualMachines and what belongs to them, and reading many of them at once.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import ApiError, Session

__all__ = [
    "DATA_VOLUMES",
    "DEFINITIONS",
    "HYPERCONVERGEDS",
    "KUBEVIRTS",
    "VMIS",
    "VMS",
    "Key",
    "Objects",
    "action_path",
    "listed",
    "object_path",
    "read_all",
    "read_one",
]

#: (namespace, name)
Key = tuple[str, str]
Objects = dict[Key, dict[str, t.Any]]

VMS = "virtualmachines"
VMIS = "virtualmachineinstances"
KUBEVIRTS = "kubevirts"
DEFINITIONS = "network-attachment-definitions"
HYPERCONVERGEDS = "hyperconvergeds"
DATA_VOLUMES = "datavolumes"

_KUBEVIRT = "kubevirt.io/v1"

#: Kind -> its API, and who brings it.
_APIS = {DEFINITIONS: ("k8s.cni.cncf.io/v1", "Multus"), DATA_VOLUMES: ("cdi.kubevirt.io/v1beta1", "CDI")}

#: Asking for each of so few VMs costs the server less than the list of a namespace that may hold thousands.
_FEW = 1


def object_path(kind: str, namespace: str | None, name: str | None = None, *, version: str | None = None) -> str:
    """The path of an object or, without a name, of a list; without a namespace of all namespaces' list."""
    where = "" if namespace is None else f"/namespaces/{namespace}"
    api, _owner = _APIS.get(kind, (_KUBEVIRT, "KubeVirt"))
    return f"/apis/{version or api}{where}/{kind}" + ("" if name is None else f"/{name}")


def action_path(kind: str, key: Key, action: str) -> str:
    return f"/apis/subresources.kubevirt.io/v1/namespaces/{key[0]}/{kind}/{key[1]}/{action}"


def read_one(session: Session, kind: str, key: Key) -> dict[str, t.Any] | None:
    try:
        return session.get(object_path(kind, *key))
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def read_all(session: Session, kind: str, wanted: t.Iterable[Key]) -> Objects:
    """The objects that are there of those that are wanted: one paged list for each namespace."""
    names: dict[str, set[str]] = {}
    for namespace, name in wanted:
        names.setdefault(namespace, set()).add(name)
    found: Objects = {}
    for namespace, here in names.items():
        query = {"fieldSelector": f"metadata.name={min(here)}"} if len(here) <= _FEW else {}
        try:
            found.update((key, item) for key, item in listed(session, kind, namespace, **query) if key[1] in here)
        except ApiError as error:
            if error.status != 403:
                raise
            # Who may not list may still be allowed to get.
            one_by_one = {(namespace, name): read_one(session, kind, (namespace, name)) for name in here}
            found.update((key, item) for key, item in one_by_one.items() if item is not None)
    return found


def listed(
    session: Session, kind: str, namespace: str | None, **query: str
) -> t.Iterator[tuple[Key, dict[str, t.Any]]]:
    """The objects of a list, as the server would show each alone: those of a list have no apiVersion of their own."""
    try:
        for page in session.pages(object_path(kind, namespace), **query):
            for item in page.get("items") or []:
                metadata = item["metadata"]
                yield (metadata["namespace"], metadata["name"]), {"apiVersion": page.get("apiVersion"), **item}
    except ApiError as error:
        if error.status == 404:
            _api, owner = _APIS.get(kind, (_KUBEVIRT, "KubeVirt"))
            raise RtvirtError(f"this cluster has no {owner}: it knows no {kind}", **error.details) from error
        if error.status == 403 and namespace is None:
            raise RtvirtError(f"namespace: write one that you may list: {error.message}", **error.details) from error
        raise
