# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A CPU that the host cannot give is told before anything of the task is done, and in check mode too."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import TaskError, run, run_one

#: (options, the option to blame, words of the message). QEMU's emulation has no AVX-512.
REFUSED: dict[str, tuple[dict[str, t.Any], str, str]] = {
    "unknown model": ({"cpu_model": "Skylark"}, "cpu_model", "no CPU model 'Skylark'"),
    "unknown feature": (
        {"cpu_model": "qemu64", "cpu_features": [{"name": "svm"}, {"name": "warp"}]},
        "cpu_features[1].name",
        "no CPU feature 'warp'",
    ),
    "model that the host is not": ({"cpu_model": "Skylake-Server"}, "cpu_model", "avx512f"),
    "feature that the host lacks": (
        {"cpu_model": "qemu64", "cpu_features": [{"name": "avx512f"}]},
        "cpu_features[0]",
        "does not have avx512f",
    ),
    "host's own by emulation": ({"cpu_model": "host-passthrough"}, "cpu_model", "virt_type qemu"),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("check", [True, False])
def test_a_cpu_that_the_host_cannot_give_is_refused(bed: Bed, what: str, check: bool) -> None:
    options, path, words = REFUSED[what]
    shared = bed.bare(state="running")
    vms = [{"name": bed.name("first")}, {"name": bed.name(), **options}]
    with pytest.raises(TaskError) as refusal:
        run(check=check, **shared, vms=vms)
    assert refusal.value.msg.startswith(f"vms[1].{path}")
    assert words in refusal.value.msg
    assert bed.domains() == {}


def test_a_feature_that_is_optional_is_no_reason(bed: Bed) -> None:
    features = [{"name": "avx512f", "policy": "optional"}, {"name": "svm", "policy": "disable"}]
    done = run_one(**bed.bare(cpu_model="qemu64", cpu_features=features, state="running"))
    assert done["state"] == "running"


def test_what_only_another_host_has_may_be_defined(bed: Bed) -> None:
    done = run_one(**bed.bare(cpu_model="Skylake-Server"))
    assert done["actions"] == ["define"]
    with pytest.raises(TaskError, match=r"cpu_model.*avx512f"):
        run_one(**bed.bare(cpu_model="Skylake-Server", state="running"))
