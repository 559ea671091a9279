# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks made from images: of a path or a URL, in either format, verified, and never something else than they were."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed
from ansible_collections.rtvirt.core.tests.integration.libvirt.task import TaskError, run_one
from ansible_collections.rtvirt.core.tests.integration.libvirt.test_odd_input import refusal

CONTENT = bytes(range(256)) * 4096  # 1 MiB


class Server(http.server.ThreadingHTTPServer):
    """Serves ``files`` on loopback, and calls ``before`` ahead of each answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.before: t.Callable[[], t.Any] = lambda: None
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        self.server.before()
        content = self.server.files.get(self.path.partition("?")[0])
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *arguments: t.Any) -> None:
        pass


@contextlib.contextmanager
def serving() -> t.Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server() -> t.Iterator[Server]:
    with serving() as server:
        yield server


def sha(content: bytes, kind: str = "sha256") -> str:
    return f"{kind}:{hashlib.new(kind, content).hexdigest()}"


def image(bed: Bed, image_format: str, name: str | None = None) -> Path:
    raw, made = bed.folder / "content", bed.folder / (name or f"image.{image_format}")
    raw.write_bytes(CONTENT)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", image_format, raw, made], check=True)
    raw.unlink()
    return made


def about(path: Path) -> dict[str, t.Any]:
    done = subprocess.run(["qemu-img", "info", "-U", "--output=json", path], check=True, capture_output=True)
    return t.cast("dict[str, t.Any]", json.loads(done.stdout))


def content(path: Path) -> bytes:
    out = path.with_suffix(".out")
    subprocess.run(["qemu-img", "convert", "-f", about(path)["format"], "-O", "raw", path, out], check=True)
    try:
        return out.read_bytes()
    finally:
        out.unlink()


@pytest.mark.parametrize("source", ["raw", "qcow2"])
@pytest.mark.parametrize("target", ["raw", "qcow2"])
def test_a_local_image_in_either_format(bed: Bed, source: str, target: str) -> None:
    made = image(bed, source)
    given = {"image": str(made), "checksum": sha(made.read_bytes(), "sha512"), "format": target}
    options = bed.bare(disks=[bed.disk("root", "4Mi", **given)], state="running")
    run_one(**options)
    bed.domain().destroy()
    root = bed.folder / "root.img"
    assert (about(root)["format"], about(root)["virtual-size"]) == (target, 4 << 20)
    assert content(root)[: len(CONTENT)] == CONTENT
    assert "backing-filename" not in about(root)
    assert run_one(**{**options, "state": "stopped"})["changed"] is False


def test_an_image_from_a_url(bed: Bed, server: Server) -> None:
    made = image(bed, "qcow2")
    server.files["/some/image.qcow2"] = made.read_bytes()
    given = {"image": f"{server.url}/some/image.qcow2?token=1", "checksum": sha(made.read_bytes())}
    options = bed.bare(disks=[bed.disk("root", "1Mi", **given)])
    run_one(**options)
    assert (bed.folder / "root.img").read_bytes() == CONTENT
    assert run_one(**options)["changed"] is False
    assert len(server.requests) == 1
    assert run_one(check=True, **{**options, "name": bed.name("other")})["actions"] == ["define"]
    assert bed.files() == ["image.qcow2", "root.img"]


def test_check_mode_downloads_nothing(bed: Bed, server: Server) -> None:
    given = {"image": f"{server.url}/image.raw", "checksum": sha(CONTENT)}
    run_one(check=True, **bed.bare(disks=[bed.disk("root", "1Mi", **given)]))
    assert (server.requests, bed.files()) == ([], [])


@pytest.mark.parametrize("where", ["path", "url"])
def test_a_wrong_checksum_leaves_nothing(bed: Bed, server: Server, where: str) -> None:
    made = image(bed, "raw")
    server.files["/image.raw"] = made.read_bytes()
    source = str(made) if where == "path" else f"{server.url}/image.raw"
    options = bed.bare(disks=[bed.disk("root", "1Mi", image=source, checksum="sha256:" + "0" * 64)])
    # What is on this host is looked at before anything is done, and in check mode.
    for check in [True, False] if where == "path" else [False]:
        with pytest.raises(TaskError, match=rf"{source} has sha256:{sha(CONTENT)[7:]}") as refusal:
            run_one(check=check, **options)
        assert refusal.value.msg.startswith("disks[0].volume.libvirt.checksum") is (where == "path")
    assert (bed.files(), bed.power()) == (["image.raw"], "absent")


def test_a_url_that_is_not_there_leaves_nothing(bed: Bed, server: Server) -> None:
    with pytest.raises(TaskError, match=rf"^download {server.url}/nothing: .*404"):
        run_one(**bed.bare(disks=[bed.disk("root", "1Mi", image=f"{server.url}/nothing", checksum=sha(b""))]))
    assert (bed.files(), bed.power()) == ([], "absent")


def test_a_download_that_breaks_off_leaves_nothing(bed: Bed, server: Server) -> None:
    server.files["/image.raw"] = CONTENT

    def close() -> None:
        raise ConnectionAbortedError

    server.before = close
    server.handle_error = lambda *arguments: None
    with pytest.raises(TaskError, match=r"^download "):
        run_one(**bed.bare(disks=[bed.disk("root", "1Mi", image=f"{server.url}/image.raw", checksum=sha(CONTENT))]))
    assert (bed.files(), bed.power()) == ([], "absent")


def test_a_qcow2_image_with_the_name_of_none_is_not_taken_for_a_raw_one(bed: Bed) -> None:
    """Ubuntu's and Cirros' cloud images are qcow2, and called *.img."""
    made = image(bed, "qcow2", "cloudimg-amd64.img")
    refused = refusal(**bed.bare(disks=[bed.disk("root", "4Mi", image=str(made))]))
    assert refused is None or "imageFormat" in refused
    assert refused is not None or (bed.folder / "root.img").read_bytes()[: len(CONTENT)] == CONTENT


def test_an_image_larger_than_the_capacity_leaves_nothing(bed: Bed) -> None:
    made = image(bed, "raw")
    with pytest.raises(TaskError, match=r"capacity: .* is 1Mi: write that or more"):
        run_one(**bed.bare(disks=[bed.disk("root", "512Ki", image=str(made))]))
    assert (bed.files(), bed.power()) == (["image.raw"], "absent")


@pytest.mark.parametrize("base_format", ["raw", "qcow2"])
def test_a_layer_over_a_backing_file(bed: Bed, base_format: str) -> None:
    base = image(bed, base_format)
    before = base.read_bytes()
    options = bed.bare(disks=[bed.disk("root", "4Mi", format="qcow2", backingFile=str(base))], state="running")
    run_one(**options)
    root = about(bed.folder / "root.img")
    assert (root["backing-filename"], root["backing-filename-format"]) == (str(base), base_format)
    assert root["virtual-size"] == 4 << 20
    assert run_one(**options)["changed"] is False
    bed.domain().destroy()
    assert base.read_bytes() == before


def test_a_layer_smaller_than_its_backing_file_is_refused(bed: Bed) -> None:
    """A guest would see a disk that is cut off."""
    base = image(bed, "raw")
    with pytest.raises(TaskError, match="capacity"):
        run_one(**bed.bare(disks=[bed.disk("root", "512Ki", format="qcow2", backingFile=str(base))]))
    assert bed.power() == "absent"


def test_a_download_may_take_longer_than_libvirtd_waits_for_a_client(bed: Bed, server: Server) -> None:
    """libvirtd drops a client that does not answer it for 30 s (keepalive_interval, keepalive_count)."""
    server.files["/image.raw"] = CONTENT
    server.before = lambda: time.sleep(34)
    disk = bed.disk("root", "1Mi", image=f"{server.url}/image.raw", checksum=sha(CONTENT))
    assert run_one(**bed.bare(disks=[disk]))["actions"][-1] == "define"
