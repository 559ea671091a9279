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
from ansible_collections.rtvirt.core.plugins.module_utils._host.kvm_options import (
    Reload,
    cpus_module,
    is_loaded,
    load_anew,
    plan_reload,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.modprobe import options_in
from ansible_collections.rtvirt.core.plugins.module_utils._host.realtime import (
    KVM_FILE,
    KVM_OPTIONS,
    kernel_arguments,
    settings_of,
)
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
    options, gone = options_in(wanted.files.get(KVM_FILE, "")), _options_that_go(planned)
    reload = plan_reload(host, options, gone)
    changed, diff = planned.changed or tuned.changed or bool(reload.module), _described(planned, tuned, reload)

    def result(waiting: t.Sequence[str]) -> Result:
        # Without TuneD the boot entries are those of kernel_cmdline.
        lacks = by_tuned and bool(lacking(running_arguments(host), boot_arguments(host)))
        warnings = [*told.get("warnings", ()), *_of_waiting(waiting)]
        required = lacks or bool(waiting)
        return {**told, "warnings": warnings, "reboot_required": required, "changed": changed, "diff": diff}

    def tell() -> None:
        if by_tuned:
            apply_tuned(host, tuned)
        _load_kvm(host, planned, reload)

    def apply() -> Result:
        if tuned.changed and not by_tuned:
            apply_tuned(host, tuned)
        if changed:
            # TuneD has set back what it had set.
            apply_settings(host, plan_settings(host, _RECORD, wanted), tell)
        return result(plan_reload(host, options, {} if reload.module else gone).behind)

    return Planned(lambda: result(reload.waiting), apply)


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


def _options_that_go(plan: SettingsPlan) -> dict[str, str]:
    """What the file of KVM's options says, where it changes. A run that was cut off may have removed it already."""
    if plan.unfinished:
        return KVM_OPTIONS
    texts = [change.before or "" for change in plan.files if change.path == KVM_FILE]
    return options_in("".join(texts))


def _load_kvm(host: Host, plan: SettingsPlan, reload: Reload) -> None:
    """Have KVM's modules read their options. :raises RtvirtError: where they do not come back."""
    module = cpus_module(host)
    if reload.module:
        load_anew(host, reload.module)
    elif plan.unfinished and module and not is_loaded(host, module):
        # A run that was cut off may have left it out. That it is not loaded may also have reasons of its own.
        host.run("modprobe", module)


def _of_waiting(options: t.Sequence[str]) -> list[str]:
    if not options:
        return []
    named = ", ".join(options)
    return [f"{named}: KVM is in use with other values, and reads its options when it is loaded: with the next boot"]


def _described(plan: SettingsPlan, tuned: TunedPlan, reload: Reload) -> list[dict[str, str]]:
    """Ansible's diff."""
    loaded = [*reload.behind, ""] if reload.module else []
    before = "".join(f"{change.path} = {change.before}\n" for change in plan.attributes)
    after = "".join(f"{change.path} = {change.after}\n" for change in plan.attributes)
    return [
        *difference("the running kernel", before, after),
        *difference("options that KVM is loaded anew for", "", "\n".join(loaded)),
        *difference("TuneD's profile", f"{tuned.before}\n", f"{tuned.after}\n"),
        *diff_of(plan.files),
    ]
