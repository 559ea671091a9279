# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module's files are compiled once when it is loaded, and not twice.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Ansible runs a module from a zip file of its sources. Python's importer of such files compiles a source when it looks
for the module, only to learn its file's name (``spec_from_loader`` asks ``get_filename``), and again to run it.
"""

from __future__ import annotations

import importlib.util
import sys
import typing as t
import zipimport

__all__ = ["compile_once"]


class _Importer(zipimport.zipimporter):
    """Python's, that has a file's name from where the file is."""

    def find_spec(self, fullname: str, target: t.Any = None) -> t.Any:
        try:
            package = self.is_package(fullname)
        except zipimport.ZipImportError:
            return super().find_spec(fullname, target)
        name = fullname.rpartition(".")[2]
        return importlib.util.spec_from_file_location(
            fullname,
            f"{self.archive}/{self.prefix}{name}{'/__init__' if package else ''}.py",
            loader=self,
            submodule_search_locations=[] if package else None,
        )


def compile_once() -> None:
    """From here on, for files whose folder has not been looked into. Python before 3.10 does it so by itself."""
    loader: object = __spec__.loader
    if isinstance(loader, zipimport.zipimporter) and hasattr(loader, "find_spec"):
        sys.path_hooks.insert(0, _Importer)
