# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VMs that run on a host, whoever has started them, by their QEMU processes and what the kernel tells of these.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: proc(5). QEMU names the threads of vCPUs ``CPU 0/KVM`` with ``debug-threads=on``, as libvirt starts it.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils.converters.cpuset import parse

__all__ = ["RunningVm", "Thread", "running_vms"]

_POLICIES = {0: "other", 1: "fifo", 2: "rr", 3: "batch", 5: "idle", 6: "deadline"}
_VCPU = re.compile(r"CPU (\d+)/")

#: Fields of /proc/PID/stat behind the command's name, which begin with the third.
_PRIORITY, _POLICY = 40 - 3, 41 - 3


@dataclass(frozen=True)
class Thread:
    """A thread of a QEMU.

    :ivar vcpu: its number, None for QEMU's other threads.
    :ivar cpus: where the kernel may run it.
    :ivar scheduler: ``fifo``, ``rr``, ``other``, …, and its real-time ``priority``, 0 without one.
    """

    name: str
    vcpu: int | None
    cpus: frozenset[int]
    scheduler: str
    priority: int

    @property
    def is_realtime(self) -> bool:
        return self.scheduler in ("fifo", "rr")


@dataclass(frozen=True)
class RunningVm:
    name: str
    pid: int

    def threads(self, host: Host) -> list[Thread]:
        """One that ends while it is looked at is left out."""
        folders = (f"/proc/{self.pid}/task/{thread}" for thread in host.names(f"/proc/{self.pid}/task"))
        found = (_thread(host.read(f"{folder}/stat"), host.read(f"{folder}/status")) for folder in folders)
        return sorted(
            (one for one in found if one is not None), key=lambda one: (one.vcpu is None, one.vcpu or 0, one.name)
        )

    def swapped(self, host: Host) -> int:
        """KiB of its memory that are swapped out."""
        found = re.search(r"^VmSwap:\s*(\d+) kB", host.read(f"/proc/{self.pid}/status") or "", re.MULTILINE)
        return int(found[1]) if found else 0


def running_vms(host: Host) -> list[RunningVm]:
    found = []
    for pid in host.names("/proc"):
        command = host.read(f"/proc/{pid}/cmdline") if pid.isdigit() else None
        program = (command or "").partition("\0")[0].rpartition("/")[2]
        if command and program.startswith(("qemu-system-", "qemu-kvm")):
            found.append(RunningVm(_name_of(command.split("\0")) or f"process {pid}", int(pid)))
    return sorted(found, key=lambda vm: vm.name)


def _thread(stat: str | None, status: str | None) -> Thread | None:
    allowed = re.search(r"^Cpus_allowed_list:\s*(\S+)", status or "", re.MULTILINE)
    if not stat or allowed is None:
        return None
    # The name may have anything in it.
    name, rest = stat[stat.index("(") + 1 : stat.rindex(")")], stat[stat.rindex(")") + 1 :].split()
    vcpu = _VCPU.match(name)
    policy = _POLICIES.get(int(rest[_POLICY]), "unknown")
    return Thread(name, int(vcpu[1]) if vcpu else None, parse(allowed[1]), policy, int(rest[_PRIORITY]))


def _name_of(command: t.Sequence[str]) -> str | None:
    """What QEMU's option ``-name [guest=]NAME,...`` says; in its options ``,,`` is a comma."""
    given = next((value for option, value in zip(command, command[1:]) if option in ("-name", "--name")), "")
    options = [option.replace("\1", ",") for option in given.replace(",,", "\1").split(",")]
    named = (option.partition("=") for option in options)
    return (
        next((value if equals else name for name, equals, value in named if name == "guest" or not equals), None)
        or None
    )
