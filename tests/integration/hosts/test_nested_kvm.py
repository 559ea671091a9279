# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""nested_kvm and the real kvm_amd, which has an AMD CPU with SVM to itself."""

from __future__ import annotations

from ansible_collections.rtvirt.core.tests.integration.hosts.lab import LabHost

ASK = "cat /sys/module/kvm_amd/parameters/nested"
FILE = "/etc/modprobe.d/zz-rtvirt-nested.conf"


def test_it_is_set_now_and_goes_again(lab: LabHost) -> None:
    assert lab.shell("modprobe kvm_amd; grep -c ' svm ' /proc/cpuinfo") != "0"
    first = lab.shell(ASK)
    for enabled, shown in ((False, "0"), (True, "1")):
        done = lab.run("nested_kvm", enabled=enabled)
        assert (done["changed"], done["nested"], done["reboot_required"]) == (True, enabled, False)
        assert lab.shell(ASK) == shown
        assert f"options kvm_amd nested={shown}" in lab.shell(f"cat {FILE}")
        assert not lab.run("nested_kvm", enabled=enabled)["changed"]
    lab.run("nested_kvm", state="absent")
    assert lab.shell(f"{ASK}; ls {FILE} 2>/dev/null || echo gone").split() == [first, "gone"]


def test_a_module_that_is_in_use_waits_for_a_boot(lab: LabHost) -> None:
    try:
        with lab.kvm_in_use() as holder:
            done = lab.run("nested_kvm", enabled=False)
            assert (done["changed"], done["nested"], done["reboot_required"]) == (True, True, True)
            assert lab.shell(f"kill -0 {holder}; {ASK}") == "1"
    finally:
        lab.run("nested_kvm", state="absent")
