# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources in a zip file, as Ansible runs a module, loaded by a Python of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
import zipfile
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils import _zipped

SCRIPT = """
import collections, importlib, json, os, pwd, sys, types

compiled = collections.Counter()
sys.addaudithook(lambda event, values: compiled.update([str(values[1])]) if event == "compile" else None)
sys.path.insert(0, sys.argv[1])
import zipped
# The home that is the user's by /etc/passwd.
pwd.getpwuid = lambda uid: types.SimpleNamespace(pw_dir=sys.argv[2] if uid == os.geteuid() else "")
if sys.argv[3] == "ours":
    zipped.use_compiled()
import package.module
sys.path.insert(0, sys.argv[1].replace("archive", "another"))
import compiled_alone, plain
try:
    import package.missing
except ModuleNotFoundError as error:
    missing = error.name
described = [
    [one.__name__, one.__file__, one.__package__, list(getattr(one, "__path__", []))]
    for one in (package, package.module)
]
times = {name.rpartition(".zip/")[2]: count for name, count in compiled.items()}
print(json.dumps({"described": described, "missing": missing, "value": package.module.VALUE, "times": times}))
"""


#: The first is in a folder that has been looked into before.
FILES = ["package/__init__.py", "package/module.py", "package/deeper/__init__.py", "package/deeper/leaf.py"]

#: Hosts have other Pythons than the tests. They are looked for where ansible-test does.
_MINORS = (8, 9, 10, 12, 13, 14)
PYTHONS = [
    sys.executable,
    *(str(path) for minor in _MINORS for path in Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3.{minor}")),
    *(f"/usr/bin/python3.{minor}" for minor in _MINORS if Path(f"/usr/bin/python3.{minor}").exists()),
]


def loaded(
    folder: Path, how: str = "ours", *, value: int = 7, python: str = sys.executable, **environment: str
) -> dict[str, t.Any]:
    archive = folder / "archive.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(_zipped.__file__, "zipped.py")
        file.writestr("package/__init__.py", "")
        file.writestr("package/module.py", "from package.deeper import VALUE\n")
        file.writestr("package/deeper/__init__.py", "from . import leaf\nVALUE = leaf.VALUE\n")
        file.writestr("package/deeper/leaf.py", f"VALUE = {value}\n")
    # One of somebody else's, on the path as well.
    (folder / "compiled_alone.py").write_text("")
    subprocess.run([python, "-m", "py_compile", str(folder / "compiled_alone.py")], check=True)
    [compiled] = (folder / "__pycache__").glob(f"compiled_alone.{tag_of(python)}.pyc")
    with zipfile.ZipFile(folder / "another.zip", "w") as file:
        file.write(compiled, "compiled_alone.pyc")
        file.writestr("plain.py", "")
    home = folder / "home"
    home.mkdir(exist_ok=True)
    command = [python, "-c", SCRIPT, str(archive), str(home), how]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**plain, **environment})
    return t.cast("dict[str, t.Any]", json.loads(done.stdout))


def tag_of(python: str) -> str:
    command = [python, "-c", "import sys; print(sys.implementation.cache_tag)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def times(result: dict[str, t.Any]) -> list[int]:
    """How often each file was compiled."""
    return [result["times"].get(file, 0) for file in FILES]


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "home").rglob("*.pyc"))


@pytest.mark.parametrize("python", PYTHONS)
def test_each_file_is_compiled_once(tmp_path: Path, python: str) -> None:
    assert times(loaded(tmp_path, "as it is", python=python)) == [2, 2, 2, 2]
    assert kept(tmp_path) == []
    assert times(loaded(tmp_path, python=python)) == [1, 1, 1, 1]
    assert [path.name for path in kept(tmp_path)] == sorted(f"{file.replace('/', '.')}c" for file in FILES)
    assert times(loaded(tmp_path, python=python)) == [0, 0, 0, 0]
    assert sorted(path for path in (tmp_path / "home").rglob("*") if path.is_file()) == kept(tmp_path)


def test_a_changed_file_is_compiled_anew(tmp_path: Path) -> None:
    loaded(tmp_path)
    other = loaded(tmp_path, value=8)
    assert (other["value"], times(other)) == (8, [0, 0, 0, 1])
    assert times(loaded(tmp_path, value=8)) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "spoil", [lambda _data: b"", lambda data: data[:-3], lambda data: data[:20] + bytes(len(data) - 20)]
)
def test_what_is_not_whole_is_compiled_anew(tmp_path: Path, spoil: t.Callable[[bytes], bytes]) -> None:
    """A power cut leaves such files. To unmarshal one can be the end of the process."""
    loaded(tmp_path)
    for path in kept(tmp_path):
        path.write_bytes(spoil(path.read_bytes()))
    again = loaded(tmp_path)
    assert (again["value"], times(again)) == (7, [1, 1, 1, 1])
    assert times(loaded(tmp_path)) == [0, 0, 0, 0]


PARTS = [".cache", ".cache/rtvirt", ".cache/rtvirt/compiled"]


@pytest.mark.parametrize("mode", [0o770, 0o707])
@pytest.mark.parametrize("part", [*PARTS, f"{PARTS[-1]}/{sys.implementation.cache_tag}"])
def test_a_folder_that_others_can_write_to_is_not_used(tmp_path: Path, part: str, mode: int) -> None:
    """Nor one below, which they could move away to put another in its place."""
    loaded(tmp_path)
    (tmp_path / "home" / part).chmod(mode)
    assert times(loaded(tmp_path, value=8)) == [1, 1, 1, 1]
    (tmp_path / "home" / part).chmod(0o700)
    assert times(loaded(tmp_path)) == [0, 0, 0, 0]


def test_a_folder_is_made_closed_whatever_the_mask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        loaded(tmp_path)
    finally:
        os.umask(before)
    assert {(tmp_path / "home" / part).stat().st_mode & 0o777 for part in PARTS} == {0o700}


@pytest.mark.parametrize("part", PARTS)
def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path, part: str) -> None:
    # The harness and CI run as root, where this runs; chown to another is nobody else's (CAP_CHOWN).
    if os.geteuid():
        pytest.skip("only root can give a folder away")
    loaded(tmp_path)
    os.chown(tmp_path / "home" / part, 65534, 65534)
    assert times(loaded(tmp_path)) == [1, 1, 1, 1]


@pytest.mark.parametrize("part", PARTS)
def test_a_link_is_not_followed(tmp_path: Path, part: str) -> None:
    loaded(tmp_path)
    folder = tmp_path / "home" / part
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert times(loaded(tmp_path)) == [1, 1, 1, 1]


def test_a_home_that_is_no_folder_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "home" / ".cache").mkdir(parents=True)
    (tmp_path / "home" / ".cache" / "rtvirt").write_text("")
    assert [times(loaded(tmp_path)) for _time in range(2)] == [[1, 1, 1, 1]] * 2


@pytest.mark.parametrize("switch", ["PYTHONDONTWRITEBYTECODE", "PYTHONOPTIMIZE"])
def test_nothing_is_kept_where_python_is_to_keep_nothing_or_makes_other_code(tmp_path: Path, switch: str) -> None:
    assert times(loaded(tmp_path, **{switch: "1"})) == [1, 1, 1, 1]
    assert kept(tmp_path) == []


@pytest.mark.parametrize("python", PYTHONS)
def test_nothing_else_is_another(tmp_path: Path, python: str) -> None:
    as_it_is = loaded(tmp_path, "as it is", python=python)
    first, then = loaded(tmp_path, python=python), loaded(tmp_path, python=python)
    for result in (as_it_is, first, then):
        del result["times"]
    assert as_it_is == first == then
    assert first["missing"] == "package.missing"
    assert first["value"] == 7


def test_out_of_a_zip_file_it_does_nothing() -> None:
    before = [*sys.path_hooks]
    _zipped.use_compiled()
    assert sys.path_hooks == before
