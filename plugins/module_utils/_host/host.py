# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files and tools of the host that is prepared.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

All that the host modules read and write goes through here, below one root: the host's own, or a recorded tree of a
test. A write is atomic: after a power cut there is the old file or the new one, whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import stat
import subprocess
import tempfile
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError

__all__ = ["FileChange", "Host", "Ran"]

#: Where the tools of an administrator are, which a task's PATH may lack.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: Seconds that a tool which is at work for somebody else is waited for, and between looks.
_PATIENCE = 300.0
_PAUSE = 2.0

#: Of linux/fs.h.
_FIFREEZE = 0xC0045877
_FITHAW = 0xC0045878


@dataclass(frozen=True)
class FileChange:
    """A file as it is and as it is to be.

    :ivar before: its text, None where there is none.
    :ivar after: the text it gets, None where it goes.
    """

    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Ran:
    """What a tool answered."""

    status: int
    output: str
    errors: str


class Host:
    """A host, by its file system and tools.

    :arg root: where its ``/`` is.
    :arg run: runs a tool, for tests; the host's own otherwise.
    """

    def __init__(self, root: str = "/", run: t.Callable[[t.Sequence[str]], Ran] | None = None) -> None:
        self._root = root
        self._run = run or _run

    def _at(self, path: str) -> str:
        return os.path.join(self._root, path.lstrip("/"))

    # Reading

    def read(self, path: str) -> str | None:
        """A file's text, None where there is none or the kernel does not give it."""
        try:
            # Line ends as they are: what is written again must be the same bytes.
            with open(self._at(path), encoding="utf-8", errors="surrogateescape", newline="") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except PermissionError as error:
            raise RtvirtError(f"{path}: cannot be read: run the task as root (become: true)") from error
        except OSError:
            # Attributes of sysfs that a device does not have answer with errors of many kinds.
            return None

    def word(self, path: str) -> str:
        """A file's text without its surrounding space, empty where there is none."""
        return (self.read(path) or "").strip()

    def exists(self, path: str) -> bool:
        return os.path.exists(self._at(path))

    def names(self, path: str) -> list[str]:
        """The names in a folder, sorted; none where there is no such folder."""
        try:
            return sorted(os.listdir(self._at(path)))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def link(self, path: str) -> str:
        """Where a link leads, empty where there is none."""
        try:
            return os.readlink(self._at(path))
        except OSError:
            return ""

    def target(self, path: str) -> str | None:
        """The last part of where a link leads, as sysfs names drivers and groups; None where there is no link."""
        return os.path.basename(self.link(path)) or None

    def owner_of(self, path: str) -> tuple[int, int, int] | None:
        """Numbers of owner and group, and mode; None where there is nothing."""
        try:
            status = os.stat(self._at(path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)

    def runs_systemd(self) -> bool:
        return self.exists("/run/systemd/system")

    def holders(self, paths: t.Collection[str]) -> list[str]:
        """The programs that have one of these files open: ``systemd (1)``."""
        found = []
        for pid in filter(str.isdigit, self.names("/proc")):
            folder = f"/proc/{pid}/fd"
            if any(self.link(f"{folder}/{number}") in paths for number in self.names(folder)):
                found.append(f"{self.word(f'/proc/{pid}/comm')} ({pid})")
        return found

    def tool(self, name: str) -> str | None:
        """Where a tool is, None where there is none."""
        paths = (f"{folder}/{name}" for folder in _PATH.split(":"))
        return next((path for path in paths if self.exists(path)), None)

    def has_tool(self, name: str) -> bool:
        return self.tool(name) is not None

    # Doing

    def changes(self, path: str, after: str | None) -> tuple[FileChange, ...]:
        """What a write would do: nothing where the file is so already."""
        before = self.read(path)
        return () if before == after else (FileChange(path, before, after),)

    def apply(self, changes: t.Iterable[FileChange]) -> None:
        for change in changes:
            if change.after is None:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._at(change.path))
                _sync(os.path.dirname(self._at(change.path)))
            else:
                self._write(self._at(change.path), change.after)

    def make_folder(self, path: str, owner: int, group: int, mode: int) -> None:
        """Make a folder, or bring one to this owner and mode."""
        os.makedirs(self._at(path), exist_ok=True)
        # In this order: a new owner takes away setgid.
        os.chown(self._at(path), owner, group)
        os.chmod(self._at(path), mode)

    def remove_folder(self, path: str) -> None:
        """One that is gone is so. :raises OSError: where something is in it."""
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(self._at(path))

    def tell(self, path: str, value: str) -> None:
        """Write to an attribute of sysfs or procfs.

        :raises OSError: as the kernel has it.
        """
        with open(self._at(path), "w", encoding="ascii") as file:
            file.write(value)

    def settle(self, path: str) -> None:
        """Bring a file system to where it needs no journal.

        A boot loader reads without one: after a power cut it would see the blocks of before, some of them used anew.
        Freezing is what does it on every file system that has a journal, as in libostree (``ostree-sysroot-deploy.c``);
        others refuse, and need it not.
        """
        folder = os.open(self._at(path), os.O_RDONLY | os.O_DIRECTORY)
        held = signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
        try:
            fcntl.ioctl(folder, _FIFREEZE, 0)
        except OSError:
            os.sync()
        else:
            fcntl.ioctl(folder, _FITHAW, 0)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
            os.close(folder)

    def run(self, *command: str) -> Ran:
        """Run a tool. :raises RtvirtError: where it is not there."""
        try:
            return self._run(command)
        except FileNotFoundError as error:
            raise RtvirtError(f"{command[0]} is not installed on this host") from error

    def must_run(self, *command: str, busy: str | None = None) -> str:
        """What a tool prints.

        :arg busy: what it says where it is at work for somebody else, and is to be waited for.
        :raises RtvirtError: where it fails, with what it says.
        """
        until = time.monotonic() + _PATIENCE
        ran = self.run(*command)
        while ran.status and busy and busy in ran.errors and time.monotonic() < until:
            time.sleep(_PAUSE)
            ran = self.run(*command)
        if ran.status:
            said = (ran.errors.strip() or ran.output.strip()).splitlines()
            raise RtvirtError(f"{' '.join(command)} failed with status {ran.status}: {'; '.join(said[-3:])}")
        return ran.output

    @staticmethod
    def _write(path: str, text: str) -> None:
        # Where a link leads, as a link of the administrator's stays one.
        path = os.path.realpath(path)
        folder = os.path.dirname(path)
        os.makedirs(folder, exist_ok=True)
        descriptor, new = tempfile.mkstemp(dir=folder, prefix=f".{os.path.basename(path)}.")
        try:
            with open(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
                file.write(text)
                file.flush()
                _like(path, file.fileno(), 0o755 if text.startswith("#!") else 0o644)
                os.fsync(file.fileno())
            _keep_label(path, new)
            os.replace(new, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new)
            raise
        _sync(folder)


def _like(path: str, descriptor: int, mode: int) -> None:
    """Owner and mode of the file that is replaced; a new one gets the mode."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        os.fchmod(descriptor, mode)
        return
    # In this order: a new owner takes away setuid.
    os.fchown(descriptor, there.st_uid, there.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(there.st_mode))


def _keep_label(path: str, new: str) -> None:
    """The security label, where there is one: a file in /etc with that of a temporary file is not read by services."""
    with contextlib.suppress(OSError):
        for name in os.listxattr(path):
            os.setxattr(new, name, os.getxattr(path, name))


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _run(command: t.Sequence[str]) -> Ran:
    environment = {**os.environ, "PATH": _PATH, "LC_ALL": "C.UTF-8", "LANGUAGE": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, errors="replace")
    return Ran(done.returncode, done.stdout, done.stderr)
