# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The KubeVirt resource: feature gates, binding plugins and host devices in a cluster's configuration of it. Pure.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.comparison import merge_patch
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import copied

__all__ = ["DEVICES", "Configured", "configured", "plan_configuration"]

_GATES = ("featureGates", "disabledFeatureGates")

Devices = t.Mapping[str, t.Sequence[t.Mapping[str, t.Any]]]

#: Lists of ``permittedHostDevices`` -> what tells their items apart.
DEVICES = {"pciHostDevices": "pciVendorSelector", "mediatedDevices": "mdevNameSelector"}


class Configured(t.NamedTuple):
    """What this collection may set of a configuration."""

    gates: list[str]
    disabled: list[str]
    bindings: dict[str, dict[str, t.Any]]
    devices: dict[str, list[dict[str, t.Any]]]


def configured(kubevirt: dict[str, t.Any]) -> Configured:
    developer = mapping_at(kubevirt, "spec", "configuration", "developerConfiguration")
    bindings = mapping_at(kubevirt, "spec", "configuration", "network", "binding")
    on, off = (list(developer.get(key) or []) for key in _GATES)
    permitted = mapping_at(kubevirt, "spec", "configuration", "permittedHostDevices")
    return Configured(on, off, bindings, {key: list(permitted.get(key) or []) for key in DEVICES})


def plan_configuration(
    kubevirt: dict[str, t.Any],
    gates: t.Sequence[str],
    bindings: dict[str, dict[str, t.Any]],
    devices: Devices,
    *,
    absent: bool,
) -> dict[str, t.Any]:
    """The merge patch that brings a KubeVirt resource to what is declared, empty for none. What others have set stays.

    :arg devices: items of :data:`DEVICES`, by the list that they are of.
    :raises RtvirtError: where the resource is an operator's, which would undo it.
    """
    now = configured(kubevirt)
    if absent:
        wanted = Configured(
            [gate for gate in now.gates if gate not in gates],
            now.disabled,
            {name: one for name, one in now.bindings.items() if name not in bindings},
            {key: _without(items, devices.get(key, ()), DEVICES[key]) for key, items in now.devices.items()},
        )
    else:
        wanted = Configured(
            [*now.gates, *(gate for gate in dict.fromkeys(gates) if gate not in now.gates)],
            [gate for gate in now.disabled if gate not in gates],
            {**now.bindings, **bindings},
            {key: _with(items, devices.get(key, ()), DEVICES[key]) for key, items in now.devices.items()},
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
    for key, items in wanted.devices.items():
        if items != now.devices[key]:
            configuration.setdefault("permittedHostDevices", {})[key] = items
    patch = {"spec": merge_patch(kubevirt["spec"], spec)}
    return {**patch, "metadata": {"resourceVersion": kubevirt["metadata"]["resourceVersion"]}}


def _without(
    items: list[dict[str, t.Any]], gone: t.Iterable[t.Mapping[str, t.Any]], key: str
) -> list[dict[str, t.Any]]:
    named = {_name(one, key) for one in gone}
    return [one for one in items if _name(one, key) not in named]


def _with(
    items: list[dict[str, t.Any]], declared: t.Iterable[t.Mapping[str, t.Any]], key: str
) -> list[dict[str, t.Any]]:
    """Devices that are there stay in their places, and as they are written where they say the same."""
    wanted = {_name(one, key): dict(one) for one in declared}
    kept = [wanted.pop(_name(one, key), one) for one in items]
    result = [before if _meaning(before, key) == _meaning(after, key) else after for before, after in zip(items, kept)]
    return result + list(wanted.values())


def _name(item: t.Mapping[str, t.Any], key: str) -> str:
    return str(item.get(key)).upper()


def _meaning(item: t.Mapping[str, t.Any], key: str) -> tuple[t.Any, ...]:
    return _name(item, key), item.get("resourceName"), bool(item.get("externalResourceProvider"))


def _check_owner(kubevirt: dict[str, t.Any]) -> None:
    owners = [owner.get("kind") for owner in kubevirt["metadata"].get("ownerReferences") or []]
    manager = mapping_at(kubevirt, "metadata", "labels").get("app.kubernetes.io/managed-by", "")
    if "HyperConverged" in owners or manager == "hco-operator":
        remedy = (
            "declare host devices in spec.permittedHostDevices of the HyperConverged resource, all else by its"
            " annotation kubevirt.kubevirt.io/jsonpatch"
        )
        raise RtvirtError(f"the KubeVirt resource is HyperConverged's, which would undo a change: {remedy}")
