# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered in a domain: all but the secrets."""

from __future__ import annotations

import copy
import hashlib
import typing as t
import xml.etree.ElementTree as ET

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.record import (
    NAMESPACE,
    Record,
    read_record,
    write_record,
)
from ansible_collections.rtvirt.core.plugins.module_utils._vm.secrets import (
    hashed,
    printable_options,
    redacted,
    unprinted,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import from_options

SECRET = "hunter2"


def cloud_init(**source: str) -> dict[str, t.Any]:
    volume = {"name": "seed", "cloudInitNoCloud": source}
    return {"spec": {"template": {"spec": {"volumes": [{"name": "root", "emptyDisk": {"capacity": "1Gi"}}, volume]}}}}


@pytest.mark.parametrize("key", ["userData", "userDataBase64", "networkData", "networkDataBase64"])
def test_secrets_are_hashes(key: str) -> None:
    result = redacted(cloud_init(**{key: SECRET}))
    source = result["spec"]["template"]["spec"]["volumes"][1]["cloudInitNoCloud"]
    assert source == {key: "sha256:" + hashlib.sha256(SECRET.encode()).hexdigest()}


def test_no_short_form_of_cloud_init_gets_through() -> None:
    options = {
        "name": "vm1",
        "cloud_init": {
            "hostname": "vm1",
            "users": [{"name": "admin", "plain_text_passwd": SECRET}],
            "network_data": {"wifi": SECRET},
        },
    }
    text = repr(redacted(from_options(options).document))
    assert SECRET not in text
    assert text.count("sha256:") == 2


def test_everything_else_is_remembered_as_it_is_and_nothing_is_changed() -> None:
    document = cloud_init(userData=SECRET)
    before = copy.deepcopy(document)
    result = redacted(document)
    assert document == before
    assert result["spec"]["template"]["spec"]["volumes"][0] == before["spec"]["template"]["spec"]["volumes"][0]


@pytest.mark.parametrize(
    "document",
    [{}, {"spec": None}, {"spec": {"template": None}}, {"spec": {"template": {"spec": {"volumes": None}}}}],
)
def test_a_manifest_without_volumes(document: dict[str, t.Any]) -> None:
    assert redacted(document) == document


def test_a_changed_secret_is_seen() -> None:
    assert redacted(cloud_init(userData="a")) != redacted(cloud_init(userData="b"))
    assert redacted(cloud_init(userData="a")) == redacted(cloud_init(userData="a"))


@pytest.mark.parametrize(
    "record",
    [
        Record({"metadata": {"name": "vm1"}}),
        Record({"metadata": {"name": "<&>\"'ü"}}, ("/srv/a b.img", "/srv/<x>.img")),
    ],
)
def test_what_is_written_is_read_back(record: Record) -> None:
    domain = ET.fromstring("<domain><name>vm1</name></domain>")
    write_record(domain, record)
    assert read_record(ET.fromstring(ET.tostring(domain))) == record


def test_metadata_of_others_stays_and_ours_is_there_once() -> None:
    domain = ET.fromstring(
        "<domain><metadata><x:app xmlns:x='https://example.com/x'>theirs</x:app></metadata></domain>"
    )
    for number in range(3):
        write_record(domain, Record({"metadata": {"name": f"vm{number}"}}))
    metadata = domain.find("metadata")
    assert metadata is not None
    assert [element.tag for element in metadata] == ["{https://example.com/x}app", f"{{{NAMESPACE}}}vm"]
    assert metadata[0].text == "theirs"
    assert read_record(domain) == Record({"metadata": {"name": "vm2"}})


def test_the_record_is_the_same_text_for_the_same_declaration() -> None:
    """Else a second run would write."""
    texts = []
    for manifest in ({"a": 1, "b": 2}, {"b": 2, "a": 1}):
        domain = ET.Element("domain")
        write_record(domain, Record(manifest))
        texts.append(ET.tostring(domain))
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    "xml",
    [
        "<domain/>",
        "<domain><metadata/></domain>",
        f"<domain><metadata><v:vm xmlns:v='{NAMESPACE}'/></metadata></domain>",
        "<domain><metadata><v:vm xmlns:v='https://example.com/x'>{}</v:vm></metadata></domain>",
    ],
)
def test_a_domain_without_a_record(xml: str) -> None:
    assert read_record(ET.fromstring(xml)) is None


def test_the_schema_of_libvirt_lets_the_record_in(convert: t.Callable[..., t.Any], schema: t.Any) -> None:
    from lxml import etree

    domain = convert({}).complete
    write_record(domain, Record({"metadata": {"name": "vm1"}}, ("/srv/a.img",)))
    assert schema.validate(etree.fromstring(ET.tostring(domain))), schema.error_log


def test_what_kubectl_left_is_remembered_as_a_hash() -> None:
    """It holds cloud-init's data as text."""
    key = "kubectl.kubernetes.io/last-applied-configuration"
    document = {"metadata": {"name": "vm1", "annotations": {key: "userData: hunter2", "a": "b"}}}
    kept = redacted(document)["metadata"]["annotations"]
    assert kept == {key: hashed("userData: hunter2"), "a": "b"}
    assert redacted({"metadata": {"annotations": kept}})["metadata"]["annotations"] == kept
    # Templates before ansible-core 2.19 make a mapping of it.
    document = {"metadata": {"name": "vm1", "annotations": {key: {"userData": "hunter2"}}}}
    assert "hunter2" not in repr(redacted(document))
    assert "hunter2" not in repr(unprinted(document))
    assert redacted(redacted(document)) == redacted(document)


def test_passwords_of_urls_are_not_printed() -> None:
    shown = printable_options({"uri": "qemu+ssh://root@host/system", "disks": [{"image": "https://me:hunter2@host/a"}]})
    assert shown == {"uri": "qemu+ssh://root@host/system", "disks": [{"image": "https://********@host/a"}]}
