# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of CPU and memory follow a running guest where control groups are there, and wait where they are not."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt import embedded
from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import run_one

VM = {"name": "limited", "memory": "64Mi", "autoattach_pod_interface": False}

#: Two values of each limit.
LIMITS: dict[str, list[dict[str, t.Any]]] = {
    "global_quota": [{"resources": {"limits": {"cpu": cpu}}} for cpu in ("500m", "700m")],
    "hard_limit": [{"memory_limit": memory} for memory in ("128Mi", "256Mi")],
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_comes_changes_and_goes_at_once(limit: str) -> None:
    declarations = [{**VM, "state": "running"}, *({**VM, **declared} for declared in [*LIMITS[limit], {}])]
    done = subprocess.run(
        [sys.executable, "-m", embedded.__name__],
        input=json.dumps(declarations),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    started, *changed = json.loads(done.stdout)
    for step in changed:
        assert step["done"]["actions"] == step["foreseen"]["actions"] == ["redefine", "change live"]
        assert (step["done"]["restart_required"], step["foreseen"]["restart_required"]) == (False, False)
        assert step["again"]["changed"] is False
    none, *limited, lifted = [step["limits"] for step in (started, *changed)]
    assert lifted == none
    assert len({none[limit], *(in_force[limit] for in_force in limited)}) == 3
    if limit == "global_quota":
        assert [in_force[limit] for in_force in limited] == [50000, 70000]


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_without_a_control_group_waits(bed: Bed, limit: str) -> None:
    run_one(**bed.bare(state="running"))
    options = bed.bare(**LIMITS[limit][0])
    predicted = run_one(check=True, **options)
    staged = run_one(**options)
    assert staged["actions"] == predicted["actions"] == ["redefine"]
    assert staged["restart_required"] is predicted["restart_required"] is True
    assert [change["path"].rpartition("/")[2] for change in staged["pending"]][-1] == limit
