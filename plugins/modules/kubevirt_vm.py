#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: kubevirt_vm
short_description: Declare virtual machines on KubeVirt
description:
  - Brings virtual machines of a cluster with KubeVirt or OpenShift Virtualization to what is declared, one or a
    thousand in one task.
  - A declaration is checked as a whole, by KubeVirt's own rules, before anything is touched.
  - What is declared is compared with the VirtualMachine as the server has it and as it was last declared. Fields
    that are no longer declared are taken away. What others set (defaults, hot-plugged disks, other managers' labels)
    stays. One patch is sent, and none where nothing differs.
  - NetworkAttachmentDefinitions, binding plugins and the feature gate that a VM's networks need, and the cluster lacks,
    are told before the VM is made.
  - Whoever has used C(kubevirt.core.kubevirt_vm), or the C(kubevirt_vm) of older days, can keep the task and change its
    name. The migration guide (C(docs/migration.md)) has the differences.
extends_documentation_fragment:
  - rtvirt.core.declaration
  - rtvirt.core.kubernetes
options:
  state:
    description:
      - V(present) creates or changes the VM and never starts, stops or restarts it, unless a O(run_strategy) is
        declared. A new VM is created halted.
      - V(running) starts it, V(stopped) stops it, V(paused) pauses it (from stopped, it is started paused). V(started)
        is another word for V(running).
      - V(restarted) restarts it, on every run; one that is stopped is started.
      - V(absent) deletes it. With O(reclaim_after) it stays for a term, stopped. Any state but V(absent) and
        V(reclaimed) brings it back.
      - V(reclaimed) deletes it if its term is over and it does not run, and leaves any other VM alone.
      - Where nothing is declared but O(name) and O(namespace), every other state than V(present) is about the power of
        a VM that is there, and leaves its declaration alone.
    type: str
    choices: [present, running, started, stopped, paused, restarted, absent, reclaimed]
    default: present
  wait:
    description:
      - Wait until the VM is what O(state) says, by a watch that ends as soon as it is.
      - It fails early where the VM will not get there, such as for an image that cannot be pulled.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait for all VMs of the task together.
    type: int
    default: 120
  wait_for:
    description:
      - What a VM that runs is waited for. V(ready), V(agent) for a connected guest agent, V(address) for an IP address,
        or the name of a condition of the VM or its instance, such as V(LiveMigratable) or V(AgentConnected=False).
    type: list
    elements: str
    default: [ready]
  unschedulable_grace:
    description: Seconds that no node may have room for a VM, or a quota keep it, before waiting for it fails.
    type: int
    default: 30
  wait_sleep:
    description: Taken and not used, as in tasks of other collections. Nothing is asked for repeatedly here.
    type: int
  allow_restart:
    description: Restart a running VM for changes that it cannot take while it runs.
    type: bool
    default: false
  grace_period_seconds:
    description: Seconds that the guest is given to shut down with O(state=stopped), in place of its own.
    type: int
  delete_options:
    description: How the server deletes, with O(state=absent).
    type: dict
    suboptions:
      propagationPolicy:
        description: Whether and when the VM's instance goes with it.
        type: str
        choices: [Foreground, Background, Orphan]
      gracePeriodSeconds:
        description: Seconds before the object is removed for good.
        type: int
      preconditions:
        description: What the VM must be for it to be deleted.
        type: dict
        suboptions:
          resourceVersion:
            description: Its version.
            type: str
          uid:
            description: Its UID.
            type: str
  delete_volumes:
    description:
      - Whether the DataVolumes of O(data_volume_templates) go with a VM that is deleted, as KubeVirt has it.
      - V(false) keeps them. The VM is stopped, and taken out of their owners.
    type: bool
    default: true
  reclaim_after:
    description:
      - With O(state=absent), seconds that the VM is kept from its deletion on, as it is but stopped; V(0) deletes it at
        once. Another number at a later task changes the term.
      - Nothing deletes it by itself when the term is over. O(state=reclaimed) does.
    type: int
    default: 0
  concurrency:
    description: VMs that are written to at the same time.
    type: int
    default: 8
  continue_on_error:
    description:
      - Whether the other VMs are done although one has failed. The task fails in the end either way.
    type: bool
    default: false
  generate_name:
    description:
      - Beginning of the name of a new VM, in place of O(name). Every run makes another one.
    type: str
  hidden_fields:
    description: Taken and not used, as in tasks of other collections. Only what is declared is compared here.
    type: list
    elements: str
  force:
    description:
      - Taken and not used, as in tasks of other collections. There it replaced the whole object, with all that others
        had set.
    type: bool
    default: false
attributes:
  check_mode:
    description: The server checks every write and keeps none (dry run), also for starts, stops and restarts.
    support: full
  diff_mode:
    description: Shows what is declared of each VM, before and after.
    support: full
  platform:
    description: Target platforms.
    support: full
    platforms: posix
author:
  - The rtvirt.core authors (@rtvirt)
seealso:
  - module: rtvirt.core.kubevirt_vm_info
  - module: rtvirt.core.kubevirt_config
  - module: rtvirt.core.libvirt_vm
  - module: rtvirt.core.network_attachment
version_added: 0.1.0
"""

EXAMPLES = r"""
- name: A VM, created and started
  rtvirt.core.kubevirt_vm:
    namespace: default
    name: vm1
    state: running
    cpu_cores: 1
    memory: 64Mi
    disks:
      - name: containerdisk
        disk:
          bus: virtio
        volume:
          containerDisk:
            image: quay.io/containerdisks/cirros:latest
    wait: true

- name: A real-time VM
  rtvirt.core.kubevirt_vm:
    namespace: telco
    name: rt1
    cpu_cores: 4
    memory: 4Gi
    hugepages: 1Gi
    dedicated_cpus: true
    isolate_emulator_thread: true
    numa_passthrough: true
    realtime: true
    autoattach_mem_balloon: false
    state: running

- name: A VM on a port of Open vSwitch with DPDK
  rtvirt.core.kubevirt_vm:
    namespace: telco
    name: router
    cpu_cores: 4
    memory: 4Gi
    hugepages: 1Gi
    multiqueue: true
    interfaces:
      - name: data
        vhostuser: {}
        network:
          resourceClaim:
            claimName: dpdk
            requestName: vhost-port
    spec:
      resourceClaims:
        - name: dpdk
          resourceClaimTemplateName: dpdk-port

- name: A fleet
  rtvirt.core.kubevirt_vm:
    namespace: fleet
    instancetype:
      name: u1.medium
    vms:
      - name: worker-1
      - name: worker-2
        labels:
          role: spare
    state: running
    wait: true
    wait_for: [agent, address]

- name: Gone, its data volumes kept
  rtvirt.core.kubevirt_vm:
    namespace: default
    name: vm1
    state: absent
    delete_volumes: false
    wait: true
"""

RETURN = r"""
result:
  description:
    - The one VM, where O(vms) is not given. It has what an entry of RV(vms) has, and beside it the VirtualMachine as
      the server has it (C(apiVersion), C(kind), C(metadata), C(spec), C(status)), with cloud-init's data left out.
  type: dict
  returned: when O(vms) is not given
  sample:
    name: rt1
    namespace: telco
    changed: true
    actions: [create]
    state: stopped
    apiVersion: kubevirt.io/v1
    kind: VirtualMachine
    metadata: {name: rt1, namespace: telco}
    spec: {runStrategy: Halted}
vms:
  description: Each VM, in the order of the declaration.
  type: list
  elements: dict
  returned: always
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
    changed:
      description: Whether anything was done to it.
      type: bool
      returned: always
      sample: true
    actions:
      description: What was done, in its order (C(create), C(update), C(start), C(start paused), C(stop), C(restart),
        C(pause), C(unpause), C(delete), and C(keep volumes) of a VM that somebody else deletes).
      type: list
      elements: str
      returned: always
      sample: [update, restart]
    changes:
      description: Each field that was changed, with its C(path) and its value C(before) and C(after). Items of lists
        stand there by their names.
      type: list
      elements: dict
      returned: always
      sample:
        - {path: spec.template.spec.domain.cpu.cores, before: 1, after: 2}
    conflicts:
      description: Fields that the last run had set and that someone has changed since. C(manager) and C(time) say who
        and when, C(found) the value that was there.
      type: list
      elements: dict
      returned: always
      sample:
        - {path: spec.template.spec.domain.cpu.cores, found: 8, manager: kubectl-edit, time: '2026-11-23T04:27:36Z'}
    adopted:
      description: Whether the VM was there and not of this collection's making.
      type: bool
      returned: always
      sample: false
    restart_required:
      description: Whether the running instance lacks something that is declared until it is restarted.
      type: bool
      returned: always
      sample: false
    state:
      description: Its power state, or C(absent), or C(deleting).
      type: str
      returned: always
      sample: running
    printable_status:
      description: KubeVirt's C(printableStatus).
      type: str
      returned: when the VM is not absent
      sample: Running
    addresses:
      description: IP addresses of its instance, where the task has waited for it.
      type: list
      elements: str
      returned: when the VM is not absent
      sample: [10.244.0.17]
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
    volumes_kept:
      description: DataVolumes of the VM that are still there, with O(delete_volumes=false).
      type: list
      elements: str
      returned: when the VM is absent
      sample: [rt1-root]
    error:
      description: Why it failed.
      type: str
      returned: when it has failed
      sample: 'rt1: will not run: ImagePullBackOff'
"""

import random
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import waiting
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.authentication import (
    AUTHENTICATION,
    access_from,
    secrets_of,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.fleet import apply_all, plan_all, try_shapes
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.networks import check_networks
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.outcome import Outcome, Settings
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.results import describe_outcome, diff_of, shown
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import Session
from ansible_collections.rtvirt.core.plugins.module_utils._plan import task_result
from ansible_collections.rtvirt.core.plugins.module_utils._vm import lifecycle
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.cluster import CLUSTER_RULES
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.rules import admit
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import Options, declaration_spec, declarations
from ansible_collections.rtvirt.core.plugins.module_utils._vm.deletion import check_term
from ansible_collections.rtvirt.core.plugins.module_utils._vm.task import run
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import Manifest

ARGUMENTS: dict[str, t.Any] = {
    **declaration_spec(),
    **AUTHENTICATION,
    "state": {
        "type": "str",
        "choices": ["present", "running", "started", "stopped", "paused", "restarted", "absent", "reclaimed"],
        "default": "present",
    },
    "wait": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 120},
    "wait_for": {"type": "list", "elements": "str", "default": ["ready"]},
    "wait_sleep": {"type": "int"},
    "unschedulable_grace": {"type": "int", "default": 30},
    "allow_restart": {"type": "bool", "default": False},
    "grace_period_seconds": {"type": "int"},
    "delete_options": {
        "type": "dict",
        "options": {
            "propagationPolicy": {"type": "str", "choices": ["Foreground", "Background", "Orphan"]},
            "gracePeriodSeconds": {"type": "int"},
            "preconditions": {
                "type": "dict",
                "options": {"resourceVersion": {"type": "str"}, "uid": {"type": "str"}},
            },
        },
    },
    "delete_volumes": {"type": "bool", "default": True},
    "reclaim_after": {"type": "int", "default": 0},
    "concurrency": {"type": "int", "default": 8},
    "continue_on_error": {"type": "bool", "default": False},
    "generate_name": {"type": "str"},
    "hidden_fields": {"type": "list", "elements": "str"},
    "force": {"type": "bool", "default": False},
}


#: Failures whose reasons stand in the message; each VM has its own.
_TOLD = 3

#: Letters and length of the ends that Kubernetes gives generated names.
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_LENGTH = 5


def named(params: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    """The options with a generated name, where one is asked for: it is known before there is a VM of it."""
    beginning = params["generate_name"]
    if beginning is None:
        return params
    if params["name"] is not None or params["vms"] is not None:
        raise DeclarationError([Problem("generate_name", "stands beside name or vms: write one of them")])
    if params["state"] not in ("present", "running", "started", "paused"):
        raise DeclarationError([Problem("generate_name", f"makes a new VM: with state {params['state']} write name")])
    return {**params, "name": beginning + "".join(random.choices(_LETTERS, k=_LENGTH))}


def settings_from(params: t.Mapping[str, t.Any]) -> Settings:
    if params["concurrency"] < 1:
        raise DeclarationError([Problem("concurrency", f"is {params['concurrency']}: write 1 or more")])
    options = {key: value for key, value in (params["delete_options"] or {}).items() if value is not None}
    if "preconditions" in options:
        options["preconditions"] = {key: value for key, value in options["preconditions"].items() if value is not None}
    if not params["delete_volumes"] and options.get("propagationPolicy") not in (None, "Orphan"):
        message = "takes the volumes along, which delete_volumes keeps: leave one of them out"
        raise DeclarationError([Problem("delete_options.propagationPolicy", message)])
    return Settings(params["allow_restart"], options, params["delete_volumes"], params["grace_period_seconds"])


def admit_all(declared: list[Options], power_alone: list[bool], *, leaving: bool) -> list[Manifest]:
    """A manifest for each declaration; of a VM that is only started, stopped or removed the name alone counts."""
    whole = iter(
        admit([one for one, alone in zip(declared, power_alone) if not alone], CLUSTER_RULES, names_only=leaving)
    )
    named_only = iter(
        admit([one for one, alone in zip(declared, power_alone) if alone], CLUSTER_RULES, names_only=True)
    )
    return [next(named_only) if alone else next(whole) for alone in power_alone]


def converge(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Bring all declared VMs to their declarations and describe them."""
    state = t.cast(lifecycle.State, "running" if params["state"] == "started" else params["state"])
    declared = declarations(named(params))
    leaving = state in lifecycle.LEAVING
    power_alone = [options.says_nothing and state != "present" and not leaving for options in declared]
    manifests = admit_all(declared, power_alone, leaving=leaving)
    check_term(params)
    settings = settings_from(params)
    waits = waiting.Waits(params["wait_timeout"], tuple(params["wait_for"]), params["unschedulable_grace"])
    waiting.check_waits(waits)
    with Session(access_from(params), dry_run=check_mode, connections=params["concurrency"]) as session:
        plans = plan_all(session, manifests, state, power_alone=power_alone, reclaim_after=params["reclaim_after"])
        check_networks(session, plans)
        go_on = params["continue_on_error"]
        if len(plans) > 1 and not check_mode:
            try_shapes(session.trying(), plans, go_on=go_on)
        outcomes = apply_all(session, plans, settings, concurrency=params["concurrency"], go_on=go_on)
        if params["wait"] and not check_mode:
            waiting.wait_for_all(session, outcomes, waits)
    return described(outcomes, several=params["vms"] is not None)


def described(outcomes: list[Outcome], *, several: bool) -> dict[str, t.Any]:
    """:raises RtvirtError: where a VM has failed, with what became of all of them."""
    result = task_result([describe_outcome(outcome) for outcome in outcomes], several=several)
    failed = [outcome.error for outcome in outcomes if outcome.error is not None]
    if failed:
        count = f"{len(failed)} VMs have failed: " if len(failed) > 1 else ""
        message = count + "; ".join(error.message for error in failed[:_TOLD])
        raise RtvirtError(message, **{**failed[0].details, **result})
    if not several:
        result["result"] = {**shown(outcomes[0].vm), **result["result"]}
    result["diff"] = [diff_of(outcome) for outcome in outcomes if outcome.actions]
    return result


def main() -> None:
    run(ARGUMENTS, converge, secrets_of)


if __name__ == "__main__":
    main()
