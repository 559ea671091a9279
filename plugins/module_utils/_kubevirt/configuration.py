# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The KubeVirt resource: feature gates and binding plugins in a cluster's configuration of KubeVirt. Pure.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.comparison import merge_patch
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import copied

__all__ = ["Configured", "configured", "plan_configuration"]

_GATES = ("featureGates", "disabledFeatureGates")


class Configured(t.NamedTuple):
    """What this collection may set of a configuration."""

    gates: list[str]
    disabled: list[str]
    bindings: dict[str, dict[str, t.Any]]


def configured(kubevirt: dict[str, t.Any]) -> Configured:
    developer = mapping_at(kubevirt, "spec", "configuration", "developerConfiguration")
    bindings = mapping_at(kubevirt, "spec", "configuration", "network", "binding")
    on, off = (list(developer.get(key) or []) for key in _GATES)
    return Configured(on, off, bindings)


def plan_configuration(
    kubevirt: dict[str, t.Any], gates: t.Sequence[str], bindings: dict[str, dict[str, t.Any]], *, absent: bool
) -> dict[str, t.Any]:
    """The merge patch that brings a KubeVirt resource to what is declared, empty for none. Others' gates stay.

    :raises RtvirtError: where the resource is an operator's, which would undo it.
    """
    now = configured(kubevirt)
    if absent:
        wanted = Configured(
            [gate for gate in now.gates if gate not in gates],
            now.disabled,
            {name: one for name, one in now.bindings.items() if name not in bindings},
        )
    else:
        wanted = Configured(
            [*now.gates, *(gate for gate in dict.fromkeys(gates) if gate not in now.gates)],
            [gate for gate in now.disabled if gate not in gates],
            {**now.bindings, **bindings},
        )
    if wanted == now:
        return {}
    _check_owner(kubevirt)
    spec = copied(kubevirt["spec"])
    configuration = spec.setdefault("configuration", {})
    for key, before, after in zip(_GATES, now, wanted):
        if before != after:
            configuration.setdefault("developerConfiguration", {})[key] = after
    if wanted.bindings != now.bindings:
        configuration.setdefault("network", {})["binding"] = wanted.bindings
    patch = {"spec": merge_patch(kubevirt["spec"], spec)}
    return {**patch, "metadata": {"resourceVersion": kubevirt["metadata"]["resourceVersion"]}}


def _check_owner(kubevirt: dict[str, t.Any]) -> None:
    owners = [owner.get("kind") for owner in kubevirt["metadata"].get("ownerReferences") or []]
    manager = mapping_at(kubevirt, "metadata", "labels").get("app.kubernetes.io/managed-by", "")
    if "HyperConverged" in owners or manager == "hco-operator":
        remedy = "declare it by the annotation kubevirt.kubevirt.io/jsonpatch of the HyperConverged resource"
        raise RtvirtError(f"the KubeVirt resource is HyperConverged's, which would undo a change: {remedy}")
