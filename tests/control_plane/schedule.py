# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test wants to happen to one VM: annotations of the VM's template, which KubeVirt hands on to VMI and pod.

node.rtvirt.test/outcome      running (default), or
                              unschedulable        no node takes the pod
                              never                the scheduler does not even look at it
                              image-pull-back-off  the pod is on a node and its image is not
                              crash-loop           the guest fails before it runs, each time
                              failed, succeeded    the guest runs, and ends by itself that way
node.rtvirt.test/run-after    seconds from the pod to the running guest (0)
node.rtvirt.test/agent-after  seconds from there to the guest agent (0); "never"
node.rtvirt.test/end-after    seconds that a guest runs which ends by itself (1)
node.rtvirt.test/stop-after   seconds that a guest takes to shut down when it is asked to (0); "never": it is
                              killed when terminationGracePeriodSeconds are over
"""

from __future__ import annotations

import dataclasses
import math
import typing as t

PREFIX = "node.rtvirt.test/"
OUTCOMES = {
    "running",
    "unschedulable",
    "never",
    "image-pull-back-off",
    "crash-loop",
    "failed",
    "succeeded",
}


@dataclasses.dataclass(frozen=True)
class Schedule:
    outcome: str = "running"
    run_after: float = 0
    agent_after: float = 0
    end_after: float = 1
    stop_after: float = 0


def schedule_of(item: dict[str, t.Any]) -> Schedule:
    annotations = item["metadata"].get("annotations", {})
    outcome = annotations.get(PREFIX + "outcome", "running")
    if outcome not in OUTCOMES:
        raise ValueError(f"{PREFIX}outcome: {outcome} is none of {', '.join(sorted(OUTCOMES))}")
    seconds = {
        name: float(annotations[PREFIX + word].replace("never", "inf"))
        for name, word in (
            ("run_after", "run-after"),
            ("agent_after", "agent-after"),
            ("end_after", "end-after"),
            ("stop_after", "stop-after"),
        )
        if PREFIX + word in annotations
    }
    return Schedule(outcome, **seconds)


def remaining(seconds: float, elapsed: float) -> float | None:
    """How long to wait yet; None for ever."""
    return None if math.isinf(seconds) else max(0.0, seconds - elapsed)
