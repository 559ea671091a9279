# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest of a domain that others made: as much of it as can be declared again without a change.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt import domains, drift
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.rules import LIBVIRT_RULES, admit
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import Options
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.document import declared_domain
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import Context, strip_absent
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.observed import to_manifest
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at, pod_spec
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import overlay

__all__ = ["fitting_manifest"]

_TOPOLOGY = ("sockets", "cores", "threads")


def fitting_manifest(definition: ET.Element) -> dict[str, t.Any]:
    """A VirtualMachine of a domain's XML.

    Left out is whatever would be refused, or would change the domain: libvirt can do more than the declaration can say.
    """
    whole = to_manifest(definition)
    result = {key: value for key, value in whole.items() if key != "spec"}
    for part in _parts(pod_spec(whole)):
        trial = overlay(result, {"spec": {"template": {"spec": part}}})
        if _fits(trial, definition):
            result = trial
    return result


def _parts(spec: dict[str, t.Any]) -> t.Iterator[dict[str, t.Any]]:
    """Pieces of an instance spec that make sense by themselves."""
    domain = mapping_at(spec, "domain")
    cpu = mapping_at(domain, "cpu")
    yield {"domain": {"cpu": {key: cpu[key] for key in _TOPOLOGY if key in cpu}}}
    for section in ("cpu", "memory", "machine", "features"):
        for key, value in mapping_at(domain, section).items():
            if key not in _TOPOLOGY:
                yield {"domain": {section: {key: value}}}
    firmware = mapping_at(domain, "firmware")
    # Secure boot is refused without SMM.
    smm = {"features": {"smm": domain["features"]["smm"]}} if "smm" in mapping_at(domain, "features") else {}
    for key, value in firmware.items():
        yield {"domain": {"firmware": {key: value}, **(smm if key == "bootloader" else {})}}
    devices = mapping_at(domain, "devices")
    for items, behind in (("disks", "volumes"), ("interfaces", "networks")):
        for item in devices.get(items) or []:
            pair = [other for other in spec.get(behind) or [] if other["name"] == item["name"]]
            yield {"domain": {"devices": {items: [item]}}, **({behind: pair} if pair else {})}
    for key, value in devices.items():
        if key not in ("disks", "interfaces"):
            yield {"domain": {"devices": {key: value}}}


def _fits(document: dict[str, t.Any], definition: ET.Element) -> bool:
    try:
        admit([Options({"definition": document})], LIBVIRT_RULES)
    except RtvirtError:
        return False
    context = Context(
        domain_name=definition.findtext("name", ""),
        virt_type=definition.get("type", "kvm"),
        vcpus=int(definition.findtext("vcpu", "1")),
        disk_targets=domains.disk_targets(definition),
    )
    declared = declared_domain(document, context)
    complete = strip_absent(declared_domain(document, context))
    return not drift.reconcile(definition, complete=complete, declared=declared)[1]
