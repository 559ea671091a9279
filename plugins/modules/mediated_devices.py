#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible module rtvirt.core.mediated_devices."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mediated_devices
short_description: Make virtual GPUs and other mediated devices
version_added: 0.1.0
author:
  - The rtvirt.core authors (@rtvirt)
description:
  - Makes mediated devices now, and has C(mdevctl) make them after each boot, as soon as the driver of their card is
    there.
  - A VM of M(rtvirt.core.libvirt_vm) has one by O(rtvirt.core.libvirt_vm#module:gpus) or
    O(rtvirt.core.libvirt_vm#module:host_devices), with its UUID as C(mdev).
  - A device that a VM uses is never removed. What others have made stays as it is. One of theirs that is declared here
    just as it is becomes one of these.
  - M(rtvirt.core.host_info) tells which cards make mediated devices, of which types. NVIDIA's cards with SR-IOV make
    them in virtual functions, which C(sriov-manage) switches on; where NVIDIA's driver uses no mediated devices (since
    Linux 6.8), pass its virtual functions through.
options:
  devices:
    description:
      - The devices. What was declared before and is not any more is removed.
    type: list
    elements: dict
    default: []
    suboptions:
      uuid:
        description:
          - The UUID that it gets, by which a VM names it. C({{ 'gpu0' | ansible.builtin.to_uuid }}) makes the same of a
            name each time.
        type: str
        required: true
      parent:
        description:
          - The card, or its virtual function, by its PCI address, as in C(/sys/class/mdev_bus).
        type: str
        required: true
      type:
        description:
          - One of the card's types, by its name in C(mdev_supported_types), V(nvidia-35), not by the one in words.
        type: str
        required: true
      attributes:
        description:
          - What is written to attributes of the device after it is made, in this order. Another value makes the device
            anew.
        type: dict
        default: {}
  state:
    description:
      - V(absent) removes all that were made here.
    type: str
    choices: [present, absent]
    default: present
requirements:
  - mdevctl (the role P(rtvirt.core.mediated_devices#role) installs it)
attributes:
  check_mode:
    support: full
    description: Nothing is written. What a driver refuses beyond its number of devices cannot be foreseen.
  diff_mode:
    support: full
    description: The devices before and after, and their definitions.
"""

EXAMPLES = r"""
- name: Two virtual GPUs on one card
  rtvirt.core.mediated_devices:
    devices:
      - uuid: 6f4a52f8-3c5b-4c2f-9a35-1f2d3c4b5a69
        parent: '0000:3b:00.0'
        type: nvidia-35
      - uuid: "{{ (inventory_hostname ~ '-gpu1') | ansible.builtin.to_uuid }}"
        parent: '0000:3b:00.0'
        type: nvidia-35
        attributes:
          nvidia/vgpu_params: frame_rate_limiter=0

- name: A VM that has the first
  rtvirt.core.libvirt_vm:
    name: render
    memory: 4Gi
    gpus:
      - name: gpu0
        mdev: 6f4a52f8-3c5b-4c2f-9a35-1f2d3c4b5a69

- name: None any more
  rtvirt.core.mediated_devices:
    state: absent
"""

RETURN = r"""
devices:
  description: The devices that are declared, and there after the task.
  type: list
  elements: dict
  returned: success
  sample:
    - uuid: 6f4a52f8-3c5b-4c2f-9a35-1f2d3c4b5a69
      parent: '0000:3b:00.0'
      type: nvidia-35
"""

from ansible_collections.rtvirt.core.plugins.module_utils._host.task import run_on_host
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks.mediated_devices import ARGUMENTS, plan


def main() -> None:
    run_on_host(ARGUMENTS, plan)


if __name__ == "__main__":
    main()
