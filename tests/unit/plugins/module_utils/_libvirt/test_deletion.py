# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mark of a domain that is deleted for a term."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.deletion import Mark, read_mark

DOMAIN = "<domain><metadata><d:deletion xmlns:d='https://rtvirt.dev/libvirt/deletion/1' {}/></metadata></domain>"


def test_it_is_read() -> None:
    domain = ET.fromstring(DOMAIN.format("deleted='100' term='60' autostart='yes'"))
    assert read_mark(domain) == Mark(deleted=100, term=60, autostart=True)


@pytest.mark.parametrize("attributes", ["", "deleted='100'", "deleted='soon' term='60'", "deleted='100' term=''"])
def test_one_that_is_spoilt_is_none(attributes: str) -> None:
    """So that nothing is reclaimed by it."""
    assert read_mark(ET.fromstring(DOMAIN.format(attributes))) is None


def test_a_domain_without_it() -> None:
    assert read_mark(ET.fromstring("<domain/>")) is None
