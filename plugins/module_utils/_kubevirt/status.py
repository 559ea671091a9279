# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VirtualMachine's and its instance's status say: power, conditions, and what will not get better. Pure.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: KubeVirt 1.8's ``pkg/virt-controller/watch/vm/vm.go`` (printableStatus and conditions) and ``api/core/v1``.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._vm import lifecycle
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at

__all__ = [
    "STARTING",
    "addresses",
    "condition",
    "conditions",
    "described",
    "hindered",
    "hopeless",
    "is_going",
    "is_over",
    "is_ready",
    "is_restarting",
    "is_seen",
    "is_stopped",
    "power_of",
    "restart_required",
    "strategy_of",
]

Object = t.Mapping[str, t.Any]

#: Strategies by which a new VM starts by itself.
STARTING = ("Always", "Once", "RerunOnFailure")

#: printableStatus of a VM that will not start by itself any more, or only after somebody has helped.
_STUCK = (
    "CrashLoopBackOff",
    "DataVolumeError",
    "ErrImagePull",
    "ErrorDataVolumeNotFound",
    "ErrorPvcNotFound",
    "ImagePullBackOff",
)

_GOING = ("Stopping", "Terminating")

#: Strategies by which an instance that has ended stays until the next start.
_KEEPING = ("Manual", "Once")


def strategy_of(vm: Object) -> str:
    """The strategy by which a VM runs; ``running`` is the older way to write two of them."""
    spec = mapping_at(vm, "spec")
    if spec.get("runStrategy"):
        return str(spec["runStrategy"])
    return "Always" if spec.get("running") else "Halted"


def power_of(vm: Object) -> lifecycle.Power:
    """The power state that a VM is in or on its way to.

    What its strategy asks for counts before the controller has seen to it: it is not asked for a second time.
    """
    status, strategy = mapping_at(vm, "status"), strategy_of(vm)
    shown = str(status.get("printableStatus") or "Stopped")
    requests = _requests(vm)
    if requests:
        # Before the strategy, which a paused start of a halted VM changes only when virt-controller sees to it.
        paused = mapping_at(requests, "Start").get("paused") == "true"
        return "stopped" if "Start" not in requests else "paused" if paused else "running"
    if strategy == "Halted":
        return "stopped"
    if shown == "Paused":
        return "paused"
    if strategy == "Always":
        return "running"
    if not status.get("created"):
        # Whatever its disks do meanwhile. RerunOnFailure starts what it finds for the first time, Once what has none.
        first = strategy == "RerunOnFailure" and status.get("runStrategy") != strategy
        return "running" if first or strategy == "Once" else "stopped"
    return "stopped" if shown in ("Stopped", *_GOING) else "running"


def _requests(vm: Object) -> dict[str, dict[str, t.Any]]:
    """What virt-controller has still to see to: action, and its data."""
    found: t.Iterable[dict[str, t.Any]] = mapping_at(vm, "status").get("stateChangeRequests") or []
    return {str(one.get("action")): mapping_at(one, "data") for one in found}


def is_restarting(vm: Object) -> bool:
    """Whether a restart has been asked for that has not ended the instance yet."""
    return _requests(vm).keys() >= {"Stop", "Start"}


def condition(thing: Object | None, kind: str) -> dict[str, t.Any]:
    """A condition of a VM or instance, empty where it has none."""
    found: t.Iterable[dict[str, t.Any]] = mapping_at(thing, "status").get("conditions") or []
    return next((one for one in found if one.get("type") == kind), {})


def conditions(thing: Object | None) -> t.Iterator[tuple[str, bool]]:
    """Conditions in words, ``Ready=False (PodTerminating: virt-launcher pod is terminating)``, and if they say why."""
    for one in mapping_at(thing, "status").get("conditions") or []:
        reasons = [str(one[key]) for key in ("reason", "message") if one.get(key)]
        why = f" ({': '.join(reasons)})" if reasons else ""
        yield f"{one.get('type')}={one.get('status')}{why}", bool(reasons)


def is_ready(vm: Object | None, vmi: Object | None) -> bool:
    """Whether a VM runs and is ready: the VM's word comes after its instance's, and may be about the one before."""
    return all(condition(thing, "Ready").get("status") == "True" for thing in (vm, vmi))


def is_going(vm: Object) -> bool:
    """Whether KubeVirt is about to end the VM's instance, and takes no new orders until it has."""
    status = mapping_at(vm, "status")
    if status.get("printableStatus") in _GOING:
        return True
    return bool(status.get("created")) and power_of(vm) == "stopped" and not is_over(vm)


def is_over(vm: Object) -> bool:
    """Whether a VM is stopped with an instance that has ended, which KubeVirt keeps until the next start."""
    shown = mapping_at(vm, "status").get("printableStatus")
    return shown == "Stopped" and strategy_of(vm) in _KEEPING and power_of(vm) == "stopped"


def is_stopped(vm: Object, vmi: Object | None) -> bool:
    """Whether nothing of a VM runs, or is on its way to its end."""
    return is_over(vm) or (vmi is None and not mapping_at(vm, "status").get("created"))


def is_seen(vm: Object) -> bool:
    """Whether virt-controller has seen the VM's newest version."""
    return _is_newest(vm, "desiredGeneration")


def restart_required(vm: Object | None) -> bool:
    """Whether KubeVirt says that a restart is required, and one would help.

    observedGeneration is the version that the instance is of. KubeVirt 1.8 wants a restart of some instances that are
    of the newest one: it takes a number of sockets that it filled in itself for a change.
    """
    wanted = condition(vm, "RestartRequired").get("status") == "True"
    return wanted and not _is_newest(vm, "observedGeneration")


def _is_newest(vm: Object | None, field_name: str) -> bool:
    generation = mapping_at(vm, "status").get(field_name)
    return generation is not None and int(generation) >= int(mapping_at(vm, "metadata").get("generation") or 0)


def addresses(vmi: Object | None) -> list[str]:
    """IP addresses of an instance, the first interface's first."""
    found: list[str] = []
    for interface in mapping_at(vmi, "status").get("interfaces") or []:
        # ipAddress is the first of ipAddresses, which older versions do not have.
        found += interface.get("ipAddresses") or [interface.get("ipAddress")]
    return [address for address in dict.fromkeys(found) if address]


def hopeless(vm: Object, vmi: Object | None) -> str | None:
    """Why a VM will not come to run by itself, None as long as it may."""
    failure, shown = condition(vm, "Failure"), mapping_at(vm, "status").get("printableStatus")
    if failure.get("status") == "True":
        return f"{failure.get('reason')}: {failure.get('message')}"
    if shown in _STUCK:
        return str(shown)
    phase = mapping_at(vmi, "status").get("phase")
    ended = phase in ("Succeeded", "Failed") and strategy_of(vm) in _KEEPING
    # A start that was asked for makes another.
    if ended and not mapping_at(vm, "status").get("stateChangeRequests"):
        return f"its instance has {str(phase).lower()}"
    return None


def hindered(vm: Object, vmi: Object | None) -> str | None:
    """What keeps a VM from running for now: no node with room, a quota, a network that is not there yet."""
    refused = condition(vmi, "Synchronized")
    if refused.get("status") == "False":
        return f"{refused.get('reason')}: {refused.get('message')}"
    if mapping_at(vm, "status").get("printableStatus") == "ErrorUnschedulable":
        return "no node has room for it"
    return None


def described(vm: Object | None, vmi: Object | None) -> str:
    """A VM's state in words, for messages: status, phase, and the conditions that are not as one would wish."""
    if vm is None:
        return "there is no such VM"
    words = [f"status {mapping_at(vm, 'status').get('printableStatus') or 'unknown'}"]
    words.append(f"instance in phase {mapping_at(vmi, 'status').get('phase')}" if vmi else "no instance")
    words += [text for thing in (vmi, vm) for text, says_why in conditions(thing) if says_why]
    return ", ".join(dict.fromkeys(words))
