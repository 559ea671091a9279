# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes quantities: every suffix, exactness, and the remedies for what people write instead."""

from __future__ import annotations

import typing as t
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.rtvirt.core.plugins.module_utils._errors import ConversionError
from ansible_collections.rtvirt.core.plugins.module_utils.converters import quantity


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (0, 0),
        (4096, 4096),
        ("0", 0),
        ("4096", 4096),
        ("1Ki", 2**10),
        ("1Mi", 2**20),
        ("2Gi", 2**31),
        ("1Ti", 2**40),
        ("1Pi", 2**50),
        ("7Ei", 7 * 2**60),
        ("1k", 10**3),
        ("1M", 10**6),
        ("1G", 10**9),
        ("1T", 10**12),
        ("1P", 10**15),
        ("1E", 10**18),
        ("1e3", 1000),
        ("1E3", 1000),
        ("12e+2", 1200),
        ("5000e-3", 5),
        ("1000m", 1),
        ("3000000u", 3),
        ("4000000000n", 4),
        ("+3k", 3000),
        ("1.5Gi", 3 * 2**29),
        ("0.1k", 100),
        (".5Ki", 512),
        ("5.", 5),
        ("-0", 0),
        ("9223372036854775807", 2**63 - 1),
        ("0.000000000931322574615478515625Gi", 1),
    ],
)
def test_to_bytes(value: str | int, count: int) -> None:
    exact = quantity.to_bytes(value)
    assert exact == count
    assert isinstance(exact, int)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("2GB", "'2GB' is not a quantity: write 2G or 2Gi"),
        ("2g", "'2g' is not a quantity: write 2G or 2Gi"),
        ("2K", "'2K' is not a quantity: write 2k or 2Ki"),
        ("512kb", "'512kb' is not a quantity: write 512k or 512Ki"),
        ("2 Gi", "'2 Gi' is not a quantity: write 2Gi"),
        (" 2Gi\n", "is not a quantity: write 2Gi"),
        ("2 GB", "'2 GB' is not a quantity: write 2G or 2Gi"),
        ("2GiB", "'2GiB' is not a quantity: write 2Gi"),
        ("2gi", "'2gi' is not a quantity: write 2Gi"),
        ("1.5mib", "'1.5mib' is not a quantity: write 1.5Mi"),
        ("64b", "'64b' is not a quantity: write 64"),
        ("", "'' is not a quantity: write a number with a suffix of Ki Mi Gi Ti Pi Ei"),
        ("Gi", "'Gi' is not a quantity: write a number"),
        (".", "'.' is not a quantity: write a number"),
        ("2Gi2", "'2Gi2' is not a quantity: write a number"),
        ("1,5Gi", "'1,5Gi' is not a quantity: write a number"),
        ("0x10", "'0x10' is not a quantity: write a number"),
        ("1/2", "'1/2' is not a quantity: write a number"),
        ("1e999999999", "'1e999999999' is not a quantity"),
        ("9" * 5000, "is not a quantity"),
        ("-1", "-1 is negative: write an amount of 0 bytes or more"),
        (-1, "-1 is negative"),
        ("1.5", "1.5 is not a whole number of bytes: write a whole number, or one with a smaller suffix"),
        ("0.3Ki", "0.3Ki is not a whole number of bytes"),
        ("512m", "512m is not a whole number of bytes: the suffix m is a thousandth, write 512M or 512Mi"),
        ("8Ei", "8Ei is more than Kubernetes can hold: write less than 8Ei"),
        ("9223372036854775808", "is more than Kubernetes can hold"),
        (2.0, "2.0 is a float: write a whole number of bytes, or a string such as '2Gi'"),
        (True, "a quantity is a number or a string such as '2Gi', not bool True"),
        (None, "not NoneType None"),
        (["1Gi"], "not list ['1Gi']"),
    ],
)
def test_to_bytes_refuses(value: t.Any, message: str) -> None:
    with pytest.raises(ConversionError) as refusal:
        quantity.to_bytes(value)
    assert message in refusal.value.message


@pytest.mark.parametrize(
    ("value", "exact"),
    [
        ("500m", Fraction(1, 2)),
        ("2", Fraction(2)),
        (2, Fraction(2)),
        (0.5, Fraction(1, 2)),
        (0.1, Fraction(1, 10)),
        (1e-07, Fraction(1, 10**7)),
        (1e16, Fraction(10**16)),
        ("1n", Fraction(1, 10**9)),
        ("1u", Fraction(1, 10**6)),
        ("-500m", Fraction(-1, 2)),
        ("1.5Ki", Fraction(1536)),
    ],
)
def test_to_fraction(value: str | int | float, exact: Fraction) -> None:
    assert quantity.to_fraction(value) == exact


@pytest.mark.parametrize("value", [True, None, "two", float("inf"), float("nan"), "1M m"])
def test_to_fraction_refuses(value: t.Any) -> None:
    with pytest.raises(ConversionError, match="quantity"):
        quantity.to_fraction(value)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (1, "1"),
        (1000, "1000"),
        (1023, "1023"),
        (1024, "1Ki"),
        (2**31, "2Gi"),
        (3 * 2**29, "1536Mi"),
        (2**60, "1Ei"),
        (2**20 + 1, "1048577"),
    ],
)
def test_from_bytes(count: int, text: str) -> None:
    assert quantity.from_bytes(count) == text


@pytest.mark.parametrize("count", [-1, True, 1.0, "1"])
def test_from_bytes_refuses(count: t.Any) -> None:
    with pytest.raises(ConversionError, match="is not a number of bytes"):
        quantity.from_bytes(count)


@given(st.integers(0, 2**63 - 1) | st.builds(lambda n, power: n << power, st.integers(0, 2000), st.integers(0, 50)))
def test_what_is_written_is_read_back_and_no_longer_than_plain(count: int) -> None:
    text = quantity.from_bytes(count)
    assert quantity.to_bytes(text) == count
    assert len(text) <= len(str(count))


@given(st.text(alphabet="0123456789.+-eEkKMGiBm ", max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        count = quantity.to_bytes(text)
    except ConversionError:
        return
    assert count == quantity.to_fraction(text) >= 0
