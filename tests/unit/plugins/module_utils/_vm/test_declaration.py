# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declarations that come by a filter and not by a module."""

from __future__ import annotations

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError
from ansible_collections.rtvirt.core.plugins.module_utils._vm.declaration import checked


def test_aliases_are_the_options_that_they_stand_for() -> None:
    assert checked({"name": "vm1", "hugepage_size": "2Mi"}) == {"name": "vm1", "hugepages": "2Mi"}


def test_what_is_no_option_is_told() -> None:
    with pytest.raises(DeclarationError, match="hugepage: is no option"):
        checked({"name": "vm1", "hugepage": "2Mi"})
