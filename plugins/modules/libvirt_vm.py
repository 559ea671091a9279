#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: libvirt_vm
short_description: Declare virtual machines on libvirt
description:
  - Brings virtual machines of a plain libvirt host to what is declared, in the words of KubeVirt's VirtualMachine.
  - A declaration is checked as a whole, by KubeVirt's own rules and against the host, before anything is touched.
  - What is declared is compared with the domain as libvirt has it. Only what was or is declared is changed; MAC
    addresses, UUIDs, PCI addresses and devices that others added stay as they are.
  - What a running guest can be given is given at once (CPU pins, disks, interfaces, host devices, CD-ROM media). The
    rest waits in the domain's persistent definition, and is reported as RV(result.restart_required).
extends_documentation_fragment:
  - rtvirt.core.declaration
  - rtvirt.core.connection
options:
  state:
    description:
      - V(present) defines the VM and never starts, stops or restarts it, unless the O(definition) has a
        C(runStrategy).
      - V(running) starts it, V(stopped) shuts it down, V(paused) suspends it (from stopped, it is started paused).
      - V(restarted) always restarts it.
      - V(absent) shuts it down and removes it; its disks stay unless O(delete_volumes=true). With O(reclaim_after) it
        stays for a term, shut down. Any state but V(absent) and V(reclaimed) brings it back.
      - V(reclaimed) removes it if its term is over and it does not run, and leaves any other VM alone.
    type: str
    choices: [present, running, stopped, paused, restarted, absent, reclaimed]
    default: present
  virt_type:
    description:
      - V(kvm) or V(qemu) (emulation) for a new VM; V(auto) takes the host's best.
    type: str
    choices: [auto, kvm, qemu]
    default: auto
  cpu_pool:
    description:
      - Host CPUs for VMs with O(dedicated_cpus), such as V(2-15,^8).
      - Where it is not given, the CPUs that the kernel isolates (C(isolcpus)), else all but those of the first core.
      - The vCPUs of other VMs are kept out of a pool that is given.
    type: str
  volume_dir:
    description:
      - Folder of the files that are made for V(emptyDisk) and cloud-init volumes.
    type: path
    default: /var/lib/libvirt/images
  autostart:
    description:
      - Whether the VM starts with its host.
    type: bool
  allow_restart:
    description:
      - Restart a running VM for changes that it cannot take live.
    type: bool
    default: false
  delete_volumes:
    description:
      - With O(state=absent) or O(state=reclaimed), also remove the files that this collection created, the firmware's
        variables and the TPM's state. Files that were there before are kept in any case.
    type: bool
    default: false
  reclaim_after:
    description:
      - With O(state=absent), seconds that the VM is kept from its deletion on, as it is but shut down and without
        autostart; V(0) removes it at once. Another number at a later task changes the term.
      - Nothing removes it by itself when the term is over. The playbook C(rtvirt.core.reclaim) does, or
        O(state=reclaimed).
    type: int
    default: 0
  wait:
    description:
      - Wait until a VM that is shut down is down, and for O(wait_for).
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait for each of these.
    type: int
    default: 120
  wait_for:
    description:
      - What a running VM must have for the task to end, V(agent) (the QEMU guest agent answers), V(address) (an IP
        address is known).
    type: list
    elements: str
    choices: [address, agent]
    default: []
  force:
    description:
      - Pull the plug of a guest that did not shut down in time.
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run in check mode and say what it would do without changing anything.
    support: full
  diff_mode:
    description: Shows the domain's XML before and after.
    support: full
  idempotent:
    description: A second run changes nothing and writes nothing. V(restarted) restarts each time.
    support: partial
    details: O(state=restarted) is an action.
  platform:
    description: Where the module runs.
    support: full
    platforms: posix
seealso:
  - module: rtvirt.core.libvirt_vm_info
author:
  - The rtvirt.core authors (@rtvirt)
"""

EXAMPLES = r"""
- name: A VM with a disk made from an image, running
  rtvirt.core.libvirt_vm:
    name: web1
    state: running
    cpu_cores: 2
    memory: 2Gi
    disks:
      - name: root
        disk:
          bus: virtio
        volume:
          hostDisk:
            path: /var/lib/libvirt/images/web1.qcow2
            type: DiskOrCreate
            capacity: 20Gi
          libvirt:
            format: qcow2
            image: /srv/images/debian-12.qcow2
    cloud_init:
      hostname: web1
      ssh_authorized_keys:
        - ssh-ed25519 AAAA… admin

- name: A real-time VM, two vCPUs each on a CPU of its own
  rtvirt.core.libvirt_vm:
    name: rt1
    state: running
    cpu_cores: 2
    cpu_model: host-passthrough
    memory: 4Gi
    hugepages: 1Gi
    dedicated_cpus: true
    isolate_emulator_thread: true
    numa_passthrough: true
    realtime: true
    autoattach_mem_balloon: false
    autoattach_graphics_device: false
    watchdog:
      name: watchdog
      i6300esb:
        action: poweroff
    disks:
      - name: root
        disk:
          bus: virtio
        volume:
          hostDisk:
            path: /var/lib/libvirt/images/rt1.img
            type: Disk

- name: Ten VMs in one task, alike but for their names
  rtvirt.core.libvirt_vm:
    state: running
    memory: 1Gi
    interfaces:
      - name: default
        bridge: {}
        network:
          libvirt:
            network: default
    vms: "{{ range(10) | map('regex_replace', '(.+)', '{\"name\": \"node-\\1\"}') | map('from_json') | list }}"

- name: Delete a VM that can be brought back for a week
  rtvirt.core.libvirt_vm:
    name: web1
    state: absent
    reclaim_after: 604800

- name: Remove a VM with the disks that were made for it
  rtvirt.core.libvirt_vm:
    name: web1
    state: absent
    delete_volumes: true
"""

RETURN = r"""
vms:
  description: Each VM of the task, in the order of its declaration.
  returned: always
  type: list
  elements: dict
  sample: []
result:
  description: The VM, where the task declared one and not O(vms).
  returned: when one VM was asked for
  type: dict
  contains:
    name:
      description: Name of the VM.
      type: str
      returned: always
      sample: rt1
    namespace:
      description: Namespace of the VM, none where none was declared.
      type: str
      returned: always
      sample: telco
    domain:
      description: libvirt's name of the VM.
      type: str
      returned: always
      sample: telco_rt1
    uuid:
      description: libvirt's UUID of the VM, none for one that check mode would create.
      type: str
      returned: when the VM is not absent
      sample: 6f4a52f8-3c5b-4c2f-9a35-1f2d3c4b5a69
    changed:
      description: Whether anything was done to this VM.
      type: bool
      returned: always
      sample: true
    actions:
      description: What was done, in order.
      type: list
      elements: str
      returned: always
      sample: [define, start]
    changes:
      description: Differences of the persistent definition from its declaration, with the values C(before) and
        C(after).
      type: list
      elements: dict
      returned: always
      sample:
        - path: devices/disk[root]/driver/@cache
          before: writeback
          after: none
    adopted:
      description: Whether the VM was there before and is not of this collection's making.
      type: bool
      returned: always
      sample: false
    restart_required:
      description: Whether the running guest lacks something that is defined, until it is restarted.
      type: bool
      returned: always
      sample: false
    pending:
      description: The differences that wait for a restart.
      type: list
      elements: dict
      returned: when the VM is not absent and check mode is off
      sample: []
    state:
      description: State as libvirt names it (C(running), C(paused), C(shutoff), …), or C(absent).
      type: str
      returned: always
      sample: running
    autostart:
      description: Whether the VM starts with its host.
      type: bool
      returned: when the VM is not absent and check mode is off
      sample: false
    xml:
      description: The persistent domain XML.
      type: str
      returned: when the VM is not absent
      sample: <domain type='kvm'>…</domain>
    pins:
      description: Host CPUs of C(vcpus) and C(io_threads) by number, and of the C(emulator).
      type: dict
      returned: when the VM is not absent
      sample:
        vcpus: {'0': [2], '1': [3]}
        emulator: [0, 1]
    addresses:
      description: IP addresses of the running guest that are known to the host.
      type: list
      elements: str
      returned: when the VM is not absent
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
    volumes_kept:
      description: Files of an absent VM's disks that were not removed.
      type: list
      elements: str
      returned: when the VM is absent
      sample: [/var/lib/libvirt/images/rt1.img]
"""

import contextlib
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt import apply, host_check, power, results
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.connection import (
    CONNECTION,
    connected,
    is_local,
    those_present,
)
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.domains import handles_by_name, observe
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.hardware import Hardware
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.host import (
    isolated_cpus,
    polling_cpus,
    read_host,
)
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.plan import VmPlan
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.planner import Planner
from ansible_collections.rtvirt.core.plugins.module_utils._plan import task_result
from ansible_collections.rtvirt.core.plugins.module_utils._vm import lifecycle
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.rules import LIBVIRT_RULES, admit
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import declaration_spec, declarations
from ansible_collections.rtvirt.core.plugins.module_utils._vm.deletion import check_term
from ansible_collections.rtvirt.core.plugins.module_utils._vm.task import run
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import (
    Manifest,
    domain_name,
    has_dedicated_cpus,
    mapping_at,
    pod_spec,
)

ARGUMENTS: dict[str, t.Any] = {
    **declaration_spec(),
    **CONNECTION,
    "state": {"type": "str", "choices": list(lifecycle.STATES), "default": "present"},
    "virt_type": {"type": "str", "choices": ["auto", "kvm", "qemu"], "default": "auto"},
    "cpu_pool": {"type": "str"},
    "volume_dir": {"type": "path", "default": "/var/lib/libvirt/images"},
    "autostart": {"type": "bool"},
    "allow_restart": {"type": "bool", "default": False},
    "delete_volumes": {"type": "bool", "default": False},
    "reclaim_after": {"type": "int", "default": 0},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 120},
    "wait_for": {"type": "list", "elements": "str", "choices": ["address", "agent"], "default": []},
    "force": {"type": "bool", "default": False},
}


def plan_all(
    connection: t.Any, params: t.Mapping[str, t.Any], manifests: list[Manifest], *, placing: bool
) -> list[VmPlan]:
    """A plan for each VM.

    :arg placing: whether CPUs are to be placed.
    :raises DeclarationError: with the problems of all of them.
    """
    settings = host_check.Settings(
        local=is_local(params["uri"]),
        **{
            key: params[key]
            for key in (
                "state",
                "virt_type",
                "volume_dir",
                "cpu_pool",
                "autostart",
                "allow_restart",
                "delete_volumes",
                "reclaim_after",
            )
        },
    )
    handles = handles_by_name(connection)
    declared = {domain_name(manifest.document) for manifest in manifests}
    # Others' pins count only where CPUs are to be placed, their files only where some are to be removed, their sockets
    # and UUIDs only where some are declared.
    others_count = placing or has_sockets(manifests) or has_uuids(manifests) or params["state"] in lifecycle.LEAVING
    wanted = handles if others_count else handles.keys() & declared
    domains = {domain.name: domain for domain in those_present([handles[name] for name in wanted], observe)}
    host, isolated = read_host(connection), isolated_cpus() if settings.local else frozenset()
    polling = polling_cpus() if settings.local and (placing or params["cpu_pool"]) else frozenset()
    planner = Planner(host, settings, domains, isolated, polling, Hardware(connection, host.arch))
    plans: list[VmPlan] = []
    problems: list[Problem] = []
    for manifest in manifests:
        try:
            plans.append(planner.plan(manifest))
        except DeclarationError as error:
            problems += error.problems
    if problems:
        raise DeclarationError(dict.fromkeys(problems))
    return plans


def needs_placement(manifests: list[Manifest]) -> bool:
    return any(has_dedicated_cpus(manifest.document) for manifest in manifests)


def has_sockets(manifests: list[Manifest]) -> bool:
    networks = [network for manifest in manifests for network in pod_spec(manifest.document).get("networks") or []]
    return any("vhostuser" in mapping_at(network, "libvirt") for network in networks)


def has_uuids(manifests: list[Manifest]) -> bool:
    return any(mapping_at(pod_spec(manifest.document), "domain", "firmware").get("uuid") for manifest in manifests)


@contextlib.contextmanager
def telling(outcomes: list[apply.Outcome]) -> t.Iterator[None]:
    """Have an error say what was done before it, which stays done."""
    try:
        yield
    except RtvirtError as error:
        error.details["vms"] = [{"name": outcome.plan.name, "actions": outcome.actions} for outcome in outcomes]
        raise


def converge(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Bring all declared VMs to their declarations and describe them."""
    leaving = params["state"] in lifecycle.LEAVING
    manifests = admit(declarations(params), LIBVIRT_RULES, names_only=leaving)
    check_term(params)
    waits = power.Waits(params["wait"], params["wait_timeout"], tuple(params["wait_for"]), params["force"])
    host_check.check_cpus("cpu_pool", params["cpu_pool"])
    if params["wait_timeout"] < 0:
        raise DeclarationError([Problem("wait_timeout", f"is {params['wait_timeout']}: write 0 or more seconds")])
    if not is_local(params["uri"]):
        host_check.check_remote(
            [] if leaving else manifests,
            removes=leaving and params["delete_volumes"],
            has_pool=params["cpu_pool"] is not None,
        )
    # Of a VM that is to go, nothing but the name has been checked.
    placing = not leaving and needs_placement(manifests)
    outcomes: list[apply.Outcome] = []
    with connected(params["uri"]) as connection:
        with apply.host_lock(placing and not check_mode):
            plans = plan_all(connection, params, manifests, placing=placing)
            with telling(outcomes):
                for plan in plans:
                    outcomes.append(apply.predict(plan) if check_mode else apply.define(connection, plan))
        if not check_mode:
            with telling(outcomes):
                power.apply_power(connection, outcomes, waits)
        vms = [results.describe_outcome(connection, outcome, check_mode=check_mode) for outcome in outcomes]
    result = task_result(vms, several=params["vms"] is not None)
    result["diff"] = [results.diff_of(outcome) for outcome in outcomes if outcome.changed]
    return result


def main() -> None:
    run(ARGUMENTS, converge)


if __name__ == "__main__":
    main()
