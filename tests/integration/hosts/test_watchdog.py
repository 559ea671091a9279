# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""guest_watchdog in a guest with an i6300esb: fed, starved, reset by QEMU, and fed again."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.rtvirt.core.tests.integration.hosts.lab import LabHost

#: The machine has its chip set's watchdog too.
COMMON = {"guest_watchdog_identity": "i6300*", "guest_watchdog_timeout": 16, "guest_watchdog_interval": 4}


def role(entry: str = "main", **variables: t.Any) -> dict[str, t.Any]:
    included = {"name": "rtvirt.core.guest_watchdog", "tasks_from": entry, "public": True}
    return {"ansible.builtin.include_role": included, "vars": {**COMMON, **variables}}


RESULT = {"ansible.builtin.debug": {"var": "guest_watchdog_result"}}


def fed(lab: LabHost, feeder: str) -> dict[str, t.Any]:
    result = lab.play(role(guest_watchdog_feeder=feeder), RESULT).results[1]["guest_watchdog_result"]
    assert not result.get("failed"), result
    return t.cast("dict[str, t.Any]", result)


def holders(result: dict[str, t.Any]) -> list[str]:
    watchdogs = {one["identity"]: one for one in result["watchdogs"]}
    return [holder.split()[0] for holder in watchdogs["i6300ESB timer"]["holders"]]


@pytest.mark.parametrize(
    ("feeder", "program", "trigger"), [("systemd", "systemd", "crash"), ("daemon", "watchdog", "starve")]
)
def test_it_resets_the_machine_and_is_fed_again(lab: LabHost, feeder: str, program: str, trigger: str) -> None:
    done = fed(lab, feeder)
    assert (done["changed"], holders(done)) == (True, [program])
    assert not fed(lab, feeder)["changed"]
    with pytest.raises(AssertionError, match=r"this hangs .*; set guest_watchdog_trigger_ok"):
        lab.play(role("verify", guest_watchdog_trigger=trigger))
    before = lab.boot()
    with lab.monitor(patience=120) as monitor, ThreadPoolExecutor(1) as pool:
        triggered = role("verify", guest_watchdog_trigger=trigger, guest_watchdog_trigger_ok=True)
        verified = pool.submit(lab.play, triggered)
        assert monitor.event("WATCHDOG") == {"action": "reset"}
        verified.result()
    lab.wait(after=before)
    again = fed(lab, feeder)
    assert (again["changed"], holders(again)) == (False, [program])


def test_it_goes_again(lab: LabHost) -> None:
    fed(lab, "systemd")
    done = lab.run("watchdog", state="absent")
    assert (done["changed"], holders(done)) == (True, [])
    assert lab.shell("find /etc -name '*rtvirt*watchdog*' -o -name '*watchdog*rtvirt*'") == ""
