# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints which program writes to which file of a lab host: on its disk, in /run, or to the kernel in /proc and /sys.

    python3 writes.py PIDFILE      until it is killed

It is the kernel's own list, fanotify(7), of all but mapped memory. Names that come and go are no writes;
their folder has another ctime afterwards.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from pathlib import Path

MOUNTS = ("/", "/proc", "/sys", "/run")
#: Of linux/fanotify.h.
MARK_ADD, MARK_MOUNT, MODIFY, METADATA = 0x1, 0x10, 0x2, "=IBBHQii"
AT_FDCWD = -100


def main() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    events = libc.fanotify_init(0, os.O_RDONLY)
    for mount in MOUNTS:
        if events < 0 or libc.fanotify_mark(
            events, MARK_ADD | MARK_MOUNT, ctypes.c_uint64(MODIFY), AT_FDCWD, mount.encode()
        ):
            sys.exit(f"fanotify: {mount}: {os.strerror(ctypes.get_errno())}")
    Path(sys.argv[1]).write_text(str(os.getpid()))
    while True:
        buffer = os.read(events, 65536)
        while buffer:
            length, _version, _reserved, _metadata, _mask, file, process = struct.unpack_from(METADATA, buffer)
            buffer = buffer[length:]
            if process != os.getpid():
                print(program(process), os.readlink(f"/proc/self/fd/{file}"), flush=True)
            os.close(file)


def program(process: int) -> str:
    """Its name, as far as it still runs."""
    try:
        return Path(f"/proc/{process}/comm").read_text().strip()
    except OSError:
        return "?"


if __name__ == "__main__":
    main()
