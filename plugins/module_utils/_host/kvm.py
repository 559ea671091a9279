# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""KVM's module of this host's CPU: whether guests may run guests of their own, and whether it can be loaded anew.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: Linux ``Documentation/virt/kvm/x86/running-nested-guests.rst``: ``nested`` is read when the module is loaded,
and cannot be written.
"""

from __future__ import annotations

import re

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host

__all__ = ["is_in_use", "is_loaded", "kvm_module", "load_anew", "nested", "set_elsewhere"]

_FOLDERS = ("/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d")


def kvm_module(host: Host) -> str:
    """``kvm_intel`` or ``kvm_amd``. :raises DeclarationError: for a CPU that cannot run guests."""
    flags = re.search(r"^flags\s*:(.*)$", host.read("/proc/cpuinfo") or "", re.MULTILINE)
    known = flags[1].split() if flags else []
    for flag, module in (("vmx", "kvm_intel"), ("svm", "kvm_amd")):
        if flag in known:
            return module
    message = "this host's CPU cannot run guests (no vmx or svm), or its firmware has that switched off"
    raise DeclarationError([Problem("enabled", message)])


def is_loaded(host: Host, module: str) -> bool:
    return host.exists(f"/sys/module/{module}")


def nested(host: Host, module: str) -> bool | None:
    """Whether nesting is on now, None where the module is not loaded. Intel's says Y, AMD's says 1."""
    return host.word(f"/sys/module/{module}/parameters/nested") in ("Y", "1") if is_loaded(host, module) else None


def is_in_use(host: Host, module: str) -> bool:
    """Whether a guest, or any program, holds the module; one that is built in is never let go."""
    uses = host.word(f"/sys/module/{module}/refcnt")
    return uses != "0"


def load_anew(host: Host, module: str) -> bool:
    """Have a module read its options again. :returns: whether it did: somebody may have begun to use it."""
    if host.run("modprobe", "-r", module).status:
        return False
    ran = host.run("modprobe", module)
    if ran.status:
        raise RtvirtError(f"{module} was taken out and does not come back: {ran.errors.strip()}")
    return True


def set_elsewhere(host: Host, module: str, ours: str) -> str | None:
    """The file of somebody else that sets ``nested``."""
    option = re.compile(rf"^\s*options\s+{module.replace('_', '[-_]')}\s.*\bnested=", re.MULTILINE)
    for folder in _FOLDERS:
        for name in host.names(folder):
            path = f"{folder}/{name}"
            if path != ours and name.endswith(".conf") and option.search(host.read(path) or ""):
                return path
    return None
