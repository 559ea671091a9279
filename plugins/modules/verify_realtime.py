#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible module rtvirt.core.verify_realtime."""

from __future__ import annotations

DOCUMENTATION = r"""
module: verify_realtime
short_description: Look whether real time is in force on a host and for its VMs
version_added: 0.1.0
author:
  - The rtvirt.core authors (@rtvirt)
description:
  - Looks at what the kernel has in force, whoever has set it, and fails with all that keeps VMs from real time. It
    changes nothing.
  - "Of the host: a real-time kernel, isolated CPUs, C(nohz_full), no throttling of real-time threads, no NUMA
    balancing, no KSM, the governor C(performance), and no interrupts of devices on isolated CPUs within a second."
  - "Of each real-time VM: vCPUs with a real-time scheduler, each on one isolated CPU that no other thread of a VM may
    run on, and no memory that is swapped out. VMs of KubeVirt on a node count as those of libvirt do."
  - With O(measure) it also measures how late the CPUs wake up.
options:
  vms:
    description:
      - The VMs that are to have real time, by the names that QEMU has (of KubeVirt C(<namespace>_<name>)). By default
        all that have a vCPU with a real-time scheduler.
    type: list
    elements: str
    default: []
  isolated_cpus:
    description:
      - The CPUs that are for real time. By default those that the kernel says are isolated (C(isolcpus), cpusets).
      - Nodes of OpenShift have a load balancer switched off for each pod instead, which the kernel does not tell. There
        write the C(isolated) of the PerformanceProfile.
    type: str
  measure:
    description:
      - Run C(cyclictest) (package C(rt-tests), on Red Hat's systems C(realtime-tests)). It loads the CPUs that it
        measures.
    type: dict
    suboptions:
      seconds:
        description:
          - How long.
        type: int
        default: 60
      limit:
        description:
          - Microseconds that a CPU may be late. More is a finding.
        type: int
      cpus:
        description:
          - CPUs to measure. By default the isolated ones that no real-time vCPU has; never one of these.
        type: str
  report_only:
    description:
      - Return what was found, and do not fail.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: It looks, and does not measure.
  diff_mode:
    support: none
    description: Nothing is changed.
"""

EXAMPLES = r"""
- name: Real time is in force, or this fails
  rtvirt.core.verify_realtime:

- name: And no CPU is more than 30 microseconds late in ten minutes
  rtvirt.core.verify_realtime:
    vms: [rt1, rt2]
    measure:
      seconds: 600
      limit: 30

- name: What there is to say of each host
  rtvirt.core.verify_realtime:
    report_only: true
  register: realtime
"""

RETURN = r"""
passed:
  description: Whether nothing was found.
  type: bool
  returned: always
  sample: false
findings:
  description: What keeps real time from being in force, and what it is about, C(host) or a VM's name.
  type: list
  elements: dict
  returned: always
  sample:
    - {about: rt1, message: 'vCPU 0 (fifo 1) is on CPU 1, which is not isolated'}
isolated:
  description: The isolated CPUs.
  type: str
  returned: always
  sample: 2-7
vms:
  description: The vCPUs of the VMs that were looked at, as the kernel has them.
  type: list
  elements: dict
  returned: always
  sample:
    - name: rt1
      vcpus:
        - {vcpu: 0, cpus: '2', scheduler: fifo, priority: 1}
latencies:
  description: How late each CPU that was measured woke up, in microseconds.
  type: list
  elements: dict
  returned: always
  sample:
    - {cpu: 4, min: 1, avg: 2, max: 9}
"""

from ansible_collections.rtvirt.core.plugins.module_utils._host.task import run_on_host
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks.verify_realtime import ARGUMENTS, plan


def main() -> None:
    run_on_host(ARGUMENTS, plan)


if __name__ == "__main__":
    main()
