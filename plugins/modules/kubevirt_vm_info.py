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

import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.rtvirt.core.plugins.module_utils._errors import (
    DeclarationError,
    Problem,
    RtvirtError,
    WaitError,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.authentication import (
    AUTHENTICATION,
    access_from,
    secrets_of,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.objects import (
    VMIS,
    VMS,
    Key,
    action_path,
    object_path,
    read_all,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.record import read_record
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.results import shown
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import ApiError, Session
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.status import (
    addresses,
    condition,
    described,
    hopeless,
    power_of,
    strategy_of,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.watch import Watch
from ansible_collections.rtvirt.core.plugins.module_utils._vm.task import run
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at

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

Object = dict[str, t.Any]
Objects = dict[Key, Object]

#: Guest agents that are asked at the same time.
_CONCURRENCY = 8


def look(params: t.Mapping[str, t.Any], _check_mode: bool) -> Object:
    names = _names(params)
    session = Session(access_from(params), connections=_CONCURRENCY)
    vms = read_vms(session, params, names)
    if params["wait"]:
        namespace = params["namespace"]
        keys = [(namespace, name) for name in names] if namespace and names and not _selectors(params) else [*vms]
        vms, vmis = wait_for(session, keys, params["running"] is not False, params["wait_timeout"])
    else:
        vmis = read_vmis(session, vms, params["namespace"])
    guests = ask_guests(session, vmis) if params["guest_agent"] else {}
    ordered = sorted(vms)
    return {
        "changed": False,
        "api_found": True,
        "vms": [describe(vms[key], vmis.get(key), guests.get(key, {})) for key in ordered],
        "resources": [shown(vms[key]) for key in ordered],
    }


def _names(params: t.Mapping[str, t.Any]) -> list[str] | None:
    """The names that were asked for, None for all. :raises DeclarationError: for options that contradict each other."""
    problems = []
    if params["name"] is not None and params["names"] is not None:
        problems.append(Problem("names", "stands beside name: write one of them"))
    if params["running"] is not None and not params["wait"]:
        problems.append(Problem("running", "says what to wait for: set wait"))
    if params["wait_timeout"] < 0:
        problems.append(Problem("wait_timeout", f"is {params['wait_timeout']}: write 0 or more seconds"))
    if problems:
        raise DeclarationError(problems)
    return [params["name"]] if params["name"] is not None else params["names"]


def _selectors(params: t.Mapping[str, t.Any]) -> dict[str, str]:
    given = {"labelSelector": params["label_selectors"], "fieldSelector": params["field_selectors"]}
    return {key: ",".join(selectors) for key, selectors in given.items() if selectors}


def read_vms(session: Session, params: t.Mapping[str, t.Any], names: list[str] | None) -> Objects:
    """The VMs that were asked for, by one list."""
    namespace, query = params["namespace"], _selectors(params)
    if names is not None and namespace and not query:
        return read_all(session, VMS, ((namespace, name) for name in names))
    if names is not None and len(names) == 1:
        query["fieldSelector"] = ",".join([f"metadata.name={names[0]}", *(params["field_selectors"] or [])])
    return _listed(session, VMS, namespace, lambda key: names is None or key[1] in names, query)


def read_vmis(session: Session, vms: Objects, namespace: str | None) -> Objects:
    """The instances of VMs, by one list; none is asked for where no VM has one."""
    having = {key for key, vm in vms.items() if mapping_at(vm, "status").get("created") or power_of(vm) != "stopped"}
    if namespace or len(having) <= 1:
        return read_all(session, VMIS, having)
    return _listed(session, VMIS, None, having.__contains__, {})


def _listed(
    session: Session, kind: str, namespace: str | None, wanted: t.Callable[[Key], bool], query: t.Mapping[str, str]
) -> Objects:
    found: Objects = {}
    try:
        for page in session.pages(object_path(kind, namespace), **query):
            for item in page.get("items") or []:
                key = (item["metadata"]["namespace"], item["metadata"]["name"])
                if wanted(key):
                    found[key] = item
    except ApiError as error:
        if error.status == 403 and namespace is None:
            raise RtvirtError(f"namespace: write one that you may list: {error.message}", **error.details) from error
        if error.status == 404:
            raise RtvirtError(f"this cluster has no KubeVirt: {error.message}", **error.details) from error
        raise
    return found


def wait_for(session: Session, keys: list[Key], running: bool, seconds: int) -> tuple[Objects, Objects]:
    """Wait until VMs are ready, or have no instance. :raises WaitError: where one does not get there."""
    deadline = time.monotonic() + seconds
    waiting = set(keys)
    with Watch(session, keys, deadline) as watch:
        while waiting:
            watch.next_change(deadline - time.monotonic())
            if watch.is_complete:
                waiting = {key for key in waiting if not _is_there(watch, key, running)}
            if waiting and time.monotonic() >= deadline:
                key = min(waiting)
                goal = "ready" if running else "stopped"
                state = described(watch.get(VMS, key), watch.get(VMIS, key))
                raise WaitError(f"{key[0]}/{key[1]}: not {goal} within {seconds} s: {state}")
        found = {kind: {key: watch.get(kind, key) for key in keys} for kind in (VMS, VMIS)}
    vms, vmis = ({key: one for key, one in found[kind].items() if one is not None} for kind in (VMS, VMIS))
    return vms, vmis


def _is_there(watch: Watch, key: Key, running: bool) -> bool:
    vm, vmi = watch.get(VMS, key), watch.get(VMIS, key)
    if vm is None:
        return False
    if not running:
        return vmi is None and not mapping_at(vm, "status").get("created")
    reason = hopeless(vm, vmi)
    if reason is not None:
        raise WaitError(f"{key[0]}/{key[1]}: will not run: {reason}; {described(vm, vmi)}")
    # The VM's word comes a moment after its instance's, and may be that of an instance before.
    return all(condition(thing, "Ready").get("status") == "True" for thing in (vm, vmi))


def ask_guests(session: Session, vmis: Objects) -> dict[Key, Object]:
    """What the connected guest agents say; nothing of one that goes away meanwhile."""

    def ask(key: Key) -> Object:
        try:
            return session.get(action_path(VMIS, key, "guestosinfo"))
        except ApiError as error:
            if error.status in (401, 403):
                raise
            return {}

    connected = [key for key, vmi in vmis.items() if condition(vmi, "AgentConnected").get("status") == "True"]
    with ThreadPoolExecutor(max_workers=_CONCURRENCY) as pool:
        return dict(zip(connected, pool.map(ask, connected)))


def describe(vm: Object, vmi: Object | None, guest: Object) -> Object:
    metadata, status = mapping_at(vm, "metadata"), mapping_at(vmi, "status")
    known = {"os": status["guestOSInfo"]} if status.get("guestOSInfo") else {}
    return {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "state": "deleting" if metadata.get("deletionTimestamp") else power_of(vm),
        "status": mapping_at(vm, "status").get("printableStatus"),
        "run_strategy": strategy_of(vm),
        "managed": read_record(vm) is not None,
        "restart_required": condition(vm, "RestartRequired").get("status") == "True",
        "labels": mapping_at(metadata, "labels"),
        "conditions": list(dict.fromkeys([*conditions(vmi), *conditions(vm)])),
        "phase": status.get("phase"),
        "node": status.get("nodeName"),
        "addresses": addresses(vmi),
        "guest": {
            **known,
            **{key: value for key, value in guest.items() if key not in ("apiVersion", "kind", "metadata")},
        },
        "vmi": shown(vmi),
    }


def conditions(thing: Object | None) -> t.Iterator[str]:
    """Conditions in words: ``Ready=False (PodTerminating: virt-launcher pod is terminating)``."""
    for one in mapping_at(thing, "status").get("conditions") or []:
        reasons = [str(one[key]) for key in ("reason", "message") if one.get(key)]
        yield f"{one.get('type')}={one.get('status')}" + (f" ({': '.join(reasons)})" if reasons else "")


def main() -> None:
    run(ARGUMENTS, look, secrets_of)


if __name__ == "__main__":
    main()
