# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of the host that others are to pass through, or make files in.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import os
import pathlib

__all__ = ["closed_folder", "may_make_files"]


def closed_folder(path: str, user: tuple[int, int]) -> str | None:
    """The first folder above a file that a user (uid, gid) may not search, None where the file can be reached.

    libvirt gives QEMU the file itself, by its owner and label, but never the folders above it.
    """
    for folder in reversed(pathlib.Path(path).parents):
        try:
            status = folder.stat()
        except FileNotFoundError:
            return None
        if not _may(status, user, 0o1):
            return str(folder)
    return None


def may_make_files(folder: str, user: tuple[int, int]) -> bool:
    """Whether a user (uid, gid) may make a file, or a socket, in a folder."""
    return _may(os.stat(folder), user, 0o3)


def _may(status: os.stat_result, user: tuple[int, int], wanted: int) -> bool:
    """By the mode bits of others, with which root has no need to bother."""
    shift = 6 if status.st_uid == user[0] else 3 if status.st_gid == user[1] else 0
    return user[0] == 0 or (status.st_mode >> shift) & wanted == wanted
