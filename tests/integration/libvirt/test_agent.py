# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest with QEMU's own agent: waited for, asked, and told to shut down. And addresses that are known without it."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import time
import typing as t

import libvirt
import libvirt_qemu
import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import TaskError, run_one, start
from ansible_collections.rtvirt.core.tests.integration.libvirt.test_info import info
from ansible_collections.rtvirt.core.tests.integration.waiting import until

#: A boot takes 10 s of emulation where nothing else runs.
WAIT = {"wait_timeout": 120}
#: What QEMU's user-mode network gives the first guest.
USER_ADDRESS = "10.0.2.15"
NAT = {"name": "nat", "masquerade": {}, "network": {"pod": {}}}


def told(boot: dict[str, t.Any], **arguments: str) -> dict[str, t.Any]:
    """The tests' guest, told by its command line to do more (see tests/harness/guest-init)."""
    firmware = boot["domain"]["firmware"]
    words = [firmware["kernelBoot"]["kernelArgs"], *(f"rtvirt.{key}={value}" for key, value in arguments.items())]
    return {"domain": {"firmware": {"kernelBoot": {**firmware["kernelBoot"], "kernelArgs": " ".join(words)}}}}


def guest(bed: Bed, boot: dict[str, t.Any], **options: t.Any) -> dict[str, t.Any]:
    return bed.bare(**{"memory": "192Mi", "cpu_model": "qemu64", "spec": boot, **WAIT, **options})


def ping(bed: Bed) -> t.Any:
    return json.loads(libvirt_qemu.qemuAgentCommand(bed.domain(), '{"execute": "guest-ping"}', 10, 0))


def heard(bed: Bed, key: str) -> str:
    """What the guest says of something after it is ready."""
    whole = re.compile(rf"rtvirt-guest: {key}=(.*)\n")
    return str(until(f"the guest says its {key}", lambda: whole.findall(bed.console()), 30)[-1]).strip()


@pytest.fixture
def network(bed: Bed) -> t.Iterator[t.Callable[[bool], tuple[str, str]]]:
    """Makes an isolated network of libvirt, with DHCP or without: its name, and how its addresses start."""
    made: list[str] = []

    def make(dhcp: bool) -> tuple[str, str]:
        # RFC 2544's addresses: of no network that this machine is in.
        prefix = f"198.18.{secrets.randbelow(256)}"
        leases = f"<dhcp><range start='{prefix}.10' end='{prefix}.19'/></dhcp>" if dhcp else ""
        bed.connection.networkCreateXML(
            f"<network><name>{bed.prefix}</name><bridge name='rtv{bed.prefix[-6:]}' delay='0'/>"
            f"<ip address='{prefix}.1' netmask='255.255.255.0'>{leases}</ip></network>"
        )
        made.append(bed.prefix)
        return bed.prefix, prefix

    yield make
    # A guest goes before its network.
    with contextlib.suppress(libvirt.libvirtError, KeyError):
        bed.domain().destroy()
    for name in made:
        bed.connection.networkLookupByName(name).destroy()


def test_a_guest_with_an_agent_from_its_start_to_its_end(bed: Bed, boot: dict[str, t.Any]) -> None:
    """One guest through its whole life, as each boot takes seconds."""
    spec = told(boot, agent="run", mount="vda")
    options = guest(bed, spec, disks=[bed.disk("data", "16Mi")], interfaces=[NAT])

    # Not before the agent is there, and then at once.
    task = start(**options, state="running", wait_for=["agent"])
    until("the agent runs", lambda: "rtvirt-guest: agent=run" in bed.console() or task.process.poll() is not None)
    started = task.result(timeout=20)["result"]
    assert (started["state"], started["actions"][-2:]) == ("running", ["define", "start"])
    assert ping(bed) == {"return": {}}

    # The host sees nothing of a user-mode network: its address is known by the agent alone.
    reached = run_one(**options, state="running", wait_for=["agent", "address"])
    assert reached["changed"] is False
    assert reached["addresses"][0] == USER_ADDRESS
    assert not {"127.0.0.1", "::1"} & set(reached["addresses"])

    (vm,) = info(bed.name())
    assert vm["addresses"] == reached["addresses"]
    facts = bed.facts()
    assert facts["mount"] == "done"
    assert vm["guest"].items() >= {
        "hostname": "rtvirt-guest",
        "os.id": "rtvirt-guest",
        "os.pretty-name": "The guest of the rtvirt tests",
        "os.kernel-release": facts["kernel"],
        "timezone.name": "UTC",
        "timezone.offset": 0,
        "fs.count": 1,
        "fs.0.mountpoint": "/data",
        "fs.0.fstype": "vfat",
        "fs.0.disk.0.alias": "vda",
        "user.count": 0,
    }.items()  # fmt: skip

    # One that is paused cannot answer, and nobody waits for it to do so.
    run_one(**options, state="paused")
    asked = time.monotonic()
    (vm,) = info(bed.name())
    assert (vm["state"], vm["guest"], vm["addresses"]) == ("paused", {}, [])
    assert time.monotonic() - asked < 4

    # The agent that was there before a restart does not count after it.
    restarted = run_one(**options, state="restarted", wait_for=["address"])
    assert restarted["actions"] == ["resume", "shut down", "start"]
    assert bed.console().count("rtvirt-guest: agent=run") == 2
    assert restarted["addresses"][0] == USER_ADDRESS
    # libvirt asks an agent before it presses the power button.
    assert bed.console().count("rtvirt-guest: shutdown=agent -h") == 1

    stopped = run_one(**options, state="stopped")
    assert (stopped["actions"], stopped["state"], stopped["addresses"]) == (["shut down"], "shutoff", [])
    assert bed.console().count("rtvirt-guest: shutdown=agent -h") == 2
    (vm,) = info(bed.name())
    assert (vm["guest"], vm["addresses"]) == ({}, [])


def test_a_guest_whose_agent_is_not_started(bed: Bed, boot: dict[str, t.Any]) -> None:
    options = guest(bed, boot, interfaces=[NAT])
    run_one(**options, state="running")
    bed.facts()
    for what, remedy in (("agent", "is qemu-guest-agent installed"), ("address", "shows none without the agent")):
        asked = time.monotonic()
        with pytest.raises(TaskError, match=rf"^{bed.name()} is running but has no {what} after 3 s: .*{remedy}"):
            run_one(**{**options, "wait_timeout": 3}, state="running", wait_for=[what])
        assert 3 <= time.monotonic() - asked < 10
    (vm,) = info(bed.name())
    assert (vm["state"], vm["guest"], vm["addresses"]) == ("running", {}, [])
    assert run_one(**options, state="stopped")["actions"] == ["shut down"]
    assert "shutdown=agent" not in bed.console()


def test_a_guest_whose_agent_hangs(bed: Bed, boot: dict[str, t.Any]) -> None:
    """libvirt gives such an agent 5 s for each question."""
    options = guest(bed, told(boot, agent="mute"))
    run_one(**options, state="running")
    assert heard(bed, "agent") == "mute"
    (vm,) = info(bed.name())
    assert (vm["state"], vm["guest"], vm["addresses"]) == ("running", {}, [])
    # The power button is what is left.
    stopped = run_one(**options, state="stopped")
    assert (stopped["actions"], stopped["state"]) == (["shut down"], "shutoff")
    assert "shutdown=agent" not in bed.console()


def test_a_port_that_is_open_is_no_agent_that_answers(bed: Bed, boot: dict[str, t.Any]) -> None:
    options = guest(bed, told(boot, agent="mute"))
    run_one(**options, state="running")
    assert heard(bed, "agent") == "mute"
    with pytest.raises(TaskError, match=rf"^{bed.name()} is running but has no agent after 3 s"):
        run_one(**{**options, "wait_timeout": 3}, state="running", wait_for=["agent"])


def test_an_address_that_a_network_of_libvirt_has_leased(
    bed: Bed, boot: dict[str, t.Any], network: t.Callable[[bool], tuple[str, str]]
) -> None:
    name, prefix = network(True)
    interface = {"name": "lan", "bridge": {}, "network": {"libvirt": {"network": name}}}
    options = guest(bed, boot, interfaces=[interface], wait_for=["address"])
    result = run_one(**options, state="running")
    assert [address.rpartition(".")[0] for address in result["addresses"]] == [prefix]
    assert int(result["addresses"][0].rpartition(".")[2]) in range(10, 20)
    assert heard(bed, "address") == f"{result['addresses'][0]}/24"
    assert info(bed.name())[0]["addresses"] == result["addresses"]


def test_an_address_that_the_host_has_only_talked_to(
    bed: Bed, boot: dict[str, t.Any], network: t.Callable[[bool], tuple[str, str]]
) -> None:
    name, prefix = network(False)
    interface = {"name": "lan", "bridge": {}, "network": {"libvirt": {"network": name}}}
    options = guest(bed, told(boot, address=f"{prefix}.77/24"), interfaces=[interface])
    run_one(**options, state="running")
    try:
        bed.domain().interfaceAddresses(libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP)
    except libvirt.libvirtError as error:
        # Where the kernel sends the table and its end in one message, as new ones do, an older libvirt stumbles.
        if "wrong nlmsg len" in str(error):
            pytest.skip(f"this host's libvirt cannot read the ARP table of its kernel: {error}")
        raise
    assert run_one(**options, state="running", wait_for=["address"])["addresses"] == [f"{prefix}.77"]
