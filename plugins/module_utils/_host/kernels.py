# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernels that are installed on a host, and which of them are real-time kernels.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host

__all__ = ["Kernel", "read_kernels"]

_FLAVOURS = re.compile(r"[-+_.](debug|dbg|64k)(?![a-zA-Z0-9])")


@dataclass(frozen=True)
class Kernel:
    """:ivar release: as ``uname -r`` has it."""

    release: str
    realtime: bool

    @property
    def order(self) -> tuple[t.Any, ...]:
        """By which a newer kernel comes later, as rpm has it: numbers count as numbers, and are newer than words.

        So ``427.13.1.el9_4`` is newer than ``427.el9``.
        """
        return tuple(
            (1, int(part)) if part.isdigit() else (0, part) for part in re.findall(r"\d+|[a-zA-Z]+", self.release)
        )

    @property
    def flavour(self) -> frozenset[str]:
        """What a distribution builds of the same kernel beside the plain one, such as RHEL's ``+rt-64k-debug``."""
        return frozenset(_FLAVOURS.findall(self.release))


def read_kernels(host: Host) -> list[Kernel]:
    """The kernels in /boot, oldest first. Whether one is a real-time kernel says its configuration, not its name."""
    releases = [name.partition("-")[2] for name in host.names("/boot") if name.startswith("vmlinuz-")]
    found = [
        Kernel(release, "CONFIG_PREEMPT_RT=y" in (_config(host, release)).splitlines())
        for release in releases
        if "rescue" not in release
    ]
    return sorted(found, key=lambda kernel: kernel.order)


def _config(host: Host, release: str) -> str:
    return host.read(f"/boot/config-{release}") or host.read(f"/lib/modules/{release}/config") or ""
