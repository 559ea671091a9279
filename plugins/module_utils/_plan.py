# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every plan is made of.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

__all__ = ["Change", "task_result"]


@dataclass(frozen=True)
class Change:
    """One difference between a VM as it is and its declaration.

    :ivar path: where, in the backend's words: ``spec.template.spec.domain.cpu.cores`` of a VirtualMachine, or
        ``devices/disk[root]/driver/@cache`` of a domain's XML, whose devices are named as they are declared.
    :ivar before: the value that is there, None for nothing.
    :ivar after: the declared value, None for nothing.
    """

    path: str
    before: t.Any
    after: t.Any


def task_result(vms: list[dict[str, t.Any]], *, several: bool) -> dict[str, t.Any]:
    """A task's result: ``vms`` always, and ``result`` when one VM was asked for."""
    result: dict[str, t.Any] = {"changed": any(vm["changed"] for vm in vms), "vms": vms}
    return result if several else {**result, "result": vms[0]}
