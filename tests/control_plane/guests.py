# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""virt-handler's part: a VMI's status from Scheduled to its end. Pure: objects to patches.

Texts and conditions are those of virt-handler (pkg/virt-handler/vm.go of KubeVirt 1.8).
"""

from __future__ import annotations

import copy
import typing as t
import zlib

from api import Object
from pods import has, now

GUEST = {
    "id": "debian",
    "name": "Debian GNU/Linux",
    "prettyName": "Debian GNU/Linux 12 (bookworm)",
    "version": "12 (bookworm)",
    "versionId": "12",
    "kernelRelease": "6.1.0-rt-amd64",
    "kernelVersion": "#1 SMP PREEMPT_RT Debian",
    "machine": "x86_64",
}


def condition(kind: str, status: bool = True, reason: str = "", message: str = "") -> Object:
    text = {key: value for key, value in (("reason", reason), ("message", message)) if value}
    moment = now()
    times = {"lastProbeTime": moment, "lastTransitionTime": moment}
    return {"type": kind, "status": "True" if status else "False", **times, **text}


PAUSED = ("Paused", True, "PausedByUser", "VMI was paused by user")


def with_conditions(status: Object, *added: Object, without: t.Iterable[str] = ()) -> list[Object]:
    replaced = {one["type"] for one in added} | set(without)
    kept = [one for one in status.get("conditions") or [] if one["type"] not in replaced]
    return [*kept, *added]


def in_phase(status: Object, phase: str) -> Object:
    """The status in another phase, with the moment of it as KubeVirt notes it."""
    status = copy.deepcopy(status)
    moment = {"phase": phase, "phaseTransitionTimestamp": now()}
    status["phase"] = phase
    status["phaseTransitionTimestamps"] = [*status.get("phaseTransitionTimestamps", []), moment]
    return status


def with_status(vmi: Object, **changes: t.Any) -> Object:
    """The whole VMI to be written, as virt-handler does. A merge patch would drop the nulls within conditions, and
    virt-controller's own patches expect them.
    """
    return {**vmi, "status": {**vmi["status"], **changes}}


def mac(vmi: Object, interface: Object) -> str:
    if "macAddress" in interface:
        return interface["macAddress"]
    number = zlib.crc32(f"{vmi['metadata']['uid']}/{interface['name']}".encode())
    return "02:00:" + ":".join(f"{number >> shift & 255:02x}" for shift in (24, 16, 8, 0))


def interfaces(vmi: Object, address: str, agent: bool) -> list[Object]:
    """Only the pod network's interface has an address: of others KubeVirt knows one by the guest agent alone."""
    before = {one.get("name"): one for one in vmi.get("status", {}).get("interfaces") or []}
    pod_networks = {one["name"] for one in vmi["spec"].get("networks", []) if "pod" in one}
    declared = vmi["spec"]["domain"].get("devices", {}).get("interfaces", [])
    result = []
    for position, interface in enumerate(declared):
        name = interface["name"]
        one = {**before.get(name, {}), "name": name, "mac": mac(vmi, interface), "queueCount": 1}
        one.update(
            {"linkState": interface.get("state") or "up", "infoSource": "domain, guest-agent" if agent else "domain"}
        )
        if agent:
            one["interfaceName"] = f"eth{position}"
        if name in pod_networks:
            one.update({"ipAddress": address, "ipAddresses": [address]})
        result.append(one)
    return result


def running(vmi: Object, address: str, agent: bool) -> Object:
    status = in_phase(vmi["status"], "Running")
    added = [condition("LiveMigratable"), condition("StorageLiveMigratable")]
    if vmi["spec"].get("startStrategy") == "Paused":
        added.append(condition(*PAUSED))
        agent = False
    if agent:
        added.append(condition("AgentConnected"))
        status["guestOSInfo"] = GUEST
    status["conditions"] = with_conditions(status, *added)
    status["interfaces"] = interfaces(vmi, address, agent)
    status["machine"] = {"type": f"pc-{vmi['spec']['domain'].get('machine', {}).get('type', 'q35')}-rhel9.6.0"}
    return with_status(vmi, **status)


def agent_connected(vmi: Object, address: str) -> Object:
    status = copy.deepcopy(vmi["status"])
    status["conditions"] = with_conditions(status, condition("AgentConnected"))
    status["guestOSInfo"] = GUEST
    status["interfaces"] = interfaces(vmi, address, True)
    return with_status(vmi, **status)


def agent_lost(vmi: Object) -> Object:
    return with_status(vmi, conditions=with_conditions(vmi["status"], without=["AgentConnected"]))


def paused(vmi: Object) -> Object:
    return with_status(vmi, conditions=with_conditions(vmi["status"], condition(*PAUSED)))


def unpaused(vmi: Object) -> Object:
    return with_status(vmi, conditions=with_conditions(vmi["status"], without=["Paused"]))


def ended(vmi: Object, phase: str) -> Object:
    status = in_phase(vmi["status"], phase)
    status["conditions"] = with_conditions(status, without=["AgentConnected", "Paused"])
    return with_status(vmi, **status)


def wants_agent(vmi: Object) -> bool:
    return not has(vmi, "AgentConnected") and not has(vmi, "Paused")


def grace_period(vmi: Object) -> float:
    return float(vmi["spec"].get("terminationGracePeriodSeconds", 30))
