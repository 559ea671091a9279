# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs and their instances as they change: lists that are kept up to date by watches, however often those break off.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import queue
import threading
import time
import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import objects
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import ApiError, Session

__all__ = ["Watch"]

_AGAIN = 0.5

#: Seconds after the deadline at which a thread that nobody has ended ends by itself.
_LATE = 10.0


class Watch:
    """Follows the VMs and instances of some namespaces until a deadline.

    :ivar things: what is there, by kind and key.
    """

    def __init__(self, session: Session, keys: t.Iterable[objects.Key], deadline: float) -> None:
        self.things: dict[tuple[str, objects.Key], dict[str, t.Any]] = {}
        self._session = session
        self._keys = frozenset(keys)
        self._unlisted = {(kind, namespace) for kind in (objects.VMS, objects.VMIS) for namespace, _name in self._keys}
        self._deadline = deadline
        self._changed: queue.Queue[RtvirtError | None] = queue.Queue()
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def __enter__(self) -> Watch:
        for kind, namespace in sorted(self._unlisted):
            threading.Thread(target=self._follow, args=(kind, namespace), daemon=True).start()
        return self

    def __exit__(self, *_raised: object) -> None:
        # The threads are daemons: one that is reading ends with its watch, or with the module.
        self._ended.set()

    @property
    def is_complete(self) -> bool:
        """Whether all has been listed once: before, a thing that is not here may be there."""
        with self._lock:
            return not self._unlisted

    def get(self, kind: str, key: objects.Key) -> dict[str, t.Any] | None:
        with self._lock:
            return self.things.get((kind, key))

    def next_change(self, seconds: float) -> None:
        """Wait until something has changed, at most for some time. :raises RtvirtError: for what ends a watch."""
        try:
            error = self._changed.get(timeout=max(0.01, seconds))
        except queue.Empty:
            return
        # One look at what is there is enough for all that has come meanwhile.
        while error is None:
            try:
                error = self._changed.get_nowait()
            except queue.Empty:
                return
        raise error

    def _follow(self, kind: str, namespace: str) -> None:
        path = objects.object_path(kind, namespace)
        while not self._ended.is_set() and time.monotonic() < self._deadline + _LATE:
            try:
                version = self._list(kind, namespace, path)
                self._read_events(kind, namespace, path, version)
            except ApiError as error:
                # Gone: the version is too old, list anew. No answer: the server is away, or the connection was.
                if error.status not in (0, 410, 429, 500, 502, 503, 504):
                    self._changed.put(error)
                    return
                self._ended.wait(_AGAIN)
            except RtvirtError as error:
                self._changed.put(error)
                return

    def _list(self, kind: str, namespace: str, path: str) -> str:
        version, seen = "", {}
        for page in self._session.pages(path):
            version = page["metadata"]["resourceVersion"]
            for item in page.get("items") or []:
                seen[item["metadata"]["name"]] = item
        with self._lock:
            for here, name in self._keys:
                if here != namespace:
                    continue
                if name in seen:
                    self.things[kind, (here, name)] = seen[name]
                else:
                    self.things.pop((kind, (here, name)), None)
            self._unlisted.discard((kind, namespace))
        self._changed.put(None)
        return version

    def _read_events(self, kind: str, namespace: str, path: str, version: str) -> None:
        """Watches one after the other, each from where the one before ended."""
        while not self._ended.is_set():
            left = self._deadline - time.monotonic()
            if left < -_LATE:
                return
            for event in self._session.watch(path, version, max(1.0, min(left, 300.0))):
                item = event["object"]
                version = item["metadata"]["resourceVersion"]
                key = (namespace, item["metadata"].get("name", ""))
                if event["type"] == "BOOKMARK" or key not in self._keys:
                    continue
                with self._lock:
                    if event["type"] == "DELETED":
                        self.things.pop((kind, key), None)
                    else:
                        self.things[kind, key] = item
                self._changed.put(None)
