# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bare host prepared, and looked at again: prepare_hosts.yml beside peers_host.yml, which brings it to the same.

Each has a fresh lab host (tests/lab_host) of the same kind. Seconds are those of whole ansible-playbook runs, tasks are
those that a run did not skip. What an unchanged run writes is told by its kernel (tests/lab_host/writes.py), and by the
ctime of files and folders.

    tests/bench/on_lab_host.py      needs PEERS and ANSIBLE_COLLECTIONS_PATH, as tests/harness/bench has them
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
LAB_HOST = HERE.parent / "lab_host" / "lab-host"
NAME = "bench"
VARIABLES = HERE.parents[1] / "extensions" / "molecule" / "prepare_hosts" / "inventory" / "group_vars" / "lab_hosts.yml"
PLAYBOOKS = {
    "ours": ["rtvirt.core.prepare_hosts", "-e", f"@{VARIABLES}", "-e", "prepare_hosts_hosts=lab_hosts"],
    "peers": [str(HERE / "peers_host.yml")],
}
WRITES = LAB_HOST.parent / "writes.py"
#: What Ansible itself leaves, and what runs anyway.
OTHERS = "/root/.ansible|/root/.ssh|/var/log|/var/tmp|/tmp|/var/lib/systemd|/var/lib/apt|/var/cache"


def lab_host(command: str, *arguments: str, given: str = "") -> str:
    done = subprocess.run(
        [LAB_HOST, command, NAME, *arguments], check=True, input=given, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def played(playbook: list[str], inventory: Path) -> tuple[float, int, int]:
    """Seconds, tasks that did something or looked, and those that changed something."""
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), *playbook]
    collections = f"{os.environ['ANSIBLE_COLLECTIONS_PATH']}:{os.environ['PEERS']}"
    begun = time.monotonic()
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": collections}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    seconds = time.monotonic() - begun
    if done.returncode:
        sys.exit(f"{playbook[0]} failed:\n{done.stdout}{done.stderr}")
    count = [len(re.findall(rf"^{word}: ", done.stdout, re.MULTILINE)) for word in ("ok", "changed")]
    return seconds, sum(count), count[1]


def measure(side: str, folder: Path) -> dict[str, tuple[float, int, int]]:
    inventory = folder / f"{side}.yml"
    inventory.write_text(lab_host("start", "--fresh", "--amd"))
    try:
        runs = {}
        for row in ("bare to prepared", "unchanged"):
            lab_host("ssh", "cat > /run/writes.py", given=WRITES.read_text())
            lab_host("ssh", "setsid -f python3 /run/writes.py /run/writes.pid </dev/null >>/run/writes.txt 2>&1")
            # The machine is at rest, for both.
            lab_host("ssh", "sleep 20; : > /run/writes.txt; touch /run/before; sleep 1.1")
            runs[row] = played(PLAYBOOKS[side], inventory)
            print(f"{side}, {row}: {runs[row][0]:.1f} s", flush=True)
        written = lab_host("ssh", f"kill $(cat /run/writes.pid); grep -vE ' ({OTHERS})' /run/writes.txt || true")
        print(f"{side}, unchanged: what its programs write: {written.strip() or 'nothing'}", flush=True)
        newer = lab_host("ssh", f"find / -xdev -newercm /run/before | grep -vE '^({OTHERS})' || true").split()
        print(f"{side}, unchanged: files and folders with a new ctime: {' '.join(newer) or 'none'}", flush=True)
    finally:
        lab_host("destroy")
    return runs


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="rtvirt-bench-") as folder:
        measured = {side: measure(side, Path(folder)) for side in PLAYBOOKS}
    print(f"{'':20} {'ours':>26} {'peers':>26} {'ratio':>8}")
    for row, (seconds, tasks, changed) in measured["ours"].items():
        theirs = measured["peers"][row]
        print(
            f"{row:20} {seconds:7.1f} s, {tasks:2} tasks ({changed:2} ch.) {theirs[0]:7.1f} s, {theirs[1]:2} tasks"
            f" ({theirs[2]:2} ch.) {theirs[0] / seconds:6.1f} x",
            flush=True,
        )


if __name__ == "__main__":
    main()
