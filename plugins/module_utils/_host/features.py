# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host has that the plan for its CPUs depends on.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import re

from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.realtime import Features

__all__ = ["read_features"]

_VENDORS = {"GenuineIntel": "intel", "AuthenticAMD": "amd", "HygonGenuine": "amd"}


def read_features(host: Host) -> Features:
    cpus = host.read("/proc/cpuinfo") or ""
    vendor = re.search(r"^vendor_id\s*:\s*(\S+)", cpus, re.MULTILINE)
    # There CPUs are named by numbers of their implementer.
    other = "arm" if re.search(r"^CPU implementer\s*:", cpus, re.MULTILINE) else "other"
    return Features(
        vendor=_VENDORS.get(vendor[1], "other") if vendor else other,
        irqbalance=host.has_tool("irqbalance"),
        kvm_parameters=frozenset(
            f"{module}.{name}" for module in ("kvm", "kvm_intel", "kvm_amd") for name in _parameters(host, module)
        ),
    )


def _parameters(host: Host, module: str) -> list[str]:
    """What a module knows: loaded ones show it, of others modinfo tells.

    One that is built in reads no options of modprobe.d. It has no count of its users.
    """
    if host.exists(f"/sys/module/{module}"):
        return host.names(f"/sys/module/{module}/parameters") if host.exists(f"/sys/module/{module}/refcnt") else []
    if not host.has_tool("modinfo"):
        return []
    ran = host.run("modinfo", "-F", "parm", module)
    return [line.partition(":")[0] for line in ran.output.splitlines()] if ran.status == 0 else []
