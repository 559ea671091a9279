# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""realtime_host by Debian's TuneD: a profile of ours above its own, in force and gone again."""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.tests.integration.hosts.lab import LabHost

RESULT = {"ansible.builtin.debug": {"var": "realtime_host_result"}}


def role(lab: LabHost, **variables: t.Any) -> dict[str, t.Any]:
    task = {"ansible.builtin.include_role": {"name": "rtvirt.core.realtime_host", "public": True}, "vars": variables}
    return dict(lab.play(task, RESULT).results[1]["realtime_host_result"])


def test_a_profile_of_ours_and_back(lab: LabHost) -> None:
    # As a fresh cloud image is.
    lab.shell("rm -f /var/lib/apt/lists/*_Packages*")
    declared = {"realtime_host_isolated_cpus": "auto", "realtime_host_tuned_profile": "realtime-virtual-host"}
    prepared = role(lab, **declared)
    assert (prepared["changed"], prepared["reboot_required"]) == (True, True)
    assert lab.shell("tuned-adm active").endswith("rtvirt")
    assert lab.shell("cat /sys/devices/virtual/workqueue/cpumask /proc/sys/kernel/sched_rt_runtime_us").split() == [
        "5",
        "-1",
    ]
    # In GRUB's menu once, for all entries, and not by us.
    assert lab.shell("grep -c isolcpus=managed_irq,domain,1,3 /boot/grub/grub.cfg") == "1"
    assert not role(lab, **declared)["changed"]
    gone = role(lab, realtime_host_state="absent")
    assert gone["changed"]
    assert lab.shell("tuned-adm active; cat /proc/sys/kernel/sched_rt_runtime_us").endswith("virtual-guest\n950000")
    assert lab.shell("grep -c isolcpus /boot/grub/grub.cfg || true") == "0"
