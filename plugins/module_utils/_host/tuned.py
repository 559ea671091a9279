# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""TuneD instead of settings of our own: a profile of ours above one of TuneD's, and the profile that is active.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: TuneD 2.20 to 2.28. A profile's variables go before those of the one that it includes. Its bootloader plugin
writes what it wants of the kernel to ``/etc/tuned/bootcmdline``, and into the boot entries where it finds the files of
Red Hat's GRUB (``consts.GRUB2_CFG_FILES``), boot loader specification entries, or an ostree deployment. On Debian it
finds none of them: ``/etc/grub.d/00_tuned`` has it in the menu that somebody makes anew.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import FileChange, Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.kernel_arguments import split
from ansible_collections.rtvirt.core.plugins.module_utils._host.record import (
    read_record,
    record_changes,
    recorded_around,
    signed,
)

__all__ = [
    "TunedPlan",
    "active_profile",
    "apply_tuned",
    "boot_arguments",
    "plan_tuned",
    "profile_files",
]

_PROFILE = "rtvirt"
_RECORD = "tuned"
_FOLDERS = ("/etc/tuned/profiles", "/etc/tuned", "/usr/lib/tuned/profiles", "/usr/lib/tuned")
_MENU = "/boot/grub/grub.cfg"
_IN_MENU = re.compile(r'^set tuned_params="(.*)"$', re.MULTILINE)
_CMDLINE = re.compile(r"^TUNED_BOOT_CMDLINE=(['\"]?)(.*)\1$", re.MULTILINE)


@dataclass(frozen=True)
class TunedPlan:
    """What has TuneD's profile be ours, or the one of before.

    :ivar before: the profile that is active, empty for none; ``after`` the one that shall be.
    :ivar automatic: whether TuneD is to choose it.
    :ivar stale: whether GRUB's menu is to be made anew at least.
    :ivar record: what our record will say: ``first``, the profile of before the first run, and whether TuneD chose it.
    """

    before: str
    after: str
    automatic: bool
    stale: bool
    record: dict[str, t.Any]
    recorded: tuple[FileChange, ...]

    @property
    def changed(self) -> bool:
        return self.before != self.after or self.stale or bool(self.recorded)


def active_profile(host: Host) -> str:
    """TuneD's profile, empty for none, or without TuneD."""
    return host.word("/etc/tuned/active_profile")


def boot_arguments(host: Host) -> list[str]:
    """What TuneD wants on the kernel's command line."""
    wanted = _CMDLINE.search(host.read("/etc/tuned/bootcmdline") or "")
    return split(wanted[2]) if wanted else []


def _menu_is_stale(host: Host) -> bool:
    """Whether GRUB's menu lacks what TuneD wants of the kernel, or has it no more."""
    if not (host.exists("/etc/grub.d/00_tuned") and host.has_tool("update-grub")):
        return False
    shown = _IN_MENU.search(host.read(_MENU) or "")
    return (split(shown[1]) if shown else []) != boot_arguments(host)


def profile_files(host: Host, base: str, isolated: str) -> dict[str, str]:
    """path -> text of a profile that is another one with its CPUs.

    :arg base: ``realtime-virtual-host``, ``cpu-partitioning`` or another that has ``isolated_cores``.
    :raises DeclarationError: where TuneD or the profile is not installed.
    """
    if not host.has_tool("tuned-adm"):
        raise DeclarationError([Problem("tuned_profile", "TuneD is not installed: install the package tuned")])
    profiles = {
        name for folder in _FOLDERS for name in host.names(folder) if host.exists(f"{folder}/{name}/tuned.conf")
    }
    if base not in profiles:
        message = (
            f"there is no profile {base!r} here: install its package, or take one of {', '.join(sorted(profiles))}"
        )
        raise DeclarationError([Problem("tuned_profile", message)])
    text = (
        f"[main]\nsummary=Virtual machines on isolated CPUs\ninclude={base}\n\n"
        f"[variables]\nisolated_cores={isolated}\nisolate_managed_irq=Y\n"
    )
    # Since 2.23 a user's profiles have a folder of their own.
    folder = _FOLDERS[0] if host.exists(_FOLDERS[0]) else _FOLDERS[1]
    return {f"{folder}/{_PROFILE}/tuned.conf": signed("rt_host_prep", text)}


def plan_tuned(host: Host, *, ours: bool) -> TunedPlan:
    """:arg ours: whether our profile is to be active, otherwise the one of before."""
    first, before = read_record(host, _RECORD).get("first"), active_profile(host)
    found = first or {"profile": before, "automatic": host.word("/etc/tuned/profile_mode") == "auto"}
    kept = {"first": found} if ours else {}
    return TunedPlan(
        before=before,
        after=_PROFILE if ours else found["profile"],
        automatic=not ours and found["automatic"],
        stale=(ours or first is not None) and _menu_is_stale(host),
        record=kept,
        recorded=record_changes(host, _RECORD, kept),
    )


def apply_tuned(host: Host, plan: TunedPlan) -> None:
    """Have TuneD take the profile. :raises RtvirtError: where it does not."""
    profile = ("auto_profile",) if plan.automatic else ("profile", *plan.after.split()) if plan.after else ("off",)
    with recorded_around(host, plan.record, plan.recorded):
        host.must_run("tuned-adm", *profile)
        if not plan.automatic and active_profile(host) != plan.after:
            raise RtvirtError(f"TuneD was told to take {plan.after or 'no profile'}, and has {active_profile(host)!r}")
        if _menu_is_stale(host):
            host.must_run("update-grub")
            host.settle("/boot")
