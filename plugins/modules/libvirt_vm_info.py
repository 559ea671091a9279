#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_vm_info
short_description: Describe virtual machines on libvirt
description:
  - Describes the virtual machines of a libvirt host, whoever made them, with their definition as a KubeVirt manifest
    and as libvirt's XML, and with what is in force now (pins, schedulers of the vCPU threads, addresses, what the
    guest agent says).
extends_documentation_fragment:
  - rtvirt.core.connection
options:
  names:
    description:
      - libvirt's names of the VMs to describe, all where it is not given.
      - A VM that does not exist is left out of the result.
    type: list
    elements: str
attributes:
  check_mode:
    description: Can run in check mode and say what it would do without changing anything.
    support: full
  diff_mode:
    description: Shows what has changed.
    support: none
  idempotent:
    description: Changes nothing.
    support: full
  platform:
    description: Where the module runs.
    support: full
    platforms: posix
seealso:
  - module: rtvirt.core.libvirt_vm
author:
  - The rtvirt.core authors (@rtvirt)
"""

EXAMPLES = r"""
- name: What runs here, and on which CPUs
  rtvirt.core.libvirt_vm_info:
  register: info

- name: Every vCPU of a real-time VM runs at a real-time priority
  ansible.builtin.assert:
    that: item.scheduler == 'fifo'
  loop: "{{ (info.vms | selectattr('domain', 'eq', 'rt1') | first).vcpu_threads }}"
"""

RETURN = r"""
vms:
  description: The VMs, by their libvirt names.
  returned: always
  type: list
  elements: dict
  contains:
    domain:
      description: libvirt's name of the VM.
      type: str
      returned: always
      sample: rt1
    uuid:
      description: libvirt's UUID of the VM.
      type: str
      returned: always
      sample: 6f4a52f8-3c5b-4c2f-9a35-1f2d3c4b5a69
    state:
      description: State as libvirt names it (C(running), C(paused), C(shutoff), …).
      type: str
      returned: always
      sample: running
    autostart:
      description: Whether the VM starts with its host.
      type: bool
      returned: always
      sample: false
    managed:
      description: Whether this collection made it, or has changed it.
      type: bool
      returned: always
      sample: true
    manifest:
      description:
        - The VM as a VirtualMachine. As last declared, with secrets as hashes, where the collection manages it; else as
          read from its XML, as far as it can be declared again without a change.
      type: dict
      returned: always
      sample: {apiVersion: kubevirt.io/v1, kind: VirtualMachine, metadata: {name: rt1}}
    xml:
      description: The persistent domain XML.
      type: str
      returned: always
      sample: <domain type='kvm'>…</domain>
    pins:
      description: Host CPUs of C(vcpus) and C(io_threads) by number, and of the C(emulator).
      type: dict
      returned: always
      sample:
        vcpus: {'0': [2], '1': [3]}
        emulator: [0, 1]
    vcpu_threads:
      description:
        - The vCPU threads of a VM that runs on the host of the module, with what the kernel has in force.
      type: list
      elements: dict
      returned: always
      sample:
        - vcpu: 0
          thread: 4242
          cpus: [2]
          scheduler: fifo
          priority: 1
    addresses:
      description: IP addresses of the running guest that are known to the host.
      type: list
      elements: str
      returned: always
      sample: [192.168.122.17]
    deleted_at:
      description: When the VM was deleted, of one that is kept for a term (RFC 3339, UTC).
      type: str
      returned: when the VM is deleted for a term
      sample: '2026-11-30T04:20:00Z'
    reclaim_at:
      description: When its term is over.
      type: str
      returned: when the VM is deleted for a term
      sample: '2026-12-07T04:20:00Z'
    guest:
      description: What the guest's agent says, by libvirt's names.
      type: dict
      returned: always
      sample: {hostname: rt1, os.id: debian}
"""

import functools
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt import domains, results
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.agent import guest_facts
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.connection import (
    CONNECTION,
    connected,
    doing,
    is_local,
    those_present,
)
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.fitting import fitting_manifest
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.threads import vcpu_threads
from ansible_collections.rtvirt.core.plugins.module_utils._vm.task import run

ARGUMENTS: dict[str, t.Any] = {**CONNECTION, "names": {"type": "list", "elements": "str"}}


def describe(handle: t.Any, *, local: bool) -> dict[str, t.Any]:
    domain = domains.observe(handle)
    record = domain.record
    running = domain.running is not None
    with doing(f"read {domain.name}"):
        guest = guest_facts(handle) if running else {}
    return {
        **results.describe_domain(domain),
        "managed": record is not None,
        "manifest": record.manifest if record else fitting_manifest(domain.definition),
        "vcpu_threads": vcpu_threads(domain.name) if local and running else [],
        "guest": guest,
    }


def look(params: t.Mapping[str, t.Any], _check_mode: bool) -> dict[str, t.Any]:
    uri, names = params["uri"], params["names"]
    with connected(uri) as connection:
        handles = domains.handles_by_name(connection)
        wanted = sorted(handles) if names is None else [name for name in names if name in handles]
        vms = list(those_present([handles[name] for name in wanted], functools.partial(describe, local=is_local(uri))))
    return {"changed": False, "vms": vms}


def main() -> None:
    run(ARGUMENTS, look)


if __name__ == "__main__":
    main()
