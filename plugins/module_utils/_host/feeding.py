# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting and ending what feeds a watchdog: systemd, or the daemon of the package watchdog.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, Problem, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._host.host import Host
from ansible_collections.rtvirt.core.plugins.module_utils._host.record import read_record, record_changes
from ansible_collections.rtvirt.core.plugins.module_utils._host.settings import (
    Settings,
    SettingsPlan,
    apply_settings,
    plan_settings,
)
from ansible_collections.rtvirt.core.plugins.module_utils._host.watchdogs import SERVICE, Watchdog, files_of, holders

__all__ = ["FeedingPlan", "apply_feeding", "plan_feeding"]

_RECORD = "watchdog"
_SERVICE_RECORD = "watchdog_service"

#: Seconds until a feeder that was started has to have the device open.
_PATIENCE = 15.0


@dataclass(frozen=True)
class FeedingPlan:
    """What has a watchdog fed, or left alone.

    :ivar watchdog: None for none that is to be fed.
    :ivar feeder: ``systemd`` or ``daemon``.
    :ivar unfed: whether nobody feeds it now.
    """

    watchdog: Watchdog | None
    feeder: str
    settings: SettingsPlan
    unfed: bool

    @property
    def changed(self) -> bool:
        return self.settings.changed or self.unfed


def plan_feeding(host: Host, watchdog: Watchdog | None, feeder: str, **options: t.Any) -> FeedingPlan:
    """:arg watchdog: None for none that is to be fed.
    :arg options: those of :func:`files_of`.
    :raises DeclarationError: where somebody else feeds it.
    """
    if watchdog is None:
        return FeedingPlan(None, feeder, plan_settings(host, _RECORD, Settings()), unfed=False)
    feeders = holders(host, watchdog.name)
    if feeders and not read_record(host, _RECORD):
        message = f"{', '.join(feeders)} feeds {watchdog.identity!r} already: let one of them do it"
        raise DeclarationError([Problem("feeder", message)])
    files = files_of(watchdog, feeder, **options)
    return FeedingPlan(watchdog, feeder, plan_settings(host, _RECORD, Settings(files)), unfed=not feeders)


def apply_feeding(host: Host, plan: FeedingPlan) -> None:
    """Write, and start or end the feeder. :raises RtvirtError: where it does not feed afterwards."""
    watchdog = plan.watchdog
    if watchdog is None:
        apply_settings(host, plan.settings, lambda: _stop_feeding(host))
    else:
        apply_settings(host, plan.settings, lambda: _feed(host, plan.feeder, watchdog))


def _feed(host: Host, feeder: str, watchdog: Watchdog) -> None:
    """Start the feeder anew. :raises RtvirtError: where it does not feed afterwards."""
    host.must_run("udevadm", "control", "--reload")
    host.must_run("udevadm", "trigger", "--settle", "--subsystem-match=watchdog")
    if feeder == "systemd":
        _stop_daemon(host)
        host.must_run("systemctl", "daemon-reexec")
    else:
        asked = ("is-enabled", "is-active")
        was = {question: host.run("systemctl", question, SERVICE).output.strip() for question in asked}
        host.apply(record_changes(host, _SERVICE_RECORD, read_record(host, _SERVICE_RECORD) or was))
        # Where systemd was the feeder, it is so no more.
        host.must_run("systemctl", "daemon-reexec")
        host.must_run("systemctl", "enable", SERVICE)
        host.must_run("systemctl", "restart", SERVICE)
    until = time.monotonic() + _PATIENCE
    while len(holders(host, watchdog.name)) != 1 and time.monotonic() < until:
        time.sleep(0.5)
    found = holders(host, watchdog.name)
    if len(found) != 1:
        told = f"{', '.join(found)} feed" if found else "nobody feeds"
        raise RtvirtError(f"{told} {watchdog.identity!r} after {feeder} was started")


def _stop_daemon(host: Host) -> None:
    """The daemon as it was before the first run."""
    was = read_record(host, _SERVICE_RECORD)
    if was:
        host.must_run("systemctl", "stop", SERVICE)
        host.must_run("systemctl", "daemon-reload")
        if was["is-enabled"] != "enabled":
            host.must_run("systemctl", "disable", SERVICE)
        if was["is-active"] == "active":
            host.must_run("systemctl", "start", SERVICE)
        host.apply(record_changes(host, _SERVICE_RECORD, {}))


def _stop_feeding(host: Host) -> None:
    _stop_daemon(host)
    # systemd lets go of the device, in the way that disarms it.
    host.must_run("systemctl", "daemon-reexec")
    host.must_run("udevadm", "control", "--reload")
