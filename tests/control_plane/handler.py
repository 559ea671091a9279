# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""virt-handler's endpoint, to which virt-api passes on what only the node can do: pause, unpause, softreboot, ..."""

from __future__ import annotations

import http.server
import json
import re
import ssl
import typing as t

from api import ApiError, Object

PATH = re.compile(r"/v1/namespaces/([^/]+)/virtualmachineinstances/([^/]+)/([a-z]+)$")

# Does one action to one VMI; gives what a GET asks for. KeyError: there is no such VMI or action.
Action = t.Callable[[str, str, str], t.Optional[Object]]


class Endpoint(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, port: int, certificate: str, key: str, ca: str, action: Action) -> None:
        super().__init__(("127.0.0.1", port), Request)
        self.action = action
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
        # Like virt-handler: only those with a certificate of KubeVirt's own authority are served.
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(certificate, key)
        # The handshake is made in the connection's own thread, at its first read.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """A client that goes away, or has no certificate, is no error of ours."""


class Request(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Endpoint

    def do_PUT(self) -> None:
        self.drain()
        self.answer(202)

    def do_GET(self) -> None:
        self.answer(200)

    def drain(self) -> None:
        """Reads the body: what is left of it would be taken for the next request."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self.rfile.read(size + 2)
            self.rfile.readline()
        else:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, success: int) -> None:
        found = PATH.fullmatch(self.path)
        status, body = success, b""
        try:
            if not found:
                raise KeyError(self.path)
            result = self.server.action(*found.groups())
            body = json.dumps(result).encode() if result is not None else b""
        except KeyError as error:
            status, body = 404, f"not simulated, or not here: {error}".encode()
        except ApiError as error:
            status, body = 500, str(error).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: t.Any) -> None:  # noqa: A002  http.server calls it so
        """virt-api logs the same requests."""
