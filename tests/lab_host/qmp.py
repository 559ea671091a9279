# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""qmp.py SOCKET COMMAND [JSON]: tells a QEMU something, with arguments as a JSON object, and prints its answer."""

from __future__ import annotations

import json
import os
import socket
import sys
import typing as t
from pathlib import Path


class Monitor:
    """A connection to a QEMU's monitor, which takes one at a time. It is closed at the end of a ``with``.

    :arg patience: seconds to wait for any line of it.
    """

    def __init__(self, path: Path, patience: float = 20) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(patience)
        # A socket's name is short, and a cache's may be long.
        here = os.open(".", os.O_RDONLY)
        try:
            os.chdir(path.parent)
            self._socket.connect(path.name)
        finally:
            os.fchdir(here)
            os.close(here)
        self._lines = self._socket.makefile("rwb", buffering=0)
        self._lines.readline()
        self.ask("qmp_capabilities")

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *_error: object) -> None:
        self._lines.close()
        self._socket.close()

    def ask(self, command: str, **arguments: t.Any) -> t.Any:
        self._lines.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        for answer in self._answers():
            if "error" in answer:
                raise SystemExit(f"error: {command}: {answer['error']['desc']}")
            if "return" in answer:  # and not one of the events in between
                return answer["return"]
        raise SystemExit(f"error: {command}: QEMU has gone")

    def event(self, name: str) -> dict[str, t.Any]:
        """The data of the next event of a name. :raises TimeoutError: where there is none."""
        for answer in self._answers():
            if answer.get("event") == name:
                return t.cast("dict[str, t.Any]", answer.get("data", {}))
        raise SystemExit(f"error: {name}: QEMU has gone")

    def _answers(self) -> t.Iterator[dict[str, t.Any]]:
        return (json.loads(line) for line in self._lines)


def main() -> None:
    arguments = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
    with Monitor(Path(sys.argv[1])) as monitor:
        print(json.dumps(monitor.ask(sys.argv[2], **arguments)))


if __name__ == "__main__":
    main()
