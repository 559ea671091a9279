# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes this checkout importable as ansible_collections.rtvirt.core, wherever it is and whatever its folder is."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent


def _collection_root() -> str:
    script = TESTS / "harness" / "collection-path"
    return subprocess.run([script], check=True, capture_output=True, text=True).stdout.strip()


def _prepend(variable: str, value: str) -> None:
    rest = [part for part in os.environ.get(variable, "").split(os.pathsep) if part and part != value]
    os.environ[variable] = os.pathsep.join([value, *rest])


COLLECTION_ROOT = _collection_root()
sys.path.insert(0, COLLECTION_ROOT)
# For the programs that the tests start: Python, ansible-playbook.
_prepend("PYTHONPATH", COLLECTION_ROOT)
_prepend("ANSIBLE_COLLECTIONS_PATH", COLLECTION_ROOT)
# The machine's own configuration of Ansible has no say in the tests.
os.environ["ANSIBLE_CONFIG"] = str(TESTS / "ansible.cfg")
# Tests never use the cluster that the user happens to be logged in to.
os.environ.pop("KUBECONFIG", None)
# A test run that is ended cleans up as one that is interrupted.
signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def collection_root() -> Path:
    """The folder that holds ansible_collections/."""
    return Path(COLLECTION_ROOT)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of this checkout."""
    return TESTS.parent


def missing(reason: str) -> t.NoReturn:
    """Ends a test for which a component is missing: skipped by hand, failed in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def guest_files() -> dict[str, str]:
    """The paths of the tests' guest: kernel, bzimage, initrd, readable by QEMU's own user (see tests/harness/guest)."""
    try:
        return {name: os.environ[f"RTVIRT_GUEST_{name.upper()}"] for name in ("kernel", "bzimage", "initrd")}
    except KeyError:
        missing("the guest is not built: run through tests/harness/guest run -- ... (make test-libvirt)")


@pytest.fixture
def open_path() -> t.Iterator[Path]:
    """A folder for disks and consoles: QEMU's own user may enter it, which it may not with pytest's tmp_path."""
    folder = Path(tempfile.mkdtemp(prefix="rtvirt-test."))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
