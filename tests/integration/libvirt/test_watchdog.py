# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest stops feeding its watchdog: libvirt reports the declared action, and takes it."""

from __future__ import annotations

import subprocess
import typing as t

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import URI, Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import run_one
from ansible_collections.rtvirt.core.tests.integration.libvirt.test_agent import guest, told
from ansible_collections.rtvirt.core.tests.integration.waiting import until


@pytest.mark.parametrize(
    ("action", "afterwards"), [("reset", "running"), ("poweroff", "stopped"), ("pause", "paused"), ("none", "running")]
)
def test_the_declared_action(bed: Bed, boot: dict[str, t.Any], action: str, afterwards: str) -> None:
    declared = guest(bed, told(boot, watchdog="5"), watchdog={"name": "dog", "i6300esb": {"action": action}})
    run_one(**declared, state="present")
    command = ["virsh", "-q", "-c", URI, "event", "--domain", bed.name(), "--event", "watchdog", "--timeout", "150"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        run_one(**declared, state="running")
        event, _none = watching.communicate()
    assert f"event 'watchdog' for domain '{bed.name()}': {action}" in event
    assert "starved=5" in bed.console()
    # QEMU tells of the action before it takes it.
    until(f"it is {afterwards}", lambda: bed.power() == afterwards, 30)
    if action == "reset":
        assert bed.facts(boots=2)["watchdog"] == "i6300esb"
