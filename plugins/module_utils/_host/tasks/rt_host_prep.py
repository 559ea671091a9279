# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task rt_host_prep: CPUs divided between the host and its virtual machines.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._host.cmdline import running_arguments
from ansible_collections.rtvirt.core.plugins.module_utils._host.features import read_features
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.isolation import isolate
from ansible_collections.rtvirt.core.plugins.module_utils._host.kernel_arguments import lacking
from ansible_collections.rtvirt.core.plugins.module_utils._host.realtime import kernel_arguments, settings_of
from ansible_collections.rtvirt.core.plugins.module_utils._host.settings import (
    Settings,
    SettingsPlan,
    apply_settings,
    plan_settings,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.task import Planned, Result, diff_of, difference
from ansible_collections.rtvirt.core.plugins.module_utils._host.topology import read_topology
from ansible_collections.rtvirt.core.plugins.module_utils._host.tuned import (
    TunedPlan,
    apply_tuned,
    boot_arguments,
    plan_tuned,
    profile_files,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters.cpuset import format_ranges

ARGUMENTS: dict[str, t.Any] = {
    "isolated_cpus": {"type": "str"},
    "housekeeping_cpus": {"type": "str"},
    "housekeeping_cores": {"type": "int", "default": 1},
    "split_cores": {"type": "bool", "default": False},
    "workload": {"type": "str", "choices": ["realtime", "dpdk"], "default": "realtime"},
    "tuned_profile": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}

_RECORD = "rt_host_prep"

#: TuneD's profiles that set the same, and what is made of them.
_TUNED = ("realtime", "cpu-partitioning", "openshift-node-performance", "seapath-rt")


def plan(params: t.Mapping[str, t.Any], host: Host) -> Planned:
    """:raises DeclarationError: for CPUs that cannot be divided so, and TuneD without the profile or in the way."""
    by_tuned = params["tuned_profile"] is not None
    wanted, told = _wanted(params, host)
    tuned = plan_tuned(host, ours=by_tuned)
    if params["state"] == "present" and not by_tuned:
        problem = _of_tuned(tuned.after)
        if problem:
            raise DeclarationError([problem])
    planned = plan_settings(host, _RECORD, wanted)
    changed, diff = planned.changed or tuned.changed, _described(planned, tuned)

    def result() -> Result:
        # Without TuneD the boot entries are those of kernel_cmdline.
        reboot_required = by_tuned and bool(lacking(running_arguments(host), boot_arguments(host)))
        return {**told, "reboot_required": reboot_required, "changed": changed, "diff": diff}

    def apply() -> Result:
        if changed and by_tuned:
            apply_settings(host, planned, lambda: apply_tuned(host, tuned))
        elif changed:
            if tuned.changed:
                apply_tuned(host, tuned)
            # TuneD has set back what it had set.
            apply_settings(host, plan_settings(host, _RECORD, wanted))
        return result()

    return Planned(result, apply)


def _wanted(params: t.Mapping[str, t.Any], host: Host) -> tuple[Settings, dict[str, t.Any]]:
    """What is wanted of the host, and what the task tells of it.

    :raises DeclarationError: for CPUs that cannot be divided so, and a profile that there is not.
    """
    if params["state"] == "absent":
        given = [name for name in ("isolated_cpus", "housekeeping_cpus", "tuned_profile") if params[name] is not None]
        if given:
            raise DeclarationError([Problem(given[0], "is nothing that state: absent needs: leave it out")])
        return Settings(), {"kernel_args": []}
    cpus = isolate(
        read_topology(host),
        params["isolated_cpus"],
        params["housekeeping_cpus"],
        cores_per_node=params["housekeeping_cores"],
        split_cores=params["split_cores"],
    )
    isolated = format_ranges(cpus.isolated)
    result = {
        "isolated_cpus": isolated,
        "housekeeping_cpus": format_ranges(cpus.housekeeping),
        "warnings": list(cpus.remarks),
        "kernel_args": [],
    }
    if params["tuned_profile"] is not None:
        return Settings(profile_files(host, params["tuned_profile"], isolated)), {**result, "reasons": {}}
    features = read_features(host)
    arguments = kernel_arguments(cpus, params["workload"], features.vendor)
    told = {
        "kernel_args": [argument.text for argument in arguments],
        "reasons": {argument.text: argument.reason for argument in arguments},
    }
    return settings_of(cpus, params["workload"], features), {**result, **told}


def _of_tuned(profile: str) -> Problem | None:
    """What is wrong where TuneD's profile sets the same."""
    if not any(name in profile for name in _TUNED):
        return None
    message = (
        f"is not given, and TuneD's profile {profile} prepares this host already, so that both would write the same"
    )
    return Problem("tuned_profile", f"{message}: have TuneD do it, or choose another profile (tuned-adm off)")


def tuned_arguments(params: t.Mapping[str, t.Any], host: Host) -> list[str]:
    """What TuneD will want of the kernel's command line after the task, as far as that is known before it.

    Which arguments another profile has is known when TuneD has taken it.
    """
    tuned = plan_tuned(host, ours=params["tuned_profile"] is not None)
    return boot_arguments(host) if tuned.before == tuned.after else []


def _described(plan: SettingsPlan, tuned: TunedPlan) -> list[dict[str, str]]:
    """Ansible's diff."""
    before = "".join(f"{change.path} = {change.before}\n" for change in plan.attributes)
    after = "".join(f"{change.path} = {change.after}\n" for change in plan.attributes)
    return [
        *difference("the running kernel", before, after),
        *difference("TuneD's profile", f"{tuned.before}\n", f"{tuned.after}\n"),
        *diff_of(plan.files),
    ]
