# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rtvirt.core.machine_config; documented in machine_config.yml beside it."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import as_json
from ansible_collections.rtvirt.core.plugins.module_utils.converters import machine_config as converter


def machine_config(declaration: t.Any, role: str = "worker", vendor: str = "intel") -> list[dict[str, t.Any]]:
    try:
        given = as_json(declaration)
        if not isinstance(given, dict):
            raise AnsibleFilterError(f"rtvirt.core.machine_config: {given!r} is no mapping: write a declaration")
        return converter.machine_config(given, str(role), str(vendor))
    except RtvirtError as error:
        raise AnsibleFilterError(f"rtvirt.core.machine_config: {error.message}") from error


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"machine_config": machine_config}
