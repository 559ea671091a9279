# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a task's options to a domain, the whole way and always against libvirt's own schema."""

from __future__ import annotations

import os
import typing as t
import xml.etree.ElementTree as ET
from pathlib import Path

import libvirt
import pytest
from lxml import etree

from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.rules import LIBVIRT_RULES, admit
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import Options
from ansible_collections.rtvirt.core.plugins.module_utils.converters.defaults import vcpu_count
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.document import (
    complete_domain,
    declared_domain,
    placement_request,
    to_text,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import Context
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import domain_name, pod_spec
from ansible_collections.rtvirt.core.plugins.module_utils.converters.placement import Core, Topology, place

SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")

#: Two nodes of four CPUs; CPU 0 is the host's own.
HOST = Topology(tuple(Core(cpu // 4, cpu // 4, (cpu,)) for cpu in range(8)))
POOL = HOST.cpus - {0}


class Converted(t.NamedTuple):
    """A declaration's two documents, and the complete one as lxml has it, for XPath."""

    complete: ET.Element
    declared: ET.Element
    tree: t.Any

    def holds(self, *facts: str) -> None:
        """Each fact is an XPath expression that is true of the domain."""
        for fact in facts:
            assert self.tree.xpath(f"boolean({fact})"), f"{fact}\n{etree.tostring(self.tree, encoding='unicode')}"


@pytest.fixture(scope="session")
def schema() -> t.Any:
    """libvirt's RELAX NG schema of a domain."""
    if not SCHEMA.exists():
        reason = f"{SCHEMA} is missing: install libvirt0 (Debian), which has libvirt's schemas"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return etree.RelaxNG(etree.parse(str(SCHEMA)))


@pytest.fixture(scope="session")
def convert(schema: t.Any) -> t.Callable[..., Converted]:
    """Converts a task's options; the complete document is held to libvirt's schema every time.

    The VM is called vm1 and has 1Gi of memory unless the options say otherwise.
    """

    def converted(options: dict[str, t.Any], **context: t.Any) -> Converted:
        (manifest,) = admit([Options({"name": "vm1", "memory": "1Gi", **options})], LIBVIRT_RULES)
        spec = pod_spec(manifest.document)
        request = placement_request(spec, context.get("arch", "x86_64"))
        pool, taken = context.pop("pool", POOL), context.pop("taken", frozenset())
        settings = Context(
            domain_name=domain_name(manifest.document),
            vcpus=vcpu_count(spec) or 1,
            placement=None if request is None else place(HOST, request, pool=pool, taken=taken),
            volume_dir="/srv/vms",
            **context,
        )
        complete = complete_domain(manifest.document, settings)
        tree = etree.fromstring(to_text(complete).encode())
        assert schema.validate(tree), f"{schema.error_log}\n{to_text(complete)}"
        return Converted(complete, declared_domain(manifest.document, settings), tree)

    return converted


@pytest.fixture(scope="session")
def stored() -> t.Iterator[t.Callable[[ET.Element], ET.Element]]:
    """Gives a document to libvirt and takes it back, in libvirt's own order, units and additions.

    It is the test driver of libvirt's library: the same parser and formatter, without a daemon or a guest.
    """
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    connection = libvirt.open("test:///default")

    def define(document: ET.Element) -> ET.Element:
        root = ET.fromstring(ET.tostring(document))
        kind = root.get("type", "kvm")
        root.set("type", "test")
        system = root.find("os")
        for tag in ("firmware", "loader"):
            # The test driver picks no firmware.
            system.attrib.pop(tag, None)
            for element in system.findall(tag):
                system.remove(element)
        domain = connection.defineXML(ET.tostring(root, encoding="unicode"))
        try:
            result = ET.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        finally:
            domain.undefine()
        result.set("type", kind)
        if document.find("os").get("firmware"):
            result.remove(result.find("os"))
            result.append(document.find("os"))
        return result

    yield define
    connection.close()
