# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes of a host's files: whatever fails and whenever the power goes, there is the old file or the new one, whole."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._host.host import FileChange, Host
from ansible_collections.rtvirt.core.tests.conftest import missing

PATH = "/etc/default/grub"
OLD, NEW = "old\n", "new " * 10_000 + "\n"  # more than a buffer of Python's holds


class PowerCut(BaseException):
    """Nothing of ours catches it."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where ``PATH`` is; its folder is there, itself is not."""
    found = tmp_path / PATH.lstrip("/")
    found.parent.mkdir(parents=True)
    return found


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(str(tmp_path))


def write(host: Host, text: str | None = NEW) -> None:
    host.apply([FileChange(PATH, None, text)])


def failing(error: BaseException) -> t.Callable[..., t.Any]:
    def fail(*_given: t.Any, **_options: t.Any) -> t.Any:
        raise error

    return fail


def mode_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


# What fails

NO_SPACE = OSError(errno.ENOSPC, "No space left on device")
NOT_PERMITTED = PermissionError(errno.EPERM, "Operation not permitted")
BROKEN_DISK = OSError(errno.EIO, "Input/output error")

#: (what is called, how it fails): all that comes before the new file is in its place, where there is an old one.
STEPS: list[tuple[t.Any, str, BaseException]] = [
    (os, "makedirs", NOT_PERMITTED),
    (tempfile, "mkstemp", NO_SPACE),
    (os, "fchmod", NOT_PERMITTED),
    (os, "fchown", NOT_PERMITTED),
    (os, "fsync", NO_SPACE),
    (os, "fsync", BROKEN_DISK),
    (os, "fsync", PowerCut()),
    (os, "listxattr", PowerCut()),
    (os, "replace", NO_SPACE),
    (os, "replace", PowerCut()),
]


@pytest.mark.parametrize(("module", "name", "error"), STEPS, ids=lambda one: getattr(one, "__name__", str(one)))
def test_a_step_that_fails_leaves_the_old_file_and_nothing_else(
    module: t.Any, name: str, error: BaseException, host: Host, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(OLD)
    file.chmod(0o640)
    with monkeypatch.context() as patch:
        patch.setattr(module, name, failing(error))
        with pytest.raises(type(error)) as raised:
            write(host)
    assert raised.value is error
    assert (file.read_text(), mode_of(file)) == (OLD, 0o640)
    assert os.listdir(file.parent) == ["grub"]
    write(host)
    assert file.read_text() == NEW


@pytest.mark.parametrize("name", ["fchmod", "fsync", "replace"])
def test_a_step_that_fails_leaves_no_file_where_there_was_none(
    name: str, host: Host, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, name, failing(NO_SPACE))
    with pytest.raises(OSError, match="No space left"):
        write(host)
    assert os.listdir(file.parent) == []


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("text", ["short\n", NEW], ids=["short", "long"])
def test_a_full_disk(text: str, there: bool, host: Host, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel itself says so: what goes into the temporary file goes to /dev/full."""
    if there:
        file.write_text(OLD)
    make = tempfile.mkstemp

    def full(**given: t.Any) -> tuple[int, str]:
        descriptor, path = make(**given)
        instead = os.open("/dev/full", os.O_WRONLY)
        os.dup2(instead, descriptor)
        os.close(instead)
        return descriptor, path

    monkeypatch.setattr(tempfile, "mkstemp", full)
    # It would change /dev/full.
    monkeypatch.setattr(os, "fchmod", failing(AssertionError()))
    with pytest.raises(OSError, match="No space left"):
        write(host, text)
    assert os.listdir(file.parent) == (["grub"] if there else [])
    assert not there or file.read_text() == OLD


def test_a_text_that_no_file_can_have(host: Host, file: Path) -> None:
    file.write_text(OLD)
    with pytest.raises(UnicodeEncodeError):
        write(host, "half a character: \ud800\n")
    assert (file.read_text(), os.listdir(file.parent)) == (OLD, ["grub"])


def test_a_folder_that_is_where_the_file_is_to_be(host: Host, file: Path) -> None:
    file.mkdir()
    with pytest.raises(IsADirectoryError):
        write(host)
    assert (file.is_dir(), os.listdir(file.parent)) == (True, ["grub"])


def test_a_file_that_is_where_the_folder_is_to_be(host: Host, file: Path) -> None:
    file.parent.rmdir()
    file.parent.write_text(OLD)
    with pytest.raises(FileExistsError):
        write(host)
    assert file.parent.read_text() == OLD


def test_a_folder_that_cannot_be_synced_is_told(host: Host, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new file is in its place then; whether it outlasts a power cut, nobody knows."""
    file.write_text(OLD)
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise BROKEN_DISK
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output error"):
        write(host)
    assert (file.read_text(), os.listdir(file.parent)) == (NEW, ["grub"])


def test_a_label_that_cannot_be_kept_is_no_reason_to_fail(
    host: Host, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(OLD)
    monkeypatch.setattr(os, "listxattr", failing(NOT_PERMITTED))
    write(host)
    assert (file.read_text(), os.listdir(file.parent)) == (NEW, ["grub"])


def test_no_descriptor_stays_open(host: Host, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(os.listdir("/proc/self/fd"))
    write(host)
    write(host, None)
    for name in ("fchmod", "fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, failing(NO_SPACE))
            with pytest.raises(OSError, match="No space left"):
                write(host)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("broken", [1, 2, 3])
def test_changes_before_one_that_fails_are_done(
    broken: int, host: Host, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [f"/etc/default/{number}" for number in (1, 2, 3)]
    for path in paths:
        host.apply([FileChange(path, None, OLD)])
    replace = os.replace

    def broken_replace(old: str, new: str) -> None:
        if new.endswith(f"/{broken}"):
            raise NO_SPACE
        replace(old, new)

    monkeypatch.setattr(os, "replace", broken_replace)
    with pytest.raises(OSError, match="No space left"):
        host.apply(FileChange(path, OLD, NEW) for path in paths)
    assert [host.read(path) for path in paths] == [NEW] * (broken - 1) + [OLD] * (4 - broken)
    assert sorted(os.listdir(file.parent)) == ["1", "2", "3"]


# In which order


@pytest.fixture
def done(file: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done to the disk, as it is done: ``path`` and ``folder`` are those of ``PATH``, ``new`` is another file
    in the folder, with what it has in it then, and what the path has."""
    happened: list[str] = []
    real = {name: getattr(os, name) for name in ("fsync", "replace", "unlink")}

    def named(path: str) -> str:
        one = Path(path)
        if one.parent != file.parent:
            return {file.parent: "folder"}.get(one, path)
        return "path" if one == file else f"new of {one.stat().st_size} bytes, mode {mode_of(one):o}"

    def state() -> str:
        return f"{len(file.read_text())} bytes at path" if file.exists() else "nothing at path"

    def fsync(descriptor: int) -> None:
        happened.append(f"fsync {named(os.readlink(f'/proc/self/fd/{descriptor}'))}; {state()}")
        real["fsync"](descriptor)

    def replace(old: str, new: str) -> None:
        happened.append(f"replace {named(new)} by {named(old)}; {state()}")
        real["replace"](old, new)

    def unlink(path: str) -> None:
        happened.append(f"unlink {named(path)}; {state()}")
        real["unlink"](path)

    for name, wrapper in (("fsync", fsync), ("replace", replace), ("unlink", unlink)):
        monkeypatch.setattr(os, name, wrapper)
    return happened


def test_the_file_is_on_the_disk_before_its_name_and_then_its_name(host: Host, file: Path, done: list[str]) -> None:
    file.write_text(OLD)
    file.chmod(0o640)
    write(host)
    assert done == [
        "fsync new of 40001 bytes, mode 640; 4 bytes at path",
        "replace path by new of 40001 bytes, mode 640; 4 bytes at path",
        "fsync folder; 40001 bytes at path",
    ]


def test_a_new_file_is_synced_alike(host: Host, file: Path, done: list[str]) -> None:
    write(host, "short\n")
    assert done == [
        "fsync new of 6 bytes, mode 644; nothing at path",
        "replace path by new of 6 bytes, mode 644; nothing at path",
        "fsync folder; 6 bytes at path",
    ]


def test_a_removal_is_synced(host: Host, file: Path, done: list[str]) -> None:
    file.write_text(OLD)
    write(host, None)
    assert done == ["unlink path; 4 bytes at path", "fsync folder; nothing at path"]


def test_a_removal_of_what_is_gone_is_synced_too(host: Host, file: Path, done: list[str]) -> None:
    """A run before may have been cut off between the two."""
    write(host, None)
    assert done == ["unlink path; nothing at path", "fsync folder; nothing at path"]


def test_each_change_is_complete_before_the_next(host: Host, file: Path, done: list[str]) -> None:
    host.apply([FileChange(PATH, None, OLD), FileChange(PATH, OLD, None)])
    assert [one.split()[0] for one in done] == ["fsync", "replace", "fsync", "unlink", "fsync"]


def test_a_removal_that_is_not_permitted(host: Host, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(OLD)
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", failing(NOT_PERMITTED))
        with pytest.raises(PermissionError):
            write(host, None)
    assert file.read_text() == OLD


# Mode and owner


@pytest.fixture(params=[0o022, 0o077, 0o000], ids=oct)
def umask(request: pytest.FixtureRequest) -> t.Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(
    ("text", "mode"), [("key = value\n", 0o644), ("#!/bin/sh\ntrue\n", 0o755), ("# !\n#!/bin/sh\n", 0o644), ("", 0o644)]
)
def test_the_mode_of_a_new_file(text: str, mode: int, host: Host, file: Path) -> None:
    write(host, text)
    assert mode_of(file) == mode


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("text", ["key = value\n", "#!/bin/sh\ntrue\n"])
@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o644, 0o664, 0o755, 0o4755], ids=oct)
def test_the_mode_of_a_file_that_is_replaced_stays(mode: int, text: str, host: Host, file: Path) -> None:
    file.write_text(OLD)
    file.chmod(mode)
    write(host, text)
    assert (mode_of(file), file.read_text()) == (mode, text)


def test_the_owner_of_a_file_that_is_replaced_is_set(host: Host, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owners: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fchown", lambda _descriptor, user, group: owners.append((user, group)))
    write(host, OLD)
    assert owners == []
    write(host)
    assert owners == [(file.stat().st_uid, file.stat().st_gid)]


def test_the_owner_of_a_file_that_is_replaced_stays(host: Host, file: Path) -> None:
    if os.geteuid() != 0:
        missing("root alone gives files away")
    file.write_text(OLD)
    os.chown(file, 1234, 5678)
    file.chmod(0o2750)
    write(host)
    assert (file.stat().st_uid, file.stat().st_gid, mode_of(file)) == (1234, 5678, 0o2750)


def test_extended_attributes_stay(host: Host, file: Path) -> None:
    """A label of SELinux is one, which only a kernel with SELinux takes."""
    file.write_text(OLD)
    try:
        os.setxattr(file, "user.label", b"etc_t")
    except OSError:
        missing("this file system has no attributes of users")
    write(host)
    assert os.getxattr(file, "user.label") == b"etc_t"


# What is in it


@pytest.mark.parametrize("content", [b"caf\xe9 \xff\xfe\n", b"\x80", "Größe = 4\n".encode(), b"\xed\xa0\x80 \xc3\n"])
def test_bytes_that_are_no_text_survive(content: bytes, host: Host, file: Path) -> None:
    file.write_bytes(content)
    text = host.read(PATH)
    assert text is not None
    assert host.changes(PATH, text) == ()
    host.apply(host.changes(PATH, f"# first\n{text}"))
    assert file.read_bytes() == b"# first\n" + content
    host.apply(host.changes(PATH, text))
    assert file.read_bytes() == content


@pytest.mark.parametrize("text", ["", "\n", "no line end", "\n\n two \n"])
def test_a_text_is_written_as_it_is(text: str, host: Host, file: Path) -> None:
    write(host, text)
    assert file.read_bytes() == text.encode()
    assert host.read(PATH) == text


def test_a_missing_folder_is_made(host: Host, tmp_path: Path) -> None:
    host.apply([FileChange("/var/lib/rtvirt/record.json", None, NEW)])
    assert (tmp_path / "var/lib/rtvirt/record.json").read_text() == NEW
    assert os.listdir(tmp_path / "var/lib/rtvirt") == ["record.json"]


def test_line_ends_come_back_as_they_were(host: Host, file: Path) -> None:
    file.write_bytes(b"a\r\nb\rc\n")
    write(host, host.read(PATH))
    assert file.read_bytes() == b"a\r\nb\rc\n"


def test_a_link_stays_one(host: Host, file: Path) -> None:
    target = file.with_name("grub.of-the-site")
    target.write_text(OLD)
    file.symlink_to("grub.of-the-site")
    write(host)
    assert (file.is_symlink(), target.read_text()) == (True, NEW)


def test_a_file_that_is_replaced_is_new(host: Host, file: Path) -> None:
    """systemd and backups tell by its time that it has changed."""
    file.write_text(OLD)
    os.utime(file, (1e9, 1e9))
    write(host)
    assert file.stat().st_mtime > 1e9 + 1
