#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible module rtvirt.core.nested_kvm."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nested_kvm
short_description: Let guests of KVM run guests of their own
version_added: 0.1.0
author:
  - The rtvirt.core authors (@rtvirt)
description:
  - Sets C(nested) of C(kvm_intel) or C(kvm_amd), for good, and now where nothing uses the module.
  - It never stops a guest. Where one runs, the setting counts after the next boot; see RV(reboot_required).
  - A guest needs the CPU feature too, C(cpu_model=host-passthrough) or C(vmx) or C(svm) in C(cpu_features).
options:
  enabled:
    description:
      - Whether guests may.
    type: bool
    default: true
  state:
    description:
      - V(absent) leaves it to other files of modprobe.d, or to the kernel's own default, which is yes since Linux 4.20.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    support: full
    description: Nothing is written. That somebody starts to use the module meanwhile cannot be foreseen.
  diff_mode:
    support: full
    description: The file that is written.
"""

EXAMPLES = r"""
- name: Guests may run guests
  rtvirt.core.nested_kvm:
  register: nesting

- name: Say where a reboot is needed
  ansible.builtin.debug:
    msg: A guest runs, and nesting comes with the next boot
  when: nesting.reboot_required
"""

RETURN = r"""
module:
  description: KVM's module of this host's CPU, null where it cannot run guests.
  type: str
  returned: success
  sample: kvm_intel
nested:
  description: Whether guests may now, null where the module is not loaded.
  type: bool
  returned: success
  sample: true
reboot_required:
  description: Whether the setting waits for the next boot, as something uses the module.
  type: bool
  returned: success
  sample: false
"""

from ansible_collections.rtvirt.core.plugins.module_utils._host.task import run_on_host
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks.nested_kvm import ARGUMENTS, plan


def main() -> None:
    run_on_host(ARGUMENTS, plan)


if __name__ == "__main__":
    main()
