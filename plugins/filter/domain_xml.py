# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rtvirt.core.domain_xml; documented in domain_xml.yml beside it."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt import host_check
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.context import check_placement, context_for
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.host import host_from_capabilities
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.rules import LIBVIRT_RULES, admit
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import Options, as_json, checked
from ansible_collections.rtvirt.core.plugins.module_utils.converters import cpuset
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.document import complete_domain, to_text


def domain_xml(
    declaration: t.Any,
    capabilities: t.Any,
    virt_type: str = "auto",
    cpu_pool: str | None = None,
    isolated_cpus: str = "",
    volume_dir: str = "/var/lib/libvirt/images",
) -> str:
    if not isinstance(capabilities, str):
        message = "capabilities is no text: write what libvirt_vm_info or virsh capabilities has"
        raise AnsibleFilterError(f"rtvirt.core.domain_xml: {message}")
    whole = isinstance(declaration, dict) and declaration.get("kind") == "VirtualMachine"
    try:
        options = {"definition": as_json(declaration)} if whole else checked(declaration)
        manifest = admit([Options(options)], LIBVIRT_RULES)[0]
        document = manifest.document
        host = host_from_capabilities(capabilities)
        problems = host_check.check_host(manifest, host, host_check.Settings(virt_type=virt_type, local=False), None)
        if problems:
            raise DeclarationError(problems)
        host_check.check_cpus("cpu_pool", cpu_pool)
        host_check.check_cpus("isolated_cpus", isolated_cpus)
        pool = host.pool(cpu_pool, cpuset.parse(isolated_cpus))
        context = context_for(
            document,
            host,
            virt_type=virt_type,
            volume_dir=volume_dir,
            pool=pool,
            reserved=frozenset() if cpu_pool is None else pool,
        )
        check_placement(manifest, context)
        return to_text(complete_domain(document, context))
    except RtvirtError as error:
        raise AnsibleFilterError(f"rtvirt.core.domain_xml: {error.message}") from error


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"domain_xml": domain_xml}
