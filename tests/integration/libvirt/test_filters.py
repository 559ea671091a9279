# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters, in templates of a real playbook: what they give, and what they say of mistakes."""

from __future__ import annotations

import contextlib
import typing as t
import xml.etree.ElementTree as ET

import libvirt
import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import play, run_one
from ansible_collections.rtvirt.core.tests.integration.libvirt.test_unchanged import DECLARATIONS, disks

#: Options of libvirt_vm that are no part of a declaration.
SETTINGS = ("virt_type", "cpu_pool", "volume_dir")


def template(text: str, **variables: t.Any) -> dict[str, t.Any]:
    return {"ansible.builtin.debug": {"msg": text}, "vars": variables}


def said(result: dict[str, t.Any]) -> str:
    assert result["failed"], result
    return str(result["msg"])


@contextlib.contextmanager
def definitions() -> t.Iterator[list[str]]:
    """The documents that are given to libvirt meanwhile."""
    seen: list[str] = []
    define = libvirt.virConnect.defineXMLFlags

    def record(connection: libvirt.virConnect, xml: str, flags: int = 0) -> libvirt.virDomain:
        seen.append(xml)
        return define(connection, xml, flags)

    libvirt.virConnect.defineXMLFlags = record
    try:
        yield seen
    finally:
        libvirt.virConnect.defineXMLFlags = define


def without_record(xml: str) -> str:
    root = ET.fromstring(xml)
    for metadata in root.findall("metadata"):
        root.remove(metadata)
    return ET.canonicalize(ET.tostring(root, encoding="unicode"), strip_text=True)


def test_domain_xml_is_what_libvirt_vm_defines(bed: Bed, free_cpus: None) -> None:
    table = {**DECLARATIONS, "disks": disks(bed)}
    del table["host model"]  # its virt_type is the host's, here for both
    tasks, defined = [], []
    for index, (declaration, options) in enumerate(table.items()):
        given = bed.bare(f"vm{index}", **options)
        settings = {"virt_type": "qemu", **{key: given.pop(key) for key in SETTINGS if key in given}}
        with definitions() as seen:
            created = run_one(**given, **settings)
        defined.append((declaration, seen))
        bed.connection.lookupByName(created["domain"]).undefineFlags(
            libvirt.VIR_DOMAIN_UNDEFINE_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_TPM
        )
        arguments = ", ".join(f"{key}=settings.{key}" for key in settings)
        text = f"{{{{ declaration | rtvirt.core.domain_xml(capabilities=capabilities, {arguments}) }}}}"
        capabilities = bed.connection.getCapabilities()
        tasks.append(template(text, declaration=given, settings=settings, capabilities=capabilities))
    for (declaration, seen), result in zip(defined, play(bed.folder, *tasks).results):
        assert [without_record(xml) for xml in seen] == [without_record(result["msg"])], declaration


def test_a_manifest_gives_the_same_xml_as_its_options(bed: Bed) -> None:
    given = bed.bare(**disks(bed))
    del given["volume_dir"]
    text = "{{ %s | rtvirt.core.domain_xml(capabilities=capabilities, virt_type='qemu') }}"
    variables = {"declaration": given, "capabilities": bed.connection.getCapabilities()}
    written = ("declaration", "declaration | rtvirt.core.manifest")
    short, whole = play(bed.folder, *(template(text % one, **variables) for one in written)).results
    assert short["msg"] == whole["msg"]


def test_values(bed: Bed) -> None:
    cases: list[tuple[str, t.Any]] = [
        ("{{ '0-3,^2' | rtvirt.core.cpuset }}", [0, 1, 3]),
        ("{{ [3, 1, 0] | rtvirt.core.cpuset('ranges') }}", "0-1,3"),
        ("{{ '0-3,8' | rtvirt.core.cpuset('mask') }}", "0x10f"),
        ("{{ '0x10f' | rtvirt.core.cpuset('ranges') }}", "0-3,8"),
        ("{{ '^0' | rtvirt.core.cpuset(universe='0-3') }}", [1, 2, 3]),
        ("{{ '^0' | rtvirt.core.cpuset(universe=[0, 1]) }}", [1]),
        ("{{ '' | rtvirt.core.cpuset }}", []),
        (
            "{{ ({'kernel_cmdline': {'args': ['a=b']}} | rtvirt.core.machine_config('rt'))[0].spec.kernelArguments }}",
            ["a=b"],
        ),
        (
            "{{ ({'name': 'a', 'cloud_init': {'users': [{'expiredate': date}]}} | rtvirt.core.manifest) is mapping }}",
            True,
        ),
        ("{{ ({'name': 'a', 'cpu_cores': 2} | rtvirt.core.manifest).spec.template.spec.domain.cpu.cores }}", 2),
        ("{{ ({'name': 'a', 'realtime': true} | rtvirt.core.manifest).spec.template.spec.domain.cpu.realtime }}", {}),
    ]
    # What YAML makes of a date.
    date = "{{ '2030-01-01' | to_datetime('%Y-%m-%d') }}"
    results = play(bed.folder, *(template(text, date=date) for text, _wanted in cases)).results
    assert [str(result["msg"]) for result in results] == [str(wanted) for _text, wanted in cases]


#: Template -> what its error says.
MISTAKES = {
    "{{ '3-1' | rtvirt.core.cpuset }}": "range 3-1 runs backwards: write 1-3",
    "{{ '^1' | rtvirt.core.cpuset }}": "only excludes",
    "{{ [1, -1] | rtvirt.core.cpuset('mask') }}": "-1 is not a CPU number",
    "{{ [1, -1] | rtvirt.core.cpuset }}": "-1 is not a CPU number",
    "{{ [1, 2.5] | rtvirt.core.cpuset }}": "2.5",
    "{{ [true] | rtvirt.core.cpuset }}": "True",
    "{{ none | rtvirt.core.cpuset }}": "neither text nor a list",
    "{{ '1' | rtvirt.core.cpuset('hex') }}": "write list, ranges or mask",
    "{{ 'x' | rtvirt.core.manifest }}": "a mapping",
    "{{ 'x' | rtvirt.core.machine_config }}": "no mapping: write a declaration",
    "{{ {'nested_kvm': {}} | rtvirt.core.machine_config(vendor='x') }}": "vendor: is 'x'",
    "{{ [{'name': 'a'}] | rtvirt.core.manifest }}": "is a list: write a mapping of libvirt_vm's options, one by one",
    "{{ '^0' | rtvirt.core.cpuset(universe=['0', '1']) }}": "is not a CPU number",
    "{{ '^0' | rtvirt.core.cpuset(universe=1) }}": "neither text nor a list",
    "{{ {'name': 'a', 'memory': '1Gi'} | rtvirt.core.domain_xml(none) }}": "capabilities is no text",
    "{{ {'name': 'a', 'disks': [{}]} | rtvirt.core.manifest }}": "disks[0].name",
    "{{ {'name': 'a', 'disks': 5} | rtvirt.core.manifest }}": "disks",
    "{{ {'name': 'a', 'cpu_coers': 2} | rtvirt.core.manifest }}": "cpu_coers",
    "{{ {'name': 'a', 'firmware': 'efi'} | rtvirt.core.manifest }}": "firmware",
    "{{ {'name': 'a', 'cloud_init': {'user_data': ['x']}} | rtvirt.core.manifest }}": "user_data",
    "{{ {'name': 'a', 'memory': '1Gi'} | rtvirt.core.domain_xml(capabilities='no XML') }}": "capabilities",
    "{{ {'name': 'a', 'memory': '1Gi'} | rtvirt.core.domain_xml(capabilities='<x/>') }}": "offers no QEMU guests",
    "{{ {'name': 'a', 'memory': '1Gi', 'realtime': true} | rtvirt.core.domain_xml(capabilities=caps) }}": "realtime",
    "{{ {'name': 'a'} | rtvirt.core.domain_xml(capabilities=caps) }}": "memory",
    "{{ {'name': 'a', 'memory': '4Gi', 'hugepages': '4Mi'} | rtvirt.core.domain_xml(caps) }}": "no pages of 4Mi",
    "{{ {'name': 'a', 'memory': '1Gi', 'machine_type': 'pc-q35-0'} | rtvirt.core.domain_xml(caps) }}": "machine_type",
    "{{ [] | rtvirt.core.domain_xml(capabilities=caps) }}": "a mapping",
    "{{ {'name': 'a', 'memory': '1Gi'} | rtvirt.core.domain_xml(capabilities=caps, cpu_pool='4000') }}": "cpu_pool",
    "{{ {'name': 'a', 'memory': '1Gi'} | rtvirt.core.domain_xml(capabilities=caps, cpu_pool='b') }}": "cpu_pool",
    "{{ {'name': 'a', 'memory': '1Gi'} | rtvirt.core.domain_xml(caps, isolated_cpus='b') }}": "isolated_cpus",
    "{{ {'name': 'a', 'memory': '1Gi'} | rtvirt.core.domain_xml(capabilities=caps, virt_type='xen') }}": "virt_type",
}


@pytest.fixture(scope="module")
def mistakes() -> t.Iterator[dict[str, dict[str, t.Any]]]:
    """All mistakes in one playbook: it is the start of ansible-playbook that takes time."""
    bed = Bed()
    caps = bed.connection.getCapabilities()
    try:
        yield dict(zip(MISTAKES, play(bed.folder, *(template(text, caps=caps) for text in MISTAKES)).results))
    finally:
        bed.clear()


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_named(mistakes: dict[str, dict[str, t.Any]], text: str) -> None:
    message = said(mistakes[text])
    assert MISTAKES[text] in message
    # What Ansible says of an exception that a filter did not expect.
    for accident in ("Unexpected templating type error", "object has no attribute", "Traceback", "KeyError"):
        assert accident not in message
