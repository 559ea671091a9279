#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: network_attachment
short_description: Declare networks that VMs of a cluster connect to over Multus
description:
  - Brings NetworkAttachmentDefinitions to what is declared, all networks of a task by one look at each namespace.
  - The options of each kind are those of its CNI plugin, under the plugin's own names, and are checked before anything
    is touched. One that the plugin does not know is refused, which the plugin itself would ignore.
  - Fields, labels and annotations that are no longer declared are taken away; those of others stay. A definition that
    says the same in another spelling is left as it is.
extends_documentation_fragment:
  - rtvirt.core.kubernetes
options:
  networks:
    description:
      - The networks. Each has a C(name), and exactly one kind, V(bridge), V(macvtap), V(ovs), V(sriov) or V(userspace),
        with a mapping of that plugin's options.
      - Further it may have C(namespace), C(labels), C(annotations), C(cni_version) (V(0.3.1) by default),
        C(resource_name) (the device plugin's name of the devices; V(macvtap) and V(sriov) need it), C(ipam),
        C(capabilities), and C(tuning), a mapping of the options of the plugin of that name, which then follows the
        first.
      - C(bridge.type) may be V(cnv-bridge) and C(tuning.type) V(cnv-tuning), as OpenShift calls them.
      - C(userspace) is vhost-user with Open vSwitch and DPDK. It needs C(host.bridge.bridgeName); the rest of C(host)
        and C(container) is filled in so that QEMU is the server of the socket.
    type: list
    elements: dict
    required: true
  namespace:
    description: Namespace of the networks that have none of their own.
    type: str
  state:
    description: V(absent) takes away the networks that are declared, and no others. Their names are enough for that.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: The API server checks each write by a dry run, and keeps nothing.
    support: full
  diff_mode:
    description: Shows labels, annotations and configuration before and after.
    support: full
  platform:
    description: Target platforms.
    support: full
    platforms: posix
author:
  - The rtvirt.core authors (@rtvirt)
seealso:
  - module: rtvirt.core.kubevirt_vm
  - plugin: rtvirt.core.network_attachment
    plugin_type: filter
version_added: 0.1.0
"""

EXAMPLES = r"""
- name: A network to boot from, on the bridge br1 of the nodes
  rtvirt.core.network_attachment:
    namespace: default
    networks:
      - name: pxe-net-conf
        bridge:
          type: cnv-bridge
          bridge: br1
          vlan: 1
        tuning:
          type: cnv-tuning

- name: Ports of Open vSwitch with DPDK, and a network card's functions
  rtvirt.core.network_attachment:
    namespace: telco
    networks:
      - name: userspace-ovs-net-1
        userspace:
          host:
            bridge:
              bridgeName: br-dpdk0
      - name: fast
        resource_name: intel.com/sriov_net_a
        sriov:
          vlan: 100
          spoofchk: 'off'
          trust: 'on'
"""

RETURN = r"""
networks:
  description: The networks, in the order of the declaration.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: Its name.
      type: str
      returned: always
      sample: pxe-net-conf
    namespace:
      description: Its namespace.
      type: str
      returned: always
      sample: default
    action:
      description: What was done, C(create), C(update) or C(delete), or with nothing to do an empty text.
      type: str
      returned: always
      sample: create
"""

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import objects
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.authentication import (
    AUTHENTICATION,
    access_from,
    secrets_of,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.definitions import (
    Planned,
    apply_definition,
    plan_definition,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.record import declared_part
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import Session
from ansible_collections.rtvirt.core.plugins.module_utils._vm.task import run
from ansible_collections.rtvirt.core.plugins.module_utils.converters.network import network_attachment

ARGUMENTS: dict[str, t.Any] = {
    **AUTHENTICATION,
    "networks": {"type": "list", "elements": "dict", "required": True},
    "namespace": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def declared(params: t.Mapping[str, t.Any]) -> dict[objects.Key, dict[str, t.Any] | None]:
    """The declared definitions by their keys, None for those that are to go.

    :raises DeclarationError: with all that is wrong with them.
    """
    found: dict[objects.Key, dict[str, t.Any] | None] = {}
    problems: list[Problem] = []
    for index, given in enumerate(params["networks"]):
        path = f"networks[{index}]"
        key = (str(given.get("namespace") or params["namespace"] or ""), str(given.get("name") or ""))
        if not key[0]:
            problems.append(Problem(f"{path}.namespace", "is missing: write the namespace of the network"))
        if key in found and key[1]:
            problems.append(Problem(f"{path}.name", f"{key[1]!r} is declared twice: write another name"))
        found[key] = None
        if params["state"] == "absent":
            problems += [] if key[1] else [Problem(f"{path}.name", "is missing: write the network's name")]
            continue
        try:
            found[key] = network_attachment({**given, "namespace": key[0] or None})
        except DeclarationError as error:
            problems += [Problem(f"{path}.{one.path}", one.message) for one in error.problems]
    if problems:
        raise DeclarationError(problems)
    return found


def converge(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Bring all declared networks to their declarations and describe them."""
    wanted = declared(params)
    with Session(access_from(params), dry_run=check_mode) as session:
        there = objects.read_all(session, objects.DEFINITIONS, wanted)
        plans = [plan_definition(key, document, there.get(key)) for key, document in wanted.items()]
        for plan in plans:
            apply_definition(session, plan)
    networks = [{"namespace": plan.key[0], "name": plan.key[1], "action": plan.action} for plan in plans]
    changed = [plan for plan in plans if plan.action]
    return {"changed": bool(changed), "networks": networks, "diff": [diff_of(plan) for plan in changed]}


def diff_of(plan: Planned) -> dict[str, t.Any]:
    before = {} if plan.live is None else declared_part(plan.live)
    name = "/".join(plan.key)
    return {"before_header": name, "after_header": name, "before": before, "after": plan.after}


def main() -> None:
    run(ARGUMENTS, converge, secrets_of)


if __name__ == "__main__":
    main()
