# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook declare_vms with its roles vm and libvirt_host, as users run it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.tests.integration.libvirt.bed import Bed


@pytest.fixture
def play(checkout: Path, tmp_path: Path) -> t.Callable[..., tuple[int, str]]:
    """Runs declare_vms with these variables: (number of changed tasks, output)."""

    def run(*options: str, **variables: t.Any) -> tuple[int, str]:
        file = tmp_path / "variables.json"
        common = {
            "declare_vms_hosts": "localhost",
            "declare_vms_become": False,
            "ansible_python_interpreter": sys.executable,
        }
        file.write_text(json.dumps({**common, **variables}))
        tool = str(Path(sys.executable).parent / "ansible-playbook")
        book = str(checkout / "playbooks" / "declare_vms.yml")
        command = [tool, "-i", "localhost,", "-c", "local", book, "-e", f"@{file}", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
        assert done.returncode == 0, done.stdout + done.stderr
        found = re.search(r"changed=(\d+)", done.stdout)
        assert found is not None
        return int(found.group(1)), done.stdout

    return run


def test_vms_are_declared_by_variables(bed: Bed, play: t.Callable[..., tuple[int, str]]) -> None:
    names = [bed.name("a"), bed.name("b")]
    variables: dict[str, t.Any] = {
        "vm_declarations": [{"name": names[0]}, {"name": names[1], "memory": "48Mi"}],
        "vm_defaults": {"memory": "32Mi", "autoattach_graphics_device": False, "autoattach_pod_interface": False},
        "vm_virt_type": "qemu",
        "vm_volume_dir": str(bed.folder),
    }
    assert play("--check", **variables)[0] == 1
    assert bed.domains() == {}
    assert play(**variables)[0] == 1
    assert set(bed.domains()) == set(names)
    assert play(**variables)[0] == 0
    memories = [bed.xml("a").findtext("memory"), bed.xml("b").findtext("memory")]
    assert memories == [str(32 << 10), str(48 << 10)]

    play(**{**variables, "vm_state": "running"})
    larger = {**variables["vm_defaults"], "memory": "40Mi"}
    changed, output = play(**{**variables, "vm_defaults": larger, "vm_state": "running"})
    assert changed == 1
    assert f"{names[0]} needs a restart for: memory" in output
    play(**{**variables, "vm_state": "absent", "vm_force": True, "vm_wait_timeout": 0})
    assert bed.domains() == {}


def test_the_preset_for_real_time_is_one(bed: Bed, play: t.Callable[..., tuple[int, str]], free_cpus: None) -> None:
    # This machine has no second CPU for the emulator, no pages of 1 GiB and no KVM; the rest of the preset is as it is.
    here = {"isolate_emulator_thread": False, "hugepages": "2Mi", "cpu_model": "maximum"}
    play(
        vm_declarations=[{"name": bed.name(), "memory": "32Mi", "cpu_cores": 1}],
        vm_preset="realtime",
        vm_defaults=here,
        vm_virt_type="qemu",
    )
    xml = bed.xml()
    assert xml.find("cputune/vcpusched").attrib == {"vcpus": "0", "scheduler": "fifo", "priority": "1"}
    assert xml.find("features/pmu").get("state") == "off"
    assert xml.find("devices/memballoon").get("model") == "none"
    assert xml.find("devices/graphics") is None


def test_the_host_is_configured_and_settles(bed: Bed, play: t.Callable[..., tuple[int, str]]) -> None:
    """The settings of QEMU, on a file of our own: packages and services are this machine's and stay as they are."""
    conf = bed.folder / "qemu.conf"
    conf.write_text('#user = "root"\ncgroup_controllers = [\n  "cpu",\n  "memory"\n]\nvnc_listen = "0.0.0.0"\n')
    variables = {
        "declare_vms_prepare_host": True,
        "libvirt_host_install": False,
        "libvirt_host_start": False,
        "libvirt_host_qemu_conf_path": str(conf),
        "libvirt_host_qemu_conf": {"cgroup_controllers": [], "max_files": 4096, "vnc_listen": "127.0.0.1"},
        "vm_declarations": [],
    }
    before = conf.read_text()
    assert play("--check", **variables)[0] > 0
    assert conf.read_text() == before
    assert play(**variables)[0] > 0
    written = conf.read_text()
    assert "max_files = 4096" in written
    assert 'vnc_listen = "127.0.0.1"' in written
    assert '"memory"' not in written
    assert '#user = "root"' in written
    assert play(**variables)[0] == 0
    assert conf.read_text() == written
