# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task nested_kvm: whether guests may run guests.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.kvm import NestedPlan, apply_nested, plan_nested
from ansible_collections.rtvirt.core.plugins.module_utils._host.task import Planned, Result, diff_of

ARGUMENTS: dict[str, t.Any] = {
    "enabled": {"type": "bool", "default": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def plan(params: t.Mapping[str, t.Any], host: Host) -> Planned:
    """:raises DeclarationError: for a CPU that cannot run guests, and where somebody else sets it already."""
    planned = plan_nested(host, params["enabled"] if params["state"] == "present" else None)
    return Planned(
        lambda: _described(planned, planned.wanted if planned.reload.module else planned.now),
        lambda: _described(planned, apply_nested(host, planned)),
    )


def _described(plan: NestedPlan, now: bool | None) -> Result:
    return {
        "changed": plan.changed,
        "module": plan.module,
        "nested": now,
        "reboot_required": now not in (None, plan.wanted),
        "diff": diff_of(plan.settings.files),
    }
