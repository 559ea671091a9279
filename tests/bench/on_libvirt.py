# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole ansible-playbook runs of ours beside community.libvirt's, on the same libvirtd, one after the other.

The peer is given the very XML that we define, so that both ask the same of libvirt: `command: define` in a loop, and
`state: running` in a second task where the VM is to run, as its documentation has it. Every row is taken in turns
(ours, theirs, ours, …). The seconds are those of each side's best round; on a machine with other work a best round is
luck, so there is a ratio by the median round as well.

    tests/bench/on_libvirt.py [--vms 50] [--rounds 9]      needs PEERS, a folder with the peers' collections
"""

from __future__ import annotations

import argparse
import pathlib
import shutil
import statistics
import tempfile

import libvirt

from playbooks import Run, playbook, run

PREFIX = "rtvirt-bench"
DECLARATION = {"memory": "64Mi", "cpu_cores": 1, "virt_type": "qemu", "autoattach_graphics_device": False}


def names(count: int) -> list[str]:
    return [f"{PREFIX}-{index}" for index in range(count)]


def clean() -> None:
    connection = libvirt.open("qemu:///system")
    for domain in connection.listAllDomains():
        if domain.name().startswith(PREFIX):
            if domain.isActive():
                domain.destroy()
            domain.undefine()
    connection.close()


def definitions() -> dict[str, str]:
    """The XML of every domain of the benchmark, as libvirt has it."""
    connection = libvirt.open("qemu:///system")
    found = {d.name(): d.XMLDesc(0) for d in connection.listAllDomains() if d.name().startswith(PREFIX)}
    connection.close()
    return found


def ours(folder: pathlib.Path, count: int, state: str) -> pathlib.Path:
    vms = [{"name": name} for name in names(count)]
    task = {"rtvirt.core.libvirt_vm": {**DECLARATION, "state": state, "vms": vms}}
    return playbook(folder, f"ours-{count}-{state}", [task])


def theirs(folder: pathlib.Path, count: int, state: str) -> pathlib.Path:
    define = {
        "community.libvirt.virt": {
            "command": "define",
            "xml": f"{{{{ lookup('file', '{folder}/' ~ item ~ '.xml') }}}}",
        },
        "loop": names(count),
    }
    start = {"community.libvirt.virt": {"name": "{{ item }}", "state": "running"}, "loop": names(count)}
    return playbook(folder, f"theirs-{count}-{state}", [define] if state == "present" else [define, start])


def measure(label: str, pair: tuple[pathlib.Path, pathlib.Path], rounds: int, *, fresh: bool) -> None:
    """Both playbooks in turns; before each run nothing is defined (fresh) or everything by the same side."""
    runs: tuple[list[Run], list[Run]] = ([], [])
    for _round in range(rounds):
        for path, taken in zip(pair, runs):
            clean()
            if not fresh:
                run(path)
            taken.append(run(path))
    clean()
    best = [min(taken, key=lambda one: one.seconds) for taken in runs]
    median = [statistics.median(one.seconds for one in taken) for taken in runs]
    print(
        f"{label:38} {best[0].seconds:8.2f} s {best[1].seconds:10.2f} s {best[1].seconds / best[0].seconds:8.2f} x"
        f" {median[1] / median[0]:8.2f} x {best[0].memory:9.0f} MiB {best[1].memory:9.0f} MiB",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--vms", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="rtvirt-bench-"))
    try:
        clean()
        many = options.vms
        # What we define is what the peer is given.
        run(ours(folder, many, "present"))
        for name, xml in definitions().items():
            (folder / f"{name}.xml").write_text(xml)
        clean()
        print(f"{'':38} {'ours':>10} {'community':>12} {'ratio':>10} {'median':>10} {'memory':>13} {'memory':>13}")
        for count, state, rounds in (
            (many, "present", 1),
            (1, "running", options.rounds),
            (1, "present", options.rounds),
        ):
            pair = (ours(folder, count, state), theirs(folder, count, state))
            what = f"{count} VM{'s' if count > 1 else ''}, {'defined' if state == 'present' else 'defined and running'}"
            measure(what, pair, rounds, fresh=True)
            measure(f"{what}: unchanged", pair, rounds, fresh=False)
    finally:
        clean()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
