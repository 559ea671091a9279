# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""qmp.py SOCKET COMMAND [JSON]: tells a QEMU something, with arguments as a JSON object, and prints its answer."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any


def ask(connection: Any, command: str, arguments: dict[str, Any]) -> Any:
    connection.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
    for line in connection:
        answer = json.loads(line)
        if "error" in answer:
            raise SystemExit(f"error: {command}: {answer['error']['desc']}")
        if "return" in answer:  # and not one of the events in between
            return answer["return"]
    raise SystemExit(f"error: {command}: QEMU has gone")


def main() -> None:
    path = Path(sys.argv[1])
    arguments = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
    # A socket's name is short, and a cache's may be long.
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(path.name)
        with client.makefile("rwb", buffering=0) as connection:
            connection.readline()
            ask(connection, "qmp_capabilities", {})
            print(json.dumps(ask(connection, sys.argv[2], arguments)))


if __name__ == "__main__":
    main()
