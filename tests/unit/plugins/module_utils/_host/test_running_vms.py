# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VMs that run on a host, told by the command lines of its processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._host.running_vms import running_vms
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.tree import Tree


def put_process(tree: Tree, pid: int, *command: str) -> None:
    """As the kernel tells of it: each argument ends with a NUL; a thread of its own has none."""
    tree.put(f"/proc/{pid}/cmdline", "".join(f"{one}\0" for one in command))


def of_libvirt(program: str, name: str) -> tuple[str, ...]:
    return (program, "-name", f"guest={name},debug-threads=on", "-S", "-machine", "pc-q35-9.0,usb=off", "-m", "size=2G")


@pytest.mark.parametrize(
    "program",
    [
        "qemu-system-x86_64",
        "/usr/bin/qemu-system-x86_64",
        "/usr/bin/qemu-system-aarch64",
        "qemu-kvm",
        "/usr/bin/qemu-kvm",
        "/usr/libexec/qemu-kvm",
    ],
)
def test_a_guest_of_libvirt(program: str, tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    put_process(tree, 4242, *of_libvirt(program, "rt1"))
    assert [vm.name for vm in running_vms(tree)] == ["rt1"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["-name", "guest=rt1"], "rt1"),
        (["-name", "guest=rt 1,debug-threads=on"], "rt 1"),
        (["-name", "guest=default_rt-1.example,process=qemu"], "default_rt-1.example"),
        (["-name", "debug-threads=on,guest=rt1"], "rt1"),
        (["-S", "-name", "guest=größe"], "größe"),
        (["-name", "rt1,debug-threads=on", "-append", "quiet guest=other ro"], "rt1"),
        (["-smbios", "type=1,serial=guest=x", "-name", "guest=rt1"], "rt1"),
        (["-name", "guest=a,,b"], "a,b"),
        (["-m", "2G", "-nographic"], "process 4242"),
        ([], "process 4242"),
    ],
)
def test_the_name_of_a_guest(command: list[str], expected: str, tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    put_process(tree, 4242, "/usr/bin/qemu-system-x86_64", *command)
    assert [vm.name for vm in running_vms(tree)] == [expected]


@pytest.mark.parametrize(
    "command",
    [
        ["grep", "qemu-system-x86_64"],
        ["grep", "qemu"],
        ["/usr/bin/less", "/usr/libexec/qemu-kvm", "guest=rt1"],
        ["/usr/sbin/virtqemud", "--timeout", "120"],
        ["/usr/sbin/libvirtd"],
        ["/usr/bin/qemu-ga"],
        ["/usr/bin/qemu-img", "convert", "guest=rt1"],
        ["/usr/bin/qemu-nbd", "-c", "/dev/nbd0"],
        ["/usr/bin/sudo", "/usr/bin/qemu-system-x86_64", "-name", "guest=rt1"],
        ["/usr/bin/qemu-system-x86_64.d/helper", "-name", "guest=rt1"],
        ["sh", "-c", "qemu-system-x86_64 -name guest=rt1"],
        ["", "qemu-system-x86_64", "guest=rt1"],
        [],
    ],
    ids=lambda command: " ".join(command) or "a thread of the kernel",
)
def test_a_process_that_is_none(command: list[str], tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    put_process(tree, 7, *command)
    assert [vm.name for vm in running_vms(tree)] == []


def test_all_of_them_by_their_names(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    put_process(tree, 1, "/sbin/init")
    put_process(tree, 2)
    put_process(tree, 900, *of_libvirt("/usr/libexec/qemu-kvm", "web"))
    put_process(tree, 1000, *of_libvirt("/usr/bin/qemu-system-x86_64", "rt2"))
    put_process(tree, 1001, *of_libvirt("/usr/bin/qemu-system-x86_64", "rt10"))
    put_process(tree, 1002, "grep", "qemu-system-x86_64")
    put_process(tree, 99, "qemu-system-x86_64")
    assert [vm.name for vm in running_vms(tree)] == ["process 99", "rt10", "rt2", "web"]


@pytest.mark.parametrize("name", ["self", "thread-self", "sys", "42a", "cmdline"])
def test_what_else_is_in_proc_is_no_process(name: str, tmp_path: Path) -> None:
    """``self`` is this process once more, and so would be a guest of its own."""
    tree = Tree(tmp_path)
    tree.put(f"/proc/{name}/cmdline", "qemu-system-x86_64\0-name\0guest=rt1\0")
    assert [vm.name for vm in running_vms(tree)] == []


class Vanishing(Tree):
    """A process ends after the names in /proc are read, or while its own is.

    :ivar gone: its folder.
    """

    gone = "/proc/4242"

    def read(self, path: str) -> str | None:
        if path.startswith(f"{self.gone}/"):
            (self.root / path.lstrip("/")).unlink()
            (self.root / self.gone.lstrip("/")).rmdir()
        return super().read(path)


def test_a_process_that_vanishes_meanwhile(tmp_path: Path) -> None:
    tree = Vanishing(tmp_path)
    put_process(tree, 4242, *of_libvirt("/usr/bin/qemu-system-x86_64", "rt1"))
    put_process(tree, 4243, *of_libvirt("/usr/bin/qemu-system-x86_64", "rt2"))
    assert [vm.name for vm in running_vms(tree)] == ["rt2"]
    assert tree.names("/proc") == ["4243"]


def test_a_process_of_which_nothing_is_told(tmp_path: Path) -> None:
    """As of one that has ended: its folder is there, a read answers ESRCH."""
    tree = Tree(tmp_path)
    (tmp_path / "proc/4242").mkdir(parents=True)
    (tmp_path / "proc/4243/cmdline").mkdir(parents=True)
    assert [vm.name for vm in running_vms(tree)] == []


def test_a_host_without_proc(tmp_path: Path) -> None:
    assert running_vms(Tree(tmp_path)) == []


def test_a_command_line_that_is_no_text(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    file = tmp_path / "proc/4242/cmdline"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"/usr/bin/qemu-system-x86_64\0-drive\0file=/srv/\xff.img\0-name\0guest=rt1\0")
    assert [vm.name for vm in running_vms(tree)] == ["rt1"]
