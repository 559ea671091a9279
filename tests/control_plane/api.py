# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API server as plain paths and plain values; the transport is that of the ``kubernetes`` client.

Its typed models cost ten times what the requests do, which counts with a thousand VMs.
"""

from __future__ import annotations

import json
import typing as t

import urllib3
from kubernetes import client, config

Object = dict[str, t.Any]

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"


class ApiError(Exception):
    """An answer that is an error, or with status 0 none at all."""

    def __init__(self, status: int, body: str) -> None:
        self.status = status
        try:
            message = json.loads(body).get("message", body)
        except (ValueError, AttributeError):
            message = body
        super().__init__(f"{status}: {message}")


class Api:
    def __init__(self, kubeconfig: str, user_agent: str, connections: int = 8) -> None:
        settings = client.Configuration()
        config.load_kube_config(kubeconfig, client_configuration=settings)
        settings.connection_pool_maxsize = connections
        # The environment's proxy is none of an API server's on this machine.
        settings.proxy = None
        settings.retries = urllib3.Retry(0)
        self.client = client.ApiClient(settings)
        self.host = settings.host
        # virt-api's subresources produce no content, and answer 406 to who takes JSON alone.
        self.headers = {"Accept": "application/json, */*", "User-Agent": user_agent}
        if token := settings.auth_settings().get("BearerToken", {}).get("value"):
            self.headers["Authorization"] = token

    def _open(self, method: str, path: str, body: t.Any, content: str, timeout: t.Any, stream: bool) -> t.Any:
        pool = self.client.rest_client.pool_manager
        headers = {**self.headers, "Content-Type": content}
        data = None if body is None else json.dumps(body).encode()
        return pool.request(
            method,
            self.host + path,
            body=data,
            headers=headers,
            timeout=timeout,
            preload_content=not stream,
        )

    def call(self, method: str, path: str, body: t.Any = None, content: str = "application/json") -> t.Any:
        timeout = urllib3.Timeout(connect=5, read=60)
        try:
            answer = self._open(method, path, body, content, timeout, stream=False)
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(0, str(error)) from error
        text = answer.data.decode()
        if answer.status >= 400:
            raise ApiError(answer.status, text)
        try:
            return json.loads(text)
        except ValueError:
            return text

    def get(self, path: str) -> t.Any:
        return self.call("GET", path)

    def post(self, path: str, body: t.Any) -> t.Any:
        return self.call("POST", path, body)

    def put(self, path: str, body: t.Any = None) -> t.Any:
        return self.call("PUT", path, body)

    def patch(self, path: str, body: t.Any, content: str = MERGE) -> t.Any:
        return self.call("PATCH", path, body, content)

    def delete(self, path: str, body: t.Any = None) -> t.Any:
        return self.call("DELETE", path, body)

    def watch(self, path: str, version: str) -> t.Iterator[Object]:
        """The changes after a version, until the server ends the watch."""
        separator = "&" if "?" in path else "?"
        path = f"{path}{separator}watch=true&allowWatchBookmarks=true&resourceVersion={version}"
        answer = self._open("GET", path, None, "application/json", urllib3.Timeout(connect=5, read=None), stream=True)
        try:
            if answer.status >= 400:
                raise ApiError(answer.status, answer.read().decode())
            rest = b""
            for chunk in answer.stream(65536):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (json.loads(line) for line in lines if line)
        finally:
            answer.close()
