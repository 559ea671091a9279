# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""hugepages on a tree of sysfs whose kernel is played here; the real one is in the integration tests."""

from __future__ import annotations

import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.hugepages import format_size, parse_size
from ansible_collections.rtvirt.core.plugins.module_utils._host.tasks import hugepages
from ansible_collections.rtvirt.core.tests.unit.plugins.module_utils._host.tree import Tree, carry_out

M, G = 2048, 1048576
DEFAULTS: dict[str, t.Any] = {
    "state": "present",
    "at_boot": "auto",
    "default_size": None,
    "mounts": False,
    "reserve": None,
    "wait_timeout": 0,
}


class Kernel(Tree):
    """Two nodes with 16 GiB each. It gives what it has, and calls that a success.

    :ivar limits: the most pages that it can find, by (size, node).
    """

    def __init__(self, root: Path, *, release: str = "6.1.0-28-amd64", systemd: bool = True) -> None:
        super().__init__(root)
        self.limits: dict[tuple[int, int], int] = {}
        self.used: dict[tuple[int, int], int] = {}
        self.counts = {(size, node): 0 for size in (M, G) for node in (0, 1)}
        self.told: list[tuple[str, str]] = []
        self.put("/proc/sys/kernel/osrelease", release)
        self.put("/proc/meminfo", "Hugepagesize:       2048 kB\n")
        self.put("/proc/self/mounts", "hugetlbfs /dev/hugepages hugetlbfs rw,relatime,pagesize=2M 0 0\n")
        if systemd:
            (root / "run/systemd/system").mkdir(parents=True)
        for node in (0, 1):
            self.put(f"/sys/devices/system/node/node{node}/meminfo", f"Node {node} MemTotal:       16777216 kB\n")
        self._show()

    def _show(self) -> None:
        for (size, node), count in self.counts.items():
            folder = f"/sys/devices/system/node/node{node}/hugepages/hugepages-{size}kB"
            self.put(f"{folder}/nr_hugepages", f"{count}\n")
            self.put(f"{folder}/free_hugepages", f"{count - self.used.get((size, node), 0)}\n")
            self.put(f"{folder}/surplus_hugepages", "0\n")
        for size in {size for size, _node in self.counts}:
            total = sum(count for (one, _node), count in self.counts.items() if one == size)
            self.put(f"/sys/kernel/mm/hugepages/hugepages-{size}kB/nr_hugepages", f"{total}\n")
            self.put(f"/sys/kernel/mm/hugepages/hugepages-{size}kB/resv_hugepages", "0\n")

    def tell(self, path: str, value: str) -> None:
        self.told.append((path, value))
        if path.endswith("compact_memory"):
            return
        size = int(path.split("hugepages-")[1].split("kB")[0])
        nodes = [int(path.split("/node/node")[1].split("/")[0])] if "/node/node" in path else [0, 1]
        for index, node in enumerate(nodes):
            share = int(value) // len(nodes) + (index < int(value) % len(nodes))
            self.counts[size, node] = min(share, self.limits.get((size, node), 10**9))
        self._show()


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


def pool(size: str, count: int, node: int | None = None) -> dict[str, t.Any]:
    return {"size": size, "count": count, "node": node}


def run(kernel: Kernel, *pools: dict[str, t.Any], check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    return carry_out(hugepages, {**DEFAULTS, "pools": list(pools), **options}, kernel, check=check)


DECLARED = [pool("1G", 4, 0), pool("1G", 2, 1), pool("2M", 512, 0)]


def test_pools_by_node(kernel: Kernel) -> None:
    predicted = run(kernel, *DECLARED, check=True)
    assert kernel.told == []
    done = run(kernel, *DECLARED)
    assert done == predicted
    assert done["changed"]
    assert kernel.counts == {(G, 0): 4, (G, 1): 2, (M, 0): 512, (M, 1): 0}
    assert done["kernel_args"] == ["hugepagesz=1G", "hugepages=0:4,1:2", "hugepagesz=2M", "hugepages=0:512"]
    assert "node 0: 4 pages of 1G" in done["diff"][0]["after"]


def test_a_second_run_writes_nothing(kernel: Kernel) -> None:
    run(kernel, *DECLARED)
    files = kernel.files()
    kernel.told.clear()
    again = run(kernel, *DECLARED)
    assert not again["changed"]
    assert again["diff"] == []
    assert kernel.told == kernel.ran == []
    assert kernel.files() == files


def test_check_mode_writes_nothing(kernel: Kernel) -> None:
    files = kernel.files()
    run(kernel, *DECLARED, mounts=True, check=True)
    assert kernel.files() == files
    assert kernel.ran == []


def test_pages_on_whichever_node(kernel: Kernel) -> None:
    predicted = run(kernel, pool("2M", 5), check=True)
    done = run(kernel, pool("2M", 5))
    assert done == predicted
    assert kernel.counts[M, 0] + kernel.counts[M, 1] == 5
    assert done["kernel_args"] == ["hugepagesz=2M", "hugepages=5"]
    assert not run(kernel, pool("2M", 5))["changed"]


def test_what_was_reserved_is_given_back(kernel: Kernel) -> None:
    kernel.counts[M, 0] = 10
    kernel._show()
    files = kernel.files()
    run(kernel, *DECLARED)
    run(kernel, pool("2M", 100, 0))
    assert kernel.counts == {(G, 0): 0, (G, 1): 0, (M, 0): 100, (M, 1): 0}
    done = run(kernel, state="absent")
    assert done["changed"]
    assert done["kernel_args"] == []
    assert kernel.files() == files
    assert not run(kernel, state="absent")["changed"]


def test_from_nodes_to_whichever_node_and_back(kernel: Kernel) -> None:
    kernel.counts[M, 1] = 6
    kernel._show()
    run(kernel, pool("2M", 10, 0))
    run(kernel, pool("2M", 8))
    assert kernel.counts[M, 0] + kernel.counts[M, 1] == 8
    run(kernel, pool("2M", 3, 1))
    assert (kernel.counts[M, 0], kernel.counts[M, 1]) == (0, 3)
    run(kernel, state="absent")
    assert (kernel.counts[M, 0], kernel.counts[M, 1]) == (0, 6)


def test_a_pool_that_was_there_already_is_not_ours(kernel: Kernel) -> None:
    kernel.counts[M, 0] = 10
    kernel._show()
    run(kernel, pool("2M", 10, 0))
    run(kernel, state="absent")
    assert kernel.counts[M, 0] == 10


def test_other_pools_stay(kernel: Kernel) -> None:
    kernel.counts[M, 1] = 7
    kernel._show()
    run(kernel, pool("1G", 1, 0))
    assert kernel.counts[M, 1] == 7


def test_pages_in_use_are_not_taken_away(kernel: Kernel) -> None:
    run(kernel, pool("2M", 100, 0))
    kernel.used[M, 0] = 60
    kernel._show()
    kernel.told.clear()
    with pytest.raises(DeclarationError, match=r"pools\[0\]\.count: is 50, and 60 pages of 2M are in use on node 0"):
        run(kernel, pool("2M", 50, 0))
    with pytest.raises(DeclarationError, match=r"what was reserved before \(2M on node 0\).*60 pages"):
        run(kernel, state="absent")
    assert kernel.told == []
    run(kernel, pool("2M", 60, 0))


def test_a_node_keeps_its_reserve(kernel: Kernel) -> None:
    """OpenNESS edgeservices #3: hosts that did not boot any more after too many hugepages=."""
    with pytest.raises(
        DeclarationError, match=r"pools\[1\]\.count: leaves node 1 1024 MiB of its 16384 MiB .* keeps 1638 MiB"
    ):
        run(kernel, pool("1G", 4, 0), pool("1G", 15, 1))
    assert kernel.told == []
    run(kernel, pool("1G", 15, 1), reserve="1Gi")
    # What is there already is no reason to refuse something else.
    run(kernel, pool("1G", 15, 1), pool("2M", 1, 0))
    # Both sizes count together.
    with pytest.raises(DeclarationError, match="leaves node 0"):
        run(kernel, pool("1G", 8, 0), pool("2M", 3500, 0))


def test_what_the_kernel_cannot_get_now_comes_with_the_boot(kernel: Kernel) -> None:
    kernel.limits[G, 1] = 1
    done = run(kernel, *DECLARED)
    assert done["missing"] == [{"size": "1G", "node": 1, "wanted": 2, "got": 1}]
    assert done["reboot_required"]
    assert done["changed"]
    assert any(path.endswith("compact_memory") for path, _value in kernel.told) is False  # there was no time for it
    again = run(kernel, *DECLARED)
    assert again["missing"] == done["missing"]
    assert not again["changed"]


def test_memory_is_put_together_and_tried_again(kernel: Kernel) -> None:
    kernel.limits[G, 0] = 1
    real = kernel.tell

    def tell(path: str, value: str) -> None:
        if path.endswith("compact_memory"):
            kernel.limits.clear()
        real(path, value)

    kernel.tell = tell
    assert run(kernel, pool("1G", 4, 0), wait_timeout=5)["missing"] == []


def test_what_no_boot_will_bring_is_an_error_and_leaves_nothing(kernel: Kernel) -> None:
    kernel.limits[G, 1] = 1
    kernel.counts[M, 0] = 3
    kernel._show()
    with pytest.raises(RtvirtError, match="could get 1 of 2 pages of 1G on node 1"):
        run(kernel, *DECLARED, at_boot="none")
    assert kernel.counts == {(G, 0): 0, (G, 1): 0, (M, 0): 3, (M, 1): 0}


def test_a_run_that_is_cut_off_is_completed_and_undone(kernel: Kernel) -> None:
    real, written = kernel.tell, []

    def tell(path: str, value: str) -> None:
        written.append(path)
        if len(written) == 2:
            raise KeyboardInterrupt
        real(path, value)

    kernel.tell = tell
    with pytest.raises(KeyboardInterrupt):
        run(kernel, *DECLARED)
    kernel.tell = real
    run(kernel, *DECLARED)
    run(kernel, state="absent")
    assert not any(kernel.counts.values())


# At boot


def test_an_old_kernel_has_a_unit_for_its_nodes(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path, release="5.14.0-503.el9.x86_64")
    files = kernel.files()
    done = run(kernel, *DECLARED)
    assert done["kernel_args"] == []
    unit = kernel.read("/etc/systemd/system/rtvirt-hugepages.service") or ""
    assert "echo 2 > /sys/devices/system/node/node1/hugepages/hugepages-1048576kB/nr_hugepages" in unit
    assert kernel.ran == [("systemctl", "daemon-reload"), ("systemctl", "enable", "--now", "rtvirt-hugepages.service")]
    assert not run(kernel, *DECLARED)["changed"]
    run(kernel, pool("2M", 2))
    assert ("systemctl", "disable", "--now", "rtvirt-hugepages.service") in kernel.ran
    run(kernel, state="absent")
    assert kernel.files() == files


@pytest.mark.parametrize(
    ("at_boot", "args"),
    [
        ("kernel_args", ["hugepagesz=2M", "hugepages=0:8"]),
        ("service", []),
        ("none", []),
        ("auto", ["hugepagesz=2M", "hugepages=0:8"]),
    ],
)
def test_who_makes_them_at_boot(kernel: Kernel, at_boot: str, args: list[str]) -> None:
    done = run(kernel, pool("2M", 8, 0), at_boot=at_boot)
    assert done["kernel_args"] == args
    assert (kernel.read("/etc/systemd/system/rtvirt-hugepages.service") is not None) == (at_boot == "service")


def test_the_default_size(kernel: Kernel) -> None:
    done = run(kernel, pool("1G", 1), default_size="1G")
    assert done["kernel_args"] == ["default_hugepagesz=1G", "hugepagesz=1G", "hugepages=1"]


def test_a_mount_for_each_size_that_has_none(kernel: Kernel) -> None:
    files = kernel.files()
    done = run(kernel, *DECLARED, mounts=True)
    assert kernel.names("/etc/systemd/system") == ["dev-hugepages1G.mount"]
    unit = kernel.read("/etc/systemd/system/dev-hugepages1G.mount") or ""
    assert "Description=Huge pages of 1G\n" in unit
    assert "Where=/dev/hugepages1G\n" in unit
    assert "pagesize=1G" in unit
    assert done["diff"][-1]["after"] == unit
    kernel.put("/proc/self/mounts", "hugetlbfs /dev/hugepages1G hugetlbfs rw,pagesize=1024M 0 0\n")
    assert run(kernel, pool("1G", 4, 0), pool("1G", 2, 1), mounts=True)["changed"] is not None
    run(kernel, state="absent")
    kernel.put("/proc/self/mounts", files["proc/self/mounts"])
    assert kernel.files() == files


def test_units_of_others_stay(kernel: Kernel) -> None:
    kernel.put("/etc/systemd/system/other.mount", "[Mount]\nWhat=hugetlbfs\n")
    run(kernel, *DECLARED, mounts=True)
    run(kernel, state="absent")
    assert kernel.names("/etc/systemd/system") == ["other.mount"]


@pytest.mark.parametrize(
    ("text", "kib"),
    [
        ("2M", 2048),
        ("2MiB", 2048),
        ("2 MB", 2048),
        ("1G", G),
        ("1GiB", G),
        ("64kB", 64),
        ("64K", 64),
        ("2", None),
        ("M", None),
    ],
)
def test_sizes(text: str, kib: int | None) -> None:
    assert parse_size(text) == kib
    if kib:
        assert parse_size(format_size(kib)) == kib


@pytest.mark.parametrize(("at_boot", "lacking"), [("auto", [{"size": "2M", "node": 1, "count": 3}]), ("none", [])])
def test_what_was_not_there_before_the_task(kernel: Kernel, at_boot: str, lacking: list[dict[str, t.Any]]) -> None:
    """By which a host is judged that has booted: pools that go with each boot do not count."""
    run(kernel, pool("2M", 2, 1), at_boot="none")
    for check in (True, False):
        assert run(kernel, pool("2M", 5, 1), at_boot=at_boot, check=check)["lacking"] == lacking
    assert run(kernel, pool("2M", 5, 1), at_boot=at_boot)["lacking"] == []


def test_pools_of_a_node_that_is_gone_are_nothing_to_be_given_back(kernel: Kernel) -> None:
    run(kernel, *DECLARED)
    kernel.counts = {(M, 0): 512, (M, 1): 0}
    for folder in [*kernel.root.glob("sys/devices/system/node/node?/hugepages/hugepages-1048576kB")]:
        shutil.rmtree(folder)
    shutil.rmtree(kernel.root / "sys/kernel/mm/hugepages/hugepages-1048576kB")
    assert run(kernel, state="absent")["changed"]
    assert kernel.counts[M, 0] == 0


def test_a_node_without_memory_has_nothing_to_keep(kernel: Kernel) -> None:
    kernel.put("/sys/devices/system/node/node1/meminfo", "Node 1 MemTotal:       0 kB\n")
    assert run(kernel, pool("2M", 8), check=True)["changed"] is True
