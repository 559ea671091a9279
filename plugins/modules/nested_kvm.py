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
      - V(absent) leaves it to the kernel's own default, which is yes since Linux 4.20.
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
  description: KVM's module of this host's CPU.
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

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.kvm import (
    is_in_use,
    kvm_module,
    load_anew,
    nested,
    set_elsewhere,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.settings import Settings, apply_settings, plan_settings
from ansible_collections.rtvirt.core.plugins.module_utils._host.task import diff_of, run_on_host

ARGUMENTS: dict[str, t.Any] = {
    "enabled": {"type": "bool", "default": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}

_RECORD = "nested_kvm"
_FILE = "/etc/modprobe.d/zz-rtvirt-nested.conf"
_HEAD = "# Written by rtvirt.core.nested_kvm, which also removes it (state: absent).\n"


def converge(params: t.Mapping[str, t.Any], check_mode: bool, host: Host) -> dict[str, t.Any]:
    """Set whether guests may run guests, and have the module read it where nothing uses it."""
    module = kvm_module(host)
    other = set_elsewhere(host, module, _FILE)
    if other is not None and params["state"] == "present":
        raise DeclarationError([Problem("enabled", f"{other} sets nested of {module} already: let one of them set it")])
    text = f"{_HEAD}options {module} nested={int(params['enabled'])}\n"
    plan = plan_settings(host, _RECORD, Settings({_FILE: text} if params["state"] == "present" else {}))
    # The kernel's own default is yes.
    wanted = params["enabled"] or params["state"] == "absent"
    now = nested(host, module)
    reloads = now not in (None, wanted) and not is_in_use(host, module)
    if not check_mode:
        if plan.changed:
            apply_settings(host, plan)
        reloads = reloads and load_anew(host, module)
        now = nested(host, module)
    elif reloads:
        now = wanted
    return {
        "changed": plan.changed or reloads,
        "module": module,
        "nested": now,
        "reboot_required": now not in (None, wanted),
        "diff": diff_of(plan.files),
    }


def main() -> None:
    run_on_host(ARGUMENTS, converge)


if __name__ == "__main__":
    main()
