# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory: size, limit, huge pages, sharing and locking."""

from __future__ import annotations

import typing as t

import pytest

SHARED_FOLDER = {
    "spec": {
        "domain": {"devices": {"filesystems": [{"name": "src", "virtiofs": {}}]}},
        "volumes": [{"name": "src", "libvirt": {"directory": "/srv/src"}}],
    }
}

FACTS: dict[str, tuple[dict[str, t.Any], list[str]]] = {
    "memory": (
        {"memory": "4Gi"},
        ["memory[@unit='KiB'] = '4194304'", "not(memtune)", "not(memoryBacking)", "not(numatune)"],
    ),
    "part of a KiB is rounded up": ({"memory": "1000001"}, ["memory = '977'"]),
    "memory of the request": (
        {"memory": None, "resources": {"requests": {"memory": "512Mi"}}},
        ["memory = '524288'"],
    ),
    "memory of the limit": ({"memory": None, "memory_limit": "2Gi"}, ["memory = '2097152'"]),
    "a limit leaves room for QEMU itself": (
        {"memory_limit": "2Gi"},
        [
            "memory = '1048576'",
            "memtune/hard_limit[@unit='KiB'] > 2097152 + 128 * 1024",
            "memtune/hard_limit < 2097152 + 1024 * 1024",
        ],
    ),
    "huge pages": (
        {"hugepages": "2Mi"},
        [
            "memoryBacking/hugepages/page[@size='2048'][@unit='KiB'][not(@nodeset)]",
            "memoryBacking/source/@type = 'memfd'",
            "not(memoryBacking/access)",
            "not(memoryBacking/allocation)",
            "not(memoryBacking/nosharepages)",
            "not(memoryBacking/locked)",
        ],
    ),
    "large huge pages": (
        {"hugepages": "1Gi", "memory": "2Gi"},
        ["memoryBacking/hugepages/page/@size = '1048576'", "memory = '2097152'"],
    ),
    "locked on request": (
        {"memory_locked": True},
        ["memoryBacking/locked", "count(memoryBacking/*) = 1"],
    ),
    "not locked on request": ({"memory_locked": False}, ["not(memoryBacking)"]),
    "a shared folder's daemon maps the guest's memory": (
        SHARED_FOLDER,
        [
            "memoryBacking/source/@type = 'memfd'",
            "memoryBacking/access/@mode = 'shared'",
            "not(memoryBacking/hugepages)",
            "devices/filesystem[@type='mount'][@accessmode='passthrough']/driver/@type = 'virtiofs'",
            "devices/filesystem/source/@dir = '/srv/src'",
            "devices/filesystem/target/@dir = 'src'",
            "devices/filesystem/alias/@name = 'ua-fs-src'",
        ],
    ),
    "a shared folder on huge pages": (
        {"hugepages": "2Mi", **SHARED_FOLDER},
        ["memoryBacking/hugepages/page", "memoryBacking/access/@mode = 'shared'"],
    ),
}


@pytest.mark.parametrize("what", FACTS)
def test_memory(convert: t.Callable[..., t.Any], what: str) -> None:
    options, facts = FACTS[what]
    convert(options).holds(*facts)
