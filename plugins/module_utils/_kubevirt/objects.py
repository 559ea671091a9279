# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the API server has VirtualMachines, their instances and actions, and reading many of them at once.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import ApiError, Session

__all__ = ["VMIS", "VMS", "Key", "action_path", "object_path", "read_all", "read_one"]

#: (namespace, name)
Key = tuple[str, str]

VMS = "virtualmachines"
VMIS = "virtualmachineinstances"

#: Asking for each of so few VMs costs the server less than the list of a namespace that may hold thousands.
_FEW = 1


def object_path(kind: str, namespace: str | None, name: str | None = None, *, version: str = "kubevirt.io/v1") -> str:
    """The path of an object or, without a name, of a list; without a namespace of all namespaces' list."""
    where = "" if namespace is None else f"/namespaces/{namespace}"
    return f"/apis/{version}{where}/{kind}" + ("" if name is None else f"/{name}")


def action_path(kind: str, key: Key, action: str) -> str:
    return f"/apis/subresources.kubevirt.io/v1/namespaces/{key[0]}/{kind}/{key[1]}/{action}"


def read_one(session: Session, kind: str, key: Key) -> dict[str, t.Any] | None:
    try:
        return session.get(object_path(kind, *key))
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def read_all(session: Session, kind: str, wanted: t.Iterable[Key]) -> dict[Key, dict[str, t.Any]]:
    """The objects that are there of those that are wanted: one paged list for each namespace."""
    names: dict[str, set[str]] = {}
    for namespace, name in wanted:
        names.setdefault(namespace, set()).add(name)
    found: dict[Key, dict[str, t.Any]] = {}
    for namespace, here in names.items():
        try:
            found.update(_listed(session, kind, namespace, here))
        except ApiError as error:
            if error.status == 404:
                raise RtvirtError("this cluster has no KubeVirt: it knows no virtualmachines") from error
            if error.status != 403:
                raise
            # Who may not list may still be allowed to get.
            for name in here:
                one = read_one(session, kind, (namespace, name))
                if one is not None:
                    found[namespace, name] = one
    return found


def _listed(session: Session, kind: str, namespace: str, names: set[str]) -> dict[Key, dict[str, t.Any]]:
    query = {"fieldSelector": f"metadata.name={min(names)}"} if len(names) <= _FEW else {}
    return {
        (namespace, item["metadata"]["name"]): {"apiVersion": page.get("apiVersion"), **item}
        for page in session.pages(object_path(kind, namespace), **query)
        for item in page.get("items") or []
        if item["metadata"]["name"] in names
    }
