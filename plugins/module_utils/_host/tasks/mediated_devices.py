# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task mediated_devices: virtual GPUs and the like, now and after each boot.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.mdev import (
    MediatedDevice,
    apply_mediated,
    plan_mediated,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.task import Planned, Result, diff_of, difference

ARGUMENTS: dict[str, t.Any] = {
    "devices": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            **{name: {"type": "str", "required": True} for name in ("uuid", "parent", "type")},
            "attributes": {"type": "dict", "default": {}},
        },
    },
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def plan(params: t.Mapping[str, t.Any], host: Host) -> Planned:
    """:raises DeclarationError: for devices that cannot be made, and for those that cannot be removed now."""
    declared = params["devices"]
    if params["state"] == "absent" and declared:
        raise DeclarationError(
            [Problem("devices", "is nothing that state: absent needs: it removes all that were made")]
        )
    if params["state"] == "present" and not declared:
        raise DeclarationError([Problem("devices", "is empty: write devices, or state: absent to remove them")])
    odd = [
        Problem(f"devices[{index}].attributes.{name}", f"is {value!r}: write text, such as '1'")
        for index, one in enumerate(declared)
        for name, value in one["attributes"].items()
        if isinstance(value, bool) or not isinstance(value, (str, int))
    ]
    if odd:
        raise DeclarationError(odd)
    devices = [
        MediatedDevice(
            f"devices[{index}]",
            one["uuid"].lower(),
            one["parent"],
            one["type"],
            {name: str(value) for name, value in one["attributes"].items()},
        )
        for index, one in enumerate(declared)
    ]
    planned = plan_mediated(host, devices)
    texts = ["".join(f"{uuid}: {kind} of {parent}\n" for uuid, (parent, kind) in sorted(side.items()))
             for side in (planned.before, planned.after)]  # fmt: skip
    result: Result = {
        "changed": planned.changed,
        "devices": [{"uuid": one.uuid, "parent": one.parent, "type": one.type} for one in devices],
        "diff": [*difference("mediated devices", *texts), *diff_of(planned.settings.files)],
    }

    def apply() -> Result:
        if planned.changed:
            apply_mediated(host, planned)
        return result

    return Planned(lambda: result, apply)
