# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files behind volumes, made by the real qemu-img: nothing is overwritten, shrunk or left half made."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt import images, volumes
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.folders import closed_folder, may_make_files
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.images import is_layer
from ansible_collections.rtvirt.core.plugins.module_utils._libvirt.volumes import (
    Attached,
    VolumeStep,
    apply_volume,
    plan_volumes,
    remove_files,
)
from ansible_collections.rtvirt.core.plugins.module_utils.converters.domain_xml.element import Context
from ansible_collections.rtvirt.core.plugins.module_utils.converters.overlay import render_path

MIB = 1 << 20
ROOT = (0, 0)
Volume = dict[str, t.Any]


def info(path: Path | str, *, chain: bool = False) -> t.Any:
    more = ["--backing-chain"] if chain else []
    command = ["qemu-img", "info", "--output=json", *more, str(path)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def image(path: Path, image_format: str = "raw", size: int = MIB, pattern: bytes = b"") -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", image_format, str(path), str(size)], check=True)
    if pattern:
        with path.open("r+b") as file:
            file.write(pattern)
    return path


def volume(path: Path | str, capacity: t.Any = "1Mi", kind: str = "DiskOrCreate", **own: t.Any) -> Volume:
    given = {"path": str(path), "type": kind, "capacity": capacity}
    host_disk = {key: value for key, value in given.items() if value is not None}
    return {"name": "root", "hostDisk": host_disk, **({"libvirt": own} if own else {})}


def plan(
    folder: Path, *volumes: Volume, seeds: t.Container[str] = (), user: tuple[int, int] = ROOT
) -> tuple[list[VolumeStep], list[Problem]]:
    """Steps, and misfits with their fields as users see them."""
    attached = Attached(changed_seeds=seeds)
    steps, misfits = plan_volumes(volumes, Context("vm1", volume_dir=str(folder)), user, attached)
    return steps, [Problem(render_path(misfit.path), misfit.message) for misfit in misfits]


def made(folder: Path, *volumes: Volume) -> list[VolumeStep]:
    steps, problems = plan(folder, *volumes)
    assert problems == []
    for step in steps:
        apply_volume(step, vm_name="vm1")
    return steps


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("own", "image_format"),
    [({}, "raw"), ({"format": "raw"}, "raw"), ({"format": "qcow2"}, "qcow2")],
)
def test_a_disk_is_created(tmp_path: Path, own: Volume, image_format: str) -> None:
    path = tmp_path / "root.img"
    (step,) = made(tmp_path, volume(path, "3Mi", **own))
    assert (step.action, step.path, step.size) == ("create", str(path), 3 * MIB)
    assert str(step) == f"create {path} (3Mi)"
    assert (info(path)["format"], info(path)["virtual-size"]) == (image_format, 3 * MIB)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert files(tmp_path) == {"root.img"}
    assert plan(tmp_path, volume(path, "3Mi", **own)) == ([], [])


def test_folders_above_it_are_made_so_that_qemu_may_pass(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "root.img"
    made(tmp_path, volume(path))
    assert path.exists()
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o001


def test_empty_disk(tmp_path: Path) -> None:
    empty = {"name": "scratch", "emptyDisk": {"capacity": "2Mi"}}
    made(tmp_path, empty)
    (name,) = files(tmp_path)
    assert name.startswith("vm1")
    assert "scratch" in name
    assert (info(tmp_path / name)["format"], info(tmp_path / name)["virtual-size"]) == ("qcow2", 2 * MIB)
    assert plan(tmp_path, empty) == ([], [])


def test_mode_and_owner(tmp_path: Path) -> None:
    path = tmp_path / "root.img"
    user, group = str(os.getuid()), str(os.getgid())
    made(tmp_path, volume(path, mode="0640"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    import grp
    import pwd

    other = tmp_path / "other.img"
    made(tmp_path, volume(other, owner=pwd.getpwuid(int(user)).pw_name, group=grp.getgrgid(int(group)).gr_name))
    assert (str(other.stat().st_uid), str(other.stat().st_gid)) == (user, group)


@pytest.mark.parametrize("key", ["owner", "group"])
def test_an_owner_that_nobody_is_is_told(tmp_path: Path, key: str) -> None:
    steps, (problem,) = plan(tmp_path, volume(tmp_path / "root.img", **{key: "no-such-user"}))
    assert (steps, problem.path) == ([], f"[0].libvirt.{key}")


def test_a_file_that_is_no_seed_is_not_replaced_by_one(tmp_path: Path) -> None:
    theirs = tmp_path / "vm1.cloudinit.iso"
    theirs.write_text("holiday pictures")
    seed = {"name": "cloudinit", "cloudInitNoCloud": {"userData": "x"}}
    steps, (problem,) = plan(tmp_path, seed, seeds={"cloudinit"})
    assert (steps, problem.path) == ([], "[0].cloudInitNoCloud")


def test_what_an_image_is_over_must_be_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = image(tmp_path / "layer.qcow2", "qcow2")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RtvirtError, match="qemu-img is not installed"):
        is_layer(str(layer), str(tmp_path / "base.img"))


@pytest.mark.parametrize("base_format", ["raw", "qcow2"])
def test_a_layer_over_a_backing_file(tmp_path: Path, base_format: str) -> None:
    base = image(tmp_path / f"base.{base_format}", base_format, 2 * MIB)
    path = tmp_path / "root.qcow2"
    made(tmp_path, volume(path, None, format="qcow2", backingFile=str(base)))
    top = info(path)
    assert (top["format"], top["virtual-size"]) == ("qcow2", 2 * MIB)
    assert top["full-backing-filename"] == str(base)
    assert top["backing-filename-format"] == base_format


def test_a_layer_may_be_larger_and_name_its_base_s_format(tmp_path: Path) -> None:
    base = image(tmp_path / "base.img", "qcow2", 2 * MIB)
    path = tmp_path / "root.qcow2"
    made(tmp_path, volume(path, "4Mi", format="qcow2", backingFile=str(base), backingFormat="qcow2"))
    assert info(path)["virtual-size"] == 4 * MIB
    assert info(path, chain=True)[1]["format"] == "qcow2"


def sha(path: Path, kind: str = "sha256") -> str:
    return f"{kind}:{hashlib.new(kind, path.read_bytes()).hexdigest()}"


@pytest.mark.parametrize("kind", ["sha256", "sha512"])
@pytest.mark.parametrize("url", [False, True])
@pytest.mark.parametrize("target", ["raw", "qcow2"])
def test_a_disk_from_an_image_with_its_checksum(tmp_path: Path, kind: str, url: bool, target: str) -> None:
    source = image(tmp_path / "debian.raw", pattern=b"guest")
    path = tmp_path / "vm" / "root"
    where = source.as_uri() if url else str(source)
    made(tmp_path, volume(path, None, format=target, image=where, checksum=sha(source, kind)))
    assert (info(path)["format"], info(path)["virtual-size"]) == (target, MIB)
    plain = tmp_path / "plain"
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(path), str(plain)], check=True)
    assert plain.read_bytes() == source.read_bytes()
    assert files(tmp_path) == {"debian.raw", "vm/root", "plain"}


def test_an_image_is_converted_and_grown_to_the_capacity(tmp_path: Path) -> None:
    source = image(tmp_path / "debian.qcow2", "qcow2", 2 * MIB)
    path = tmp_path / "root.img"
    made(tmp_path, volume(path, "5Mi", image=str(source)))
    assert (info(path)["format"], info(path)["virtual-size"]) == ("raw", 5 * MIB)
    assert info(source)["virtual-size"] == 2 * MIB


def test_the_format_of_an_image_may_be_told(tmp_path: Path) -> None:
    source = image(tmp_path / "debian.img", "qcow2", 2 * MIB)
    path = tmp_path / "root.img"
    made(tmp_path, volume(path, None, image=str(source), imageFormat="qcow2"))
    assert info(path)["virtual-size"] == 2 * MIB


def test_a_download_with_a_wrong_checksum_leaves_nothing(tmp_path: Path) -> None:
    source = image(tmp_path / "debian.raw")
    wrong = "sha256:" + "0" * 64
    (step,) = plan(tmp_path, volume(tmp_path / "vm" / "root.img", None, image=source.as_uri(), checksum=wrong))[0]
    with pytest.raises(RtvirtError) as refusal:
        apply_volume(step, vm_name="vm1")
    for told in (source.as_uri(), sha(source), wrong):
        assert told in refusal.value.message
    assert files(tmp_path) == {"debian.raw"}


def test_a_wrong_checksum_of_a_file_is_told_by_the_plan(tmp_path: Path) -> None:
    source = image(tmp_path / "debian.raw")
    wrong = "sha256:" + "0" * 64
    steps, (misfit,) = plan(tmp_path, volume(tmp_path / "vm" / "root.img", None, image=str(source), checksum=wrong))
    assert (steps, misfit.path.rpartition(".")[2]) == ([], "checksum")
    assert sha(source) in misfit.message


def test_a_checksum_in_capitals_is_the_same_or_refused_before(tmp_path: Path) -> None:
    """Admission lets no capitals in; here they must not pass for another file's."""
    source = image(tmp_path / "debian.raw")
    step = VolumeStep(
        "create", str(tmp_path / "a"), volume(tmp_path / "a", None, image=str(source), checksum=sha(source))
    )
    apply_volume(step, vm_name="vm1")
    assert (tmp_path / "a").exists()


def test_an_image_that_is_larger_than_the_capacity_is_told(tmp_path: Path) -> None:
    source = image(tmp_path / "debian.raw", size=4 * MIB)
    steps, (problem,) = plan(tmp_path, volume(tmp_path / "root.img", "1Mi", image=str(source)))
    assert (steps, problem.path) == ([], "[0].hostDisk.capacity")
    assert "4Mi" in problem.message


def test_a_backing_file_that_is_larger_than_the_capacity_is_told(tmp_path: Path) -> None:
    base = image(tmp_path / "base.raw", size=4 * MIB)
    layer = volume(tmp_path / "root.img", "1Mi", format="qcow2", backingFile=str(base))
    steps, (problem,) = plan(tmp_path, layer)
    assert (steps, problem.path) == ([], "[0].hostDisk.capacity")


@pytest.mark.parametrize("key", ["image", "backingFile"])
def test_an_image_of_another_format_than_its_name_says_is_told(tmp_path: Path, key: str) -> None:
    text, qcow2 = tmp_path / "debian.qcow2", image(tmp_path / "ubuntu.img", "qcow2")
    text.write_text("404 not found")
    for source, found in ((text, "raw"), (qcow2, "qcow2")):
        own = {key: str(source), **({"format": "qcow2"} if key == "backingFile" else {})}
        steps, (problem,) = plan(tmp_path, volume(tmp_path / "root.img", "1Gi", **own))
        assert (steps, problem.path) == ([], f"[0].libvirt.{key.removesuffix('File')}Format")
        assert problem.message.endswith(f"write {found}")


def test_a_link_to_nothing_is_told_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "root.img"
    path.symlink_to(tmp_path / "mnt" / "root.img")
    steps, (problem,) = plan(tmp_path, volume(path))
    assert (steps, problem.path) == ([], "[0].hostDisk.path")
    assert path.is_symlink()


def test_a_url_of_nothing_leaves_nothing(tmp_path: Path) -> None:
    url = (tmp_path / "missing.raw").as_uri()
    (step,) = plan(tmp_path, volume(tmp_path / "root.img", None, image=url, checksum="sha256:" + "0" * 64))[0]
    with pytest.raises(RtvirtError, match=r"download file:.*missing\.raw"):
        apply_volume(step, vm_name="vm1")
    assert files(tmp_path) == set()


@pytest.mark.parametrize("own", [{}, {"image": "{source}"}, {"format": "qcow2", "backingFile": "{source}"}])
def test_a_file_that_appears_meanwhile_is_never_overwritten(tmp_path: Path, own: Volume) -> None:
    source = image(tmp_path / "source.raw")
    own = {key: value.format(source=source) for key, value in own.items()}
    path = tmp_path / "root.img"
    (step,) = plan(tmp_path, volume(path, **own))[0]
    path.write_text("somebody's")
    with pytest.raises(RtvirtError, match=f"create {path}"):
        apply_volume(step, vm_name="vm1")
    assert path.read_text() == "somebody's"
    assert files(tmp_path) == {"source.raw", "root.img"}


@pytest.mark.parametrize("kind", ["Disk", "DiskOrCreate"])
def test_a_file_that_is_there_is_taken_as_it_is(tmp_path: Path, kind: str) -> None:
    """Even where it would have been made from an image."""
    source = image(tmp_path / "source.raw", pattern=b"new")
    path = image(tmp_path / "root.img", pattern=b"data")
    own = {"image": str(source)} if kind == "DiskOrCreate" else {}
    before = path.read_bytes()
    assert made(tmp_path, volume(path, None, kind, **own)) == []
    assert path.read_bytes() == before


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_a_disk_grows_and_keeps_its_data(tmp_path: Path, image_format: str) -> None:
    path = image(tmp_path / "root", image_format)
    (step,) = made(tmp_path, volume(path, "3Mi", format=image_format))
    assert str(step) == f"grow {path} to 3Mi"
    assert info(path)["virtual-size"] == 3 * MIB
    assert plan(tmp_path, volume(path, "3Mi", format=image_format)) == ([], [])


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_a_disk_is_never_shrunk(tmp_path: Path, image_format: str) -> None:
    path = image(tmp_path / "root", image_format, 4 * MIB)
    steps, (problem,) = plan(tmp_path, volume(path, "1Mi", format=image_format))
    assert steps == []
    assert problem.path == "[0].hostDisk.capacity"
    assert "4Mi" in problem.message
    assert info(path)["virtual-size"] == 4 * MIB


def test_a_disk_that_is_not_ours_to_create_is_not_resized(tmp_path: Path) -> None:
    path = image(tmp_path / "root", size=MIB)
    assert plan(tmp_path, volume(path, "4Mi", "Disk")) == ([], [])


def test_another_format_is_told(tmp_path: Path) -> None:
    path = image(tmp_path / "root.img", "raw")
    steps, (problem,) = plan(
        tmp_path, {"name": "other", "emptyDisk": {"capacity": "1Mi"}}, volume(path, format="qcow2")
    )
    assert [step.path for step in steps] != [str(path)]
    assert problem.path == "[1].libvirt.format"
    assert "is no qcow2 image" in problem.message


def test_a_qcow2_image_is_not_a_raw_one(tmp_path: Path) -> None:
    """Taken for raw, its guest would see the header in its disk's place, and write over it."""
    path = image(tmp_path / "root.img", "qcow2")
    steps, problems = plan(tmp_path, volume(path, "8Mi"))
    assert [problem.path for problem in problems] == ["[0].libvirt.format"]
    assert steps == []


MISSING = [
    (lambda folder: volume(folder / "root.img", None, "Disk"), "[0].hostDisk.path", "DiskOrCreate"),
    (lambda folder: volume(folder / "root.img", image=str(folder / "no")), "[0].libvirt.image", "does not exist"),
    (
        lambda folder: volume(folder / "root.img", format="qcow2", backingFile=str(folder / "no")),
        "[0].libvirt.backingFile",
        "does not exist",
    ),
    (lambda folder: {"name": "a", "libvirt": {"device": str(folder / "no")}}, "[0].libvirt", "does not exist"),
    (lambda folder: {"name": "a", "libvirt": {"directory": str(folder / "no")}}, "[0].libvirt", "does not exist"),
]


@pytest.mark.parametrize(("build", "path", "message"), MISSING)
def test_what_is_missing_is_told(tmp_path: Path, build: t.Callable[[Path], Volume], path: str, message: str) -> None:
    _steps, (problem,) = plan(tmp_path, build(tmp_path))
    assert problem.path.startswith(path)
    assert message in problem.message


def test_a_folder_in_a_disk_s_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "root.img").mkdir()
    _steps, problems = plan(tmp_path, volume(tmp_path / "root.img"))
    assert [problem.path for problem in problems] == ["[0].hostDisk.path"]


def test_a_folder_that_qemu_may_not_enter_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    user = (os.getuid() + 12345, os.getgid() + 12345)
    path = closed / "below" / "root.img"
    blocked = closed_folder(str(path), user)
    assert blocked is not None
    # Folders above tmp_path may be closed as well; the first of them is named.
    assert str(closed).startswith(blocked)
    _steps, problems = plan(tmp_path, volume(path), user=user)
    assert problems[0].path == "[0].hostDisk.path"
    assert f"chmod o+x {blocked}" in problems[0].message


def test_what_a_folder_s_mode_does_not_give_is_asked_of_the_kernel(tmp_path: Path) -> None:
    """Here no ACL and no further group gives it: integration/libvirt/test_files.py has those that do."""
    tmp_path.chmod(0o750)
    stranger = (12345, 12345)
    assert (may_make_files(str(tmp_path), stranger), may_make_files(str(tmp_path), (-1, -1))) == (False, False)
    tmp_path.chmod(0o753)
    assert (may_make_files(str(tmp_path), stranger), may_make_files(str(tmp_path), (-1, -1))) == (True, True)


def test_folders_that_can_be_entered(tmp_path: Path) -> None:
    mine = (tmp_path.stat().st_uid, tmp_path.stat().st_gid)
    assert closed_folder("/usr/bin/env", (12345, 12345)) is None
    assert closed_folder("/no/such/folder/at/all", (12345, 12345)) is None
    assert closed_folder(str(tmp_path / "a"), (0, 0)) is None
    assert closed_folder(str(tmp_path / "a"), mine) is None


def test_a_seed_is_made_and_made_anew_only_when_its_data_changes(tmp_path: Path) -> None:
    seed = {"name": "cloudinit", "cloudInitNoCloud": {"userData": "#cloud-config\n"}}
    made(tmp_path, seed)
    (name,) = files(tmp_path)
    assert name.endswith(".iso")
    assert plan(tmp_path, seed) == ([], [])
    (step,), _problems = plan(tmp_path, seed, seeds={"cloudinit"})
    before = (tmp_path / name).stat().st_ino
    apply_volume(step, vm_name="vm1")
    assert files(tmp_path) == {name}
    assert (tmp_path / name).stat().st_ino != before


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """qemu-img that fails half way."""
    tool = tmp_path / "bin" / "qemu-img"
    tool.parent.mkdir()
    tool.write_text(
        '#!/bin/sh\nfor path; do case $path in */root*) echo half >"$path";; esac; done\n'
        'echo "No space left on device" >&2\nexit 1\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    (step,) = plan(tmp_path, volume(tmp_path / "root.img"))[0]
    with pytest.raises(RtvirtError, match="No space left on device"):
        apply_volume(step, vm_name="vm1")
    assert files(tmp_path) == {"bin/qemu-img"}


def test_without_qemu_img(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (step,) = plan(tmp_path, volume(tmp_path / "root.img"))[0]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RtvirtError, match="install qemu-utils"):
        apply_volume(step, vm_name="vm1")
    assert files(tmp_path) == set()


def test_remove_files(tmp_path: Path) -> None:
    there, gone = tmp_path / "a", tmp_path / "b"
    there.touch()
    assert remove_files([str(there), str(gone)]) == [str(there)]
    assert files(tmp_path) == set()


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a user who is not root and may ask libvirtd."""
    image(tmp_path / "root.img")

    def closed(*_arguments: object) -> t.NoReturn:
        raise PermissionError(13, "Permission denied", str(tmp_path / "root.img"))

    monkeypatch.setattr(images, "virtual_size", closed)
    with pytest.raises(RtvirtError, match=r"look at the volume root: .*Permission denied: .*root.img"):
        plan(tmp_path, volume(tmp_path / "root.img"))


def test_a_disk_that_is_full_for_a_seed_is_told_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_more: object) -> t.NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(volumes.cloud_init, "write_seed", full)
    step = VolumeStep("seed", str(tmp_path / "seed.iso"), {"name": "init", "cloudInitNoCloud": {"userData": ""}})
    with pytest.raises(RtvirtError, match=r"create .*/seed.iso: .*No space left"):
        apply_volume(step, vm_name="vm1")
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_is_none_is_told(tmp_path: Path) -> None:
    own = {"image": "http://127.0.0.1:1/a b.qcow2", "checksum": "sha256:" + "0" * 64}
    step = VolumeStep("create", str(tmp_path / "root.img"), volume(tmp_path / "root.img", **own), MIB)
    with pytest.raises(RtvirtError, match=r"download http://127.0.0.1:1/a b.qcow2: "):
        apply_volume(step, vm_name="vm1")
    assert list(tmp_path.iterdir()) == []
