# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/admission.md as data: where our verdict differs from virt-api's on purpose, with an example of each."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from pathlib import Path

import yaml

from ansible_collections.rtvirt.core.plugins.module_utils._errors import Problem
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import merge_options

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "admission.md"
PLAIN: dict[str, t.Any] = {"name": "vm1", "memory": "1Gi"}


@dataclass(frozen=True)
class Row:
    """One line of a table.

    :ivar field: the field in the VirtualMachine, that of the instance's spec without what stands before it.
    :ivar text: a part of the message, ours or the server's.
    :ivar example: the options of a declaration that is judged so, but for a name and memory.
    """

    field: str
    text: str
    example: str

    @property
    def options(self) -> dict[str, t.Any]:
        given = merge_options(PLAIN, yaml.safe_load(self.example))
        # ~ takes an option away.
        return {key: value for key, value in given.items() if value != "~"}

    def covers(self, problem: Problem) -> bool:
        absolute = self.field.startswith(("metadata", "spec.", "kind", "*"))
        field = self.field if absolute else f"spec.template.spec.{self.field}"
        pattern = re.escape(field).replace(r"\[\*\]", r"\[\d+\]").replace(r"\*", ".*")
        return re.fullmatch(pattern, problem.manifest_path) is not None and self.text in problem.message


def table(heading: str) -> list[Row]:
    """The rows of the table under a heading: field, text and example are written as code, the reason is for readers."""
    section = re.split(rf"^## {heading}$", DOCUMENT.read_text(), flags=re.MULTILINE)[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [Row(*re.findall(r"`([^`]*)`", line)[:3]) for line in lines]


STRICTER = table("Stricter on purpose")
EARLIER = table("Told before the start")
SERVERS = table("Left to the server")
