# SPDX-License-Identifier: GPL-2.0-or-later
"""What the HTTP API refuses: no token, no such thing, no request at all; each in words, none with a traceback."""

import asyncio
from typing import Any

import pytest
from aiohttp import ClientSession
from structlog.testing import capture_logs

from gateway.clock import LoopClock
from gateway.web.guard import Sometimes
from gateway.web.server import WebServer
from tests.support.processes import free_port
from tests.web.serving import BODY, RIGHT, TOKEN, Client, Gateway, metrics, serving


@pytest.mark.keeps("20.20")
@pytest.mark.parametrize(
    ("method", "path", "why"),
    [
        ("GET", "/api/transfers?outcom=failed", "outcom: is no parameter of /api/transfers; did you mean outcome?"),
        ("GET", "/api/transfers/01A?events=1", "events: is no parameter of /api/transfers/{id}; it takes none"),
        ("GET", "/api/calls?outcome=failed", "outcome: is no parameter of /api/calls; it takes caller, cursor, "),
        ("GET", "/api/status?verbose=1", "verbose: "),
        ("GET", "/api/explain?target=sales&number=main-line&time=09:00", "time: "),
        ("GET", "/healthz?x", "x: "),
        ("GET", "/metrics?name[]=up", "name[]: "),
        ("HEAD", "/api/queues?pbx=asterisk", ""),
        ("POST", "/api/reload?check=true", "check: "),
        ("GET", "/api/transfers?limit=1&limit=2", "limit: is given more than once"),
    ],
)
async def test_what_an_address_does_not_take_is_refused(
    gateway: Gateway, ask: Client, method: str, path: str, why: str
) -> None:
    if method == "HEAD":
        async with ask._session.head(f"{ask._base}{path}") as response:
            assert response.status == 400
        return
    status, body = await ask(path, method, headers=RIGHT)
    assert (status, body["error"]["code"]) == (400, "bad-request")
    assert body["error"]["message"].startswith(why)
    assert gateway.asked == []


@pytest.mark.parametrize("path", ["/api/calls/c1/transfer", "/api/reload"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": TOKEN},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer caf\u00e9"},
    ],
)
async def test_nothing_changes_without_the_right_token(
    ask: Client, gateway: Gateway, path: str, headers: dict[str, str]
) -> None:
    status, body = await ask(path, "POST", json=BODY, headers=headers)
    assert (status, body["error"]["code"]) == (401, "wrong-token")
    assert ask.headers["WWW-Authenticate"].startswith("Bearer")
    assert gateway.asked == []


async def test_without_a_configured_token_nothing_can_be_changed_at_all(gateway: Gateway) -> None:
    for token in (None, ""):
        async with serving(gateway, token=token) as ask:
            status, body = await ask("/api/reload", "POST", headers={"Authorization": "Bearer "})
            assert (status, body["error"]["code"]) == (403, "no-token")
            assert "token_file" in body["error"]["message"]
    assert gateway.asked == []


@pytest.mark.keeps("16.99")
@pytest.mark.parametrize(
    ("path", "options", "status", "code"),
    [
        ("/api", {}, 404, "not-found"),
        ("/api/transfers/none", {}, 404, "unknown-transfer"),
        ("/api/transfers?limit=-1", {}, 400, "bad-request"),
        ("/api/transfers?limit=%C2%B2", {}, 400, "bad-request"),
        ("/api/reload", {}, 405, "method-not-allowed"),
        ("/api/status", {"method": "DELETE"}, 405, "method-not-allowed"),
        ("/api/explain?number=main-line", {}, 400, "bad-request"),
        ("/api/explain?target=x&number=nobody", {}, 404, "unknown-number"),
        ("/api/availability", {}, 400, "bad-request"),
        ("/api/availability?number=main-line&destination=", {}, 400, "bad-request"),
        ("/api/availability?number=nobody", {}, 404, "unknown-number"),
        ("/api/availability?number=main-line&destination=nowhere", {}, 404, "unknown-destination"),
        ("/api/explain?target=x&number=main-line&at=noon", {}, 400, "bad-request"),
        ("/api/explain?target=x&number=main-line&at=0001-01-01T00:00", {}, 400, "bad-request"),
        ("/api/calls/c2/transfer", {"method": "POST", "json": BODY}, 404, "unknown-call"),
        ("/api/calls/c1/transfer", {"method": "POST", "data": b"{"}, 400, "bad-json"),
        ("/api/calls/c1/transfer", {"method": "POST", "data": b"[" * 50_000}, 400, "bad-json"),
        ("/api/calls/c1/transfer", {"method": "POST", "data": b"\xff"}, 400, "bad-json"),
        ("/api/calls/c1/transfer", {"method": "POST", "data": b"[]"}, 400, "bad-request"),
        ("/api/calls/c1/transfer", {"method": "POST", "json": BODY | {"type": "cancel"}}, 400, "bad-request"),
        ("/api/calls/c1/transfer", {"method": "POST", "json": BODY | {"destination": 5}}, 400, "bad-request"),
        ("/api/calls/c1/transfer", {"method": "POST", "json": BODY | {"message": 5}}, 400, "bad-request"),
        ("/api/calls/c1/transfer", {"method": "POST", "data": b"x" * 70_000}, 413, "too-large"),
        ("/api/probe", {"method": "POST", "data": rb'{"number":"\ud800","destination":"sales"}'}, 400, "bad-json"),
        ("/api/probe", {"method": "POST", "data": rb'{"\udfff":"x"}'}, 400, "bad-json"),
        ("/api/probe", {"method": "POST", "data": b'{"number":NaN}'}, 400, "bad-json"),
        ("/api/probe", {"method": "POST", "data": b'{"number":' + b"9" * 5_000 + b"}"}, 400, "bad-json"),
        ("/api/probe", {"method": "POST", "data": b'{"number":1e999,"destination":null}'}, 400, "bad-request"),
        ("/api/probe", {"method": "POST", "data": b'{"a":' * 9_000 + b"1" + b"}" * 9_000}, 400, "bad-json"),
        ("/api/probe", {"method": "POST", "data": b'{"a":' * 501 + b"1" + b"}" * 501}, 400, "bad-json"),
        ("/api/probe", {"method": "POST", "data": b""}, 400, "bad-json"),
        ("/api/calls/c1/transfer", {"method": "POST", "data": rb'{"type":"\udc80"}'}, 400, "bad-json"),
        ("/api/calls/c1/cancel", {"method": "POST", "data": rb'{"type":"\udc80"}'}, 400, "bad-json"),
        ("/api/transfers/%ED%A0%80", {}, 404, "unknown-transfer"),
        ("/api/transfers/%00%FF", {}, 404, "unknown-transfer"),
        ("/api/explain?target=x&number=main-line&at=%ED%A0%80", {}, 400, "bad-request"),
    ],
)
async def test_every_error_is_json_and_says_what_is_wrong(
    ask: Client, path: str, options: dict[str, Any], status: int, code: str
) -> None:
    found, body = await ask(path, headers=RIGHT, **options)
    assert (found, body["error"]["code"]) == (status, code)
    assert body["error"]["message"]


async def raw(ask: Client, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", ask.port)
    writer.write(request)
    answer: bytes = await asyncio.wait_for(reader.read(4096), 5)
    writer.close()
    return answer


UNREADABLE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"INVITE sip:x@y SIP/2.0\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Header\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
    b"POST /api/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"POST /api/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /api/reload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /api/probe HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n",
    b"POST /api/probe HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \xff\r\nConnection: close\r\n\r\n",
    b"POST /api/probe HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n"
    b"Content-Encoding: gzip\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
]


@pytest.mark.keeps("16.99")
@pytest.mark.parametrize("request_", UNREADABLE, ids=range(len(UNREADABLE)))
async def test_what_is_no_request_is_refused_without_a_traceback(
    ask: Client, request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with capture_logs() as logs:
        answer = await raw(ask, request_)
    assert answer.split(b" ")[1][:1] == b"4"
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
    assert [line for line in logs if line.get("exc_info")] == []


@pytest.mark.keeps("16.99")
async def test_a_client_that_vanishes_within_its_body_is_no_fault(
    ask: Client, caplog: pytest.LogCaptureFixture
) -> None:
    head = b"POST /api/probe HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + TOKEN.encode()
    with capture_logs() as logs:
        for body in (b"Content-Length: 500", b"Transfer-Encoding: chunked"):
            _, writer = await asyncio.open_connection("127.0.0.1", ask.port)
            writer.write(head + b"\r\n" + body + b"\r\n\r\n5\r\n{")
            await writer.drain()
            writer.transport.abort()
        assert (await ask("/api/status"))[0] == 200
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
    assert [line for line in logs if line.get("exc_info")] == []


async def test_many_unreadable_requests_are_few_lines(ask: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.web.guard._unreadable", Sometimes())
    with capture_logs() as logs:
        for _ in range(20):
            await raw(ask, UNREADABLE[4])
    assert [line["event"] for line in logs] == ["http-request-unreadable"]
    assert logs[0]["remote"] == "127.0.0.1"


@pytest.mark.keeps("16.170")
async def test_many_wrong_tokens_are_few_lines(ask: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.web.tokens._wrong_token", Sometimes())
    with capture_logs() as logs:
        for guess in range(20):
            await ask("/api/reload", "POST", headers={"Authorization": f"Bearer {guess}"})
    assert [(line["event"], line["path"], line["remote"]) for line in logs] == [
        ("http-token-wrong", "/api/reload", "127.0.0.1")
    ]


async def test_a_fault_inside_stays_in_the_log(ask: Client) -> None:
    with capture_logs() as logs:
        status, body = await ask("/api/calls/broken/transfer", "POST", json=BODY, headers=RIGHT)
    assert (status, body["error"]["code"]) == (500, "internal-error")
    assert "inner workings" not in str(body)
    assert [line["log_level"] for line in logs] == ["error"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9470", 200),
        ("localhost", 200),
        ("LOCALHOST:9470", 200),
        ("[::1]:9470", 200),
        ("pbx.example.com", 200),
        ("evil.example.com:9470", 421),
        ("127.0.0.1.evil.example.com", 421),
    ],
)
async def test_a_web_page_cannot_reach_it_by_a_name_of_its_own(gateway: Gateway, host: str, status: int) -> None:
    async with serving(gateway, host_names=("pbx.example.com",)) as ask:
        assert (await ask("/api/calls", headers={"Host": host}))[0] == status


@pytest.mark.keeps("16.109")
async def test_the_names_of_a_reload_are_taken_at_once(gateway: Gateway) -> None:
    port = free_port()
    server = WebServer(gateway, metrics=metrics, token=None, clock=LoopClock(), host_names=("old.example.com",))
    await server.start("127.0.0.1", port)
    try:
        async with ClientSession() as session:
            ask = Client(session, port)
            for names, status in ((None, 421), (("pbx.example.com", "b.example"), 200), ((), 421)):
                if names is not None:
                    server.configure(None, names)
                assert (await ask("/api/calls", headers={"Host": "PBX.example.com:9470"}))[0] == status
    finally:
        await server.stop()
