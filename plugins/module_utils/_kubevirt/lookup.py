# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find VMs by names and selectors, with their instances and what their guests say.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import WaitError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import objects, status
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import ApiError, Session
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.watch import Watch
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at

__all__ = ["CONCURRENCY", "Sought", "ask_guests", "find_vmis", "find_vms", "wait_for"]

#: Guest agents that are asked at the same time.
CONCURRENCY = 8


@dataclass(frozen=True)
class Sought:
    """Which VMs are asked for: those for which all that is given holds.

    :ivar namespace: None for all namespaces.
    :ivar names: None for all names.
    """

    namespace: str | None
    names: list[str] | None
    label_selectors: list[str]
    field_selectors: list[str]

    @property
    def keys(self) -> list[objects.Key]:
        """The VMs that are asked for one by one, which may not be there yet."""
        if not self.namespace or not self.names or self.label_selectors or self.field_selectors:
            return []
        return [(self.namespace, name) for name in self.names]


def find_vms(session: Session, sought: Sought) -> objects.Objects:
    """The VMs that are there, by one list."""
    if sought.keys:
        return objects.read_all(session, objects.VMS, sought.keys)
    names, fields = sought.names, sought.field_selectors
    if names is not None and len(names) == 1:
        fields = [f"metadata.name={names[0]}", *fields]
    selectors = {"labelSelector": sought.label_selectors, "fieldSelector": fields}
    query = {key: ",".join(texts) for key, texts in selectors.items() if texts}
    found = objects.listed(session, objects.VMS, sought.namespace, **query)
    return {key: vm for key, vm in found if names is None or key[1] in names}


def find_vmis(session: Session, vms: objects.Objects, namespace: str | None) -> objects.Objects:
    """The instances of VMs, by one list; none is asked for where no VM has one."""
    having = {
        key for key, vm in vms.items() if mapping_at(vm, "status").get("created") or status.power_of(vm) != "stopped"
    }
    if namespace or len(having) <= 1:
        return objects.read_all(session, objects.VMIS, having)
    return {key: vmi for key, vmi in objects.listed(session, objects.VMIS, None) if key in having}


def wait_for(
    session: Session, keys: list[objects.Key], running: bool, seconds: int
) -> tuple[objects.Objects, objects.Objects]:
    """Wait until VMs are ready, or have no instance.

    :returns: the VMs and their instances.
    :raises WaitError: where one does not get there.
    """
    deadline = time.monotonic() + seconds
    waiting = set(keys)
    with Watch(session, keys, deadline) as watch:
        while waiting:
            watch.next_change(deadline - time.monotonic())
            if watch.is_complete:
                waiting = {key for key in waiting if not _is_there(watch, key, running)}
            if waiting and time.monotonic() >= deadline:
                key = min(waiting)
                goal = "ready" if running else "stopped"
                state = status.described(watch.get(objects.VMS, key), watch.get(objects.VMIS, key))
                raise WaitError(f"{key[0]}/{key[1]}: not {goal} within {seconds} s: {state}")
        found = {kind: {key: watch.get(kind, key) for key in keys} for kind in (objects.VMS, objects.VMIS)}
    vms, vmis = (
        {key: one for key, one in found[kind].items() if one is not None} for kind in (objects.VMS, objects.VMIS)
    )
    return vms, vmis


def _is_there(watch: Watch, key: objects.Key, running: bool) -> bool:
    vm, vmi = watch.get(objects.VMS, key), watch.get(objects.VMIS, key)
    if vm is None:
        return False
    if not running:
        return status.is_stopped(vm, vmi)
    reason = status.hopeless(vm, vmi)
    if reason is not None:
        raise WaitError(f"{key[0]}/{key[1]}: will not run: {reason}; {status.described(vm, vmi)}")
    return status.is_ready(vm, vmi)


def ask_guests(session: Session, vmis: objects.Objects) -> objects.Objects:
    """What the connected guest agents say; nothing of one that goes away meanwhile."""

    def ask(key: objects.Key) -> dict[str, t.Any]:
        try:
            return session.get(objects.action_path(objects.VMIS, key, "guestosinfo"))
        except ApiError as error:
            if error.status in (401, 403):
                raise
            return {}

    connected = [key for key, vmi in vmis.items() if status.condition(vmi, "AgentConnected").get("status") == "True"]
    with ThreadPoolExecutor(max_workers=CONCURRENCY) as pool:
        return dict(zip(connected, pool.map(ask, connected)))
