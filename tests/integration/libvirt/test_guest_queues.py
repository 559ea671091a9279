# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Queues of an interface in a real guest, set by its own agent and ethtool."""

from __future__ import annotations

import secrets
import typing as t

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import TaskError, run_one
from ansible_collections.rtvirt.core.tests.integration.libvirt.test_agent import told
from ansible_collections.rtvirt.core.tests.integration.task import Module

queues = Module("libvirt_guest_queues").run
network = Module("libvirt_network").run


def test_a_guest_uses_the_queues_it_is_told_to(bed: Bed, boot: dict[str, t.Any]) -> None:
    name, mac = bed.name(), "52:54:00:18:00:02"
    network(name=bed.name("net"), ipv4={"address": f"198.18.{secrets.randbelow(256)}.1/24"})
    lan = {"bridge": {}, "network": {"libvirt": {"network": bed.name("net")}}}
    interfaces = [{"name": "lan", "macAddress": mac, **lan}, {"name": "old", "model": "e1000", **lan}]
    options = bed.bare(memory="192Mi", cpu_model="qemu64", cpu_cores=2, multiqueue=True, interfaces=interfaces)
    running = {**options, "spec": told(boot, agent="run"), "state": "running", "wait_timeout": 120}
    with pytest.raises(TaskError, match=rf"^name: there is no VM '{name}': write one that runs"):
        queues(name=name)
    run_one(**running, wait_for=["agent"])
    # Linux has taken both by itself.
    assert "eth0:2" in bed.facts()["nic_queues"].split(",")
    first = queues(name=name)
    shown = {"name": "lan", "mac": mac, "device": "eth0", "available": 2, "queues": 2}
    assert (first["changed"], first["interfaces"], first["irqbalance"]) == (False, [shown], "stopped")

    predicted = queues(check=True, name=name, queues=1, interfaces=["lan"])
    assert (predicted["changed"], predicted["interfaces"][0]["queues"]) == (True, 1)
    assert queues(name=name)["changed"] is False
    one = queues(name=name, queues=1, interfaces=["lan"])
    assert (one["changed"], one["interfaces"], one["diff"]) == (True, predicted["interfaces"], predicted["diff"])
    assert queues(name=name, queues=1, interfaces=[mac.upper()])["changed"] is False
    # Found again by who has not set it.
    assert [queues(name=name, interfaces=["lan"])[key] for key in ("changed", "interfaces")] == [True, [shown]]

    with pytest.raises(
        TaskError, match=r"^3 problems: interfaces\[0\]: .*it has lan, old; interfaces\[1\]: .*e1000"
    ) as refused:
        queues(name=name, interfaces=["wan", "old"], queues=3)
    assert "queues: is 3, and old has 1" in refused.value.msg
    with pytest.raises(TaskError, match=r"^queues: is 3, and lan has 2: .*multiqueue"):
        queues(name=name, queues=3)


def test_a_guest_that_cannot_be_asked(bed: Bed, boot: dict[str, t.Any]) -> None:
    name = bed.name()
    options = bed.bare(memory="192Mi", cpu_model="qemu64", spec=told(boot, agent="block"), wait_timeout=120)
    run_one(**options)
    with pytest.raises(TaskError, match=rf"^name: {name} is shutoff"):
        queues(name=name)
    run_one(**options, state="running")
    with pytest.raises(TaskError, match=rf"^{name} has no guest agent that answers: install"):
        queues(name=name)
    run_one(**options, state="running", wait_for=["agent"])
    with pytest.raises(
        TaskError, match=rf"^{name}: its guest agent may not run programs: allow guest-exec and guest-exec-status"
    ):
        queues(name=name)
    with pytest.raises(
        TaskError, match=rf"^{name}: its guest agent may not set passwords: allow guest-set-user-password in the guest"
    ):
        Module("libvirt_guest_password").run(name=name, password="s3cret")
