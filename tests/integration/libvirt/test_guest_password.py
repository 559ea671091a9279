# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords in a real guest, set by its own agent and chpasswd."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.agent import run_in_guest
from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import TaskError, run_one
from ansible_collections.rtvirt.core.tests.integration.libvirt.test_agent import told
from ansible_collections.rtvirt.core.tests.integration.task import Module

password = Module("libvirt_guest_password").run

#: Two that could be of a password.
FIRST = "$6$rtvirt$ZzC1"
SECOND = "$6$rtvirt$ZzC2"


def booted(bed: Bed, boot: dict[str, t.Any], agent: str) -> str:
    options = bed.bare(memory="192Mi", cpu_model="qemu64", spec=told(boot, agent=agent))
    run_one(**options, state="running", wait_timeout=120, wait_for=["agent"])
    return bed.name()


def shadow(bed: Bed) -> str:
    return run_in_guest(bed.domain(), "cat /etc/shadow").split(":")[1]


def test_a_hash_is_set_where_the_guest_has_another(bed: Bed, boot: dict[str, t.Any]) -> None:
    name = booted(bed, boot, "run")
    options = {"name": name, "password": FIRST, "encrypted": True}
    assert password(check=True, **options)["changed"] is True
    assert shadow(bed) == "*"
    assert [password(**options)["changed"] for _time in range(2)] == [True, False]
    assert shadow(bed) == FIRST
    assert password(**{**options, "password": SECOND})["changed"] is True
    # A plain one is set each time.
    assert [password(name=name, password="s3cret")["changed"] for _time in range(2)] == [True, True]
    assert shadow(bed).startswith("$6$")
    assert shadow(bed) not in (FIRST, SECOND)

    with pytest.raises(TaskError, match=rf"^set the password of nobody in {name}: .*: look whether"):
        password(**options, user="nobody")
    with pytest.raises(
        TaskError, match=r"^2 problems: user: is 'a:b': write .*; password: is no hash: write one as in"
    ):
        password(name=name, user="a:b", password="s3cret", encrypted=True)
    with pytest.raises(TaskError, match=r"^password: is empty or has more than one line"):
        password(name=name, password="")
    with pytest.raises(TaskError, match=r"^name: there is no VM 'nothing': write one that runs"):
        password(name="nothing", password="s3cret")


def test_an_agent_that_may_not_read_files(bed: Bed, boot: dict[str, t.Any]) -> None:
    """As on RHEL: nothing can be compared, and each run sets it."""
    name = booted(bed, boot, "rhel")
    options = {"name": name, "password": FIRST, "encrypted": True}
    assert [password(**options)["changed"] for _time in range(2)] == [True, True]
