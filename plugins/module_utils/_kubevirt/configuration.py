# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a cluster's configuration of KubeVirt can be declared, and how the KubeVirt resource has it. Pure.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Where HyperConverged keeps the KubeVirt resource, its own has it instead: ``hyperconverged.py``.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import objects
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.certificates import (
    Times,
    merged,
    read_times,
    with_times,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.comparison import compare, merge_patch
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.mediated_types import (
    NodeTypes,
    read_types,
    with_types,
    without_types,
    written,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import copied

__all__ = [
    "DEVICES",
    "Configured",
    "Declared",
    "KubeVirt",
    "patch_of",
    "put",
    "put_types",
    "wanted",
]

Device = t.Mapping[str, t.Any]

#: Lists of ``permittedHostDevices`` -> what tells their items apart.
DEVICES = {"pciHostDevices": "pciVendorSelector", "mediatedDevices": "mdevNameSelector"}

_GATES = ("featureGates", "disabledFeatureGates")
_TYPES = ("configuration", "mediatedDevicesConfiguration")
_CERTIFICATES = ("certificateRotateStrategy", "selfSigned")


class Configured(t.NamedTuple):
    """What this collection may set of a configuration, in KubeVirt's words.

    :ivar gates: feature gates that are on.
    :ivar disabled: those that are listed as off. KubeVirt takes none that is in both lists.
    :ivar bindings: network binding plugins by their names.
    :ivar devices: items of :data:`DEVICES`. Of HyperConverged's lists, one may be ``disabled``, and is not permitted.
    :ivar types: of mediated devices that are made on nodes.
    :ivar certificates: ``duration`` and ``renewBefore`` of ``ca`` and ``server``, as far as they are set.
    """

    gates: list[str]
    disabled: list[str]
    bindings: dict[str, dict[str, t.Any]]
    devices: dict[str, list[dict[str, t.Any]]]
    types: list[NodeTypes]
    certificates: Times


class Declared(t.NamedTuple):
    """What a configuration is to have, or with ``absent`` is to have no more."""

    gates: t.Sequence[str]
    bindings: dict[str, dict[str, t.Any]]
    devices: t.Mapping[str, t.Sequence[Device]]
    types: t.Sequence[NodeTypes]
    certificates: Times
    absent: bool = False


@dataclass(frozen=True)
class KubeVirt:
    """A KubeVirt resource, where a configuration is set. :class:`hyperconverged.HyperConverged` is another such place.

    :ivar kind: its kind, in the plural, and ``version`` the API where it is not the kind's usual one.
    """

    kind: t.ClassVar[str] = objects.KUBEVIRTS
    resource: dict[str, t.Any]
    version: str | None = None

    def configured(self) -> Configured:
        configuration = mapping_at(self.resource, "spec", "configuration")
        on, off = (list(mapping_at(configuration, "developerConfiguration").get(key) or []) for key in _GATES)
        permitted = mapping_at(configuration, "permittedHostDevices")
        bindings = mapping_at(configuration, "network", "binding")
        devices = {key: list(permitted.get(key) or []) for key in DEVICES}
        types, times = (mapping_at(self.resource, "spec", *place) for place in (_TYPES, _CERTIFICATES))
        return Configured(on, off, bindings, devices, read_types(types), read_times(times))

    @property
    def makes_mediated_devices(self) -> bool:
        """Whether it makes those that are declared. Since KubeVirt 1.8 a field says so, else a gate."""
        enabled = mapping_at(self.resource, "spec", *_TYPES).get("enabled")
        if enabled is not None:
            return bool(enabled)
        return "DisableMDEVConfiguration" not in self.configured().gates

    def needed(self, declared: Declared) -> Declared:
        """What of a declaration has to be set here: all of it."""
        return declared

    def patch(self, wanted: Configured) -> dict[str, t.Any]:
        """The merge patch that makes it be configured so."""
        now = self.configured()
        spec = copied(self.resource["spec"])
        for key, before, after in zip(_GATES, now, wanted):
            if before != after:
                put(spec, ("configuration", "developerConfiguration", key), after)
        if wanted.bindings != now.bindings:
            put(spec, ("configuration", "network", "binding"), wanted.bindings)
        for key, items in wanted.devices.items():
            if items != now.devices[key]:
                put(spec, ("configuration", "permittedHostDevices", key), items)
        if wanted.types != now.types:
            put_types(spec, _TYPES, wanted.types)
        if wanted.certificates != now.certificates:
            put(spec, _CERTIFICATES, merged(mapping_at(spec, *_CERTIFICATES), wanted.certificates))
        return patch_of(self.resource, {**self.resource, "spec": spec})

    def has(self, declared: Declared) -> bool:
        """Whether KubeVirt goes by a declaration already, wherever that was set."""
        now = self.configured()
        return wanted(now, declared) == now


def patch_of(before: dict[str, t.Any], after: dict[str, t.Any]) -> dict[str, t.Any]:
    """The merge patch from one state of a resource to another. It fails where someone else has changed it since."""
    patch = merge_patch(before, after)
    metadata = {**patch.get("metadata", {}), "resourceVersion": before["metadata"]["resourceVersion"]}
    return {**patch, "metadata": metadata}


def wanted(now: Configured, declared: Declared) -> Configured:
    """A configuration with what is declared. What others have set stays."""
    gates, bindings, devices, types, certificates, absent = declared
    if absent:
        return Configured(
            [gate for gate in now.gates if gate not in gates],
            now.disabled,
            {name: one for name, one in now.bindings.items() if name not in bindings},
            {key: _without(items, devices.get(key, ()), DEVICES[key]) for key, items in now.devices.items()},
            without_types(now.types, types),
            now.certificates,
        )
    return Configured(
        [*now.gates, *(gate for gate in dict.fromkeys(gates) if gate not in now.gates)],
        [gate for gate in now.disabled if gate not in gates],
        {**now.bindings, **{name: one for name, one in bindings.items() if not _says(now.bindings.get(name), one)}},
        {key: _with(items, devices.get(key, ()), DEVICES[key]) for key, items in now.devices.items()},
        with_types(now.types, types),
        with_times(now.certificates, certificates),
    )


def put(spec: dict[str, t.Any], place: tuple[str, ...], value: t.Any) -> None:
    """Write a value into a tree, and the mappings on the way to it."""
    for step in place[:-1]:
        spec = spec.setdefault(step, {})
    spec[place[-1]] = value


def put_types(spec: dict[str, t.Any], place: tuple[str, ...], types: t.Iterable[NodeTypes]) -> None:
    """Write types of mediated devices into a tree. An empty mapping would be refused by HyperConverged, and goes."""
    after = written(mapping_at(spec, *place), types)
    if after:
        put(spec, place, after)
    else:
        del mapping_at(spec, *place[:-1])[place[-1]]


def _says(binding: dict[str, t.Any] | None, declared: dict[str, t.Any]) -> bool:
    """Whether a plugin is what is declared, be its quantities written otherwise (1Gi, 1024Mi)."""
    return binding is not None and not compare(binding, declared, binding).differences


def _without(items: list[dict[str, t.Any]], gone: t.Iterable[Device], key: str) -> list[dict[str, t.Any]]:
    """One that is ``disabled`` stays: that is how HyperConverged is told that it is not permitted."""
    named = {_name(one, key) for one in gone}
    return [one for one in items if _name(one, key) not in named or one.get("disabled")]


def _with(items: list[dict[str, t.Any]], declared: t.Iterable[Device], key: str) -> list[dict[str, t.Any]]:
    """Devices that are there stay in their places, and as they are written where they say the same."""
    wanted = {_name(one, key): dict(one) for one in declared}
    kept = [wanted.pop(_name(one, key), one) for one in items]
    result = [before if _meaning(before, key) == _meaning(after, key) else after for before, after in zip(items, kept)]
    return result + list(wanted.values())


def _name(item: Device, key: str) -> str:
    return str(item.get(key)).upper()


def _meaning(item: Device, key: str) -> tuple[t.Any, ...]:
    external, disabled = (bool(item.get(flag)) for flag in ("externalResourceProvider", "disabled"))
    return _name(item, key), item.get("resourceName"), external, disabled
