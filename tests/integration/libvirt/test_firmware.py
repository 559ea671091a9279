# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""EFI: the variables and the TPM's state are a VM's data, kept and removed like its disks."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import run_one

PULL = {"force": True, "wait_timeout": 0}
KINDS: dict[str, dict[str, t.Any]] = {
    "plain": {"bootloader": "efi"},
    "secure boot": {"bootloader": "efi", "secure_boot": True, "smm": True},
}


def nvram(bed: Bed) -> Path:
    return Path(bed.xml().findtext("os/nvram", f"/var/lib/libvirt/qemu/nvram/{bed.name()}_VARS.fd"))


@pytest.mark.parametrize("kind", KINDS)
def test_variables_are_kept_and_removed_only_on_request(bed: Bed, kind: str) -> None:
    options = bed.bare(firmware=KINDS[kind])
    run_one(**options, state="running")
    variables = nvram(bed)
    assert variables.is_file()
    again = run_one(**options, state="running")
    assert (again["changed"], again["restart_required"]) == (False, False)
    with variables.open("r+b") as file:
        file.seek(-64, 2)
        file.write(b"remember me")
    content = variables.read_bytes()

    run_one(name=bed.name(), state="absent", **PULL)
    assert bed.power() == "absent"
    assert variables.read_bytes() == content
    run_one(**options, state="running")
    assert variables.read_bytes().count(b"remember me") == 1

    gone = run_one(name=bed.name(), state="absent", delete_volumes=True, **PULL)
    assert gone["actions"][-1] == "undefine"
    assert not variables.exists()


@pytest.mark.parametrize(("secure", "loader"), [(True, "OVMF_CODE_4M.ms.fd"), (False, "OVMF_CODE_4M.fd")])
def test_secure_boot_is_turned_on_and_off(bed: Bed, secure: bool, loader: str) -> None:
    """libvirt chooses the image by it: that of before must not stay."""
    options = bed.bare(firmware={"bootloader": "efi", "secure_boot": not secure, "smm": True})
    run_one(**options, state="running")
    run_one(**options, state="stopped", **PULL)
    options = bed.bare(firmware={"bootloader": "efi", "secure_boot": secure, "smm": True})
    assert run_one(**options, state="running")["actions"] == ["redefine", "start"]
    assert bed.xml(running=True).findtext("os/loader").endswith(loader)
    assert run_one(**options)["changed"] is False


def test_bios_becomes_efi_and_back(bed: Bed) -> None:
    run_one(**bed.bare(firmware={"bootloader": "bios"}))
    efi = bed.bare(firmware={"bootloader": "efi"})
    assert run_one(**efi, state="running")["actions"] == ["redefine", "start"]
    assert bed.xml(running=True).find("os/loader") is not None
    run_one(**efi, state="stopped", **PULL)
    bios = bed.bare(firmware={"bootloader": "bios"})
    assert run_one(**bios, state="running")["actions"] == ["redefine", "start"]
    assert bed.xml(running=True).find("os/loader") is None
    assert run_one(**bios)["changed"] is False


def test_an_efi_guest_boots(bed: Bed, boot: dict[str, t.Any], guest_files: dict[str, str]) -> None:
    boot["domain"]["firmware"]["kernelBoot"]["libvirt"]["kernelPath"] = guest_files["bzimage"]
    run_one(**bed.bare(memory="256Mi", firmware={"bootloader": "efi"}, cpu_model="qemu64", spec=boot, state="running"))
    assert bed.facts()["efi"] == "1"
    run_one(name=bed.name(), state="stopped", wait_timeout=60)


def test_a_persistent_tpm_goes_only_on_request(bed: Bed) -> None:
    options = bed.bare(spec={"domain": {"devices": {"tpm": {"persistent": True}}}})
    run_one(**options, state="running")
    state = Path("/var/lib/libvirt/swtpm", bed.domain().UUIDString())
    assert state.is_dir()
    run_one(name=bed.name(), state="absent", **PULL)
    assert state.is_dir()
    uuid = {"domain": {"firmware": {"uuid": state.name}}}
    run_one(**bed.bare(spec={**uuid, "domain": {**uuid["domain"], "devices": {"tpm": {"persistent": True}}}}))
    run_one(name=bed.name(), state="absent", delete_volumes=True)
    assert not state.exists()
