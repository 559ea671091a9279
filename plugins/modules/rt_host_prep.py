#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible module rtvirt.core.rt_host_prep."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rt_host_prep
short_description: Prepare a host's CPUs for real-time or DPDK virtual machines
version_added: 0.1.0
author:
  - The rtvirt.core authors (@rtvirt)
description:
  - Divides the CPUs of this host into those that are for virtual machines alone and those that keep house, and sets
    what keeps everything else away from the former.
  - It writes no kernel arguments itself. Give RV(kernel_args) to M(rtvirt.core.kernel_cmdline), or use
    M(rtvirt.core.host), which does both.
options:
  isolated_cpus:
    description:
      - CPUs for virtual machines alone, as a list such as V(2-7,10-15) or V(^0,^1), which is all others.
      - With V(auto) all but the first cores of each NUMA node, see O(housekeeping_cores).
      - Without it all that O(housekeeping_cpus) does not name.
    type: str
  housekeeping_cpus:
    description:
      - CPUs for the host itself, in the same way. Without it all that are not isolated.
    type: str
  housekeeping_cores:
    description:
      - With V(auto), how many cores of each NUMA node keep house.
    type: int
    default: 1
  split_cores:
    description:
      - Allow that CPUs of one core (hyper-threads) are on both sides. They slow each other down.
    type: bool
    default: false
  workload:
    description:
      - V(realtime) keeps the scheduler's balancing and every timer away from isolated CPUs, and lets real-time tasks
        run without a limit. V(dpdk) does without both, for threads that only have to be left alone.
    type: str
    choices: [realtime, dpdk]
    default: realtime
  tuned_profile:
    description:
      - Have TuneD do all of it, by a profile such as V(realtime-virtual-host) or V(cpu-partitioning). One above it,
        C(rtvirt), has the CPUs, and is made the active one. O(workload) counts no more, and what was set here before
        without TuneD is undone.
      - The kernel arguments are TuneD's then, and RV(kernel_args) is empty. On Debian and Ubuntu, where TuneD does not
        find the boot menu, that is made anew with them.
    type: str
  state:
    description:
      - V(absent) removes what was written, and brings back what the kernel had before.
    type: str
    choices: [present, absent]
    default: present
notes:
  - A host whose TuneD profile does this already is left to TuneD, with an error that says so. It is one or the other.
  - With O(tuned_profile), check mode tells RV(reboot_required) by the kernel arguments that TuneD wants now, as it
    alone knows the new ones.
  - What is written for systemd and irqbalance counts after the next boot.
attributes:
  check_mode:
    support: full
    description: Nothing is written. The result is that of the real run.
  diff_mode:
    support: full
    description: The files that are written, and the kernel's settings before and after.
"""

EXAMPLES = r"""
- name: All CPUs but the first core of each NUMA node for real-time virtual machines
  rtvirt.core.rt_host_prep:
    isolated_cpus: auto
  register: realtime

- name: The kernel's part of it
  rtvirt.core.kernel_cmdline:
    owner: realtime
    args: "{{ realtime.kernel_args }}"

- name: The same by TuneD
  rtvirt.core.rt_host_prep:
    isolated_cpus: auto
    tuned_profile: realtime-virtual-host

- name: Show why
  ansible.builtin.debug:
    var: realtime.reasons
"""

RETURN = r"""
isolated_cpus:
  description: CPUs for virtual machines alone.
  type: str
  returned: when state is present
  sample: 2-7,10-15
housekeeping_cpus:
  description: CPUs for the host itself.
  type: str
  returned: when state is present
  sample: 0-1,8-9
kernel_args:
  description: The kernel's arguments that belong to it.
  type: list
  elements: str
  returned: success
  sample: ['isolcpus=managed_irq,domain,2-7', nohz_full=2-7]
reasons:
  description: Why each of the arguments is there.
  type: dict
  returned: when state is present
  sample: {nohz_full=2-7: no timer tick while one task runs}
reboot_required:
  description:
    - Whether KVM is loaded with other options, and something uses it. Where nothing does, it is loaded anew. That
      options which go need a boot is told by the run that takes them away.
    - With O(tuned_profile), whether the kernel that runs lacks arguments that TuneD wants. Without it the boot entries
      are those of M(rtvirt.core.kernel_cmdline), which tells of them.
  type: bool
  returned: success
  sample: false
"""

from ansible_collections.rtvirt.core.plugins.module_utils._host.task import run_on_host
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks.rt_host_prep import ARGUMENTS, plan


def main() -> None:
    run_on_host(ARGUMENTS, plan)


if __name__ == "__main__":
    main()
