# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that are deleted for a term: kept, brought back, and removed when it is over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.recorder import writes
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import TaskError, run, run_one
from ansible_collections.rtvirt.core.tests.integration.task import Module

info = Module("libvirt_vm_info").run
PULL = {"force": True, "wait_timeout": 0}
WEEK = {"state": "absent", "reclaim_after": 7 * 86400, **PULL}


def kept(bed: Bed, short: str = "vm") -> dict[str, t.Any]:
    """What libvirt_vm_info says of it."""
    (found,) = info(names=[bed.name(short)])["vms"]
    return dict(found)


@pytest.mark.parametrize(
    ("state", "steps"), [("running", ["shut down"]), ("paused", ["resume", "shut down"]), ("stopped", [])]
)
def test_it_is_kept_and_comes_back(bed: Bed, state: str, steps: list[str]) -> None:
    declared = bed.bare(disks=[bed.disk("root")], autostart=True)
    before = run_one(**declared, state=state)
    with (bed.folder / "root.img").open("r+b") as disk:
        disk.write(b"data")

    predicted = run_one(check=True, **declared, **WEEK)
    assert bed.domain().autostart()
    done = run_one(**declared, **WEEK)
    assert predicted["actions"] == [*steps, "soft delete"]
    assert [action for action in done["actions"] if action != "force off"] == predicted["actions"]
    assert predicted["state"] == done["state"] == "shutoff"
    assert (done["changed"], done["autostart"], bed.power()) == (True, False, "stopped")
    assert (kept(bed)["deleted_at"], kept(bed)["reclaim_at"]) == (done["deleted_at"], done["reclaim_at"])
    text = bed.text()
    assert not run_one(**bed.bare(), **WEEK)["changed"]
    assert bed.text() == text

    wanted = {**declared, "autostart": None}
    predicted = run_one(check=True, **wanted, state="running")
    back = run_one(**wanted, state="running")
    assert predicted["actions"] == back["actions"] == ["restore", "set autostart", "start"]
    assert (back["uuid"], back["autostart"]) == (before["uuid"], True)
    # libvirt lists controllers in another order after the first start.
    assert sorted(back["xml"].splitlines()) == sorted(before["xml"].splitlines())
    assert (bed.folder / "root.img").read_bytes().startswith(b"data")
    assert "reclaim_at" not in {**predicted, **back, **kept(bed)}
    assert not run_one(**wanted, state="running")["changed"]


def test_its_term_can_be_changed(bed: Bed) -> None:
    run_one(**bed.bare())
    first = run_one(**bed.bare(), **WEEK)
    time.sleep(1.1)
    other = {**WEEK, "reclaim_after": 3600}
    predicted, longer = run_one(check=True, **bed.bare(), **other), run_one(**bed.bare(), **other)
    assert longer["actions"] == ["soft delete"]
    assert longer["deleted_at"] == first["deleted_at"]
    assert first["reclaim_at"] > longer["reclaim_at"] == predicted["reclaim_at"]


def test_only_those_whose_term_is_over_are_reclaimed(bed: Bed) -> None:
    for short, term in (("over", 1), ("kept", 3600), ("back", 1), ("started", 1), ("never", 0)):
        run_one(**bed.bare(short, disks=[bed.disk(short)]))
        if term:
            run_one(**bed.bare(short), **{**WEEK, "reclaim_after": term})
    run_one(**bed.bare("back", disks=[bed.disk("back")]))
    bed.domain("started").create()
    time.sleep(1.1)
    names = ["over", "kept", "back", "started", "never", "gone"]
    task = {"vms": [{"name": bed.name(short)} for short in names], "state": "reclaimed", "delete_volumes": True}
    predicted, done = run(check=True, **task), run(**task)
    removed = ["undefine", f"remove {bed.folder}/over.img"]
    for result in (predicted, done):
        assert [vm["actions"] for vm in result["vms"]] == [removed, [], [], [], [], []]
    assert set(bed.domains()) == {bed.name(short) for short in ("kept", "back", "started", "never")}
    assert bed.files() == ["back.img", "kept.img", "never.img", "started.img"]
    # At once, whatever is left of the term.
    assert run_one(**bed.bare("kept"), state="absent")["actions"] == ["undefine"]


def test_one_that_somebody_starts_is_shut_down_again(bed: Bed) -> None:
    run_one(**bed.bare())
    run_one(**bed.bare(), **WEEK)
    bed.domain().setAutostart(1)
    assert run_one(**bed.bare(), **WEEK)["actions"] == ["soft delete"]
    assert not bed.domain().autostart()
    bed.domain().create()
    assert run_one(**bed.bare(), **WEEK)["actions"] == ["shut down", "force off"]
    assert bed.power() == "stopped"


def test_one_that_was_only_adopted_has_no_record(bed: Bed) -> None:
    run_one(**bed.bare())
    bed.edit((r"<metadata.*</metadata>", ""))
    assert not kept(bed)["managed"]
    assert run_one(**bed.bare(), **WEEK)["actions"] == ["soft delete"]
    assert not kept(bed)["managed"]
    back = run_one(**bed.bare())
    assert back["actions"] == ["restore"]
    assert "rtvirt.dev" not in bed.text()


def test_a_guest_that_does_not_stop_is_not_marked(bed: Bed) -> None:
    run_one(**bed.bare(state="running"))
    with pytest.raises(TaskError, match="did not shut down within 0 s"):
        run_one(**bed.bare(), **{**WEEK, "force": False})
    assert "reclaim_at" not in kept(bed)


def test_what_ends_with_its_guest_cannot_be_kept(bed: Bed) -> None:
    bed.transient("vm")
    with writes() as calls, pytest.raises(TaskError, match=r"^reclaim_after: .*as it is a transient domain"):
        run_one(**bed.bare(), **WEEK)
    assert calls == []
    assert bed.power() == "running"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"state": "absent", "reclaim_after": -1}, "^reclaim_after: is -1: write 0 to "),
        ({"state": "absent", "reclaim_after": 604800000}, "^reclaim_after: is 604800000: write 0 to "),
        ({"state": "present", "reclaim_after": 60}, "^reclaim_after: .*state is present: write state: absent"),
        ({"state": "reclaimed", "reclaim_after": 60}, "^reclaim_after: .*state is reclaimed: write state: absent"),
    ],
)
def test_a_term_that_is_none(bed: Bed, options: dict[str, t.Any], message: str) -> None:
    with writes() as calls, pytest.raises(TaskError, match=message):
        run(**bed.bare(**options))
    assert calls == []


def test_the_playbook(bed: Bed, checkout: Path, tmp_path: Path) -> None:
    """On names that are this test's own, so that it has no other VM in its hands."""
    for short in ("over", "kept"):
        run_one(**bed.bare(short, namespace="telco"))
    domains = {domain.name() for domain in bed.connection.listAllDomains() if bed.prefix in domain.name()}
    try:
        assert domains == {f"telco_{bed.name(short)}" for short in ("over", "kept")}
        for short, term in (("over", 1), ("kept", 3600)):
            run_one(**bed.bare(short, namespace="telco"), **{**WEEK, "reclaim_after": term})
        time.sleep(1.1)
        variables = {
            "reclaim_hosts": "localhost",
            "reclaim_become": False,
            "ansible_python_interpreter": sys.executable,
        }
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-c", "local"]
        command += [str(checkout / "playbooks" / "reclaim.yml"), "-e", json.dumps(variables)]
        for changed in ("changed=1", "changed=0"):
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ, cwd=tmp_path)
            assert done.returncode == 0, done.stdout + done.stderr
            assert changed in done.stdout
        left = {domain.name() for domain in bed.connection.listAllDomains() if bed.prefix in domain.name()}
        assert left == {f"telco_{bed.name('kept')}"}
    finally:
        for domain in bed.connection.listAllDomains():
            if bed.prefix in domain.name():
                domain.undefine()
