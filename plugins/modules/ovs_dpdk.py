#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible module rtvirt.core.ovs_dpdk."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ovs_dpdk
short_description: Run Open vSwitch with DPDK
version_added: 0.1.0
author:
  - The rtvirt.core authors (@rtvirt)
description:
  - Sets how Open vSwitch uses DPDK, all settings in one transaction, and looks whether DPDK is initialised.
  - Huge pages and CPUs are checked before anything is written, as a switch whose DPDK cannot be initialised ends, and
    the host's network with it. Where that happens all the same, the switch gets its former settings back and is
    started.
  - Settings that are not declared any more are unset; those that others have set stay.
  - Open vSwitch must be installed and run; the role P(rtvirt.core.ovs_dpdk#role) installs it. On Debian and Ubuntu
    the program with DPDK is chosen by update-alternatives.
  - Bridges and ports are M(rtvirt.core.ovs_bridges).
options:
  dpdk_init:
    description:
      - Whether DPDK is initialised. With V(true) a switch that cannot do so ends, with V(try) it goes on without.
    type: str
    choices: ['true', 'try', 'false']
    default: 'true'
  socket_mem:
    description:
      - Memory of huge pages for each NUMA node, in MiB, in the order of the nodes (C(dpdk-socket-mem)).
      - Without it DPDK takes pages as ports need them.
    type: list
    elements: int
  pmd_cpus:
    description:
      - CPUs whose poll threads move the packets, such as V(2-3,10-11) or V(2-5,^4) (C(pmd-cpu-mask)). A poll thread
        takes its CPU as a whole.
      - Open vSwitch has one for each NUMA node where nothing is said.
    type: str
  lcore_cpus:
    description:
      - CPUs of the other threads (C(dpdk-lcore-mask)). Better left out, as all of them are on the first of these
        CPUs.
    type: str
  extra:
    description:
      - More arguments for DPDK, as one text (C(dpdk-extra)), such as V(-a 0000:3b:00.0 --log-level=pmd:info).
    type: str
  other_config:
    description:
      - More settings by their own names, such as C(vhost-iommu-support), C(userspace-tso-enable), C(pmd-auto-lb) or
        C(pmd-sleep-max), which is written by the name that the version has.
    type: dict
    default: {}
  allow_restart:
    description:
      - Start the switch anew where a setting needs that. Without it such a setting is written, and
        RV(restart_required) says so.
      - DPDK that is not initialised yet needs no restart.
    type: bool
    default: false
  disconnect_guests:
    description:
      - Restart also where guests are connected to vhost-user ports. They go on, without a network until the switch is
        back.
    type: bool
    default: false
  wait_timeout:
    description:
      - Seconds for the switch to do what it is told.
    type: int
    default: 60
  state:
    description:
      - V(absent) unsets what was set, and has the distribution's choice of the program back.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    support: full
    description: Nothing is written. Whether DPDK can be initialised is checked as far as memory and CPUs go.
  diff_mode:
    support: full
    description: C(other_config) before and after.
seealso:
  - module: rtvirt.core.ovs_bridges
  - module: rtvirt.core.hugepages
"""

EXAMPLES = r"""
- name: DPDK with 1 GiB on each of two nodes, and two poll threads on each
  rtvirt.core.ovs_dpdk:
    socket_mem: [1024, 1024]
    pmd_cpus: 2-3,10-11
    other_config:
      pmd-auto-lb: true
    allow_restart: true

- name: No DPDK any more, from the next start on
  rtvirt.core.ovs_dpdk:
    state: absent
"""

RETURN = r"""
other_config:
  description: All settings of the switch after the task, those of others among them.
  type: dict
  returned: success
  sample: {dpdk-init: 'true', dpdk-socket-mem: '1024,1024', pmd-cpu-mask: '0xc0c'}
restart_required:
  description: Whether the switch that runs has older settings, until it is started anew.
  type: bool
  returned: success
  sample: false
restarted:
  description: Whether the task has started it anew.
  type: bool
  returned: success
  sample: true
dpdk_initialized:
  description: Whether DPDK is initialised, as the switch says.
  type: bool
  returned: success
  sample: true
dpdk_version:
  description: The version of DPDK, none where it is not initialised.
  type: str
  returned: success
  sample: DPDK 22.11.11
ovs_version:
  description: The version of Open vSwitch.
  type: str
  returned: success
  sample: 3.1.0
"""

from ansible_collections.rtvirt.core.plugins.module_utils._host.task import run_on_host
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks.ovs_dpdk import ARGUMENTS, plan


def main() -> None:
    run_on_host(ARGUMENTS, plan)


if __name__ == "__main__":
    main()
