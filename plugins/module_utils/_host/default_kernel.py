# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for the kernel that boots: which one, and how the boot loader is told.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.boot_entries import Steps
from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.finding import find_bootloader
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import FileChange, Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.kernels import Kernel, read_kernels
from ansible_collections.rtvirt.core.plugins.module_utils._host.record import (
    read_record,
    record_changes,
    recorded_around,
)

__all__ = ["DefaultKernelPlan", "apply_default_kernel", "plan_default_kernel"]

_RECORD = "default_kernel"


@dataclass(frozen=True)
class DefaultKernelPlan:
    """What has another kernel boot.

    :ivar before: the release that is set, None where that is left to the boot loader; ``after`` the one that shall be.
    :ivar running: the release that runs.
    :ivar steps: how the boot loader is told, None where it need not be.
    :ivar record: what our record will say.
    :ivar remarks: what the user should know.
    """

    before: str | None
    after: str | None
    running: str
    reboot_required: bool
    steps: Steps | None
    record: dict[str, t.Any]
    recorded: tuple[FileChange, ...]
    remarks: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        return self.steps is not None or bool(self.recorded)


def plan_default_kernel(host: Host, wanted: str | None) -> DefaultKernelPlan:
    """:arg wanted: a release, ``realtime`` for the newest real-time kernel, or None for the choice before ours.

    :raises DeclarationError: for a kernel that is not installed.
    :raises RtvirtError: for a boot loader that cannot be told.
    """
    record = read_record(host, _RECORD)
    running = host.word("/proc/sys/kernel/osrelease")
    after = record.get("before") if wanted is None else _release(host, wanted)
    if wanted is None and not record:
        return DefaultKernelPlan(None, None, running, False, None, {}, ())
    bootloader = find_bootloader(host)
    before = bootloader.default_kernel()
    kept: dict[str, t.Any] = {}
    if wanted is None or after is None:
        restored = bootloader.restored_steps(after)
        steps = restored if before != after or restored.files else None
    else:
        kept = {"set": after, "before": record.get("before", before)}
        steps = bootloader.default_steps(after) if before != after else None
    return DefaultKernelPlan(
        before=before,
        after=after,
        running=running,
        reboot_required=running == record.get("set") if wanted is None else running != after,
        steps=steps,
        record=kept,
        recorded=record_changes(host, _RECORD, kept),
        remarks=_remarks(host, after) if wanted is not None else (),
    )


def apply_default_kernel(host: Host, plan: DefaultKernelPlan) -> None:
    """Have the boot loader told. :raises RtvirtError: where its tool fails."""
    with recorded_around(host, plan.record, plan.recorded):
        if plan.steps is not None:
            host.apply(plan.steps.files)
            bootloader = find_bootloader(host)
            bootloader.bring_in(plan.steps)
            host.settle("/boot")
            found = bootloader.default_kernel()
            if plan.record and found != plan.after:
                raise RtvirtError(
                    f"{bootloader.name} was told to boot {plan.after}, and is to boot {found or 'its own choice'}"
                )


def _remarks(host: Host, release: str | None) -> tuple[str, ...]:
    """Linux, arch/x86/kvm/x86.c, at KVM's start: "RT requires X86_FEATURE_CONSTANT_TSC"."""
    realtime = any(kernel.realtime for kernel in read_kernels(host) if kernel.release == release)
    flags = re.search(r"^flags\s*:(.*)$", host.read("/proc/cpuinfo") or "", re.MULTILINE)
    if not realtime or flags is None or "constant_tsc" in flags[1].split():
        return ()
    return ("KVM will not start: with a real-time kernel it needs a CPU with constant_tsc, which this one has not",)


def _release(host: Host, wanted: str) -> str:
    kernels = read_kernels(host)
    installed = f"installed: {', '.join(kernel.release for kernel in kernels) or 'none'}"
    if wanted == "realtime":
        fitting = _newest_last([kernel for kernel in kernels if kernel.realtime], host)
        message = f"no real-time kernel is installed (Debian's linux-image-rt, kernel-rt); {installed}"
    else:
        fitting = [kernel.release for kernel in kernels if kernel.release == wanted]
        message = f"{wanted!r} is not installed; {installed}"
    if not fitting:
        raise DeclarationError([Problem("kernel", message)])
    return fitting[-1]


def _newest_last(kernels: list[Kernel], host: Host) -> list[str]:
    """Releases, the one to take last: a plain kernel, or one as runs now, before one for debugging or larger pages."""
    runs = Kernel(host.word("/proc/sys/kernel/osrelease"), realtime=False).flavour
    kernels = sorted(kernels, key=lambda kernel: (kernel.flavour == runs, not kernel.flavour, kernel.order))
    return [kernel.release for kernel in kernels]
