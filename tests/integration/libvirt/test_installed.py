# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection works installed from its own tarball, with nothing of the checkout in sight."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed

#: Community rule: all that is used at run time is in these (and the two files that describe the collection).
NEEDED = {"FILES.json", "MANIFEST.json", "meta", "playbooks", "plugins", "roles"}


def test_the_tarball_is_enough(bed: Bed, checkout: Path, tmp_path: Path) -> None:
    tool = Path(sys.executable).parent
    galaxy = [str(tool / "ansible-galaxy"), "collection"]
    subprocess.run([*galaxy, "build", str(checkout), "--output-path", str(tmp_path)], check=True, capture_output=True)
    tarball = next(tmp_path.glob("rtvirt-core-*.tar.gz"))
    installed = tmp_path / "installed"
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(installed), "PYTHONPATH": ""}
    install = [*galaxy, "install", str(tarball), "-p", str(installed), "--offline", "--force"]
    subprocess.run(install, check=True, capture_output=True, env=environment)
    root = installed / "ansible_collections" / "rtvirt" / "core"
    for path in root.iterdir():
        if path.name not in NEEDED:
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    vm = {"name": bed.name(), "memory": "32Mi", "virt_type": "qemu", "autoattach_graphics_device": False}
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [
            {"rtvirt.core.libvirt_vm": vm},
            {"rtvirt.core.libvirt_vm_info": {"names": [bed.name()]}, "register": "info"},
            {
                "ansible.builtin.assert": {
                    "that": ["info.vms | length == 1", "('0-3,^2' | rtvirt.core.cpuset) == [0, 1, 3]"]
                }
            },
        ],
    }
    book = tmp_path / "book.yml"
    book.write_text(json.dumps([play]))
    command = [str(tool / "ansible-playbook"), "-i", "localhost,", "-c", "local", str(book)]
    command += ["-e", f"ansible_python_interpreter={sys.executable}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(bed.domains()) == {bed.name()}
