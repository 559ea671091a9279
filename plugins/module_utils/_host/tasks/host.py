# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task host: all that the other tasks do, read and checked as a whole before anything is written.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._host.cmdline import (
    CmdlinePlan,
    apply_cmdline,
    has_owners,
    plan_cmdline,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.kernel_arguments import key_of, lacking
from ansible_collections.rtvirt.core.plugins.module_utils._host.task import Planned, Result
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks import (
    default_kernel,
    hugepages,
    iommu_vfio,
    kernel_cmdline,
    nested_kvm,
    rt_host_prep,
)

#: The parts in the order in which they are done: what only prepares the next boot comes last.
_PARTS: dict[str, t.Any] = {
    "rt_host_prep": rt_host_prep,
    "hugepages": hugepages,
    "iommu_vfio": iommu_vfio,
    "nested_kvm": nested_kvm,
    "default_kernel": default_kernel,
}

#: What runs of huge pages and of the IOMMU without these, or with others, is no reason to reboot.
_NO_REASON = ("default_hugepagesz", "hugepagesz", "hugepages", "intel_iommu", "iommu", "vfio_pci.ids")

#: Told once for all parts.
_ALL = ("diff", "warnings")

ARGUMENTS: dict[str, t.Any] = {
    name: {"type": "dict", "options": part.ARGUMENTS} for name, part in sorted(_PARTS.items())
}


def plan(params: t.Mapping[str, t.Any], host: Host) -> Planned:
    """:raises DeclarationError: for all that is wrong in any part, and with the kernel arguments of the others."""
    parts: dict[str, Planned] = {}
    problems: list[Problem] = []
    for name, part in _PARTS.items():
        if params[name] is not None:
            try:
                parts[name] = part.plan(params[name], host)
            except DeclarationError as error:
                problems += [replace(problem, path=f"{name}.{problem.path}") for problem in error.problems]
    predicted = {name: part.predict() for name, part in parts.items()}
    of_tuned = rt_host_prep.tuned_arguments(params["rt_host_prep"], host) if "rt_host_prep" in parts else None
    checked = None
    try:
        checked = _cmdline(host, predicted, of_tuned)
    except DeclarationError as error:
        problems += error.problems
    if problems:
        raise DeclarationError(problems)

    def apply() -> Result:
        done = {name: part.apply() for name, part in parts.items()}
        # The parts may have made other boot entries of it: TuneD's, or those of another kernel.
        planned = _cmdline(host, done)
        if planned and planned.changed:
            apply_cmdline(host, planned)
        return _result(done, planned)

    return Planned(lambda: _result(predicted, checked), apply)


def _cmdline(host: Host, parts: t.Mapping[str, Result], of_tuned: t.Sequence[str] | None = None) -> CmdlinePlan | None:
    """The kernel's arguments of all parts, each of which owns its own. None where there are none, and were none."""
    arguments = {name: part["kernel_args"] for name, part in parts.items() if "kernel_args" in part}
    if not any(arguments.values()) and not (arguments and has_owners(host)):
        return None
    return plan_cmdline(host, arguments, {name: f"{name}.kernel_args" for name in arguments}, of_tuned=of_tuned)


def _result(parts: t.Mapping[str, Result], cmdline: CmdlinePlan | None) -> Result:
    told = dict(parts)
    waiting = any(part["reboot_required"] for part in parts.values())
    if cmdline:
        told["kernel_cmdline"] = kernel_cmdline.described(cmdline)
        if "rt_host_prep" in parts:
            leftover = [one for one in cmdline.leftover if key_of(one) not in _NO_REASON]
            waiting = waiting or bool(lacking(cmdline.running, parts["rt_host_prep"]["kernel_args"]) or leftover)
    return {
        **{name: {key: value for key, value in part.items() if key not in _ALL} for name, part in told.items()},
        "changed": any(part["changed"] for part in told.values()),
        "reboot_required": waiting,
        "warnings": [warning for part in told.values() for warning in part.get("warnings", ())],
        "diff": [one for part in told.values() for one in part["diff"]],
    }
