#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible module rtvirt.core.watchdog."""

from __future__ import annotations

DOCUMENTATION = r"""
module: watchdog
short_description: Have a watchdog fed, in a guest or on a host
version_added: 0.1.0
author:
  - The rtvirt.core authors (@rtvirt)
description:
  - A watchdog resets a machine that does not feed it any more. The device alone does nothing; this has it fed by
    systemd or by the daemon C(watchdog), and looks whether it really is.
  - In a guest the device is a part of the VM's declaration (O(rtvirt.core.libvirt_vm#module:watchdog)), and so is what
    happens when it is not fed.
options:
  feeder:
    description:
      - V(systemd) feeds as long as systemd itself goes on. V(daemon) is C(watchdog), which can look at more, see
        O(tests); its package must be installed.
    type: str
    choices: [systemd, daemon]
    default: systemd
  identity:
    description:
      - Which watchdog, by the identity of its driver, such as V(i6300ESB*). Needed where there are several.
    type: str
  driver:
    description:
      - Kernel module to load for it, now and at boot, such as V(i6300esb). Most load by themselves.
    type: str
  timeout:
    description:
      - Seconds without food until the machine is reset.
    type: int
    default: 30
  interval:
    description:
      - Seconds between two meals by the daemon. systemd takes half of O(timeout).
    type: int
    default: 10
  reboot_timeout:
    description:
      - Seconds that a reboot may take before the watchdog ends it. Only of systemd.
    type: int
    default: 600
  tests:
    description:
      - Further keys of C(watchdog.conf), such as C(max-load-1) or C(ping). The daemon stops feeding where one fails.
    type: dict
    default: {}
  state:
    description:
      - V(absent) stops the feeding, disarms the watchdog, and removes what was written.
    type: str
    choices: [present, absent]
    default: present
notes:
  - One feeder only. Where another one feeds already, that is an error.
  - Needs systemd.
attributes:
  check_mode:
    support: full
    description: Nothing is written, and no driver is loaded.
  diff_mode:
    support: full
    description: The files that are written.
"""

EXAMPLES = r"""
- name: Reset this guest when it hangs
  rtvirt.core.watchdog:
    identity: i6300ESB*

- name: The same by the daemon, and when its load is too high
  rtvirt.core.watchdog:
    identity: i6300ESB*
    feeder: daemon
    tests:
      max-load-1: 48
"""

RETURN = r"""
watchdogs:
  description: The watchdogs of this machine after the task. C(holders) are the programs that have one open.
  type: list
  elements: dict
  returned: success
  sample:
    - {name: watchdog0, identity: i6300ESB timer, active: true, timeout: 30, holders: [systemd (1)]}
"""

from ansible_collections.rtvirt.core.plugins.module_utils._host.task import run_on_host
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks.watchdog import ARGUMENTS, plan


def main() -> None:
    run_on_host(ARGUMENTS, plan)


if __name__ == "__main__":
    main()
