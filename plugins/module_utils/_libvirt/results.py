# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task returns of its VMs.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import copy
import typing as t
import xml.etree.ElementTree as ET

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt import apply, domains, waiting
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.connection import doing
from ansible_collections.rtvirt.core.plugins.module_utils._vm import lifecycle
from ansible_collections.rtvirt.core.plugins.module_utils.converters import cpuset
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.document import to_text

__all__ = ["describe_domain", "describe_outcome", "diff_of", "pins_of"]


def pins_of(domain: ET.Element | None) -> dict[str, t.Any]:
    """Pins by vCPU, emulator and I/O thread, as lists of host CPUs; empty where nothing is pinned."""
    tune = None if domain is None else domain.find("cputune")
    if tune is None:
        return {}
    pins: dict[str, t.Any] = {}
    for tag, key, number in (("vcpupin", "vcpus", "vcpu"), ("iothreadpin", "io_threads", "iothread")):
        found = {pin.get(number, ""): sorted(cpuset.parse(pin.get("cpuset", ""))) for pin in tune.findall(tag)}
        if found:
            pins[key] = found
    emulator = tune.find("emulatorpin")
    if emulator is not None:
        pins["emulator"] = sorted(cpuset.parse(emulator.get("cpuset", "")))
    return pins


def describe_domain(domain: domains.Domain) -> dict[str, t.Any]:
    with doing(f"read {domain.name}"):
        addresses = waiting.addresses(domain.handle) if domain.running is not None else []
    return {
        "domain": domain.name,
        "uuid": domain.uuid,
        "state": domain.state,
        "autostart": domain.autostart,
        "xml": _printed(domain.definition),
        "pins": pins_of(domain.running if domain.running is not None else domain.definition),
        "addresses": addresses,
        **(domain.mark.described() if domain.mark else {}),
    }


def describe_outcome(connection: t.Any, outcome: apply.Outcome, *, check_mode: bool) -> dict[str, t.Any]:
    """The result of one VM; in check mode, of what it would be."""
    plan = outcome.plan
    result: dict[str, t.Any] = {
        "name": plan.name,
        "namespace": plan.namespace,
        "domain": plan.domain_name,
        "changed": outcome.changed,
        "actions": outcome.actions,
        "changes": [vars(change) for change in plan.changes],
        "adopted": plan.adopted,
        "restart_required": False,
    }
    if plan.undefine or (plan.state in lifecycle.LEAVING and plan.existing is None):
        return {**result, "state": "absent", "volumes_kept": plan.keep}
    if check_mode:
        predicted = {"xml": _printed(plan.after), "pins": pins_of(plan.after), "state": _predicted_state(outcome)}
        result.update(predicted, uuid=plan.existing.uuid if plan.existing else None, addresses=[])
        mark = plan.mark or (plan.existing.mark if plan.existing and not plan.restores else None)
        result.update(mark.described() if mark else {})
        return {**result, "restart_required": bool(outcome.pending) and result["state"] != "shutoff"}
    domain = plan.existing
    if outcome.changed or domain is None:
        with doing(f"read {plan.domain_name}"):
            handle = connection.lookupByName(plan.domain_name)
        domain = domains.observe(handle)
    result.update(describe_domain(domain))
    result["restart_required"] = bool(outcome.pending) and domain.running is not None
    result["pending"] = [vars(change) for change in outcome.pending] if result["restart_required"] else []
    return result


def _predicted_state(outcome: apply.Outcome) -> str:
    state = "shutoff" if outcome.plan.existing is None else outcome.plan.existing.state
    after = {
        "start": "running",
        "resume": "running",
        "start paused": "paused",
        "pause": "paused",
        "shut down": "shutoff",
    }
    for action in outcome.actions:
        state = after.get(action, state)
    return state


def diff_of(outcome: apply.Outcome) -> dict[str, str]:
    """Ansible's diff: the definition, before and after."""
    plan = outcome.plan
    return {
        "before_header": f"{plan.domain_name} (libvirt)",
        "after_header": f"{plan.domain_name} (declared)",
        "before": _printed(plan.before),
        "after": _printed(plan.after),
    }


def _printed(root: ET.Element | None) -> str:
    """XML on its own lines, whatever the blanks it was read with; passwords (of graphics) not shown."""
    if root is None:
        return ""
    clone = copy.deepcopy(root)
    for element in clone.iter():
        if len(element):
            element.text = None
        element.tail = None
    domains.hide_passwords(clone)
    return to_text(clone)
