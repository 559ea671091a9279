# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rtvirt.core.manifest; documented in manifest.yml beside it."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission import structure
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.cluster_fields import KUBEVIRT
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.fields import MACHINE
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.rules import convert
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import Options, checked


def manifest(declaration: t.Any) -> dict[str, t.Any]:
    try:
        # Of either backend: both have fields that the other does not.
        document = convert(Options(checked(declaration)), KUBEVIRT).document
        return t.cast("dict[str, t.Any]", structure.settle_types(document, MACHINE))
    except RtvirtError as error:
        raise AnsibleFilterError(f"rtvirt.core.manifest: {error.message}") from error


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"manifest": manifest}
