# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a controller is made of: a copy of the objects that follows the server, and a queue of the names to look at."""

from __future__ import annotations

import heapq
import sys
import threading
import time
import typing as t

import urllib3
from api import Api, ApiError, Object

Key = tuple[str, ...]
# What ends a request and not the program: the server is killed and started again under the simulator.
TRANSIENT = (ApiError, urllib3.exceptions.HTTPError, OSError, ValueError)


def say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


class Informer(threading.Thread):
    """Keeps ``objects`` as the server has them, and tells of each change by ``changed(object)``."""

    def __init__(self, api: Api, path: str, changed: t.Callable[[Object], None]) -> None:
        super().__init__(daemon=True, name=path)
        self.api = api
        self.path = path
        self.changed = changed
        self.objects: dict[Key, Object] = {}

    def run(self) -> None:
        while True:
            try:
                self.follow(self.relist())
            except TRANSIENT as error:
                say(f"{self.path}: {error}")
                time.sleep(0.3)

    def relist(self) -> str:
        answer = self.api.get(self.path)
        seen = {name_of(item): item for item in answer["items"]}
        gone = [item for key, item in self.objects.items() if key not in seen]
        self.objects = seen
        for item in [*gone, *seen.values()]:
            self.changed(item)
        return answer["metadata"]["resourceVersion"]

    def follow(self, version: str) -> None:
        while True:
            for event in self.api.watch(self.path, version):
                item = event["object"]
                if event["type"] == "ERROR":
                    return
                version = item["metadata"]["resourceVersion"]
                if event["type"] == "BOOKMARK":
                    continue
                if event["type"] == "DELETED":
                    self.objects.pop(name_of(item), None)
                else:
                    self.objects[name_of(item)] = item
                self.changed(item)


def name_of(item: Object) -> Key:
    return item["metadata"]["namespace"], item["metadata"]["name"]


class Queue:
    """Names to look at, each at most once at a time; a name that is added again meanwhile is looked at again."""

    def __init__(self, look: t.Callable[[Key], float | None], workers: int = 4) -> None:
        self.look = look
        self.workers = workers
        self.due: dict[Key, float] = {}
        self.heap: list[tuple[float, Key]] = []
        self.busy: set[Key] = set()
        self.changed = threading.Condition()

    def add(self, key: Key, delay: float = 0) -> None:
        with self.changed:
            moment = time.monotonic() + delay
            if self.due.get(key, float("inf")) <= moment:
                return
            self.due[key] = moment
            heapq.heappush(self.heap, (moment, key))
            self.changed.notify()

    def take(self) -> Key:
        with self.changed:
            while True:
                wait: float | None = None
                if self.heap:
                    moment, key = self.heap[0]
                    wait = moment - time.monotonic()
                    if self.due.get(key) != moment or wait <= 0:
                        heapq.heappop(self.heap)
                        if self.due.get(key) == moment and self._taken(key):
                            return key
                        continue
                self.changed.wait(wait)

    def _taken(self, key: Key) -> bool:
        """Whether it may be looked at now; one that somebody is at is put off, and looked at again after that."""
        del self.due[key]
        if key in self.busy:
            self.due[key] = time.monotonic() + 0.02
            heapq.heappush(self.heap, (self.due[key], key))
            return False
        self.busy.add(key)
        return True

    def work(self) -> None:
        while True:
            key = self.take()
            delay: float | None = None
            try:
                delay = self.look(key)
            except TRANSIENT as error:
                # A conflict or a killed server: the next look sees what is then there.
                if not isinstance(error, ApiError) or error.status not in (404, 409):
                    say(f"{'/'.join(key)}: {error}")
                delay = 0.2
            finally:
                with self.changed:
                    self.busy.discard(key)
            if delay is not None:
                self.add(key, delay)

    def start(self) -> None:
        for _worker in range(self.workers):
            threading.Thread(target=self.work, daemon=True).start()
