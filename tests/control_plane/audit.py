# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which requests reached the API server, from its audit log."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import time
import typing as t
import uuid
from pathlib import Path

from ansible_collections.rtvirt.core.tests.control_plane.api import Api, ApiError

PATIENCE = 10
# The line of a request may be written a moment after its answer was read.
LAG = 0.1


@dataclasses.dataclass(frozen=True)
class Request:
    verb: str
    resource: str  # with its subresource: virtualmachines/start
    namespace: str
    name: str
    agent: str
    user: str
    code: int
    path: str
    received: str


class Requests(list[Request]):
    """What was recorded; complete when the recording is over. A watch is in it if it ended meanwhile."""

    def by(self, agent: str = "", user: str = "") -> Requests:
        """Of those whose user agent starts so, or of this user."""
        return Requests(one for one in self if one.agent.startswith(agent) and user in ("", one.user))

    def of(self, verb: str = "", resource: str = "", name: str = "") -> Requests:
        return Requests(
            one for one in self if verb in ("", one.verb) and resource in ("", one.resource) and name in ("", one.name)
        )

    @property
    def writes(self) -> Requests:
        return Requests(one for one in self if one.verb not in ("get", "list", "watch"))

    def counts(self) -> dict[str, int]:
        """{"list virtualmachines": 1, ...}"""
        return dict(collections.Counter(f"{one.verb} {one.resource}" for one in self))


class Audit:
    def __init__(self, log: Path, api: Api) -> None:
        self.log = log
        self.api = api

    @contextlib.contextmanager
    def record(self) -> t.Iterator[Requests]:
        """All requests that reach the API server within the block, from whomever; the markers are left out."""
        requests = Requests()
        offset = self.log.stat().st_size
        begin = self.marker(offset)
        yield requests
        end = self.marker(offset)
        time.sleep(LAG)
        requests += [one for one in self.read(offset) if begin.received < one.received < end.received]

    def marker(self, offset: int) -> Request:
        """A request that nobody else makes, once it stands in the log."""
        name = f"audit-{uuid.uuid4()}"
        with contextlib.suppress(ApiError):
            self.api.get(f"/api/v1/namespaces/default/configmaps/{name}")
        deadline = time.monotonic() + PATIENCE
        while True:
            for one in self.read(offset):
                if one.name == name:
                    return one
            assert time.monotonic() < deadline, f"no line about {name} in {self.log}"
            time.sleep(0.02)

    def read(self, offset: int) -> t.Iterator[Request]:
        with self.log.open("rb") as log:
            if offset:
                # To the next whole line: the one that was being written may have been cut in two.
                log.seek(offset - 1)
                log.readline()
            for line in log:
                if line.endswith(b"\n"):
                    yield request(json.loads(line))


def request(event: dict[str, t.Any]) -> Request:
    about = event.get("objectRef", {})
    parts = [about.get("resource", ""), about.get("subresource", "")]
    return Request(
        verb=event["verb"],
        resource="/".join(part for part in parts if part),
        namespace=about.get("namespace", ""),
        name=about.get("name", ""),
        agent=event.get("userAgent", ""),
        user=event["user"].get("username", ""),
        code=event.get("responseStatus", {}).get("code", 0),
        path=event["requestURI"],
        received=event["requestReceivedTimestamp"],
    )
