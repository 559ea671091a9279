#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: kubevirt_vm_info
short_description: Describe virtual machines on KubeVirt
description:
  - Describes virtual machines of a cluster with KubeVirt or OpenShift Virtualization, whoever made them, with their
    instances, nodes, addresses, what their guest agents say, and their conditions in words.
  - It asks for one list of VMs and one of instances, for one namespace or for all of them, page by page.
  - Tasks of C(kubevirt.core.kubevirt_vm_info) run as they are; RV(resources) is what they read.
extends_documentation_fragment:
  - rtvirt.core.kubernetes
options:
  name:
    description:
      - Name of the VM to describe, all where neither it nor O(names) is given.
      - A VM that does not exist is left out of the result.
    type: str
  names:
    description: Names of several VMs, in place of O(name).
    type: list
    elements: str
  namespace:
    description: Namespace to look into, all of them where it is not given.
    type: str
  label_selectors:
    description: Labels that the VMs must have, such as V(app=web) or V(tier in (a,b)). All of them have to fit.
    type: list
    elements: str
  field_selectors:
    description: Fields that must fit. The server knows V(metadata.name=…) and V(metadata.namespace=…) of VMs.
    type: list
    elements: str
  guest_agent:
    description:
      - Ask the guest agent of each running VM for what it says now (host name, file systems, users, time zone), by one
        more request for each.
      - Without it there is what KubeVirt itself keeps, such as the operating system.
    type: bool
    default: false
  wait:
    description:
      - Wait until all the VMs are ready, or stopped with O(running=false).
      - VMs that are asked for by name in a namespace may not be there yet.
      - It fails early where a VM will not get there, such as for an image that cannot be pulled.
    type: bool
    default: false
  running:
    description: What O(wait) waits for, V(true) for VMs that are ready and V(false) for VMs without an instance.
    type: bool
  wait_timeout:
    description: Seconds to wait for all VMs together.
    type: int
    default: 120
  wait_sleep:
    description: Taken and not used, as in tasks of other collections. Nothing is asked for repeatedly here.
    type: int
  hidden_fields:
    description:
      - Taken and not used, as in tasks of other collections. C(metadata.managedFields) and cloud-init's data are never
        shown.
    type: list
    elements: str
  api_version:
    description: Taken and not used, as in tasks of other collections. V(kubevirt.io/v1) is what is asked for.
    type: str
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
  - module: rtvirt.core.kubevirt_vm
author:
  - The rtvirt.core authors (@rtvirt)
version_added: 0.1.0
"""

EXAMPLES = r"""
- name: All VMs of a namespace
  rtvirt.core.kubevirt_vm_info:
    namespace: telco
  register: info

- name: Where they run, and at which addresses
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.state }} on {{ item.node }}, {{ item.addresses | join(' ') }}"
  loop: "{{ info.vms }}"

- name: Those of an application, in all namespaces
  rtvirt.core.kubevirt_vm_info:
    label_selectors:
      - app=web

- name: Wait until two VMs are ready, and ask their guests
  rtvirt.core.kubevirt_vm_info:
    namespace: telco
    names: [rt1, rt2]
    wait: true
    guest_agent: true
"""

RETURN = r"""
vms:
  description: The VMs, by namespace and name.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the VM.
      type: str
      returned: always
      sample: rt1
    namespace:
      description: Its namespace.
      type: str
      returned: always
      sample: telco
    state:
      description: Its power state (C(running), C(paused), C(stopped)), or C(deleting).
      type: str
      returned: always
      sample: running
    status:
      description: KubeVirt's C(printableStatus).
      type: str
      returned: always
      sample: Running
    run_strategy:
      description: Who keeps its power, KubeVirt's C(runStrategy).
      type: str
      returned: always
      sample: Manual
    managed:
      description: Whether this collection made it, or has changed it.
      type: bool
      returned: always
      sample: true
    restart_required:
      description: Whether its instance lacks something that the VM has, until it is restarted.
      type: bool
      returned: always
      sample: false
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
    labels:
      description: Its labels.
      type: dict
      returned: always
      sample: {app: web}
    conditions:
      description: Conditions of the instance and of the VM in words, with their reasons.
      type: list
      elements: str
      returned: always
      sample: [Ready=True, 'RestartRequired=True (RestartRequired: a non-live-updatable field was changed)']
    phase:
      description: Phase of its instance, null where it has none.
      type: str
      returned: always
      sample: Running
    node:
      description: Node that its instance is on, null where it is on none.
      type: str
      returned: always
      sample: worker-2
    addresses:
      description: IP addresses of its instance, the first interface's first.
      type: list
      elements: str
      returned: always
      sample: [10.244.0.17]
    guest:
      description:
        - What is known of the guest by its agent. C(os) is there without O(guest_agent), the other keys (C(hostname),
          C(timezone), C(fsInfo), C(userList), …) only with it, by KubeVirt's names.
      type: dict
      returned: always
      sample: {os: {id: debian, versionId: '12', kernelRelease: 6.1.0-rt-amd64}}
    vmi:
      description: Its VirtualMachineInstance as the server has it, without cloud-init's data; empty where it has none.
      type: dict
      returned: always
      sample: {apiVersion: kubevirt.io/v1, kind: VirtualMachineInstance, metadata: {name: rt1, namespace: telco}}
resources:
  description: The same VMs as the server has them, without cloud-init's data.
  returned: always
  type: list
  elements: dict
  sample:
    - {apiVersion: kubevirt.io/v1, kind: VirtualMachine, metadata: {name: rt1, namespace: telco}}
api_found:
  description: That the cluster has KubeVirt, as tasks of other collections ask; without it the task fails.
  returned: always
  type: bool
  sample: true
"""

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import lookup
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.authentication import (
    AUTHENTICATION,
    access_from,
    secrets_of,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.results import describe_vm, shown
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import Session
from ansible_collections.rtvirt.core.plugins.module_utils._vm.task import run

ARGUMENTS: dict[str, t.Any] = {
    **AUTHENTICATION,
    "name": {"type": "str"},
    "names": {"type": "list", "elements": "str"},
    "namespace": {"type": "str"},
    "label_selectors": {"type": "list", "elements": "str"},
    "field_selectors": {"type": "list", "elements": "str"},
    "guest_agent": {"type": "bool", "default": False},
    "wait": {"type": "bool", "default": False},
    "running": {"type": "bool"},
    "wait_timeout": {"type": "int", "default": 120},
    "wait_sleep": {"type": "int"},
    "hidden_fields": {"type": "list", "elements": "str"},
    "api_version": {"type": "str"},
}


def sought_by(params: t.Mapping[str, t.Any]) -> lookup.Sought:
    """:raises DeclarationError: for options that contradict each other."""
    problems = []
    if params["name"] is not None and params["names"] is not None:
        problems.append(Problem("names", "stands beside name: write one of them"))
    if params["running"] is not None and not params["wait"]:
        problems.append(Problem("running", "says what to wait for: set wait"))
    if params["wait_timeout"] < 0:
        problems.append(Problem("wait_timeout", f"is {params['wait_timeout']}: write 0 or more seconds"))
    if problems:
        raise DeclarationError(problems)
    names = params["names"] if params["name"] is None else [params["name"]]
    return lookup.Sought(params["namespace"], names, params["label_selectors"] or [], params["field_selectors"] or [])


def look(params: t.Mapping[str, t.Any], _check_mode: bool) -> dict[str, t.Any]:
    """Find the VMs that are asked for and describe them."""
    sought = sought_by(params)
    with Session(access_from(params), connections=lookup.CONCURRENCY) as session:
        vms = lookup.find_vms(session, sought)
        if params["wait"]:
            running = params["running"] is not False
            vms, vmis = lookup.wait_for(session, sought.keys or [*vms], running, params["wait_timeout"])
        else:
            vmis = lookup.find_vmis(session, vms, sought.namespace)
        guests = lookup.ask_guests(session, vmis) if params["guest_agent"] else {}
    ordered = sorted(vms)
    return {
        "changed": False,
        "api_found": True,
        "vms": [describe_vm(vms[key], vmis.get(key), guests.get(key, {})) for key in ordered],
        "resources": [shown(vms[key]) for key in ordered],
    }


def main() -> None:
    run(ARGUMENTS, look, secrets_of)


if __name__ == "__main__":
    main()
