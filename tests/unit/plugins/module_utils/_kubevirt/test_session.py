# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors in the collection's words, and what is sent again. No network."""

from __future__ import annotations

import io
import json
import typing as t

import pytest

pytest.importorskip("kubernetes")

import urllib3

from ansible_collections.rtvirt.core.plugins.module_utils._errors import DeclarationError, RtvirtError
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt import session as session_module
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.authentication import access_from
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.refusal import explained
from ansible_collections.rtvirt.core.plugins.module_utils._kubevirt.session import Access, ApiError, Session
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import from_options


class Stream:
    """The answer to a watch, which goes on until its connection is shut down."""

    status = 200

    def __init__(self) -> None:
        self.shut = self.closed = False

    def stream(self, **_more: t.Any) -> t.Iterator[bytes]:
        while not self.shut:
            yield b'{"type": "BOOKMARK"}\n'

    def shutdown(self) -> None:
        self.shut = True

    def close(self) -> None:
        self.closed = True


class Answers:
    """The connection pool: gives the answers that a test has for it."""

    def __init__(self, *answers: t.Any) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[str, str, t.Any, t.Any]] = []
        self.cleared = False

    def request(self, method: str, url: str, **more: t.Any) -> t.Any:
        self.sent.append((method, url, more.get("headers"), more.get("body")))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Stream):
            return answer
        status, body, *headers = answer
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return urllib3.HTTPResponse(io.BytesIO(data), status=status, headers=headers[0] if headers else {})

    def clear(self) -> None:
        self.cleared = True


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited, without waiting."""
    waited: list[float] = []
    monkeypatch.setattr(session_module.time, "sleep", waited.append)
    return waited


def session(*answers: t.Any, dry_run: bool = False) -> tuple[Session, Answers]:
    access = access_from({"host": "https://cluster.invalid:6443", "api_key": "hunter2"})
    result, pool = Session(access, dry_run=dry_run), Answers(*answers)
    t.cast(t.Any, result)._pool = pool
    return result, pool


def status(code: int, message: str, **more: t.Any) -> tuple[int, dict[str, t.Any]]:
    return code, {"kind": "Status", "code": code, "message": message, **more}


@pytest.mark.parametrize("code", [429, 502, 503, 504])
def test_what_passes_is_sent_again(waits: list[float], code: int) -> None:
    one, pool = session(status(code, "busy"), status(code, "busy"), (200, {"a": 1}))
    assert one.get("/x") == {"a": 1}
    assert len(pool.sent) == 3
    assert waits == sorted(waits)
    assert 0 < waits[0] < 1


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 409, 410, 415, 422, 500])
def test_what_does_not_is_not(waits: list[float], code: int) -> None:
    one, pool = session(status(code, "no", reason="Because"))
    with pytest.raises(ApiError, match="no") as failed:
        one.get("/x")
    assert (failed.value.status, failed.value.reason, len(pool.sent), waits) == (code, "Because", 1, [])


def test_a_webhook_that_is_away_is_asked_again(waits: list[float]) -> None:
    one, pool = session(status(500, 'failed calling webhook "x": connection refused'), (201, {}))
    one.create("/x", {})
    assert len(pool.sent) == 2


def test_retry_after(waits: list[float]) -> None:
    one, _pool = session((429, {}, {"Retry-After": "7"}), (429, {}, {"Retry-After": "soon"}), (200, {}))
    one.get("/x")
    assert waits[0] >= 7
    assert waits[1] < 2


def test_it_ends(waits: list[float]) -> None:
    one, pool = session(*[status(429, "busy")] * 50)
    with pytest.raises(ApiError, match="busy"):
        one.get("/x")
    assert len(pool.sent) < 10
    assert sum(waits) < 60


def test_nobody_there(waits: list[float]) -> None:
    error = urllib3.exceptions.NewConnectionError(t.cast(t.Any, None), "Connection refused")
    one, _pool = session(*[error] * 10)
    with pytest.raises(ApiError) as failed:
        one.get("/x")
    assert "cluster.invalid:6443" in failed.value.message
    assert "refused" in failed.value.message
    assert failed.value.status == 0
    assert "object at" not in failed.value.message


def test_answers_in_plain_words() -> None:
    one, _pool = session((409, b"VM is not running"))
    with pytest.raises(ApiError, match="VM is not running"):
        one.act("/x", {})
    one, _pool = session((404, b""))
    with pytest.raises(ApiError, match="404"):
        one.get("/x")


def test_who_is_not_let_in_is_told_to_log_in_and_no_token_is_shown() -> None:
    one, _pool = session(status(401, "Unauthorized"))
    with pytest.raises(ApiError, match="log in") as failed:
        one.get("/x")
    assert "hunter2" not in repr(vars(failed.value))


def test_causes() -> None:
    causes = [{"field": "spec.template.spec.domain.cpu.cores", "message": "too many"}]
    one, _pool = session(status(422, "is invalid", details={"causes": causes}))
    manifest = from_options({"name": "vm", "cpu_cores": 900})
    with pytest.raises(ApiError) as failed:
        one.create("/x", {})
    told = explained(failed.value, manifest)
    assert isinstance(told, DeclarationError)
    assert "cpu_cores" in told.message
    assert "too many" in told.message


def test_unknown_fields() -> None:
    message = 'strict decoding error: unknown field "spec.template.spec.domain.noSuch"'
    told = explained(ApiError(message, 400), from_options({"name": "vm", "spec": {"domain": {"noSuch": 1}}}))
    assert isinstance(told, DeclarationError)
    assert "spec.domain.noSuch" in told.message


def test_writes_are_strict_and_name_us() -> None:
    one, pool = session((200, {}), (200, {}))
    one.create("/x", {"a": 1})
    one.patch("/x", {"a": 1})
    for _method, url, headers, body in pool.sent:
        assert "fieldManager=rtvirt.core" in url
        assert "fieldValidation=Strict" in url
        assert "dryRun" not in url
        assert headers["Authorization"] == "Bearer hunter2"
        assert json.loads(body) == {"a": 1}
    assert pool.sent[1][2]["Content-Type"] == "application/merge-patch+json"


def test_a_dry_run_is_one_of_every_write() -> None:
    one, pool = session(*[(200, {})] * 4, dry_run=True)
    one.create("/x", {})
    one.patch("/x", {})
    one.delete("/x", {"gracePeriodSeconds": 0})
    one.act("/x", {"paused": True})
    assert all("dryRun=All" in url for _method, url, _headers, _body in pool.sent[:2])
    assert all(json.loads(body)["dryRun"] == ["All"] for _method, _url, _headers, body in pool.sent[2:])
    other = session((200, {}))[0].trying()
    assert other.dry_run


def test_its_end_closes_connections_and_ends_watches() -> None:
    streams = [Stream(), Stream()]
    one, pool = session(*streams)
    with one:
        watching = one.watch("/x", "1", 10)
        assert next(watching) == {"type": "BOOKMARK"}
    assert pool.cleared
    assert [*watching] == [*one.watch("/x", "1", 10)] == []
    assert all(stream.closed for stream in streams)


def test_pages() -> None:
    first = {"metadata": {"continue": "more"}, "items": [1]}
    one, pool = session((200, first), (200, {"metadata": {}, "items": [2]}))
    assert [page["items"] for page in one.pages("/x")] == [[1], [2]]
    assert "continue" not in pool.sent[0][1]
    assert "continue=more" in pool.sent[1][1]


def test_a_user_agent_that_was_given_is_the_only_one() -> None:
    pool = Answers((200, {}))
    headers = (("user-agent", "theirs"), ("X-Team", "telco"))
    Session(Access("https://cluster.invalid", lambda _connections: pool, lambda: None, headers)).get("/api")
    ((_method, _url, sent, _body),) = pool.sent
    assert sent.getlist("User-Agent") == ["theirs"]
    assert sent["X-Team"] == "telco"


@pytest.mark.parametrize("token", ["hunter2\n", "  hunter2 \r\n"])
def test_a_token_from_a_file(token: str) -> None:
    access = access_from({"host": "https://cluster.invalid:6443", "api_key": token})
    result, pool = Session(access), Answers((200, {}))
    t.cast(t.Any, result)._pool = pool
    result.get("/x")
    assert pool.sent[0][2]["Authorization"] == "Bearer hunter2"


def test_a_token_that_is_none_is_not_shown() -> None:
    one, _pool = session(ValueError("Invalid header value b'Bearer hunter\\n2'"))
    with pytest.raises(RtvirtError, match="a character that none can have") as failed:
        one.get("/x")
    assert "hunter" not in str(failed.value)
    assert failed.value.__cause__ is None
    assert failed.value.__suppress_context__
