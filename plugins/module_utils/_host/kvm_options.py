# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of KVM's modules: which ones the loaded modules have, and when they read those of modprobe.d.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: ``modprobe(8)``: options are given to a module when it is loaded, and ``modprobe -r`` also takes out what
nothing uses any more. ``kvm_intel`` and ``kvm_amd`` use ``kvm``, which so goes and comes with them.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host

__all__ = ["Reload", "cpus_module", "is_loaded", "load_anew", "loaded_value", "plan_reload"]

#: A CPU's flag -> its module, of which a host loads one.
_MODULES = {"vmx": "kvm_intel", "svm": "kvm_amd"}


@dataclass(frozen=True)
class Reload:
    """What has loaded modules read their options.

    :ivar behind: options (``kvm_intel.nested``) that are loaded with other values.
    :ivar module: the one that is loaded anew, None where there is no need, or something uses it.
    """

    behind: tuple[str, ...]
    module: str | None

    @property
    def waiting(self) -> tuple[str, ...]:
        """The options that come with the next boot alone."""
        return () if self.module else self.behind


def is_loaded(host: Host, module: str) -> bool:
    return host.exists(f"/sys/module/{module}")


def loaded_value(host: Host, option: str) -> str | None:
    """What an option is now, None where its module is not loaded. A switch is 1 or 0, as the kernel may say Y or N."""
    module, _dot, name = option.partition(".")
    text = host.read(f"/sys/module/{module}/parameters/{name}")
    return None if text is None else {"Y": "1", "N": "0"}.get(text.strip(), text.strip())


def plan_reload(host: Host, wanted: t.Mapping[str, str], gone: t.Mapping[str, str] | None = None) -> Reload:
    """:arg wanted: the options that modprobe.d has, or will have; ``gone`` those that it will have no more."""
    behind = [name for name, value in wanted.items() if loaded_value(host, name) not in (None, value)]
    behind += [name for name, value in (gone or {}).items() if name not in wanted and loaded_value(host, name) == value]
    return Reload(tuple(behind), _unused(host, {name.partition(".")[0] for name in behind}))


def _unused(host: Host, modules: t.Collection[str]) -> str | None:
    """What takes these modules out, None where one of them is used. One that is built in has no count of its users."""
    if not modules:
        return None
    top = next((name for name in _MODULES.values() if is_loaded(host, name)), "kvm")
    others = {*host.names("/sys/module/kvm/holders")} - {top} if "kvm" in modules else set()
    return top if host.word(f"/sys/module/{top}/refcnt") == "0" and not others else None


def load_anew(host: Host, module: str) -> None:
    """Have a module read its options. Somebody may have come to use it meanwhile, and then it stays as it is.

    :raises RtvirtError: where it does not come back.
    """
    if is_loaded(host, module) and host.run("modprobe", "-r", module).status:
        return
    ran = host.run("modprobe", module)
    if ran.status:
        raise RtvirtError(f"{module} was taken out and does not come back: {ran.errors.strip()}")


def cpus_module(host: Host) -> str | None:
    """The module of this host's CPU, None for one that cannot run guests."""
    flags = re.search(r"^flags\s*:(.*)$", host.read("/proc/cpuinfo") or "", re.MULTILINE)
    known = flags[1].split() if flags else []
    return next((module for flag, module in _MODULES.items() if flag in known), None)
