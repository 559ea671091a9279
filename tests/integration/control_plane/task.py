# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubevirt_vm, run."""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.tests.integration.task import Module, Played, TaskError, play

__all__ = ["Played", "TaskError", "attempt", "play", "run", "run_one", "start"]

_MODULE = Module("kubevirt_vm")
run, run_one, start = _MODULE.run, _MODULE.run_one, _MODULE.start


def attempt(act: t.Callable[..., dict[str, t.Any]], **options: t.Any) -> tuple[dict[str, t.Any], str]:
    """A result and "", or that of a failure and its message, where both are right."""
    try:
        return act(**options), ""
    except TaskError as error:
        return error.result, error.msg
