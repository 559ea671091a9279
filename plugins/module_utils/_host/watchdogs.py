# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watchdogs of a machine, who feeds them, and the files that have one fed.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

Source: Linux ``Documentation/ABI/testing/sysfs-class-watchdog``; ``systemd-system.conf(5)`` (RuntimeWatchdogSec,
WatchdogDevice); ``watchdog.conf(5)``. A machine may have several, whose numbers are those of the order of loading, so
one is named by its identity, and has a link in /dev.
"""

from __future__ import annotations

import fnmatch
import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.record import signed

__all__ = ["SERVICE", "Watchdog", "choose", "files_of", "holders", "read_watchdogs"]

_CLASS = "/sys/class/watchdog"
_LINK = "/dev/watchdog-rtvirt"
SERVICE = "watchdog.service"


@dataclass(frozen=True)
class Watchdog:
    """:ivar name: ``watchdog0``.
    :ivar identity: of its driver, ``i6300ESB timer``.
    :ivar active: whether it runs, and resets the machine when it is not fed.
    :ivar timeout: seconds until it does.
    """

    name: str
    identity: str
    active: bool
    timeout: int


def read_watchdogs(host: Host) -> list[Watchdog]:
    return [
        Watchdog(
            name,
            host.word(f"{_CLASS}/{name}/identity"),
            host.word(f"{_CLASS}/{name}/state") == "active",
            int(host.word(f"{_CLASS}/{name}/timeout") or 0),
        )
        for name in host.names(_CLASS)
    ]


def choose(watchdogs: t.Sequence[Watchdog], pattern: str | None) -> Watchdog:
    """The watchdog that is meant. :raises DeclarationError: where there is none, or several."""
    there = ", ".join(repr(one.identity) for one in watchdogs) or "none"
    found = [one for one in watchdogs if fnmatch.fnmatchcase(one.identity.lower(), (pattern or "*").lower())]
    if len(found) == 1:
        return found[0]
    if not watchdogs:
        message = "this machine has no watchdog, or its driver is not loaded: declare one for the VM, or set driver"
    elif not found:
        message = f"is {pattern!r}, and this machine has {there}"
    else:
        message = f"means several watchdogs: write which of {there}"
    raise DeclarationError([Problem("identity", message)])


def holders(host: Host, name: str) -> list[str]:
    """The programs that have a watchdog open, and so feed it: ``systemd (1)``."""
    # The first one has an older name too.
    return host.holders({f"/dev/{name}", *(["/dev/watchdog"] if name == "watchdog0" else [])})


def files_of(
    watchdog: Watchdog,
    feeder: str,
    *,
    timeout: int,
    interval: int,
    reboot_timeout: int,
    tests: t.Mapping[str, t.Any],
    driver: str | None,
) -> dict[str, str]:
    """The files that have a watchdog fed, all of them ours.

    :arg feeder: ``systemd`` or ``daemon``.
    :arg timeout: seconds without food until the machine is reset, ``interval`` between two meals.
    :arg reboot_timeout: seconds that a reboot may take; systemd alone knows it.
    :arg tests: further keys of watchdog.conf, what the daemon looks at before it feeds.
    """
    rule = (
        f'SUBSYSTEM=="watchdog", ATTR{{identity}}=="{watchdog.identity}", '
        f'SYMLINK+="{_LINK.rpartition("/")[2]}", TAG+="systemd"\n'
    )
    files = {"/etc/udev/rules.d/60-rtvirt-watchdog.rules": rule}
    if driver is not None:
        files["/etc/modules-load.d/zz-rtvirt-watchdog.conf"] = f"{driver}\n"
    if feeder == "systemd":
        files["/etc/systemd/system.conf.d/zz-rtvirt-watchdog.conf"] = (
            f"[Manager]\nWatchdogDevice={_LINK}\nRuntimeWatchdogSec={timeout}\nRebootWatchdogSec={reboot_timeout}\n"
        )
    else:
        keys = {
            "watchdog-device": _LINK,
            "watchdog-timeout": timeout,
            "interval": interval,
            "realtime": "yes",
            "priority": 1,
        }
        lines = "".join(f"{key} = {value}\n" for key, value in {**keys, **tests}.items())
        files["/etc/rtvirt-watchdog.conf"] = lines
        # The distribution's own file stays as it is; it names no device. Debian's unit hands over to another feeder
        # when it is stopped, which keeps it from being started anew.
        files[f"/etc/systemd/system/{SERVICE}.d/zz-rtvirt.conf"] = (
            "[Service]\nExecStart=\nExecStart=/usr/sbin/watchdog --config-file /etc/rtvirt-watchdog.conf\n"
            "ExecStopPost=\n"
        )
    return {path: signed("watchdog", text) for path, text in files.items()}
