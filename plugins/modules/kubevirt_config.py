#!/usr/bin/python
# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: kubevirt_config
short_description: Turn on KubeVirt's feature gates and register its binding plugins
description:
  - Brings feature gates and network binding plugins in the configuration of a cluster's KubeVirt to what is declared,
    by one merge patch of the KubeVirt resource, and none where nothing differs.
  - All other gates, plugins and settings stay as they are.
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
  state:
    description: V(absent) takes away the gates and plugins that are declared.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: The API server checks the patch by a dry run, and keeps nothing.
    support: full
  diff_mode:
    description: Shows gates and plugins before and after.
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
"""

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import objects
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.authentication import (
    AUTHENTICATION,
    access_from,
    secrets_of,
)
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.configuration import configured, plan_configuration
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import ApiError, Session
from ansible_collections.rtvirt.core.plugins.module_utils._vm.task import run

ARGUMENTS: dict[str, t.Any] = {
    **AUTHENTICATION,
    "feature_gates": {"type": "list", "elements": "str", "default": []},
    "bindings": {"type": "dict", "default": {}},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}

_CONFLICTS = 5


def check_bindings(bindings: t.Mapping[str, t.Any]) -> None:
    wrong = [name for name, one in bindings.items() if not isinstance(one, dict)]
    if wrong:
        raise DeclarationError(
            Problem(f"bindings.{name}", f"is {bindings[name]!r}: write a mapping, with sidecarImage or the like")
            for name in wrong
        )


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


def brought(session: Session, params: t.Mapping[str, t.Any]) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """The KubeVirt resource before and after; planned anew where someone else was faster."""
    absent = params["state"] == "absent"
    attempt = 0
    while True:
        attempt += 1
        before = find_kubevirt(session)
        key = (before["metadata"]["namespace"], before["metadata"]["name"])
        patch = plan_configuration(before, params["feature_gates"], params["bindings"], absent=absent)
        if not patch:
            return before, before
        try:
            return before, session.patch(objects.object_path(objects.KUBEVIRTS, *key), patch)
        except ApiError as error:
            if error.status != 409 or attempt == _CONFLICTS:
                raise


def converge(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    check_bindings(params["bindings"] if params["state"] == "present" else {})
    with Session(access_from(params), dry_run=check_mode) as session:
        before, after = (configured(one)._asdict() for one in brought(session, params))
    diff = {"before": before, "after": after}
    return {
        "changed": before != after,
        "feature_gates": after["gates"],
        "bindings": after["bindings"],
        "diff": [diff] if before != after else [],
    }


def main() -> None:
    run(ARGUMENTS, converge, secrets_of)


if __name__ == "__main__":
    main()
