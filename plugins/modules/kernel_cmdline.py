#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible module rtvirt.core.kernel_cmdline."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_cmdline
short_description: Set kernel arguments in every boot entry
version_added: 0.1.0
author:
  - The rtvirt.core authors (@rtvirt)
description:
  - Sets arguments of the kernel's command line for the next boot, in every boot entry of this host but those for
    recovery.
  - What it has set it knows, and can unset. What others have set stays as it is.
  - It never reboots. Whether a reboot is needed is in RV(reboot_required).
options:
  args:
    description:
      - The arguments, each C(name) or C(name=value), in their order. All that O(owner) declares on this host is
        here; what it declared before and does not any more is removed.
      - A name may be there more than once where the kernel has a meaning for it (C(console), C(hugepagesz), …).
      - An argument that others have set with another value is an error, as the kernel takes one of them.
    type: list
    elements: str
    default: []
  state:
    description:
      - V(present) has the arguments beside those of others, V(absent) removes what the owner has set.
      - V(exact) leaves nothing but the arguments, what the boot loader itself puts there, and what the initial RAM disk
        finds the root by (C(root), C(resume), C(rd.luks.uuid), C(rd.lvm.lv), C(ip) and the like).
        What it removes comes back with V(present) or V(absent).
    type: str
    choices: [present, absent, exact]
    default: present
  owner:
    description:
      - Whose arguments these are. Tasks with different owners do not touch each other's.
    type: str
    default: rtvirt
notes:
  - "Boot loaders: GRUB of Debian and Ubuntu (a drop-in in C(/etc/default/grub.d), C(update-grub)), C(grubby) (Red Hat
    Enterprise Linux, Fedora), GRUB with C(grub2-mkconfig) alone, and C(rpm-ostree). Any other is refused by its name."
  - With C(grubby) what the entries of new kernels are made of is compared and written like an entry, that is
    C(/etc/kernel/cmdline) and C(kernelopts) of grubenv. C(grub2-mkconfig) takes TuneD's variable out of entries, and it
    is put back. C(rpm-ostree) that is busy is waited for, five minutes at most.
  - Values are literal. A character that a boot loader takes for its own syntax is refused.
  - An argument that TuneD sets is refused, as both would write it.
attributes:
  check_mode:
    support: full
    description: Nothing is written. The result is that of the real run.
  diff_mode:
    support: full
    description: The arguments of each boot entry, before and after, and the file that is written.
"""

EXAMPLES = r"""
- name: Isolate CPUs for real-time virtual machines
  rtvirt.core.kernel_cmdline:
    args:
      - isolcpus=managed_irq,domain,2-7
      - nohz_full=2-7
      - rcu_nocbs=2-7
  register: cmdline

- name: Huge pages of two sizes, by another owner
  rtvirt.core.kernel_cmdline:
    owner: hugepages
    args: [hugepagesz=1G, 'hugepages=0:4,1:4', hugepagesz=2M, hugepages=512]

- name: Take back what was set
  rtvirt.core.kernel_cmdline:
    state: absent
"""

RETURN = r"""
bootloader:
  description: What writes the boot entries.
  type: str
  returned: success
  sample: grub
entries:
  description:
    - Each boot entry, and with C(grubby) what those of new kernels are made of, with its arguments after the task.
  type: list
  elements: dict
  returned: success
  sample:
    - {title: 'Debian GNU/Linux, with Linux 6.1.0-28-amd64', args: [root=UUID=1f2e, ro, quiet, nohz_full=2-7]}
running:
  description: Arguments of the kernel that runs.
  type: list
  elements: str
  returned: success
  sample: [BOOT_IMAGE=/vmlinuz-6.1.0-28-amd64, root=UUID=1f2e, ro, quiet]
missing:
  description: What is declared and does not run yet.
  type: list
  elements: str
  returned: success
  sample: [nohz_full=2-7]
leftover:
  description: What runs and is in no boot entry any more.
  type: list
  elements: str
  returned: success
  sample: []
reboot_required:
  description: Whether the kernel runs without something that is declared, by this owner or another, or with a leftover.
  type: bool
  returned: success
  sample: true
"""

from ansible_collections.rtvirt.core.plugins.module_utils._host.task import run_on_host
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks.kernel_cmdline import ARGUMENTS, plan


def main() -> None:
    run_on_host(ARGUMENTS, plan)


if __name__ == "__main__":
    main()
