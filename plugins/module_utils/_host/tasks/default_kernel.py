# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task default_kernel: which kernel boots.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._host.default_kernel import (
    DefaultKernelPlan,
    apply_default_kernel,
    plan_default_kernel,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.task import Planned, Result, difference

ARGUMENTS: dict[str, t.Any] = {
    "kernel": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def plan(params: t.Mapping[str, t.Any], host: Host) -> Planned:
    """:raises DeclarationError: for a kernel that is not there."""
    wanted, absent = params["kernel"], params["state"] == "absent"
    if absent and wanted is not None:
        raise DeclarationError([Problem("kernel", "is nothing that state: absent needs: leave it out")])
    if wanted is None and not absent:
        raise DeclarationError([Problem("kernel", "is missing: write a release, or realtime")])
    planned = plan_default_kernel(host, wanted)

    def apply() -> Result:
        if planned.changed:
            apply_default_kernel(host, planned)
        return _described(planned)

    return Planned(lambda: _described(planned), apply)


def _described(plan: DefaultKernelPlan) -> Result:
    texts = (f"{release or 'left to the boot loader'}\n" for release in (plan.before, plan.after))
    return {
        "changed": plan.changed,
        "kernel": plan.after,
        "running": plan.running,
        "reboot_required": plan.reboot_required,
        "diff": difference("the kernel that boots", *texts),
        "warnings": list(plan.remarks),
    }
