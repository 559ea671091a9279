# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rtvirt.core.network_attachment; documented in network_attachment.yml beside it."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import as_json
from ansible_collections.rtvirt.core.plugins.module_utils.converters import network as converter


def network_attachment(declaration: t.Any) -> dict[str, t.Any]:
    try:
        given = as_json(declaration)
        if not isinstance(given, dict):
            raise AnsibleFilterError(f"rtvirt.core.network_attachment: {given!r} is no mapping: write a declaration")
        return converter.network_attachment(given)
    except RtvirtError as error:
        raise AnsibleFilterError(f"rtvirt.core.network_attachment: {error.message}") from error


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"network_attachment": network_attachment}
