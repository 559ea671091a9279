# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""rt_host_prep's options of KVM and the real modules, which are loaded already."""

from __future__ import annotations

from ansible_collections.rtvirt.core.tests.integration.hosts.lab import LabHost

ASK = "cd /sys/module/kvm/parameters; paste -s kvmclock_periodic_sync nx_huge_pages"


def test_kvm_that_nothing_uses_is_loaded_anew(lab: LabHost) -> None:
    lab.shell("modprobe kvm_amd")
    first = lab.shell(ASK).split()
    assert first[0] == "Y"
    done = lab.run("rt_host_prep", isolated_cpus="auto")
    assert (done["changed"], done["reboot_required"], lab.shell(ASK).split()) == (True, False, ["N", "N"])
    assert not lab.run("rt_host_prep", isolated_cpus="auto")["changed"]
    lab.run("rt_host_prep", state="absent")
    assert lab.shell(ASK).split() == first


def test_kvm_that_is_in_use_waits_for_a_boot(lab: LabHost) -> None:
    first = lab.shell(ASK)
    try:
        with lab.kvm_in_use() as holder:
            for changed in (True, False):
                done = lab.run("rt_host_prep", isolated_cpus="auto")
                assert (done["changed"], done["reboot_required"]) == (changed, True)
            assert lab.shell(f"kill -0 {holder}; {ASK}") == first
    finally:
        lab.run("rt_host_prep", state="absent")
