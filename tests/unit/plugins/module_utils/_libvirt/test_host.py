# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of the machine itself, and not of libvirt."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.rtvirt.core.plugins.module_utils._libvirt import host


@pytest.mark.parametrize(
    ("isolated", "nohz_full", "expected"),
    [
        ("2-3\n", "1-3\n", {2, 3}),
        # As a host for DPDK is booted: isolcpus without "domain".
        ("\n", "1-3\n", {1, 2, 3}),
        ("\n", "(null)\n", set()),
        (None, None, set()),
    ],
)
def test_cpus_that_are_set_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolated: str | None, nohz_full: str | None, expected: set[int]
) -> None:
    paths = (tmp_path / "isolated", tmp_path / "nohz_full")
    for path, text in zip(paths, (isolated, nohz_full)):
        if text is not None:
            path.write_text(text)
    monkeypatch.setattr(host, "_ISOLATED", paths)
    assert host.isolated_cpus() == expected
