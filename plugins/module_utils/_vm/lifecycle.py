# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Power: which steps bring a VM from its state to the one asked for. Pure.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t

__all__ = ["LEAVING", "STATES", "Power", "State", "Step", "power_steps", "wanted_power"]

State = t.Literal["present", "running", "stopped", "paused", "restarted", "absent", "reclaimed"]
Power = t.Literal["running", "paused", "stopped"]
Step = t.Literal["start", "start paused", "resume", "pause", "shut down"]

STATES: tuple[State, ...] = ("present", "running", "stopped", "paused", "restarted", "absent", "reclaimed")

#: States of which nothing but the VM's name matters.
LEAVING: tuple[State, ...] = ("absent", "reclaimed")

#: Strategies that start a new VM; the last two only follow it from then on.
_STARTING = ("Always", "Once", "RerunOnFailure")


def wanted_power(state: State, document: t.Mapping[str, t.Any], *, exists: bool) -> Power | None:
    """The power state that a VM should have, None to leave it as it is.

    ``present`` leaves it, unless the manifest's own runStrategy (or the older running) says otherwise.
    """
    if state in ("running", "restarted"):
        return "running"
    if state == "stopped" or state in LEAVING:
        return "stopped"
    if state == "paused":
        return "paused"
    spec = document.get("spec") or {}
    strategy = spec.get("runStrategy")
    if strategy is None and spec.get("running") is not None:
        strategy = "Always" if spec["running"] else "Halted"
    if strategy == "Always" or (strategy in _STARTING and not exists):
        return "running"
    return "stopped" if strategy == "Halted" else None


def power_steps(current: Power, wanted: Power | None, *, restart: bool) -> list[Step]:
    """Steps from one power state to another.

    :arg restart: stop and start a VM that is up, so that it comes back with its newest definition. One that is down has
        it by starting.
    """
    wanted = wanted or current
    if current == "stopped":
        steps: dict[Power, list[Step]] = {"stopped": [], "running": ["start"], "paused": ["start paused"]}
        return steps[wanted]
    if wanted == "stopped" or restart:
        # A paused guest cannot hear that it should shut down.
        down: list[Step] = ["resume", "shut down"] if current == "paused" else ["shut down"]
        return down + power_steps("stopped", wanted, restart=False)
    if wanted == current:
        return []
    return ["resume"] if wanted == "running" else ["pause"]
