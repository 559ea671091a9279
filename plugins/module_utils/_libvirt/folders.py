# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of the host that others are to pass through, or make files in.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import os
import pathlib
import pwd
import subprocess

__all__ = ["closed_folder", "may_make_files"]


def closed_folder(path: str, user: tuple[int, int]) -> str | None:
    """The first folder above a file that a user (uid, gid) may not search, None where the file can be reached.

    libvirt gives QEMU the file itself, by its owner and label, but never the folders above it.
    """
    for folder in reversed(pathlib.Path(path).parents):
        if not folder.exists():
            return None
        if not _may(str(folder), user, 0o1):
            return str(folder)
    return None


def may_make_files(folder: str, user: tuple[int, int]) -> bool:
    """Whether a user (uid, gid) may make a file, or a socket, in a folder."""
    return _may(folder, user, 0o3)


def _may(folder: str, user: tuple[int, int], wanted: int) -> bool:
    """By the folder's mode, with which root has no need to bother; where that refuses, by the kernel."""
    status = os.stat(folder)
    shift = 6 if status.st_uid == user[0] else 3 if status.st_gid == user[1] else 0
    if user[0] == 0 or (status.st_mode >> shift) & wanted == wanted:
        return True
    # Nobody in particular (-1) has no rights but everybody's.
    return user[0] > 0 and os.geteuid() == 0 and _granted(folder, user, wanted)


def _granted(folder: str, user: tuple[int, int], wanted: int) -> bool:
    """Whether an ACL, or a further group, gives what the mode does not: a process of the user looks.

    libvirt starts QEMU with all groups of its user (``virGetGroupList``).
    """
    try:
        groups = os.getgrouplist(pwd.getpwuid(user[0]).pw_name, user[1])
    except KeyError:
        groups = [user[1]]
    looks = ["test", "-x", folder, *(["-a", "-w", folder] if wanted & 0o2 else [])]
    return subprocess.run(looks, user=user[0], group=user[1], extra_groups=groups, check=False).returncode == 0
