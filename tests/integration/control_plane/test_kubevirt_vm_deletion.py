# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that are deleted for a term: kept, brought back, and removed when it is over."""

from __future__ import annotations

import time
import typing as t

import pytest

from ansible_collections.rtvirt.core.tests.control_plane.api import Object
from ansible_collections.rtvirt.core.tests.integration.control_plane.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.control_plane.task import TaskError, run, run_one
from ansible_collections.rtvirt.core.tests.integration.task import Module

WEEK = {"state": "absent", "reclaim_after": 7 * 86400}


def info(bed: Bed) -> Object:
    """What kubevirt_vm_info says of the VM."""
    asked = {key: value for key, value in bed.bare().items() if key in ("name", "namespace", "kubeconfig")}
    (found,) = Module("kubevirt_vm_info").run(**asked)["vms"]
    return dict(found)


def test_it_is_kept_and_comes_back(bed: Bed) -> None:
    declared = bed.bare(annotations={"team": "ran"})
    run_one(**declared, state="running", wait=True)
    uid, spec = bed.vm()["metadata"]["uid"], bed.vm()["spec"]["template"]
    predicted = run_one(check=True, **bed.bare(), **WEEK)
    assert (predicted["actions"], bed.power()) == (["soft delete", "stop"], "running")
    done = run_one(**bed.bare(), **WEEK, wait=True)
    assert (done["actions"], done["state"], bed.power()) == (["soft delete", "stop"], "stopped", "stopped")
    assert (info(bed)["deleted_at"], info(bed)["reclaim_at"]) == (done["deleted_at"], done["reclaim_at"])
    assert predicted["reclaim_at"]
    with bed.requests() as requests:
        again = run_one(**bed.bare(), **WEEK, wait=True)
    assert (again["changed"], again["reclaim_at"]) == (False, done["reclaim_at"])
    assert requests.writes == []

    wanted = {**declared, "state": "running", "wait": True}
    predicted = run_one(check=True, **wanted)
    back = run_one(**wanted)
    assert predicted["actions"] == back["actions"] == ["restore", "start"]
    assert "reclaim_at" not in {**back, **info(bed)}
    assert (bed.vm()["metadata"]["uid"], bed.vm()["spec"]["template"]) == (uid, spec)
    assert bed.vm()["metadata"]["annotations"]["team"] == "ran"
    assert not run_one(**wanted)["changed"]


def test_it_comes_back_by_its_name_alone(bed: Bed) -> None:
    run_one(**bed.bare(labels={"app": "web"}))
    run_one(**bed.bare(), **WEEK)
    named = {key: value for key, value in bed.bare().items() if key in ("name", "namespace", "kubeconfig")}
    assert run_one(**named, state="stopped")["actions"] == ["restore"]
    assert "reclaim_at" not in info(bed)
    assert info(bed)["labels"] == {"app": "web"}


def test_it_comes_back_changed(bed: Bed) -> None:
    run_one(**bed.bare())
    run_one(**bed.bare(), **WEEK)
    back = run_one(**bed.bare(memory="96Mi"))
    assert back["actions"] == ["restore"]
    assert [one["path"] for one in back["changes"]]
    assert "reclaim_at" not in info(bed)


def test_its_term_can_be_changed(bed: Bed) -> None:
    run_one(**bed.bare())
    first = run_one(**bed.bare(), **WEEK)
    time.sleep(1.1)
    shorter = run_one(**bed.bare(), **{**WEEK, "reclaim_after": 3600})
    assert shorter["actions"] == ["soft delete"]
    assert shorter["deleted_at"] == first["deleted_at"]
    assert shorter["reclaim_at"] < first["reclaim_at"]


def test_only_those_whose_term_is_over_are_reclaimed(bed: Bed) -> None:
    for short, term in (("over", 1), ("kept", 3600), ("back", 1), ("started", 1), ("never", 0)):
        run_one(**bed.bare(short))
        if term:
            run_one(**bed.bare(short), **{**WEEK, "reclaim_after": term})
    run_one(**bed.bare("back"))
    bed.act("start", "started")
    bed.comes_to("running", "started")
    time.sleep(1.1)
    shorts = ["over", "kept", "back", "started", "never", "gone"]
    common = {key: value for key, value in bed.bare().items() if key in ("namespace", "kubeconfig")}
    task: dict[str, t.Any] = {"vms": [{"name": bed.bare(short)["name"]} for short in shorts], **common}
    predicted, done = run(check=True, **task, state="reclaimed"), run(**task, state="reclaimed", wait=True)
    for result in (predicted, done):
        assert [vm["actions"] for vm in result["vms"]] == [["delete"], [], [], [], [], []]
    assert [bed.find(short) is None for short in shorts] == [True, False, False, False, False, True]
    # At once, whatever is left of the term.
    assert run_one(**bed.bare("kept"), state="absent", wait=True)["actions"] == ["delete"]
    assert bed.find("kept") is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"state": "absent", "reclaim_after": -1}, "^reclaim_after: is -1: write 0 to "),
        ({"state": "present", "reclaim_after": 60}, "^reclaim_after: .*state is present: write state: absent"),
        ({"state": "started", "reclaim_after": 60}, "^reclaim_after: .*state is started: write state: absent"),
    ],
)
def test_a_term_that_is_none(bed: Bed, options: dict[str, t.Any], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        run(**bed.bare(**options))
    assert bed.find() is None
