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
from ansible_collections.rtvirt.core.plugins.module_utils._host.default_kernel import (
    apply_default_kernel,
    plan_default_kernel,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.task import difference, run_on_host

ARGUMENTS: dict[str, t.Any] = {
    "kernel": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def converge(params: t.Mapping[str, t.Any], check_mode: bool, host: Host) -> dict[str, t.Any]:
    """Set the kernel that boots, or bring back the choice of before."""
    wanted, absent = params["kernel"], params["state"] == "absent"
    if absent and wanted is not None:
        raise DeclarationError([Problem("kernel", "is nothing that state: absent needs: leave it out")])
    if wanted is None and not absent:
        raise DeclarationError([Problem("kernel", "is missing: write a release, or realtime")])
    plan = plan_default_kernel(host, wanted)
    if plan.changed and not check_mode:
        apply_default_kernel(host, plan)
    texts = (f"{release or 'left to the boot loader'}\n" for release in (plan.before, plan.after))
    return {
        "changed": plan.changed,
        "kernel": plan.after,
        "running": plan.running,
        "reboot_required": plan.reboot_required,
        "diff": difference("the kernel that boots", *texts),
    }


def main() -> None:
    run_on_host(ARGUMENTS, converge)


if __name__ == "__main__":
    main()
