#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible module rtvirt.core.default_kernel."""

from __future__ import annotations

DOCUMENTATION = r"""
module: default_kernel
short_description: Set which installed kernel boots
version_added: 0.1.0
author:
  - The rtvirt.core authors (@rtvirt)
description:
  - Makes an installed kernel the one that boots, such as the newest real-time kernel.
  - It installs no kernel and never reboots. Whether another kernel runs than the one that is set is in
    RV(reboot_required).
options:
  kernel:
    description:
      - A release as C(uname -r) has it, or V(realtime) for the newest installed kernel with C(CONFIG_PREEMPT_RT).
      - Needed with O(state=present).
    type: str
  state:
    description:
      - V(absent) brings back the choice that there was before.
    type: str
    choices: [present, absent]
    default: present
notes:
  - Known are GRUB of Debian and Ubuntu, and C(grubby).
  - A newer real-time kernel is chosen by the next run after it was installed.
attributes:
  check_mode:
    support: full
    description: Nothing is written.
  diff_mode:
    support: full
    description: The kernel that boots, before and after.
"""

EXAMPLES = r"""
- name: Boot the real-time kernel from now on
  rtvirt.core.default_kernel:
    kernel: realtime
"""

RETURN = r"""
kernel:
  description: The release that is set to boot, null where that is left to the boot loader.
  type: str
  returned: success
  sample: 6.1.0-28-rt-amd64
running:
  description: The release that runs.
  type: str
  returned: success
  sample: 6.1.0-28-amd64
reboot_required:
  description: Whether another one runs than the one that is set.
  type: bool
  returned: success
  sample: true
"""

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.finding import find_bootloader
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.kernels import read_kernels
from ansible_collections.rtvirt.core.plugins.module_utils._host.record import read_record, record_changes
from ansible_collections.rtvirt.core.plugins.module_utils._host.task import run_on_host

ARGUMENTS: dict[str, t.Any] = {
    "kernel": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}

_RECORD = "default_kernel"


def chosen(host: Host, wanted: str | None) -> str:
    """The release that is meant. :raises DeclarationError: for one that is not installed."""
    kernels = read_kernels(host)
    installed = ", ".join(kernel.release for kernel in kernels) or "none"
    if wanted is None:
        raise DeclarationError([Problem("kernel", "is missing: write a release, or realtime")])
    if wanted == "realtime":
        realtime = [kernel.release for kernel in kernels if kernel.realtime]
        if not realtime:
            message = f"no real-time kernel is installed (linux-image-rt-amd64, kernel-rt); installed: {installed}"
            raise DeclarationError([Problem("kernel", message)])
        return realtime[-1]
    if wanted not in [kernel.release for kernel in kernels]:
        raise DeclarationError([Problem("kernel", f"{wanted!r} is not installed; installed: {installed}")])
    return wanted


def converge(params: t.Mapping[str, t.Any], check_mode: bool, host: Host) -> dict[str, t.Any]:
    """Set the kernel that boots, or bring back the choice of before."""
    record = read_record(host, _RECORD)
    absent = params["state"] == "absent"
    if absent and params["kernel"] is not None:
        raise DeclarationError([Problem("kernel", "is nothing that state: absent needs: leave it out")])
    release = None if absent else chosen(host, params["kernel"])
    running = host.word("/proc/sys/kernel/osrelease")
    if absent and not record:
        return {"changed": False, "kernel": None, "running": running, "reboot_required": False, "diff": []}
    bootloader = find_bootloader(host)
    before = bootloader.default_kernel()
    after = record["before"] if absent else release
    kept = {} if absent else {"set": release, "before": record["before"] if record else before}
    recorded = record_changes(host, _RECORD, kept)
    if before != after and not check_mode:
        steps = bootloader.default_steps(after)
        # Ours first: what is interrupted can be brought back.
        host.apply(record_changes(host, _RECORD, kept or record))
        host.apply(steps.files)
        host.must_run(*steps.command)
    if not check_mode:
        host.apply(recorded)
    text = {"before": f"{before or 'left to the boot loader'}\n", "after": f"{after or 'left to the boot loader'}\n"}
    header = {"before_header": "the kernel that boots", "after_header": "the kernel that boots"}
    return {
        "changed": before != after or bool(recorded),
        "kernel": after,
        "running": running,
        "reboot_required": running == record.get("set") if absent else running != after,
        "diff": [{**header, **text}] if before != after else [],
    }


def main() -> None:
    run_on_host(ARGUMENTS, converge)


if __name__ == "__main__":
    main()
