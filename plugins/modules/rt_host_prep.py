#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible module rtvirt.core.rt_host_prep."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rt_host_prep
short_description: Prepare a host's CPUs for real-time or DPDK virtual machines
version_added: 0.1.0
author:
  - The rtvirt.core authors (@rtvirt)
description:
  - Divides the CPUs of this host into those that are for virtual machines alone and those that keep house, and sets
    what keeps everything else away from the former.
  - It writes no kernel arguments itself. Give RV(kernel_args) to M(rtvirt.core.kernel_cmdline), as the role
    P(rtvirt.core.realtime_host#role) does.
options:
  isolated_cpus:
    description:
      - CPUs for virtual machines alone, as a list such as V(2-7,10-15) or V(^0,^1), which is all others.
      - With V(auto) all but the first cores of each NUMA node, see O(housekeeping_cores).
      - Without it all that O(housekeeping_cpus) does not name.
    type: str
  housekeeping_cpus:
    description:
      - CPUs for the host itself, in the same way. Without it all that are not isolated.
    type: str
  housekeeping_cores:
    description:
      - With V(auto), how many cores of each NUMA node keep house.
    type: int
    default: 1
  split_cores:
    description:
      - Allow that CPUs of one core (hyper-threads) are on both sides. They slow each other down.
    type: bool
    default: false
  workload:
    description:
      - V(realtime) keeps the scheduler's balancing and every timer away from isolated CPUs, and lets real-time tasks
        run without a limit. V(dpdk) does without both, for threads that only have to be left alone.
    type: str
    choices: [realtime, dpdk]
    default: realtime
  tuned_profile:
    description:
      - Have TuneD do all of it, by a profile such as V(realtime-virtual-host) or V(cpu-partitioning). One above it,
        C(rtvirt), has the CPUs, and is made the active one. O(workload) counts no more, and what was set here before
        without TuneD is undone.
      - The kernel arguments are TuneD's then, and RV(kernel_args) is empty. On Debian and Ubuntu, where TuneD does not
        find the boot menu, that is made anew with them.
    type: str
  state:
    description:
      - V(absent) removes what was written, and brings back what the kernel had before.
    type: str
    choices: [present, absent]
    default: present
notes:
  - A host whose TuneD profile does this already is left to TuneD, with an error that says so. It is one or the other.
  - With O(tuned_profile), check mode tells RV(reboot_required) by the kernel arguments that TuneD wants now, as it
    alone knows the new ones.
  - What is written for systemd and irqbalance counts after the next boot.
attributes:
  check_mode:
    support: full
    description: Nothing is written. The result is that of the real run.
  diff_mode:
    support: full
    description: The files that are written, and the kernel's settings before and after.
"""

EXAMPLES = r"""
- name: All CPUs but the first core of each NUMA node for real-time virtual machines
  rtvirt.core.rt_host_prep:
    isolated_cpus: auto
  register: realtime

- name: The kernel's part of it
  rtvirt.core.kernel_cmdline:
    owner: realtime
    args: "{{ realtime.kernel_args }}"

- name: The same by TuneD
  rtvirt.core.rt_host_prep:
    isolated_cpus: auto
    tuned_profile: realtime-virtual-host

- name: Show why
  ansible.builtin.debug:
    var: realtime.reasons
"""

RETURN = r"""
isolated_cpus:
  description: CPUs for virtual machines alone.
  type: str
  returned: when state is present
  sample: 2-7,10-15
housekeeping_cpus:
  description: CPUs for the host itself.
  type: str
  returned: when state is present
  sample: 0-1,8-9
kernel_args:
  description: The kernel's arguments that belong to it.
  type: list
  elements: str
  returned: success
  sample: ['isolcpus=managed_irq,domain,2-7', nohz_full=2-7]
reasons:
  description: Why each of the arguments is there.
  type: dict
  returned: when state is present
  sample: {nohz_full=2-7: no timer tick while one task runs}
reboot_required:
  description:
    - With O(tuned_profile), whether the kernel that runs lacks arguments that TuneD wants. Otherwise false, as the boot
      entries are those of M(rtvirt.core.kernel_cmdline).
  type: bool
  returned: success
  sample: false
"""

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem, RtvirtError
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
from ansible_collections.rtvirt.core.plugins.module_utils._host.task import diff_of, difference, run_on_host
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


def converge(params: t.Mapping[str, t.Any], check_mode: bool, host: Host) -> dict[str, t.Any]:
    """Bring the host to what is declared, and tell what it is and which kernel arguments belong to it."""
    by_tuned = params["tuned_profile"] is not None
    wanted, result = wanted_of(params, host)
    tuned = plan_tuned(host, ours=by_tuned)
    if params["state"] == "present" and not by_tuned:
        check_tuned(tuned.after)
    plan = plan_settings(host, _RECORD, wanted)
    changed, diff = plan.changed or tuned.changed, described(plan, tuned)
    if changed and not check_mode:
        if by_tuned:
            apply_settings(host, plan, lambda: apply_tuned(host, tuned))
        else:
            if tuned.changed:
                apply_tuned(host, tuned)
            # TuneD has set back what it had set.
            apply_settings(host, plan_settings(host, _RECORD, wanted))
    if by_tuned:
        result["reboot_required"] = bool(lacking(running_arguments(host), boot_arguments(host)))
    return {**result, "changed": changed, "diff": diff}


def wanted_of(params: t.Mapping[str, t.Any], host: Host) -> tuple[Settings, dict[str, t.Any]]:
    """What is wanted of the host, and what the task tells of it.

    :raises DeclarationError: for CPUs that cannot be divided so, and a profile that there is not.
    """
    if params["state"] == "absent":
        given = [name for name in ("isolated_cpus", "housekeeping_cpus", "tuned_profile") if params[name] is not None]
        if given:
            raise DeclarationError([Problem(given[0], "is nothing that state: absent needs: leave it out")])
        return Settings(), {"kernel_args": [], "reboot_required": False}
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
        "reboot_required": False,
    }
    if params["tuned_profile"] is not None:
        return Settings(profile_files(host, params["tuned_profile"], isolated)), {
            **result,
            "reasons": {},
        }
    features = read_features(host)
    arguments = kernel_arguments(cpus, params["workload"], features.vendor)
    told = {
        "kernel_args": [argument.text for argument in arguments],
        "reasons": {argument.text: argument.reason for argument in arguments},
    }
    return settings_of(cpus, params["workload"], features), {**result, **told}


def check_tuned(profile: str) -> None:
    """:raises RtvirtError: where TuneD's profile sets the same."""
    if any(name in profile for name in _TUNED):
        raise RtvirtError(
            f"TuneD's profile {profile} prepares this host already, and both would write the same: have TuneD do it"
            " (tuned_profile), or choose another profile (tuned-adm off)"
        )


def described(plan: SettingsPlan, tuned: TunedPlan) -> list[dict[str, str]]:
    """Ansible's diff."""
    before = "".join(f"{change.path} = {change.before}\n" for change in plan.attributes)
    after = "".join(f"{change.path} = {change.after}\n" for change in plan.attributes)
    return [
        *difference("the running kernel", before, after),
        *difference("TuneD's profile", f"{tuned.before}\n", f"{tuned.after}\n"),
        *diff_of(plan.files),
    ]


def main() -> None:
    run_on_host(ARGUMENTS, converge)


if __name__ == "__main__":
    main()
