# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rtvirt.core.cpuset; documented in cpuset.yml beside it."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.rtvirt.core.plugins.module_utils._errors import ConversionError
from ansible_collections.rtvirt.core.plugins.module_utils.converters import cpuset as converter

_FORMS: dict[str, t.Callable[[frozenset[int]], t.Any]] = {
    "list": sorted,
    "ranges": converter.format_ranges,
    "mask": converter.format_mask,
}


def cpuset(value: t.Any, form: str = "list", universe: str | list[int] | None = None) -> t.Any:
    if form not in _FORMS:
        raise AnsibleFilterError(f"rtvirt.core.cpuset: form is {form!r}: write list, ranges or mask")
    try:
        everything = None if universe is None else _numbers(universe)
        if isinstance(value, str):
            is_mask = value.strip().lower().startswith("0x")
            cpus = converter.parse_mask(value) if is_mask else converter.parse(value, everything)
        else:
            cpus = _numbers(value)
    except ConversionError as error:
        raise AnsibleFilterError(f"rtvirt.core.cpuset: {error.message}") from error
    except (TypeError, ValueError) as error:
        raise AnsibleFilterError(f"rtvirt.core.cpuset: {value!r} is neither text nor a list of CPU numbers") from error
    return _FORMS[form](cpus)


def _numbers(value: t.Any) -> frozenset[int]:
    """:raises ConversionError: for what is no CPU number."""
    cpus = converter.parse(value) if isinstance(value, str) else frozenset(value)
    converter.format_ranges(cpus)
    return cpus


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"cpuset": cpuset}
