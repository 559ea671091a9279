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
  - KVM does not start with a real-time kernel on a CPU without C(constant_tsc), as most emulated ones are. There is a
    warning then.
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

from ansible_collections.rtvirt.core.plugins.module_utils._host.task import run_on_host
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks.default_kernel import ARGUMENTS, plan


def main() -> None:
    run_on_host(ARGUMENTS, plan)


if __name__ == "__main__":
    main()
