# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""KVM's module of this host's CPU, and whether guests may run guests of their own.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: Linux ``Documentation/virt/kvm/x86/running-nested-guests.rst``: ``nested`` is read when the module is loaded,
and cannot be written.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from posixpath import basename

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._host.features import read_features
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.kvm_options import (
    Reload,
    cpus_module,
    is_loaded,
    load_anew,
    loaded_value,
    plan_reload,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.modprobe import set_by_others
from ansible_collections.rtvirt.core.plugins.module_utils._host.record import signed
from ansible_collections.rtvirt.core.plugins.module_utils._host.settings import (
    Settings,
    SettingsPlan,
    apply_settings,
    plan_settings,
)

__all__ = ["NestedPlan", "apply_nested", "nested", "plan_nested"]

_RECORD = "nested_kvm"
_FILE = "/etc/modprobe.d/zz-rtvirt-nested.conf"


@dataclass(frozen=True)
class NestedPlan:
    """What has guests run guests, or not.

    :ivar wanted: whether they shall.
    :ivar now: whether they may, None where the module is not loaded.
    """

    module: str | None
    settings: SettingsPlan
    wanted: bool
    now: bool | None
    reload: Reload

    @property
    def changed(self) -> bool:
        return self.settings.changed or self.reload.module is not None


def plan_nested(host: Host, wanted: bool | None) -> NestedPlan:
    """:arg wanted: None to leave it to others, or to the kernel, whose own default is yes.

    :raises DeclarationError: for a CPU that cannot run guests, and where somebody else sets it already. Not where it is
        left to others: a host may have lost what it had when our file was written.
    """
    module = cpus_module(host)
    if module is None and not wanted:
        # What runs no guests nests none.
        wanted = None
    others = set_by_others(host, f"{module}.nested", (_FILE,))
    if wanted is not None:
        _check(host, module, others)
    text = signed("nested_kvm", f"options {module} nested={int(bool(wanted))}\n")
    settings = plan_settings(host, _RECORD, Settings({} if wanted is None else {_FILE: text}))
    later = _set(others) if wanted is None else wanted
    reload = plan_reload(host, {f"{module}.nested": str(int(later))} if module else {})
    return NestedPlan(module, settings, later, nested(host, module), reload)


def _check(host: Host, module: str | None, others: t.Mapping[str, str]) -> None:
    if module is None and read_features(host).vendor == "arm":
        message = "on arm this is a kernel argument, of CPUs that can: write kvm-arm.mode=nested to kernel_cmdline"
        raise DeclarationError([Problem("enabled", message)])
    if module is None:
        message = "this host's CPU cannot run guests (no vmx or svm), or its firmware has that switched off"
        raise DeclarationError([Problem("enabled", f"{message}: switch it on there, or leave this out")])
    if others:
        message = f"{next(iter(others))} sets nested of {module} already: let one of them set it"
        raise DeclarationError([Problem("enabled", message)])


def _set(files: t.Mapping[str, str]) -> bool:
    """What modprobe gives the module: of files in several folders the last by its name counts."""
    last = max(files, key=basename, default=None)
    return last is None or files[last] not in ("0", "N", "n")


def apply_nested(host: Host, plan: NestedPlan) -> bool | None:
    """Write the option, and have the module read it. :returns: whether guests may now: somebody may use it meanwhile.

    :raises RtvirtError: where the module does not come back.
    """

    def tell() -> None:
        # A run that was cut off may have left the module out.
        if plan.module and (plan.reload.module or (plan.settings.unfinished and plan.now is None)):
            load_anew(host, plan.module)

    if plan.changed:
        apply_settings(host, plan.settings, tell)
    return nested(host, plan.module)


def nested(host: Host, module: str | None) -> bool | None:
    """Whether nesting is on now, None where the module is not loaded."""
    return loaded_value(host, f"{module}.nested") == "1" if module and is_loaded(host, module) else None
