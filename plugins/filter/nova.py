# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rtvirt.core.nova; documented in nova.yml beside it."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import as_json
from ansible_collections.rtvirt.core.plugins.module_utils.converters.nova import options as converter


def nova(flavor: t.Any, image: t.Any = None, large_pages: t.Any = None, ignore: t.Any = ()) -> dict[str, t.Any]:
    try:
        given, properties = as_json(flavor), as_json(image)
        for what, one in (("flavor", given), ("image", properties)):
            if not isinstance(one, dict) and not (what == "image" and one is None):
                raise AnsibleFilterError(f"rtvirt.core.nova: the {what} is {type(one).__name__}: write a mapping")
        if not isinstance(ignore, (list, tuple)):
            raise AnsibleFilterError(f"rtvirt.core.nova: ignore is {ignore!r}: write a list of patterns")
        return converter.nova(given, properties, large_pages=large_pages, ignore=[str(one) for one in ignore])
    except RtvirtError as error:
        raise AnsibleFilterError(f"rtvirt.core.nova: {error.message}") from error


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"nova": nova}
