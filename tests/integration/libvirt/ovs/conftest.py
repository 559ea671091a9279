# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests on a real Open vSwitch with DPDK. A poll thread takes a CPU: no bridge outlives its test."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.tests.conftest import missing
from ansible_collections.rtvirt.core.tests.integration.libvirt.ovs import switch

#: Pages of 2 MiB that DPDK takes, beside those of guests.
PAGES = 128


@pytest.fixture(scope="session", autouse=True)
def open_vswitch() -> None:
    """The harness's Open vSwitch."""
    if not Path("/run/rtvirt-harness/ovs/program").exists():
        missing("no Open vSwitch to test on: run through tests/harness/ovs run -- ... (make test-ovs)")
    if os.environ.get("RTVIRT_HUGEPAGES") != "true":
        missing("no hugepages: run through tests/harness/hugepages run 400 -- ... (make test-ovs)")


@pytest.fixture
def bare() -> None:
    """A switch with nothing in it, without DPDK."""
    switch.empty()


@pytest.fixture(scope="module")
def initialised() -> None:
    """A switch with DPDK."""
    switch.empty()
    switch.ovs_dpdk.run(**switch.DPDK, allow_restart=True)


@pytest.fixture
def dpdk(initialised: None) -> t.Iterator[None]:
    """A switch with DPDK, and without bridges at the end."""
    yield
    switch.without_bridges()
