# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU lists and masks: the kernel's and nova's syntax, what is refused and how, and round trips."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rtvirt.core.plugins.module_utils._errors import ConversionError
from ansible_collections.rtvirt.core.plugins.module_utils.converters import cpuset

CPUS = st.frozensets(st.integers(0, 140) | st.integers(0, cpuset.CPU_LIMIT - 1))


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("", []),
        ("  \n", []),
        (",,", []),
        ("0", [0]),
        ("0-3,8", [0, 1, 2, 3, 8]),
        ("8,0-3", [0, 1, 2, 3, 8]),
        ("0-3,2-4,3", [0, 1, 2, 3, 4]),
        ("5-5", [5]),
        ("007", [7]),
        ("8191", [8191]),
        (" 0 - 3 ,, ^ 2 ,\n", [0, 1, 3]),
        ("0-7,^2,^4-5", [0, 1, 3, 6, 7]),
        ("^2,0-3", [0, 1, 3]),
        ("^2,0-3,2", [0, 1, 3]),
        ("1,^1", []),
        ("0-3,^7", [0, 1, 2, 3]),
        ("0-7:1/2", [0, 2, 4, 6]),
        ("1-10:2/4", [1, 2, 5, 6, 9, 10]),
        ("0-3 : 2 / 2", [0, 1, 2, 3]),
        ("0-7,^0-7:1/2", [1, 3, 5, 7]),
    ],
)
def test_parse(text: str, cpus: list[int]) -> None:
    assert cpuset.parse(text) == frozenset(cpus)


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("^0,^1", [2, 3]), ("^0-2", [3]), ("^9", [0, 1, 2, 3]), ("", []), ("7", [7]), ("0-1,^0", [1])],
)
def test_a_universe_counts_only_for_exclusions_alone(text: str, cpus: list[int]) -> None:
    assert cpuset.parse(text, universe=range(4)) == frozenset(cpus)


def test_exclusions_alone_need_a_universe() -> None:
    with pytest.raises(ConversionError, match=r"'\^0,\^1' only excludes.*all other CPUs.*such as 0-7,\^0,\^1"):
        cpuset.parse("^0,^1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3-1", "range 3-1 runs backwards: write 1-3"),
        ("0,^7-4", "range 7-4 runs backwards: write 4-7"),
        ("a", "item 'a' cannot be read: write a CPU such as 5, a range such as 0-3 or 0-30:1/2, or ^2 to exclude"),
        ("0,x-3", "item 'x-3' cannot be read: write a CPU such as 5"),
        ("^", "item '^' cannot be read: write a CPU such as 5"),
        ("-1", "item '-1' cannot be read: CPU numbers start at 0: write 1 for one CPU, or 0-1 for a range"),
        ("1-", "item '1-' cannot be read: the range has no end: write 1 for one CPU, or 1-N"),
        ("1--3", "item '1--3' cannot be read: write 1-3"),
        ("0-7,^^5", "item '^^5' cannot be read: one ^ excludes: write ^5"),
        ("0-3-5", "item '0-3-5' cannot be read: a range has two ends: write 0-3,5 or 0-5"),
        ("1-3-", "item '1-3-' cannot be read"),
        ("-1-3", "item '-1-3' cannot be read"),
        ("0-3 8", "item '0-3 8' cannot be read: items are separated by commas: write 0-3,8"),
        ("1.5", "item '1.5' cannot be read"),
        ("\u0663", "item '\u0663' cannot be read"),
        ("8192", "item '8192': 8192 is too large, CPU numbers are below 8192"),
        ("0-9999", "item '0-9999': 9999 is too large"),
        ("9" * 5000, "is too large"),
        ("5:1/2", "item '5:1/2' cannot be read"),
        ("0-7:0/2", "item '0-7:0/2' takes 0 of every 2: write 1/2"),
        ("0-7:3/2", "item '0-7:3/2' takes 3 of every 2"),
        ("0-7:0/0", "item '0-7:0/0' takes 0 of every 0"),
    ],
)
def test_parse_refuses(text: str, message: str) -> None:
    with pytest.raises(ConversionError) as refusal:
        cpuset.parse(text)
    assert message in refusal.value.message


@pytest.mark.parametrize("value", [True, 3, None, ["0-3"], {"0"}])
@pytest.mark.parametrize("read", [cpuset.parse, cpuset.parse_mask])
def test_only_strings_are_read(read: t.Callable[[t.Any], frozenset[int]], value: object) -> None:
    with pytest.raises(ConversionError, match=f"is a string such as .*not {type(value).__name__} "):
        read(value)


@pytest.mark.parametrize(
    ("cpus", "ranges", "mask"),
    [
        ([], "", "0x0"),
        ([0], "0", "0x1"),
        ([8, 3, 1, 0, 2, 2], "0-3,8", "0x10f"),
        ([4, 5], "4-5", "0x30"),
        ([1, 3, 5], "1,3,5", "0x2a"),
        (range(64, 66), "64-65", "0x30000000000000000"),
    ],
)
def test_format(cpus: t.Iterable[int], ranges: str, mask: str) -> None:
    assert cpuset.format_ranges(cpus) == ranges
    assert cpuset.format_mask(cpus) == mask


@pytest.mark.parametrize("cpu", [-1, cpuset.CPU_LIMIT, True, "1", 1.0])
@pytest.mark.parametrize("write", [cpuset.format_ranges, cpuset.format_mask])
def test_only_cpu_numbers_are_written(write: t.Callable[[t.Any], str], cpu: object) -> None:
    with pytest.raises(ConversionError, match="is not a CPU number: write a whole number from 0 to 8191"):
        write([cpu])


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("0x10f", "0-3,8"),
        ("0X10F", "0-3,8"),
        ("10f", "0-3,8"),
        (" f\n", "0-3"),
        ("0", ""),
        ("ff,ffffffff", "0-39"),
        ("1,0", "32"),
        ("00000000,00000000,00000003", "0-1"),
        ("1ffffffff", "0-32"),
    ],
)
def test_parse_mask(text: str, ranges: str) -> None:
    assert cpuset.format_ranges(cpuset.parse_mask(text)) == ranges


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "CPU mask '': '' is not hexadecimal: write 0x10f for CPUs 0-3 and 8"),
        ("0x", "'' is not hexadecimal"),
        ("0-3", "'0-3' is not hexadecimal"),
        ("f,,f", "'' is not hexadecimal"),
        ("-1", "'-1' is not hexadecimal"),
        ("f_f", "'f_f' is not hexadecimal"),
        ("1,fffffffff", "the word fffffffff has more than 8 digits"),
        ("1" + "0" * 2048, "names CPU 8192: CPU numbers are below 8192"),
    ],
)
def test_parse_mask_refuses(text: str, message: str) -> None:
    with pytest.raises(ConversionError) as refusal:
        cpuset.parse_mask(text)
    assert message in refusal.value.message


@given(CPUS)
def test_what_is_written_is_read_back(cpus: frozenset[int]) -> None:
    assert cpuset.parse(cpuset.format_ranges(cpus)) == cpus
    assert cpuset.parse_mask(cpuset.format_mask(cpus)) == cpus


@given(CPUS, CPUS)
def test_exclusions_win_in_any_order(included: frozenset[int], excluded: frozenset[int]) -> None:
    plus = [str(cpu) for cpu in included] or ["0"]
    minus = [f"^{cpu}" for cpu in excluded]
    expected = (included or frozenset({0})) - excluded
    assert cpuset.parse(",".join(plus + minus)) == cpuset.parse(",".join(minus + plus)) == expected


@given(st.text(alphabet="0123456789-^:/, xa", max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        cpus = cpuset.parse(text, universe=range(8))
    except ConversionError:
        return
    assert all(0 <= cpu < cpuset.CPU_LIMIT for cpu in cpus)


@pytest.mark.parametrize(
    ("cpus", "mask"),
    [
        ((), "0"),
        ((0, 2), "5"),
        (range(32), "ffffffff"),
        ((32,), "1,00000000"),
        ((0, 40, 64), "1,00000100,00000001"),
    ],
)
def test_masks_as_the_kernel_takes_them(cpus: t.Iterable[int], mask: str) -> None:
    assert cpuset.format_kernel_mask(cpus) == mask
    assert cpuset.parse_mask(mask) == frozenset(cpus)
