# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task kernel_cmdline: the kernel's arguments in every boot entry.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._host.cmdline import CmdlinePlan, apply_cmdline, plan_cmdline
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.task import Planned, Result, diff_of, difference

ARGUMENTS: dict[str, t.Any] = {
    "args": {"type": "list", "elements": "str", "default": []},
    "state": {"type": "str", "choices": ["present", "absent", "exact"], "default": "present"},
    "owner": {"type": "str", "default": "rtvirt"},
}


def plan(params: t.Mapping[str, t.Any], host: Host) -> Planned:
    """:raises DeclarationError: for arguments that are none, or that somebody else has set otherwise."""
    args, state = params["args"], params["state"]
    if state == "absent" and args:
        raise DeclarationError(
            [Problem("args", "is nothing that state: absent needs: it removes all that the owner set")]
        )
    if state == "present" and not args:
        raise DeclarationError([Problem("args", "is empty: write arguments, or state: absent to remove the owner's")])
    if state == "exact" and not args:
        raise DeclarationError(
            [Problem("args", "is empty: with state: exact no entry would keep any; write arguments")]
        )
    owner = params["owner"]
    planned = plan_cmdline(host, {owner: args}, {owner: "args"}, exact=owner if state == "exact" else None)

    def apply() -> Result:
        if planned.changed:
            apply_cmdline(host, planned)
        return described(planned)

    return Planned(lambda: described(planned), apply)


def described(plan: CmdlinePlan) -> Result:
    return {
        "changed": plan.changed,
        "bootloader": plan.bootloader.name,
        "entries": [{"title": one.title, "args": list(line)} for one, line in zip(plan.entries, plan.lines)],
        "running": list(plan.running),
        "missing": plan.missing,
        "leftover": plan.leftover,
        "reboot_required": plan.reboot_required,
        "diff": [
            *(
                one
                for entry, line in zip(plan.entries, plan.lines)
                for one in difference(entry.title, "\n".join([*entry.arguments, ""]), "\n".join([*line, ""]))
            ),
            *diff_of(plan.steps.files),
        ],
    }
