# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to a cluster's API server, sent again where that is right, and its errors in the collection's words.

PRIVATE: this module_utils is for the collection itself; it may change without notice.

A connection pool of urllib3 sends. The models of the Python client ``kubernetes`` are not used: a manifest stays the
plain values that it is.
"""

from __future__ import annotations

import contextlib
import copy
import json
import random
import re
import time
import typing as t
import urllib.parse
from dataclasses import dataclass

from ansible_collections.rtvirt.core.plugins.module_utils._errors import RtvirtError

try:
    import urllib3

    # urllib3 1.26 has it only here; kubernetes 28 asks for that version.
    from urllib3._collections import HTTPHeaderDict
except ImportError:  # authentication.py tells
    pass

__all__ = ["MANAGER", "Access", "ApiError", "Session"]

#: Who we are among the managers of an object's fields, and in audit logs.
MANAGER = "rtvirt.core"

#: Answers that another try may better: none at all (0), too many requests, and a server behind the server that is not
#: there just now.
_PASSING = (0, 429, 502, 503, 504)

#: Seconds before the second try, doubled with each; and the tries there are, over about 8 s.
_BACK_OFF = 0.15
_TRIES = 6

_TIMEOUT = 60.0

#: The connection's name at the beginning of urllib3's messages.
_OBJECT = re.compile(r"^(<.*?>|\w+\(.*?\)): ")


@dataclass(frozen=True)
class Access:
    """Where a cluster's API is, and who asks.

    :ivar host: its URL.
    :ivar pool: makes urllib3's pool for so many connections, with its certificates and proxy.
    :ivar authorization: that header's value as it is now: tokens renew themselves.
    :ivar headers: what goes with every request beside it; a name may stand there more than once.
    """

    host: str
    pool: t.Callable[[int], t.Any]
    authorization: t.Callable[[], str | None]
    headers: tuple[tuple[str, str], ...] = ()


class ApiError(RtvirtError):
    """An answer that is no success.

    :ivar status: the HTTP status, 0 where there was no answer.
    :ivar reason: Kubernetes' word for it: ``NotFound``, ``Conflict``, ``Invalid``, …
    :ivar causes: (field, message) of each thing that is wrong with an object.
    :ivar retry_after: seconds that the server asks to be left alone.
    :ivar tries: how often the request was sent: the answer may be to an earlier one's doing.
    """

    retry_after = 0.0
    tries = 1

    def __init__(self, message: str, status: int = 0, reason: str = "", causes: t.Any = ()) -> None:
        super().__init__(message, status=status, reason=reason)
        self.status = status
        self.reason = reason
        self.causes = [(str(cause.get("field", "")), str(cause.get("message", ""))) for cause in causes]


class Session:
    """An open connection pool to one cluster; many threads may use it. As a context it closes its connections.

    :arg dry_run: have the server check and answer every write, and keep none.
    """

    def __init__(self, access: Access, *, dry_run: bool = False, connections: int = 1) -> None:
        self.dry_run = dry_run
        self._access = access
        # Without a user and password that a URL may have.
        self._host = urllib.parse.urlsplit(access.host).netloc.rpartition("@")[2]
        # virt-api's own resources answer 406 to who takes nothing but JSON.
        own = (("Accept", "application/json, */*"), ("User-Agent", MANAGER))
        given = {name.lower() for name, _value in access.headers}
        self._headers = (*(header for header in own if header[0].lower() not in given), *access.headers)
        self._pool = access.pool(connections + 4)
        self._watched: set[t.Any] = set()
        self._closed = False

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_raised: object) -> None:
        self._closed = True
        for answer in tuple(self._watched):
            # urllib3 has it since 2.3. A watch that reads on is one of a daemon thread, and ends with the module.
            with contextlib.suppress(AttributeError, RuntimeError, ValueError, OSError):
                answer.shutdown()
        self._pool.clear()

    def trying(self) -> Session:
        """The same session, whose writes the server only checks."""
        result = copy.copy(self)
        result.dry_run = True
        return result

    def get(self, path: str, **query: t.Any) -> dict[str, t.Any]:
        return self._request("GET", path, query)

    def create(self, path: str, document: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        return self._request("POST", path, self._writing(), document)

    def patch(self, path: str, patch: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """A JSON merge patch: the only kind that a custom resource takes beside JSON patch and server-side apply."""
        return self._request("PATCH", path, self._writing(), patch, "application/merge-patch+json")

    def delete(self, path: str, options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        body = {"apiVersion": "v1", "kind": "DeleteOptions", **options}
        return self._request("DELETE", path, {}, {**body, "dryRun": ["All"]} if self.dry_run else body)

    def act(self, path: str, options: t.Mapping[str, t.Any]) -> None:
        """A subresource that does something: start, stop, …; their dry run is part of the body."""
        self._request("PUT", path, {}, {**options, "dryRun": ["All"]} if self.dry_run else options)

    def pages(self, path: str, **query: t.Any) -> t.Iterator[dict[str, t.Any]]:
        """The pages of a list, 500 objects each."""
        token = ""
        while True:
            page = self.get(path, limit=500, **{**query, **({"continue": token} if token else {})})
            yield page
            token = page.get("metadata", {}).get("continue") or ""
            if not token:
                return

    def watch(self, path: str, version: str, seconds: float) -> t.Iterator[dict[str, t.Any]]:
        """Events of a list from a resource version on, until the server or ``seconds`` end it.

        :raises ApiError: with status 410 where the version is too old.
        """
        query = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true"}
        query["timeoutSeconds"] = str(max(1, int(seconds)))
        answer = self._send("GET", path, query, None, "", preload=False, timeout=seconds + 5)
        self._watched.add(answer)
        try:
            if answer.status != 200:
                raise _error(answer.status, answer.read(), "GET", path)
            if self._closed:
                return
            for event in _lines(answer, self._host):
                if event.get("type") == "ERROR":
                    status = event.get("object", {})
                    raise ApiError(str(status.get("message")), int(status.get("code") or 0), str(status.get("reason")))
                yield event
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ApiError(f"the watch of {path} broke off: {_cause(error)}") from error
        finally:
            self._watched.discard(answer)
            answer.close()

    def _writing(self) -> dict[str, str]:
        return {
            "fieldManager": MANAGER,
            # Unknown fields are an error: the default is to drop them and say so where nobody looks.
            "fieldValidation": "Strict",
            **({"dryRun": "All"} if self.dry_run else {}),
        }

    def _request(
        self,
        method: str,
        path: str,
        query: t.Mapping[str, t.Any],
        body: t.Any = None,
        content_type: str = "application/json",
    ) -> dict[str, t.Any]:
        """Send, and send again what may pass. Everything that we write is safe to be sent twice.

        A name exists only once, a patch and a deletion name the version or uid that they were made for, and an action
        that was done is refused the second time; callers then look at what is there.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._request_once(method, path, query, body, content_type)
            except ApiError as error:
                error.tries = attempt
                if attempt == _TRIES or not _may_pass(error):
                    raise
                wait = max(error.retry_after, _BACK_OFF * 2**attempt * random.uniform(0.7, 1.0))
            time.sleep(wait)

    def _request_once(
        self, method: str, path: str, query: t.Mapping[str, t.Any], body: t.Any, content_type: str
    ) -> dict[str, t.Any]:
        answer = self._send(method, path, query, body, content_type)
        if answer.status < 300:
            return _parsed(answer.data or b"{}", self._host)
        error = _error(answer.status, answer.data, method, path)
        error.retry_after = _seconds(answer.headers.get("Retry-After"))
        raise error

    def _send(
        self,
        method: str,
        path: str,
        query: t.Mapping[str, t.Any],
        body: t.Any,
        content_type: str,
        *,
        preload: bool = True,
        timeout: float = _TIMEOUT,
    ) -> t.Any:
        headers = HTTPHeaderDict()
        for name, value in self._headers:
            headers.add(name, value)
        # Asked for each time: a token may have been renewed.
        authorization = self._access.authorization()
        if authorization:
            # Files and decoded secrets end with a line break.
            headers.setdefault("Authorization", " ".join(authorization.split()))
        if body is not None:
            headers["Content-Type"] = content_type
        url = f"{self._access.host.rstrip('/')}{path}{'?' if query else ''}{urllib.parse.urlencode(query)}"
        try:
            return self._pool.request(
                method,
                url,
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=urllib3.Timeout(connect=10, read=timeout),
                # Ours honour Retry-After, and know what may be sent twice.
                retries=False,
                preload_content=preload,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ApiError(f"{method} {path}: cannot reach {self._host}: {_cause(error)}") from error
        except ValueError:
            # Its text, and that of what it came from, has the token in it.
            raise RtvirtError("the token or another header has a character that none can have") from None


def _lines(answer: t.Any, host: str) -> t.Iterator[dict[str, t.Any]]:
    rest = b""
    for chunk in answer.stream(amt=None, decode_content=True):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield _parsed(line, host)


def _parsed(data: bytes, host: str) -> dict[str, t.Any]:
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ApiError(f"what answers at {host} is no Kubernetes API server, but a login page or the like", 200)
    return value


def _may_pass(error: ApiError) -> bool:
    # A webhook that does not answer makes the server answer 500.
    return error.status in _PASSING or (error.status == 500 and "failed calling webhook" in error.message)


def _seconds(header: str | None) -> float:
    """Retry-After in seconds, at most half a minute; its other form, a date, is not Kubernetes'."""
    return min(30.0, float(header)) if header and header.isdigit() else 0.0


def _cause(error: BaseException) -> str:
    """The innermost reason, without the names of Python objects that urllib3 writes before it."""
    reason = getattr(error, "reason", None)
    text = str(reason if isinstance(reason, BaseException) else error)
    return _OBJECT.sub("", text) or type(error).__name__


def _error(status: int, data: bytes, method: str, path: str) -> ApiError:
    try:
        answer = json.loads(data)
    except ValueError:
        answer = data.decode(errors="replace").strip()
    if not isinstance(answer, dict):
        # The subresources of virt-api answer in plain words.
        answer = {"message": str(answer)}
    message = str(answer.get("message") or f"HTTP status {status}")
    if status == 429:
        message = f"{message}: HTTP status 429, the server has too much to do, or too much from this user"
    if status == 401:
        message = f"{message}: the token or certificate is not valid (any more), log in again"
    details = answer.get("details") or {}
    return ApiError(f"{method} {path}: {message}", status, str(answer.get("reason", "")), details.get("causes") or ())
