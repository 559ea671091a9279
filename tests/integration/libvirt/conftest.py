# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests on a real libvirtd. Whatever they make has a name of its own and is removed at the end."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import time
import typing as t
from pathlib import Path

import libvirt
import pytest

from ansible_collections.rtvirt.core.tests.conftest import missing
from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import URI, Bed

LIBVIRTD = Path(__file__).resolve().parents[2] / "harness" / "libvirtd"


@pytest.fixture(scope="session", autouse=True)
def libvirtd() -> None:
    """Something that answers at qemu:///system."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    # Before the first connection, which else has no part in the modules' event loop.
    libvirt.virEventRegisterDefaultImpl()
    try:
        libvirt.open(URI).close()
    except libvirt.libvirtError as error:
        missing(f"no libvirtd answers: {error}; run through tests/harness/libvirtd run -- ... (make test-libvirt)")


@pytest.fixture
def bed() -> t.Iterator[Bed]:
    bed = Bed()
    try:
        yield bed
    finally:
        bed.clear()


@pytest.fixture(scope="session")
def hugepages() -> None:
    """At least 300 free pages of 2 MiB (tests/harness/test reserves them)."""
    if os.environ.get("RTVIRT_HUGEPAGES") != "true":
        missing("no hugepages: run through tests/harness/hugepages run 320 -- ... (make test-libvirt)")


@pytest.fixture
def free_cpus() -> None:
    """No other VM on this host holds dedicated CPUs; one of another session is waited for."""
    deadline = time.monotonic() + 120
    while others := holders():
        if time.monotonic() > deadline:
            missing(f"other VMs hold CPUs of this host: {', '.join(others)}")
        time.sleep(1)


def holders() -> list[str]:
    """Domains with a vCPU pinned to one CPU."""
    connection = libvirt.open(URI)
    pin = re.compile(r"<vcpupin vcpu='\d+' cpuset='\d+'/>")
    try:
        return [domain.name() for domain in connection.listAllDomains() if pin.search(domain.XMLDesc(2))]
    except libvirt.libvirtError:
        return ["one that is just being removed"]
    finally:
        connection.close()


@pytest.fixture
def boot(guest_files: dict[str, str]) -> dict[str, t.Any]:
    """The part of a declaration that boots the tests' guest."""
    kernel = {"kernelPath": guest_files["kernel"], "initrdPath": guest_files["initrd"]}
    return {"domain": {"firmware": {"kernelBoot": {"kernelArgs": "console=ttyS0 quiet", "libvirt": kernel}}}}


@pytest.fixture
def restart() -> t.Callable[[], None]:
    """Starts the harness's libvirtd again; nothing happens where it runs."""
    return functools.partial(harness, "start")


@pytest.fixture
def crash(restart: t.Callable[[], None]) -> t.Iterator[t.Callable[[], None]]:
    """Kills libvirtd as a crash would; it runs again at the end."""
    status = harness("status")
    if status != "started by this harness":
        missing(f"only the harness's own libvirtd is killed: this one is {status}")
    yield functools.partial(harness, "kill")
    restart()


@pytest.fixture
def ends_when_listed(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[t.Callable[[libvirt.virDomain], None]]:
    """Has a guest end as soon as all have been listed the next time; at the end of the test it did."""
    listed = libvirt.virConnect.listAllDomains
    ending: list[libvirt.virDomain] = []

    def then_they_end(connection: libvirt.virConnect, flags: int = 0) -> list[libvirt.virDomain]:
        found: list[libvirt.virDomain] = listed(connection, flags)
        while ending:
            ending.pop().destroy()
        return found

    monkeypatch.setattr(libvirt.virConnect, "listAllDomains", then_they_end)
    yield ending.append
    assert ending == []


def harness(action: str) -> str:
    return subprocess.run([LIBVIRTD, action], check=True, capture_output=True, text=True).stdout.strip()
