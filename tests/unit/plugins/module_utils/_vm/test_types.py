# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text that is a number or a bool, as templates give it before ansible-core 2.19 and AWX's surveys always."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.fields import MACHINE
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.rules import convert
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import Options


def nested(**values: t.Any) -> dict[str, t.Any]:
    disk = {"name": "root", "volume": {"hostDisk": {"path": "/srv/root.img", "type": "Disk"}}, **values}
    return convert(Options({"name": "vm1", "disks": [disk]}), MACHINE).document["spec"]["template"]["spec"]["domain"][
        "devices"
    ]["disks"][0]


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("bootOrder", "1", 1),
        ("bootOrder", "-1", -1),
        ("bootOrder", "one", "one"),
        ("bootOrder", "1.5", "1.5"),
        ("shareable", "true", True),
        ("shareable", "False", False),
        ("shareable", "maybe", "maybe"),
        ("serial", "123", "123"),
        ("cache", "none", "none"),
    ],
)
def test_text_becomes_what_its_field_holds(field: str, text: str, value: t.Any) -> None:
    settled = nested(**{field: text})[field]
    assert settled == value
    assert isinstance(settled, type(value))


def test_in_spec_too() -> None:
    manifest = convert(
        Options({"name": "vm1", "spec": {"domain": {"cpu": {"cores": "2", "dedicatedCpuPlacement": "yes"}}}}), MACHINE
    )
    cpu = manifest.document["spec"]["template"]["spec"]["domain"]["cpu"]
    assert cpu == {"cores": 2, "dedicatedCpuPlacement": True}
