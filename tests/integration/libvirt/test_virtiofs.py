# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of the host that the guest mounts."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import run_one
from ansible_collections.rtvirt.core.tests.integration.libvirt.test_agent import guest, told


def sharing(bed: Bed, boot: dict[str, t.Any], folder: Path, **options: t.Any) -> dict[str, t.Any]:
    spec = {**told(boot, virtiofs="data"), "volumes": [{"name": "data", "libvirt": {"directory": str(folder)}}]}
    spec["domain"] = {**spec["domain"], "devices": {"filesystems": [{"name": "data", "virtiofs": {}}]}}
    return guest(bed, spec, **options)


@pytest.fixture
def folder(bed: Bed) -> Path:
    folder = bed.folder / "shared"
    folder.mkdir()
    (folder / "from-host").write_text(f"of {bed.prefix}\n")
    return folder


def test_host_and_guest_read_what_the_other_wrote(bed: Bed, boot: dict[str, t.Any], folder: Path) -> None:
    options = sharing(bed, boot, folder)
    run_one(**options, state="running")
    facts = bed.facts()
    assert facts["virtiofs"] == f"of {bed.prefix}"
    assert (folder / "from-guest").read_text().strip() == facts["boot_id"]

    again = run_one(**options, state="running")
    assert (again["changed"], again["restart_required"], again["pending"]) == (False, False, [])
    assert run_one(**options, state="stopped")["state"] == "shutoff"
    assert sorted(path.name for path in folder.iterdir()) == ["from-guest", "from-host"]


def test_a_folder_in_huge_pages(bed: Bed, boot: dict[str, t.Any], folder: Path, hugepages: None) -> None:
    run_one(**sharing(bed, boot, folder, hugepages="2Mi"), state="running")
    assert bed.facts()["virtiofs"] == f"of {bed.prefix}"


def test_a_folder_given_to_a_running_guest_waits_for_its_restart(
    bed: Bed, boot: dict[str, t.Any], folder: Path
) -> None:
    run_one(**guest(bed, told(boot, virtiofs="data")), state="running")
    assert "failed" in bed.facts()["virtiofs"]
    options = sharing(bed, boot, folder)
    staged = run_one(**options, state="running")
    assert (staged["changed"], staged["restart_required"]) == (True, True)
    restarted = run_one(**options, state="running", allow_restart=True)
    assert (restarted["actions"], restarted["restart_required"]) == (["shut down", "start"], False)
    assert bed.facts(boots=2)["virtiofs"] == f"of {bed.prefix}"


def test_absent_keeps_the_folder(bed: Bed, boot: dict[str, t.Any], folder: Path) -> None:
    options = sharing(bed, boot, folder)
    run_one(**options)
    gone = run_one(**options, state="absent", delete_volumes=True)
    assert gone["state"] == "absent"
    assert (folder / "from-host").read_text() == f"of {bed.prefix}\n"
