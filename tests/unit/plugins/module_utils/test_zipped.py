# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources in a zip file, as Ansible runs a module, loaded by a Python of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
import zipfile
from pathlib import Path

from ansible_collections.rtvirt.core.plugins.module_utils import _zipped

SCRIPT = """
import collections, importlib, json, sys

compiled = collections.Counter()
sys.addaudithook(lambda event, values: compiled.update([str(values[1])]) if event == "compile" else None)
sys.path.insert(0, sys.argv[1])
import zipped
if sys.argv[2] == "once":
    zipped.compile_once()
import package.module
try:
    import package.missing
except ModuleNotFoundError as error:
    missing = error.name
described = [
    [one.__name__, one.__file__, one.__package__, list(getattr(one, "__path__", []))]
    for one in (package, package.module)
]
times = {name.rpartition("archive.zip/")[2]: count for name, count in compiled.items() if "archive.zip" in name}
print(json.dumps({"described": described, "missing": missing, "value": package.module.VALUE, "times": times}))
"""


def loaded(folder: Path, how: str) -> dict[str, t.Any]:
    archive = folder / "archive.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(_zipped.__file__, "zipped.py")
        file.writestr("package/__init__.py", "")
        file.writestr("package/module.py", "from package.deeper import VALUE\n")
        file.writestr("package/deeper/__init__.py", "from . import leaf\nVALUE = leaf.VALUE\n")
        file.writestr("package/deeper/leaf.py", "VALUE = 7\n")
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(archive), how], capture_output=True, text=True, check=True)
    return t.cast("dict[str, t.Any]", json.loads(done.stdout))


def test_each_file_is_compiled_once(tmp_path: Path) -> None:
    """The folder that has been looked into before is Python's own importer's still."""
    as_it_is, once = loaded(tmp_path, "as it is"), loaded(tmp_path, "once")
    files = ["package/module.py", "package/deeper/__init__.py", "package/deeper/leaf.py"]
    assert [as_it_is["times"][file] for file in files] == [2, 2, 2]
    assert [once["times"][file] for file in files] == [1, 1, 1]


def test_nothing_else_is_another(tmp_path: Path) -> None:
    as_it_is, once = loaded(tmp_path, "as it is"), loaded(tmp_path, "once")
    assert (once.pop("times"), as_it_is.pop("times")) != ({}, {})
    assert once == as_it_is
    assert once["missing"] == "package.missing"
    assert once["value"] == 7


def test_out_of_a_zip_file_it_does_nothing() -> None:
    before = [*sys.path_hooks]
    _zipped.compile_once()
    assert sys.path_hooks == before
