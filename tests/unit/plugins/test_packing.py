# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible packs what a module imports, directly or not, for each task: so nothing of another backend's is among it."""

from __future__ import annotations

import ast
import fnmatch
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
PREFIX = "ansible_collections.rtvirt.core.plugins."

CLUSTERS = ["_kubevirt/*", "_vm/admission/cluster*", "_vm/admission/placing.py", "_vm/admission/sources.py"]
HYPERVISORS = ["_libvirt/*", "converters/domain_xml/*", "converters/placement.py"]


def imported(path: Path) -> set[Path]:
    """The collection's files that a file imports, also within its functions: Ansible packs those too."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PREFIX):
            base = PLUGINS.joinpath(*str(node.module)[len(PREFIX) :].split("."))
            candidates = [base.with_suffix(".py"), *(base / f"{alias.name}.py" for alias in node.names)]
            found |= {one for one in candidates if one.exists()}
    return found


def packed(module: str) -> set[str]:
    waiting, seen = {PLUGINS / "modules" / f"{module}.py"}, set[Path]()
    while waiting:
        seen |= waiting
        waiting = set().union(*map(imported, waiting)) - seen
    return {path.relative_to(PLUGINS / "module_utils").as_posix() for path in seen if "module_utils" in path.parts}


@pytest.mark.parametrize(
    ("module", "needs", "others"),
    [
        ("libvirt_vm", "_libvirt/plan.py", [*CLUSTERS, "_host/*"]),
        ("libvirt_vm_info", "_libvirt/fitting.py", [*CLUSTERS, "_host/*"]),
        ("kubevirt_vm", "_kubevirt/plan.py", [*HYPERVISORS, "_host/*"]),
        ("kubevirt_vm_info", "_kubevirt/lookup.py", [*HYPERVISORS, "_host/*"]),
        ("host", "_host/tasks/host.py", ["_libvirt/*", "_kubevirt/*", "_vm/admission/*", "converters/domain_xml/*"]),
    ],
)
def test_nothing_of_another_backend(module: str, needs: str, others: list[str]) -> None:
    files = packed(module)
    assert needs in files
    assert [file for file in sorted(files) for glob in others if fnmatch.fnmatchcase(file, glob)] == []
