# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for what real components do in their own time."""

from __future__ import annotations

import time
import typing as t


def until(
    what: str,
    done: t.Callable[[], t.Any],
    patience: float = 120,
    *,
    through: tuple[type[Exception], ...] = (),
) -> t.Any:
    """Waits ``patience`` seconds for a truthy answer, through the given errors, and gives it.

    Raises AssertionError, which says what was waited for and the last error.
    """
    deadline = time.monotonic() + patience
    while True:
        last = ""
        try:
            if answer := done():
                return answer
        except through as error:
            last = f": {error}"
        assert time.monotonic() < deadline, f"waited {patience} s until {what}{last}"
        time.sleep(0.05)
