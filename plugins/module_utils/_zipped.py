# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module's files are compiled once in the life of a host, and not twice in each task.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Ansible runs a module from a zip file of its sources. Python keeps no compiled code of such files. Worse, its importer
of them compiles a source when it looks for the module, only to learn its file's name (``spec_from_loader`` asks
``get_filename``), and again to run it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import marshal
import os
import pwd
import stat
import sys
import types
import typing as t
import zipimport

__all__ = ["use_compiled"]

#: Bytes of the two hashes before the code: of its source, and of itself.
_HASH = 8


class _Importer(zipimport.zipimporter):
    """Python's, that has a file's name from where the file is, and its code from what an earlier task has compiled.

    :cvar ours: the folder in the zip file below which it is asked; all else is Python's own importer's.
    :cvar kept: where compiled code is kept; empty for nowhere.
    """

    ours = ""
    kept = ""

    def __init__(self, path: str) -> None:
        if not path.startswith(self.ours):
            raise ImportError(path)
        super().__init__(path)

    def find_spec(self, fullname: str, target: t.Any = None) -> t.Any:
        try:
            package = self.is_package(fullname)
        except zipimport.ZipImportError:
            return None
        return importlib.util.spec_from_file_location(
            fullname,
            f"{self.archive}/{self._file_of(fullname)}",
            loader=self,
            submodule_search_locations=[] if package else None,
        )

    def create_module(self, spec: t.Any) -> None:
        """Python makes it. Before Python 3.10 a zipimporter has neither this nor the next."""

    def exec_module(self, module: types.ModuleType) -> None:
        exec(self.get_code(module.__name__), module.__dict__)

    def get_code(self, fullname: str) -> t.Any:
        if not self.kept:
            return super().get_code(fullname)
        inside = self._file_of(fullname)
        source = self.get_data(f"{self.archive}/{inside}")
        kept = f"{self.kept}/{inside.replace('/', '.')}c"
        code = _read(kept, source)
        if code is None:
            # The zip file has another name and folder in each task. Ansible reads the collection off such a path.
            code = compile(source, f"payload.zip/{inside}", "exec", dont_inherit=True)
            _write(kept, source, code)
        return code

    def _file_of(self, fullname: str) -> str:
        return f"{self.prefix}{fullname.rpartition('.')[2]}{'/__init__' if self.is_package(fullname) else ''}.py"


def _read(path: str, source: bytes) -> types.CodeType | None:
    """What was compiled of this very source; None where that is not there, or not whole."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return None
    of_source, of_code, code = data[:_HASH], data[_HASH : 2 * _HASH], data[2 * _HASH :]
    if of_source != importlib.util.source_hash(source) or of_code != importlib.util.source_hash(code):
        return None
    return t.cast("types.CodeType", marshal.loads(code))


def _write(path: str, source: bytes, code: types.CodeType) -> None:
    data = marshal.dumps(code)
    new = f"{path}.{os.getpid()}"
    with contextlib.suppress(OSError):
        try:
            with open(new, "wb") as file:
                file.write(importlib.util.source_hash(source) + importlib.util.source_hash(data) + data)
            os.replace(new, path)
        except OSError:
            os.unlink(new)


def _folder() -> str:
    """The folder for compiled code, which nobody but its user can write to or move; empty where there is none.

    Not below ``$HOME``, which sudo may leave to be another user's.
    """
    if sys.dont_write_bytecode or sys.flags.optimize or sys.implementation.cache_tag is None:
        return ""
    try:
        folder = pwd.getpwuid(os.geteuid()).pw_dir
        for part in (".cache", "rtvirt", "compiled", sys.implementation.cache_tag):
            folder = f"{folder}/{part}"
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, 0o700)
            found = os.lstat(folder)
            closed = not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            if not (stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and closed):
                return ""
    except (KeyError, OSError):
        return ""
    return folder


def use_compiled() -> None:
    """From here on, for files of this one's folder and below."""
    loader: object = __spec__.loader
    if not isinstance(loader, zipimport.zipimporter):
        return
    _Importer.ours = f"{loader.archive}/{loader.prefix}".rstrip("/")
    _Importer.kept = _folder()
    sys.path_hooks.insert(0, _Importer)
    # Python's own importers of folders that have been looked into already.
    for path in [path for path in sys.path_importer_cache if path.startswith(_Importer.ours)]:
        del sys.path_importer_cache[path]
