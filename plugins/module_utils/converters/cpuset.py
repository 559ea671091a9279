# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU sets: lists such as ``0-3,^2``, hexadecimal masks, and plain sets of host CPU numbers.

PUBLIC: pure functions, no Ansible and no host needed. What is wrong with a text is a
:class:`~ansible_collections.rtvirt.core.plugins.module_utils._errors.ConversionError` that quotes the item.

The list syntax is the kernel's cpulist (Linux ``Documentation/admin-guide/kernel-parameters.rst``, *cpu lists*:
``0-3,8`` and ``0-30:1/2``, the first 1 of every 2) together with what nova (``parse_cpu_spec``) and libvirt add to it:
``^2`` and ``^4-5`` exclude, whatever comes before or after them. Masks are those of ``/proc/irq/*/smp_affinity``
and of Open vSwitch's ``pmd-cpu-mask``.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import ConversionError

__all__ = ["CPU_LIMIT", "format_kernel_mask", "format_mask", "format_ranges", "parse", "parse_mask"]

CPU_LIMIT = 8192
"""CPU numbers are below this: the largest ``NR_CPUS`` that Linux can be built with on x86."""

_ITEM = re.compile(r"(\^?)\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*(?::\s*([0-9]+)\s*/\s*([0-9]+))?)?")

# What people write by mistake, and what they most likely meant: a template for re.Match.expand().
_MISTAKES = (
    (re.compile(r"\^[\^\s]*\^\s*([0-9-]+)"), r"one ^ excludes: write ^\1"),
    (re.compile(r"-\s*([0-9]+)"), r"CPU numbers start at 0: write \1 for one CPU, or 0-\1 for a range"),
    (re.compile(r"([0-9]+)\s*-"), r"the range has no end: write \1 for one CPU, or \1-N"),
    (re.compile(r"([0-9]+)\s*-[-\s]*-\s*([0-9]+)"), r"write \1-\2"),
    (re.compile(r"([0-9]+)-([0-9]+)-([0-9]+)"), r"a range has two ends: write \1-\2,\3 or \1-\3"),
    (re.compile(r"([0-9^-]+)\s+([0-9^-]+)"), r"items are separated by commas: write \1,\2"),
)
_MASK_WORD = re.compile(r"[0-9a-fA-F]+")
_MASK_WORD_DIGITS = 8


def parse(text: str, universe: t.Iterable[int] | None = None) -> frozenset[int]:
    """Read a CPU list.

    :arg text: for example ``0-3,8``, ``0-7,^2`` or ``0-30:1/2``. Spaces around tokens and empty items do not count.
    :arg universe: all CPUs there are. Needed only when ``text`` has nothing but exclusions, which means *all others*.
    :returns: the CPU numbers; the empty set for an empty text.
    :raises ConversionError: on anything but a string, on an item that is not a CPU or a range, on a CPU number that
        is not below :data:`CPU_LIMIT`, and on exclusions alone when there is no universe to take them from.
    """
    if not isinstance(text, str):
        raise ConversionError(f"a CPU list is a string such as '0-3,8', not {type(text).__name__} {text!r}")
    included: set[int] = set()
    excluded: set[int] = set()
    for item in filter(None, map(str.strip, text.split(","))):
        (excluded if item.startswith("^") else included).update(_cpus_of(item))
    if excluded and not included:
        if universe is None:
            raise ConversionError(
                f"CPU list '{text}' only excludes, which means all other CPUs, and it is not known here which those"
                f" are: start with the CPUs to choose from, such as 0-7,{text.strip()}"
            )
        included.update(universe)
    return frozenset(included - excluded)


def format_ranges(cpus: t.Iterable[int]) -> str:
    """Write CPUs as the kernel and libvirt do: ``0-3,8``; the empty string for no CPU.

    :raises ConversionError: on what is not a CPU number below :data:`CPU_LIMIT`.
    """
    ranges: list[list[int]] = []
    for cpu in _ascending(cpus):
        if ranges and ranges[-1][1] == cpu - 1:
            ranges[-1][1] = cpu
        else:
            ranges.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def format_mask(cpus: t.Iterable[int]) -> str:
    """Write CPUs as one hexadecimal number, bit *n* for CPU *n*: ``0x10f``; ``0x0`` for no CPU.

    :raises ConversionError: on what is not a CPU number below :data:`CPU_LIMIT`.
    """
    return hex(sum(1 << cpu for cpu in _ascending(cpus)))


def format_kernel_mask(cpus: t.Iterable[int]) -> str:
    """Write CPUs as the kernel's own files take a mask: 32-bit words, ``ff,ffffffff``; ``0`` for no CPU.

    :raises ConversionError: on what is not a CPU number below :data:`CPU_LIMIT`.
    """
    digits = format_mask(cpus)[2:]
    first = len(digits) % _MASK_WORD_DIGITS or _MASK_WORD_DIGITS
    rest = (digits[at : at + _MASK_WORD_DIGITS] for at in range(first, len(digits), _MASK_WORD_DIGITS))
    return ",".join([digits[:first], *rest])


def parse_mask(text: str) -> frozenset[int]:
    """Read a hexadecimal mask: ``0x10f``, ``10f``, or 32-bit words as the kernel prints them, ``ff,ffffffff``.

    :raises ConversionError: on anything but a string of hexadecimal digits, on a word of more than 32 bits beside
        others, and on a bit for a CPU that is not below :data:`CPU_LIMIT`.
    """
    if not isinstance(text, str):
        raise ConversionError(f"a CPU mask is a string such as '0x10f', not {type(text).__name__} {text!r}")
    digits = text.strip()
    words = (digits[2:] if digits[:2].lower() == "0x" else digits).split(",")
    for word in words:
        if not _MASK_WORD.fullmatch(word):
            raise ConversionError(f"CPU mask '{text}': '{word}' is not hexadecimal: write 0x10f for CPUs 0-3 and 8")
        if len(words) > 1 and len(word) > _MASK_WORD_DIGITS:
            raise ConversionError(f"CPU mask '{text}': the word {word} has more than {_MASK_WORD_DIGITS} digits")
    mask = int("".join(word.zfill(_MASK_WORD_DIGITS) for word in words), 16)
    if mask.bit_length() > CPU_LIMIT:
        raise ConversionError(f"CPU mask '{text}' names CPU {mask.bit_length() - 1}: CPU numbers are below {CPU_LIMIT}")
    return frozenset(cpu for cpu in range(mask.bit_length()) if mask >> cpu & 1)


def _cpus_of(item: str) -> t.Iterator[int]:
    """The CPUs that one item of a list names, whether it includes or excludes them."""
    match = _ITEM.fullmatch(item)
    if match is None:
        raise ConversionError(f"CPU list item '{item}' cannot be read: {_remedy(item)}")
    first = _number(match[2], item)
    last = first if match[3] is None else _number(match[3], item)
    used, group = (1, 1) if match[4] is None else (_number(match[4], item), _number(match[5], item))
    if first > last:
        raise ConversionError(f"range {first}-{last} runs backwards: write {last}-{first}")
    if not 1 <= used <= group:
        raise ConversionError(f"CPU list item '{item}' takes {used} of every {group}: write 1/2 for every second CPU")
    return (cpu for cpu in range(first, last + 1) if (cpu - first) % group < used)


def _remedy(item: str) -> str:
    for mistake, remedy in _MISTAKES:
        match = mistake.fullmatch(item)
        if match is not None:
            return match.expand(remedy)
    return "write a CPU such as 5, a range such as 0-3 or 0-30:1/2, or ^2 to exclude"


def _number(digits: str, item: str) -> int:
    significant = digits.lstrip("0") or "0"
    # The length comes first: Python refuses to convert thousands of digits, with an error of its own.
    if len(significant) > len(str(CPU_LIMIT)) or int(significant) >= CPU_LIMIT:
        raise ConversionError(f"CPU list item '{item}': {digits} is too large, CPU numbers are below {CPU_LIMIT}")
    return int(significant)


def _ascending(cpus: t.Iterable[int]) -> list[int]:
    unique = set(cpus)
    for cpu in unique:
        if isinstance(cpu, bool) or not isinstance(cpu, int) or not 0 <= cpu < CPU_LIMIT:
            raise ConversionError(f"{cpu!r} is not a CPU number: write a whole number from 0 to {CPU_LIMIT - 1}")
    return sorted(unique)
