# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vCPUs' threads of a domain that runs on this machine: where they may run, and how they are scheduled.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

libvirt reports the pins that it set; the kernel alone knows what is in force.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host import host, running_vms

__all__ = ["vcpu_threads"]


def vcpu_threads(domain_name: str) -> list[dict[str, t.Any]]:
    """The vCPU threads by index; empty where the QEMU is not on this machine, or not visible."""
    machine = host.Host()
    try:
        pid = machine.word(f"/run/libvirt/qemu/{domain_name}.pid")
    except RtvirtError:
        # Root's alone on some systems.
        return []
    if not pid.isdigit():
        return []
    return [
        {
            "vcpu": one.vcpu,
            "thread": one.number,
            "cpus": sorted(one.cpus),
            "scheduler": one.scheduler,
            "priority": one.priority,
        }
        for one in running_vms.RunningVm(domain_name, int(pid)).threads(machine)
        if one.vcpu is not None
    ]
