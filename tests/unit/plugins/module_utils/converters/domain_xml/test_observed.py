# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domain XML back to a manifest. What of it fits is tested on libvirtd (test_info.py)."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.observed import to_manifest
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import domain_name


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("rt1", {"name": "rt1"}),
        ("telco_rt1", {"name": "rt1", "namespace": "telco"}),
        ("my_old_vm", {"name": "my_old_vm"}),
        ("_rt1", {"name": "_rt1"}),
        ("telco_", {"name": "telco_"}),
    ],
)
def test_a_domain_is_of_the_vm_that_it_would_be_named_after(name: str, metadata: dict[str, str]) -> None:
    manifest = to_manifest(ET.fromstring(f"<domain><name>{name}</name></domain>"))
    assert manifest["metadata"] == metadata
    assert domain_name(manifest) == name
