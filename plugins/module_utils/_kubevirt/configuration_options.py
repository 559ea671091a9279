# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of kubevirt_config as what they declare. Pure.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.certificates import seconds_of
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.configuration import DEVICES, Declared
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.mediated_types import node_types
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import PCI_ID

__all__ = ["declared_from"]

_GATE = re.compile(r"[A-Z][A-Za-z0-9]*")
_RESOURCE_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-\w.]*[A-Za-z0-9])?")

#: KubeVirt's lists of devices -> the option, and what tells its items apart.
_DEVICES = {
    "pciHostDevices": ("pci_host_devices", "pci_device_selector"),
    "mediatedDevices": ("mediated_devices", "mdev_name_selector"),
}

#: Options -> KubeVirt's fields.
_TIMES = {"duration": "duration", "renew_before": "renewBefore"}

#: Seconds. Shorter certificates overload the system (document B, 8.14.3).
_SHORTEST = 600


def declared_from(params: t.Mapping[str, t.Any]) -> Declared:
    """What a task's options declare, in KubeVirt's words.

    :raises DeclarationError: with all that is wrong in them.
    """
    absent = params["state"] == "absent"
    problems = list(_problems(params, absent=absent))
    certificates = {
        part: {key: times[option] for option, key in _TIMES.items() if times[option] is not None}
        for part, times in (params["certificates"] or {}).items()
        if times is not None
    }
    if certificates and absent:
        problems.append(Problem("certificates", "cannot be taken away: leave it out, or write other durations"))
    if problems:
        raise DeclarationError(problems)
    devices = {
        key: [_device(one, DEVICES[key], selector) for one in params[option]]
        for key, (option, selector) in _DEVICES.items()
    }
    types = [node_types(_labels(one) or None, one["types"]) for one in params["mediated_device_types"]]
    return Declared(params["feature_gates"], params["bindings"], devices, types, certificates, absent)


def _device(given: t.Mapping[str, t.Any], key: str, selector: str) -> dict[str, t.Any]:
    device = {key: given[selector], "resourceName": given["resource_name"]}
    return {**device, "externalResourceProvider": True} if given["external_resource_provider"] else device


def _problems(params: t.Mapping[str, t.Any], *, absent: bool) -> t.Iterator[Problem]:
    for index, gate in enumerate(params["feature_gates"]):
        if not _GATE.fullmatch(gate):
            message = f"is {gate!r}: write KubeVirt's name of a gate, such as HostDevices"
            yield Problem(f"feature_gates[{index}]", message)
    for name, binding in params["bindings"].items():
        if not isinstance(binding, dict) and not absent:
            yield Problem(f"bindings.{name}", f"is {binding!r}: write a mapping, with sidecarImage or the like")
    for option, selector in _DEVICES.values():
        yield from _device_problems(option, params[option], selector)
    yield from _type_problems(params["mediated_device_types"], absent=absent)
    for part, times in (params["certificates"] or {}).items():
        for option in _TIMES:
            duration = (times or {}).get(option)
            if duration is not None and (seconds_of(duration) or 0) < _SHORTEST:
                message = f"is {duration!r}: write a duration of 10 minutes or more, such as 24h0m0s"
                yield Problem(f"certificates.{part}.{option}", message)
    if params["wait_timeout"] < 0:
        yield Problem("wait_timeout", f"is {params['wait_timeout']}: write 0 or more seconds")


def _labels(item: t.Mapping[str, t.Any]) -> dict[str, str]:
    """A selector as labels are. YAML's true is a label's ``true``."""
    given = item["node_selector"].items()
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in given}


def _type_problems(items: list[dict[str, t.Any]], *, absent: bool) -> t.Iterator[Problem]:
    seen: list[dict[str, str]] = []
    for index, one in enumerate(items):
        at = f"mediated_device_types[{index}]"
        if not one["types"] and not absent:
            yield Problem(f"{at}.types", "is empty: write a card's types, such as nvidia-222, or state: absent")
        for key, value in one["node_selector"].items():
            if not isinstance(value, (str, bool, int)):
                yield Problem(f"{at}.node_selector.{key}", f"is {value!r}: write a label's value, as text")
        if _labels(one) in seen:
            yield Problem(f"{at}.node_selector", "stands twice: write the types of the same nodes in one item")
        seen.append(_labels(one))


def _device_problems(option: str, devices: list[dict[str, t.Any]], selector: str) -> t.Iterator[Problem]:
    seen: set[str] = set()
    for index, one in enumerate(devices):
        at, name = f"{option}[{index}]", one[selector]
        if option == "pci_host_devices" and not PCI_ID.fullmatch(name):
            yield Problem(f"{at}.{selector}", f"is {name!r}: write vendor and device, such as 10DE:1DB6")
        if not _RESOURCE_NAME.fullmatch(one["resource_name"]):
            message = f"is {one['resource_name']!r}: write a vendor's domain and a name, such as nvidia.com/TU104GL"
            yield Problem(f"{at}.resource_name", message)
        if name.upper() in seen:
            yield Problem(f"{at}.{selector}", f"{name} stands twice: leave one out")
        seen.add(name.upper())
