# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's QEMU cannot be. What it says of CPUs is in the integration tests: only libvirt can compare them."""

from __future__ import annotations

import typing as t
from unittest.mock import Mock, call

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.hardware import Hardware
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.rules import LIBVIRT_RULES, admit
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import Options
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.document import complete_domain
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import Context

Given = dict[str, t.Any]

EFI: Given = {"firmware": {"bootloader": "efi"}}
SECURE: Given = {"firmware": {"bootloader": "efi", "secure_boot": True, "smm": True}}
TPM: Given = {"spec": {"domain": {"devices": {"tpm": {}}}}}


def connection(firmware: str = "efi", secure: str = "yes", tpm: str = "yes") -> t.Any:
    """Stands for libvirt's connection, with the parts of domain capabilities that matter as libvirt 9.0 prints them."""
    xml = f"""<domainCapabilities>
      <os supported='yes'>
        <enum name='firmware'><value>{firmware}</value></enum>
        <loader supported='yes'><enum name='secure'><value>no</value><value>{secure}</value></enum></loader>
      </os>
      <cpu><mode name='host-passthrough' supported='no'/><mode name='maximum' supported='yes'/></cpu>
      <devices><tpm supported='{tpm}'/></devices>
    </domainCapabilities>"""
    return Mock(**{"getDomainCapabilities.return_value": xml})


def problems(hardware: Hardware, options: Given) -> list[tuple[str, str]]:
    (manifest,) = admit([Options({"name": "vm1", "memory": "1Gi", **options})], LIBVIRT_RULES)
    complete = complete_domain(manifest.document, Context("vm1", virt_type="qemu"))
    return [(found.path, found.message) for found in hardware.problems(manifest, complete, starts=True)]


LACKING: dict[str, tuple[Given, Given, str, str]] = {
    "no EFI": ({"firmware": ""}, EFI, "firmware.secure_boot", "install ovmf"),
    "no secure boot": ({"secure": "no"}, SECURE, "firmware.secure_boot", "turn it off"),
    "no TPM": ({"tpm": "no"}, TPM, "spec.domain.devices.tpm", "install swtpm"),
    "host-passthrough by emulation": ({}, {"cpu_model": "host-passthrough"}, "cpu_model", "virt_type qemu"),
}


@pytest.mark.parametrize("what", LACKING)
def test_what_is_lacking_is_told_by_its_option(what: str) -> None:
    offer, options, path, remedy = LACKING[what]
    (problem,) = problems(Hardware(connection(**offer), "x86_64"), options)
    assert problem[0].startswith(path.rpartition(".")[0] or path)
    assert remedy in problem[1]


@pytest.mark.parametrize("options", [EFI, SECURE, TPM, {}])
def test_what_is_there_is_no_problem(options: Given) -> None:
    assert problems(Hardware(connection(), "x86_64"), options) == []


def test_libvirt_is_asked_only_for_what_is_looked_at_and_once() -> None:
    asked = connection()
    hardware = Hardware(asked, "x86_64")
    problems(hardware, {})
    assert asked.mock_calls == []
    for _time in range(2):
        problems(hardware, SECURE)
    assert asked.mock_calls == [call.getDomainCapabilities(None, "x86_64", "q35", "qemu")]
