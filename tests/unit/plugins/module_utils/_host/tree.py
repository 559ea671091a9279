# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder that is a host's ``/``. Who derives from it plays the host's kernel and tools."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host, Ran

TREES = Path(__file__).parent / "trees"


def carry_out(task: t.Any, options: t.Mapping[str, t.Any], host: Host, *, check: bool = False) -> dict[str, t.Any]:
    """A task's result; ``task`` is its file in ``_host/tasks``."""
    planned = task.plan(options, host)
    return dict(planned.predict() if check else planned.apply())


class Tree(Host):
    """:ivar ran: the tools that were run, with their arguments.
    :ivar settled: the folders whose file systems were brought in order.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(str(root), self._noted)
        self.root = root
        self.ran: list[tuple[str, ...]] = []
        self.settled: list[str] = []

    def _noted(self, command: t.Sequence[str]) -> Ran:
        ran = self.answer(command)
        self.ran.append(tuple(command))
        return ran

    def answer(self, command: t.Sequence[str]) -> Ran:
        """What a tool does and says."""
        return Ran(0, "", "")

    def settle(self, path: str) -> None:
        """Not for real: it would freeze the file system of the machine that tests run on."""
        self.settled.append(path)

    def put(self, path: str, text: str) -> None:
        """Write a file, as others than the code under test do."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def lay_out(self, shape: str) -> None:
        """Put what a kernel told on a machine of this shape, as tests/lab_host/record.py has it."""
        for path, found in json.loads((TREES / f"{shape}.json").read_text()).items():
            if isinstance(found, str):
                self.put(path, found)
            else:
                link = self.root / path.lstrip("/")
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(found["link"])

    def files(self) -> dict[str, str]:
        """All there is but the tools."""
        every = (path for path in self.root.rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): path.read_text() for path in every if "usr/sbin" not in str(path)}
