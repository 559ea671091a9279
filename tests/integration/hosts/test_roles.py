# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles on a host, by themselves: what they would do, and a reboot that is refused. prepare_hosts is Molecule's."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.tests.integration.hosts.lab import LabHost

ROLES = {
    "realtime_host": {"realtime_host_isolated_cpus": "3", "realtime_host_kernel": "realtime"},
    "hugepages": {"hugepages_pools": [{"size": "2M", "count": 8, "node": 1}], "hugepages_reserve": "512Mi"},
    "vfio": {"vfio_devices": [{"address": "0000:01:00.0"}]},
    "nested_kvm": {"nested_kvm_enabled": False},
}
#: What stands for a VM: the reboot looks at the programs that run, whoever has started them.
VM = "exec -a /usr/bin/qemu-system-x86_64 python3 -c 'import time; time.sleep(600)' -name guest=rt1,debug-threads=on"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_tells_what_it_would_do(lab: LabHost, role: str) -> None:
    task = {"ansible.builtin.include_role": {"name": f"rtvirt.core.{role}", "public": True}, "vars": ROLES[role]}
    told = {"ansible.builtin.debug": {"msg": f"{{{{ [{role}_result, {role}_reboot_required] }}}}"}}
    files = "find /etc /boot /var/lib/rtvirt -newercm /run/before"
    lab.shell("touch /run/before; sleep 1.1")
    result, reboot_required = lab.play(task, told, check=True).results[1]["msg"]
    assert result["changed"]
    assert reboot_required == result["reboot_required"] == (role == "realtime_host")
    assert lab.shell(f"{files} 2>/dev/null || true") == ""


def test_a_restart_that_was_not_allowed_stays_due(lab: LabHost) -> None:
    """Of another service with a file, as this host has no libvirt."""
    lab.shell("echo '# max_files = 1' >/root/qemu.conf")
    common: dict[str, t.Any] = {
        "libvirt_host_install": False,
        "libvirt_host_start": False,
        "libvirt_host_service": "ssh.service",
        "libvirt_host_qemu_conf_path": "/root/qemu.conf",
        "libvirt_host_qemu_conf": {"max_files": 1024},
    }
    told = {"ansible.builtin.debug": {"msg": "{{ libvirt_host_restart_required | default(false) }}"}}

    def run(*, restart: bool) -> t.Any:
        variables = {**common, "libvirt_host_restart_ok": restart}
        task = {"ansible.builtin.include_role": {"name": "rtvirt.core.libvirt_host", "public": True}, "vars": variables}
        return lab.play(task, told).results[1]["msg"]

    process = "systemctl show --property MainPID --value ssh.service"
    before = lab.shell(process)
    assert [run(restart=False) for _time in range(2)] == [True, True]
    assert lab.shell(process) == before
    assert run(restart=True) is False
    after = lab.shell(process)
    assert after != before
    assert run(restart=True) is False
    assert lab.shell(process) == after


def test_a_host_that_runs_a_vm_is_not_rebooted(lab: LabHost) -> None:
    boot = lab.boot()
    vm = lab.shell(f'setsid bash -c "{VM}" </dev/null >/dev/null 2>&1 & sleep 1; echo $!')
    try:
        task: dict[str, t.Any] = {"ansible.builtin.include_role": {"name": "rtvirt.core.host_reboot"}}
        with pytest.raises(AssertionError, match="is not rebooted, as it runs rt1: stop them"):
            lab.play(task)
    finally:
        lab.shell(f"kill {vm}")
    assert lab.boot() == boot
