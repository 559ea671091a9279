# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's refusal of a manifest, told by the options that its fields came from.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import re

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import ApiError
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import Manifest
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import Path

__all__ = ["explained"]

_UNKNOWN = re.compile(r'unknown field "([^"]+)"')
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def explained(error: ApiError, manifest: Manifest) -> RtvirtError:
    """The error to show for a refused write of a VM."""
    problems = [
        Problem(manifest.option_path(_path(field)), "KubeVirt knows no such field", field)
        for field in dict.fromkeys(_UNKNOWN.findall(error.message))
    ] or [Problem(manifest.option_path(_path(field)), message, field) for field, message in error.causes if field]
    if error.status in (400, 422) and problems:
        return DeclarationError(problems)
    return RtvirtError(f"{manifest.name}: {error.message}", **error.details)


def _path(field: str) -> Path:
    return tuple(int(index) if index else name for index, name in _STEP.findall(field))
