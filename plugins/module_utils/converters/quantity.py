# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes resource quantities, ``2Gi`` or ``500m``, and the exact numbers that they stand for.

PUBLIC: pure functions, no Ansible needed. What is wrong with a value is a
:class:`~ansible_collections.rtvirt.core.plugins.module_utils._errors.ConversionError`.

The grammar is that of Kubernetes' ``resource.Quantity``: a signed decimal number, then a binary suffix (``Ki`` to
``Ei``), a decimal suffix (``n u m k M G T P E``) or an exponent (``e3``, ``E3``). Kubernetes rounds and caps what it
cannot hold; here everything is exact, and what would have to be rounded is refused.
"""

from __future__ import annotations

import re
from fractions import Fraction

from ansible_collections.rtvirt.core.plugins.module_utils._errors import ConversionError

__all__ = ["from_bytes", "to_bytes", "to_fraction"]

_BINARY = {f"{letter}i": 1024**power for power, letter in enumerate("KMGTPE", start=1)}
_DECIMAL = {letter: Fraction(1000) ** power for power, letter in enumerate(["n", "u", "m", "", *"kMGTPE"], start=-3)}
_SCALE: dict[str, Fraction] = {**_DECIMAL, **{suffix: Fraction(scale) for suffix, scale in _BINARY.items()}}
_MOST_BYTES = 2**63 - 1  # Kubernetes keeps 64 bits and a sign, and silently caps what is larger

# The counts of digits are bounded because exact arithmetic would obey '1e999999999' for hours.
_NUMBER = r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})"
_QUANTITY = re.compile(rf"({_NUMBER})(?:[eE]([+-]?[0-9]{{1,3}})|([numkMGTPE]|[KMGTPE]i)?)")
_UNKNOWN_UNIT = re.compile(rf"({_NUMBER})(?:([kmgtpe])(i?))?b?", re.IGNORECASE)


def to_bytes(value: str | int) -> int:
    """Read an amount of memory or storage.

    :arg value: a quantity such as ``1.5Gi``, or a whole number of bytes.
    :returns: bytes, exactly.
    :raises ConversionError: on floats and booleans, on what is not a quantity, and on an amount that is negative,
        not a whole number of bytes, or more than the 2^63 - 1 that Kubernetes can hold.
    """
    if isinstance(value, float):
        raise ConversionError(f"{value!r} is a float: write a whole number of bytes, or a string such as '2Gi'")
    exact = to_fraction(value)
    if exact < 0:
        raise ConversionError(f"{value} is negative: write an amount of 0 bytes or more")
    if exact.denominator != 1:
        raise ConversionError(f"{value} is not a whole number of bytes: {_remedy_of_fraction(value)}")
    if exact > _MOST_BYTES:
        raise ConversionError(f"{value} is more than Kubernetes can hold: write less than 8Ei")
    return exact.numerator


def to_fraction(value: str | int | float) -> Fraction:
    """Read any quantity, such as a number of CPUs: ``500m``, ``2``, or the float ``0.5`` that YAML makes of 0.5.

    A float counts as the decimal digits that it prints as, so that 0.1 is a tenth. Negative quantities are allowed.

    :returns: the number, exactly, in the quantity's own unit (CPUs, bytes).
    :raises ConversionError: on booleans and other types, and on what is not a quantity.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ConversionError(f"a quantity is a number or a string such as '2Gi', not {type(value).__name__} {value!r}")
    if isinstance(value, int):
        return Fraction(value)
    match = _QUANTITY.fullmatch(str(value))
    if match is None:
        raise ConversionError(f"'{value}' is not a quantity: {_remedy(str(value))}")
    number, exponent, suffix = match.groups()
    scale = Fraction(10) ** int(exponent) if exponent else _SCALE[suffix or ""]
    return Fraction(number) * scale


def from_bytes(count: int) -> str:
    """Write bytes in the shortest binary form that is still exact: ``2Gi``, ``1536Mi``, ``1000``.

    :raises ConversionError: on anything but a whole number of 0 or more.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ConversionError(f"{count!r} is not a number of bytes: write a whole number of 0 or more")
    for suffix, scale in reversed(_BINARY.items()):
        if count and count % scale == 0:
            return f"{count // scale}{suffix}"
    return str(count)


def _remedy(text: str) -> str:
    """What was probably meant by a text that is not a quantity."""
    compact = "".join(text.split())
    if _QUANTITY.fullmatch(compact):
        return f"write {compact}"
    match = _UNKNOWN_UNIT.fullmatch(compact)
    if match is None:
        return "write a number with a suffix of Ki Mi Gi Ti Pi Ei, of m k M G T P E, or with none"
    number, letter, binary = match.groups()
    if letter is None:
        return f"write {number}"
    return f"write {number}{letter.upper()}i" if binary else f"write {_both_forms(number, letter)}"


def _remedy_of_fraction(value: str | int) -> str:
    match = _QUANTITY.fullmatch(str(value))
    if match is not None and match[3] == "m":
        return f"the suffix m is a thousandth, write {_both_forms(match[1], 'm')}"
    return "write a whole number, or one with a smaller suffix"


def _both_forms(number: str, letter: str) -> str:
    """The decimal and the binary suffix: who writes ``g`` may mean either, and only they know which."""
    decimal = "k" if letter in "kK" else letter.upper()
    return f"{number}{decimal} or {number}{letter.upper()}i"
