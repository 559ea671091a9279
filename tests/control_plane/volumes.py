# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""CDI's part, and a storage class's: each DataVolume gets a bound PersistentVolumeClaim and is then Succeeded.

Nothing is imported. The annotations of schedule.py count on a DataVolume as well: run-after is the time of the import,
and outcome is running (it succeeds), failed or never.
"""

from __future__ import annotations

import contextlib
import time

from api import Api, ApiError, Object
from informer import Informer, Key, Queue
from schedule import remaining, schedule_of

DATA_VOLUMES = "/apis/cdi.kubevirt.io/v1beta1"


class Volumes:
    def __init__(self, api: Api) -> None:
        self.api = api
        self.queue = Queue(self.look, workers=2)
        self.informer = Informer(api, f"{DATA_VOLUMES}/datavolumes", self.changed)
        self.since: dict[str, float] = {}

    def start(self) -> None:
        self.queue.start()
        self.informer.start()

    def changed(self, item: Object) -> None:
        self.queue.add((item["metadata"]["namespace"], item["metadata"]["name"]))

    def look(self, key: Key) -> float | None:
        volume = self.informer.objects.get(key)
        phase = (volume or {}).get("status", {}).get("phase")
        if volume is None or volume["metadata"].get("deletionTimestamp") or phase in ("Succeeded", "Failed"):
            return None
        plan = schedule_of(volume)
        if phase is None:
            self.claim(volume)
            self.report(volume, "ImportInProgress", "N/A")
        if plan.outcome == "never":
            return None
        since = self.since.setdefault(volume["metadata"]["uid"], time.monotonic())
        if wait := remaining(plan.run_after, time.monotonic() - since):
            return wait
        failed = plan.outcome == "failed"
        self.report(volume, "Failed" if failed else "Succeeded", "N/A" if failed else "100.0%")
        return None

    def claim(self, volume: Object) -> None:
        meta = volume["metadata"]
        owner = {"apiVersion": "cdi.kubevirt.io/v1beta1", "kind": "DataVolume", "controller": True}
        owner.update({"name": meta["name"], "uid": meta["uid"], "blockOwnerDeletion": True})
        declared = volume["spec"].get("storage") or volume["spec"].get("pvc") or {}
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **declared}
        path = f"/api/v1/namespaces/{meta['namespace']}/persistentvolumeclaims"
        item = {"metadata": {"name": meta["name"], "ownerReferences": [owner]}, "spec": spec}
        with contextlib.suppress(ApiError):  # it is there already
            self.api.post(path, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **item})
        capacity = {"phase": "Bound", "accessModes": spec["accessModes"], "capacity": spec["resources"]["requests"]}
        self.api.patch(f"{path}/{meta['name']}/status", {"status": capacity})

    def report(self, volume: Object, phase: str, progress: str) -> None:
        meta = volume["metadata"]
        status = {"claimName": meta["name"], "phase": phase, "progress": progress}
        self.api.patch(f"{DATA_VOLUMES}/namespaces/{meta['namespace']}/datavolumes/{meta['name']}", {"status": status})
