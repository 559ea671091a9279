# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are deployed as a whole by rpm-ostree: the arguments of the next deployment.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: ``man rpm-ostree`` (kargs): without options it prints those of the deployment that boots next; a deletion names
the argument with its value where there are several. While an upgrade is under way, changes are refused
(coreos/rpm-ostree #4358), and reading is not.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.bootloaders.boot_entries import Entry, Exchange, Steps
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.kernel_arguments import families, split

__all__ = ["RpmOstree"]


#: Said while an upgrade or the like is under way, which there is one of at a time.
_BUSY = "Transaction in progress"


class RpmOstree:
    name = "rpm-ostree"

    def __init__(self, host: Host) -> None:
        self._host = host

    @staticmethod
    def is_there(host: Host) -> bool:
        return host.exists("/run/ostree-booted") and host.has_tool("rpm-ostree")

    def entries(self) -> list[Entry]:
        return [Entry("the next deployment", tuple(split(self._host.must_run("rpm-ostree", "kargs"))))]

    def steps(self, entries: t.Sequence[Entry], exchange: Exchange) -> Steps:
        (entry,) = entries
        # It appends at the end. So a family that differs goes as a whole, and comes anew in order.
        old, new = families(entry.arguments), families(exchange.of(entry.arguments))
        changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        options = [f"--delete={one}" for name in changed for one in old.get(name, ())]
        options += [f"--append={one}" for name in changed for one in new.get(name, ())]
        return Steps((), ("rpm-ostree", "kargs", *options))

    def bring_in(self, steps: Steps) -> None:
        self._host.must_run(*steps.command, busy=_BUSY)

    def default_kernel(self) -> str | None:
        return None

    def default_steps(self, release: str) -> Steps:
        raise RtvirtError("rpm-ostree deploys one kernel: rpm-ostree override replaces it")

    def restored_steps(self, release: str | None) -> Steps:
        raise RtvirtError("rpm-ostree deploys one kernel: rpm-ostree override replaces it")
