#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: kubevirt_config
short_description: Turn on KubeVirt's feature gates, register its binding plugins and permit host devices
description:
  - Brings feature gates, network binding plugins and permitted host devices in a cluster's configuration of KubeVirt
    to what is declared, by one merge patch of the KubeVirt resource, and none where nothing differs.
  - All other gates, plugins, devices and settings stay as they are.
  - A KubeVirt resource that HyperConverged (OpenShift Virtualization) keeps is refused where it differs, as it would be
    changed back.
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
  state:
    description: V(absent) takes away the gates, plugins and devices that are declared.
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
"""

RETURN = r"""
feature_gates:
  description: The gates that are on now.
  type: list
  elements: str
  returned: always
  sample: [HostDevices, NetworkDevicesWithDRA]
bindings:
  description: The plugins that are registered now.
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
"""

import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import objects
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.authentication import (
    AUTHENTICATION,
    access_from,
    secrets_of,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.configuration import (
    DEVICES,
    configured,
    plan_configuration,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import ApiError, Session
from ansible_collections.rtvirt.core.plugins.module_utils._vm.task import run

_RESOURCE: dict[str, t.Any] = {
    "resource_name": {"type": "str", "required": True},
    "external_resource_provider": {"type": "bool", "default": False},
}

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
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}

_SELECTOR = re.compile(r"[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}")
_RESOURCE_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-\w.]*[A-Za-z0-9])?")

_CONFLICTS = 5


def check_bindings(bindings: t.Mapping[str, t.Any]) -> None:
    wrong = [name for name, one in bindings.items() if not isinstance(one, dict)]
    if wrong:
        raise DeclarationError(
            Problem(f"bindings.{name}", f"is {bindings[name]!r}: write a mapping, with sidecarImage or the like")
            for name in wrong
        )


def devices_from(params: t.Mapping[str, t.Any]) -> dict[str, list[dict[str, t.Any]]]:
    """The declared devices in KubeVirt's words.

    :raises DeclarationError: for selectors and names that are none, and devices that stand twice.
    """
    problems: list[Problem] = []
    found: dict[str, list[dict[str, t.Any]]] = {}
    for option, selector, key in (
        ("pci_host_devices", "pci_device_selector", "pciHostDevices"),
        ("mediated_devices", "mdev_name_selector", "mediatedDevices"),
    ):
        seen: set[str] = set()
        for index, one in enumerate(params[option]):
            at, name = f"{option}[{index}]", one[selector]
            if key == "pciHostDevices" and not _SELECTOR.fullmatch(name):
                problems.append(Problem(f"{at}.{selector}", f"is {name!r}: write vendor and device, such as 10DE:1DB6"))
            if not _RESOURCE_NAME.fullmatch(one["resource_name"]):
                message = f"is {one['resource_name']!r}: write a vendor's domain and a name, such as nvidia.com/TU104GL"
                problems.append(Problem(f"{at}.resource_name", message))
            if name.upper() in seen:
                problems.append(Problem(f"{at}.{selector}", f"{name} stands twice: leave one out"))
            seen.add(name.upper())
        found[key] = [
            {
                DEVICES[key]: one[selector],
                "resourceName": one["resource_name"],
                **({"externalResourceProvider": True} if one["external_resource_provider"] else {}),
            }
            for one in params[option]
        ]
    if problems:
        raise DeclarationError(problems)
    return found


def find_kubevirt(session: Session) -> dict[str, t.Any]:
    """The KubeVirt resource; there is one in a cluster, in any namespace."""
    try:
        for page in session.pages(objects.object_path(objects.KUBEVIRTS, None)):
            for found in page.get("items") or []:
                return t.cast("dict[str, t.Any]", found)
    except ApiError as error:
        if error.status != 404:
            raise
    raise RtvirtError("this cluster has no KubeVirt resource: install KubeVirt first")


def brought(
    session: Session, params: t.Mapping[str, t.Any], devices: dict[str, list[dict[str, t.Any]]]
) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """The KubeVirt resource before and after; planned anew where someone else was faster."""
    absent = params["state"] == "absent"
    attempt = 0
    while True:
        attempt += 1
        before = find_kubevirt(session)
        key = (before["metadata"]["namespace"], before["metadata"]["name"])
        patch = plan_configuration(before, params["feature_gates"], params["bindings"], devices, absent=absent)
        if not patch:
            return before, before
        try:
            return before, session.patch(objects.object_path(objects.KUBEVIRTS, *key), patch)
        except ApiError as error:
            if error.status != 409 or attempt == _CONFLICTS:
                raise


def converge(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    check_bindings(params["bindings"] if params["state"] == "present" else {})
    devices = devices_from(params)
    with Session(access_from(params), dry_run=check_mode) as session:
        before, after = (configured(one)._asdict() for one in brought(session, params, devices))
    diff = {"before": before, "after": after}
    return {
        "changed": before != after,
        "feature_gates": after["gates"],
        "bindings": after["bindings"],
        "pci_host_devices": after["devices"]["pciHostDevices"],
        "mediated_devices": after["devices"]["mediatedDevices"],
        "diff": [diff] if before != after else [],
    }


def main() -> None:
    run(ARGUMENTS, converge, secrets_of)


if __name__ == "__main__":
    main()
