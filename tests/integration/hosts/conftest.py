# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests on a lab host, which is rebooted: tests/lab_host/lab-host run --amd --gpu -- pytest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.tests.conftest import missing
from ansible_collections.rtvirt.core.tests.integration.hosts.lab import LabHost


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> LabHost:
    try:
        name, inventory = os.environ["RTVIRT_LAB_HOST_NAME"], os.environ["RTVIRT_LAB_HOST_INVENTORY"]
    except KeyError:
        missing("no lab host: run through tests/lab_host/lab-host run --amd --gpu -- ... (make test-hosts)")
    return LabHost(name, Path(inventory), tmp_path_factory.mktemp("plays"))
