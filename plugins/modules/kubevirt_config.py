#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: kubevirt_config
short_description: Turn on KubeVirt's feature gates, register binding plugins, permit host devices, make virtual GPUs
description:
  - Brings feature gates, network binding plugins, permitted host devices and the types of mediated devices in a
    cluster's configuration of KubeVirt to what is declared, by one merge patch of the KubeVirt resource, and none where
    nothing differs.
  - How long certificates last can be set too. All other gates, plugins, devices and settings stay as they are.
  - Where HyperConverged (OpenShift Virtualization) keeps the KubeVirt resource, its own resource is patched instead, as
    it would undo any other change. The task then waits until KubeVirt has what is declared.
  - For some feature gates HyperConverged has one of its own, such as C(alignCPUs). Others are set by its annotation
    C(kubevirt.kubevirt.io/jsonpatch), with a warning, as HyperConverged reports C(TaintedConfiguration) then.
extends_documentation_fragment:
  - rtvirt.core.kubernetes
options:
  feature_gates:
    description: Gates that are to be on, or with O(state=absent) no longer listed. One that is disabled is so no more.
    type: list
    elements: str
    default: []
  bindings:
    description:
      - Plugins by their names, each as C(spec.configuration.network.binding) has it, such as C(sidecarImage),
        C(networkAttachmentDefinition), C(domainAttachmentType), C(migration), C(downwardAPI) and
        C(computeResourceOverhead).
      - A plugin that is declared is so as a whole. With O(state=absent) the names count.
    type: dict
    default: {}
  pci_host_devices:
    description:
      - Kinds of PCI devices that VMs may be given, by the names that O(rtvirt.core.kubevirt_vm#module:host_devices) and
        O(rtvirt.core.kubevirt_vm#module:gpus) call them. With O(state=absent) the selectors count.
      - On each node they have to be bound to vfio-pci, as M(rtvirt.core.iommu_vfio) does.
    type: list
    elements: dict
    default: []
    suboptions:
      pci_device_selector:
        description:
          - Vendor and device, such as V(10DE:1DB6), as RV(rtvirt.core.iommu_vfio#module:devices) has it. HyperConverged
            calls it so, and the KubeVirt resource C(pciVendorSelector).
        type: str
        required: true
      resource_name:
        description: The resource's name on the nodes, such as V(nvidia.com/GV100GL_Tesla_V100).
        type: str
        required: true
      external_resource_provider:
        description: Whether a device plugin of others allocates it.
        type: bool
        default: false
  mediated_devices:
    description:
      - Kinds of mediated devices that VMs may be given. With O(state=absent) the selectors count.
    type: list
    elements: dict
    default: []
    suboptions:
      mdev_name_selector:
        description: The name of the type, such as V(GRID T4-1Q).
        type: str
        required: true
      resource_name:
        description: The resource's name on the nodes.
        type: str
        required: true
      external_resource_provider:
        description: Whether a device plugin of others allocates it.
        type: bool
        default: false
  mediated_device_types:
    description:
      - Types of mediated devices, such as virtual GPUs, that KubeVirt makes on nodes with cards that can. It makes as
        many as fit, and removes those of other types. VMs are given them by O(mediated_devices).
      - An item is declared as a whole. With O(state=absent) the selectors count.
    type: list
    elements: dict
    default: []
    suboptions:
      types:
        description:
          - The types, by their names in C(mdev_supported_types), such as V(nvidia-222).
        type: list
        elements: str
        default: []
      node_selector:
        description:
          - Labels of the nodes. Without it the item is for all nodes that no other item means.
        type: dict
        default: {}
  certificates:
    description:
      - How long the certificates last that KubeVirt makes for itself, by durations such as V(48h0m0s), of 10 minutes or
        more. What is not given stays as it is. It cannot be taken away.
      - C(renew_before) may not be more than the C(duration), nor the servers' C(duration) more than the CA's.
    type: dict
    suboptions:
      ca:
        description: The certificate of the authority.
        type: dict
        suboptions: &times
          duration:
            description: How long one lasts.
            type: str
          renew_before:
            description: How long before its end there is a new one.
            type: str
      server:
        description: The certificates of the components.
        type: dict
        suboptions: *times
  wait_timeout:
    description:
      - How many seconds HyperConverged may take to bring to KubeVirt what is declared. With V(0) it is not waited for.
        Without HyperConverged there is nothing to wait for.
    type: int
    default: 120
  state:
    description: V(absent) takes away the gates, plugins, devices and types that are declared.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: The API server checks the patch by a dry run, and keeps nothing.
    support: full
  diff_mode:
    description: Shows gates, plugins and devices before and after.
    support: full
  platform:
    description: Target platforms.
    support: full
    platforms: posix
author:
  - The rtvirt.core authors (@rtvirt)
seealso:
  - module: rtvirt.core.kubevirt_vm
version_added: 0.1.0
"""

EXAMPLES = r"""
- name: Let VMs have vhost-user interfaces
  rtvirt.core.kubevirt_config:
    feature_gates: [NetworkDevicesWithDRA]
    bindings:
      vhostuser:
        sidecarImage: quay.io/kubevirt/vhostuser-network-binding-plugin:v0.1.0

- name: Let PCI devices be passed through
  rtvirt.core.kubevirt_config:
    feature_gates: [HostDevices]
    pci_host_devices:
      - pci_device_selector: 10DE:1DB6
        resource_name: nvidia.com/GV100GL_Tesla_V100
      - pci_device_selector: 8086:6F54
        resource_name: intel.com/qat
        external_resource_provider: true

- name: Have virtual GPUs made, and let VMs have them
  rtvirt.core.kubevirt_config:
    mediated_device_types:
      - types: [nvidia-222]
      - node_selector:
          kubernetes.io/hostname: worker-3
        types: [nvidia-228]
    mediated_devices:
      - mdev_name_selector: GRID T4-1Q
        resource_name: nvidia.com/GRID_T4-1Q

- name: Have new certificates more often
  rtvirt.core.kubevirt_config:
    certificates:
      ca: {duration: 48h0m0s, renew_before: 24h0m0s}
      server: {duration: 24h0m0s, renew_before: 12h0m0s}
"""

RETURN = r"""
feature_gates:
  description: The gates that are on now.
  type: list
  elements: str
  returned: always
  sample: [HostDevices, NetworkDevicesWithDRA]
bindings:
  description: The plugins that are registered now. Of HyperConverged those that its own resource has.
  type: dict
  returned: always
  sample: {vhostuser: {sidecarImage: 'quay.io/kubevirt/vhostuser-network-binding-plugin:v0.1.0'}}
pci_host_devices:
  description: The PCI devices that are permitted now, as KubeVirt writes them.
  type: list
  elements: dict
  returned: always
  sample: [{pciVendorSelector: '10DE:1DB6', resourceName: nvidia.com/GV100GL_Tesla_V100}]
mediated_devices:
  description: The mediated devices that are permitted now, as KubeVirt writes them.
  type: list
  elements: dict
  returned: always
  sample: []
mediated_device_types:
  description: The types of mediated devices that nodes are to make now, as KubeVirt writes them.
  type: list
  elements: dict
  returned: always
  sample: [{mediatedDeviceTypes: [nvidia-222]}]
certificates:
  description: How long certificates last, as far as it is set.
  type: dict
  returned: always
  sample: {ca: {duration: 48h0m0s, renewBefore: 24h0m0s}, server: {duration: 24h0m0s, renewBefore: 12h0m0s}}
"""

import time
import typing as t
from dataclasses import replace

from ansible_collections.rtvirt.core.plugins.module_utils._errors import (
    RtvirtError,
    WaitError,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import objects
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.authentication import (
    AUTHENTICATION,
    access_from,
    secrets_of,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.certificates import check_times
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.configuration import (
    Declared,
    KubeVirt,
    wanted,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.configuration_options import declared_from
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.hyperconverged import (
    PATCHES,
    VERSIONS,
    HyperConverged,
    gates_by_patch,
    keeps,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import ApiError, Session
from ansible_collections.rtvirt.core.plugins.module_utils._vm.task import run

_RESOURCE: dict[str, t.Any] = {
    "resource_name": {"type": "str", "required": True},
    "external_resource_provider": {"type": "bool", "default": False},
}

_TIMES: dict[str, t.Any] = {"duration": {"type": "str"}, "renew_before": {"type": "str"}}

ARGUMENTS: dict[str, t.Any] = {
    **AUTHENTICATION,
    "feature_gates": {"type": "list", "elements": "str", "default": []},
    "bindings": {"type": "dict", "default": {}},
    "pci_host_devices": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"pci_device_selector": {"type": "str", "required": True}, **_RESOURCE},
    },
    "mediated_devices": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"mdev_name_selector": {"type": "str", "required": True}, **_RESOURCE},
    },
    "mediated_device_types": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "types": {"type": "list", "elements": "str", "default": []},
            "node_selector": {"type": "dict", "default": {}},
        },
    },
    "certificates": {
        "type": "dict",
        "options": {part: {"type": "dict", "options": _TIMES} for part in ("ca", "server")},
    },
    "wait_timeout": {"type": "int", "default": 120},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}

_CONFLICTS = 5

#: Seconds between two looks at the KubeVirt resource.
_INTERVAL = 0.5


def find_kubevirt(session: Session) -> KubeVirt:
    """The KubeVirt resource; there is one in a cluster, in any namespace."""
    for found in listed(session, objects.object_path(objects.KUBEVIRTS, None)):
        return KubeVirt(found)
    raise RtvirtError("this cluster has no KubeVirt resource: install KubeVirt first")


def find_home(session: Session) -> KubeVirt | HyperConverged:
    """The resource that KubeVirt's configuration is to be set in."""
    kubevirt = find_kubevirt(session)
    if not keeps(kubevirt.resource):
        return kubevirt
    namespace = kubevirt.resource["metadata"]["namespace"]
    for version in VERSIONS:
        for found in listed(session, objects.object_path(objects.HYPERCONVERGEDS, namespace, version=version)):
            return HyperConverged(found, version, kubevirt)
    raise RtvirtError(f"the KubeVirt resource is HyperConverged's, and namespace {namespace} has no HyperConverged")


def listed(session: Session, path: str) -> t.Iterator[dict[str, t.Any]]:
    """The objects of a list, none where the cluster does not know their kind."""
    try:
        for page in session.pages(path):
            yield from page.get("items") or []
    except ApiError as error:
        if error.status != 404:
            raise


def brought(session: Session, declared: Declared) -> tuple[KubeVirt | HyperConverged, KubeVirt | HyperConverged]:
    """The resource before and after; planned anew where someone else was faster."""
    attempt = 0
    while True:
        attempt += 1
        home = find_home(session)
        now = home.configured()
        target = wanted(now, home.needed(declared))
        if declared.certificates:
            check_times(target.certificates)
        if target == now:
            return home, home
        metadata = home.resource["metadata"]
        path = objects.object_path(home.kind, metadata["namespace"], metadata["name"], version=home.version)
        try:
            return home, replace(home, resource=session.patch(path, home.patch(target)))
        except ApiError as error:
            if error.status != 409 or attempt == _CONFLICTS:
                raise


def wait(session: Session, declared: Declared, seconds: int) -> None:
    """Until KubeVirt goes by what HyperConverged was told.

    :raises WaitError: where it does not in time.
    """
    deadline = time.monotonic() + seconds
    while not find_kubevirt(session).has(declared):
        if time.monotonic() > deadline:
            remedy = "see its conditions, and whether it has a default of its own that is in the way"
            raise WaitError(f"HyperConverged has not brought this to KubeVirt within {seconds} s: {remedy}")
        time.sleep(_INTERVAL)


def converge(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    declared = declared_from(params)
    with Session(access_from(params), dry_run=check_mode) as session:
        home, changed = brought(session, declared)
        before, after = shown(home), shown(changed)
        warnings = idle_types(home, declared)
        others: list[str] = []
        if isinstance(home, HyperConverged):
            warnings += remarks(before, after)
            others = [gate for gate in home.kubevirt.configured().gates if gate not in before["gates"]]
            settled = before == after and home.kubevirt.has(declared)
            if params["wait_timeout"] and not check_mode and not settled:
                wait(session, declared, params["wait_timeout"])
    return {
        "changed": before != after,
        "feature_gates": [*others, *after["gates"]],
        "bindings": after["bindings"],
        "pci_host_devices": after["devices"]["pciHostDevices"],
        "mediated_devices": after["devices"]["mediatedDevices"],
        "mediated_device_types": after["types"],
        "certificates": after["certificates"],
        "warnings": warnings,
        "diff": [{"before": before, "after": after}] if before != after else [],
    }


def shown(home: KubeVirt | HyperConverged) -> dict[str, t.Any]:
    """A configuration as results have it: without devices that are listed as not permitted."""
    configured = home.configured()
    permitted = {key: [one for one in items if not one.get("disabled")] for key, items in configured.devices.items()}
    return configured._replace(devices=permitted)._asdict()


def idle_types(home: KubeVirt | HyperConverged, declared: Declared) -> list[str]:
    kubevirt = home.kubevirt if isinstance(home, HyperConverged) else home
    if not declared.types or declared.absent or kubevirt.makes_mediated_devices:
        return []
    remedy = "see mediatedDevicesConfiguration.enabled, or disableMDevConfiguration (the gate DisableMDEVConfiguration)"
    return [f"KubeVirt is told to leave mediated devices alone, and makes none: {remedy}"]


def remarks(before: dict[str, t.Any], after: dict[str, t.Any]) -> list[str]:
    return [
        f"HyperConverged has no feature gate of its own for {gate}: its annotation {PATCHES} sets it, which"
        " HyperConverged reports as TaintedConfiguration"
        for gate in gates_by_patch(gate for gate in after["gates"] if gate not in before["gates"])
    ]


def main() -> None:
    run(ARGUMENTS, converge, secrets_of)


if __name__ == "__main__":
    main()
