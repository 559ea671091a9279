# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the certificates last that KubeVirt makes for itself. Pure.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import re
import typing as t
from fractions import Fraction

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem

__all__ = ["Times", "check_times", "merged", "read_times", "seconds_of", "with_times"]

#: ``ca`` and ``server`` -> ``duration`` and ``renewBefore``, as far as they are set.
Times = t.Mapping[str, t.Mapping[str, str]]

_UNITS = {"h": Fraction(3600), "m": Fraction(60), "s": Fraction(1)}
_UNITS.update({"ms": Fraction("1e-3"), "us": Fraction("1e-6"), "ns": Fraction("1e-9")})
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|ns)")


def seconds_of(duration: str) -> Fraction | None:
    """Seconds of a duration as Go writes it (``48h0m0s``), None for what is none."""
    parts = _DURATION.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        return None
    return sum((Fraction(number) * _UNITS[unit] for number, unit in parts), Fraction(0))


def read_times(resource: t.Mapping[str, t.Any]) -> Times:
    """The times of a resource's part; what else stands there is not ours."""
    found = {
        part: {key: one for key, one in (resource.get(part) or {}).items() if key in ("duration", "renewBefore")}
        for part in ("ca", "server")
    }
    return {part: times for part, times in found.items() if times}


def merged(resource: t.Mapping[str, t.Any], times: Times) -> dict[str, t.Any]:
    """A resource's part with these times."""
    return {**resource, **{part: {**(resource.get(part) or {}), **one} for part, one in times.items()}}


def with_times(now: Times, declared: Times) -> Times:
    """Times that say the same stay as they are written: 48h and 48h0m0s."""

    def kept(part: str, key: str, duration: str) -> str:
        before = now.get(part, {}).get(key)
        return before if before is not None and seconds_of(before) == seconds_of(duration) else duration

    times = {part: {key: kept(part, key, one) for key, one in given.items()} for part, given in declared.items()}
    return {part: {**now.get(part, {}), **times.get(part, {})} for part in dict.fromkeys((*now, *times))}


def check_times(times: Times) -> None:
    """:raises DeclarationError: for times that do not fit each other (document B, 8.14.3)."""

    def seconds(part: str, key: str) -> t.Any:
        return seconds_of(times.get(part, {}).get(key, ""))

    problems = [
        Problem(f"certificates.{part}.{option}", f"is more than {limit}: write that or less")
        for part, option, key, limit, most in (
            ("ca", "renew_before", "renewBefore", "the CA's duration", seconds("ca", "duration")),
            ("server", "duration", "duration", "the CA's duration", seconds("ca", "duration")),
            ("server", "renew_before", "renewBefore", "the servers' duration", seconds("server", "duration")),
        )
        if None not in (most, seconds(part, key)) and seconds(part, key) > most
    ]
    if problems:
        raise DeclarationError(problems)
