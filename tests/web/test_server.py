# SPDX-License-Identifier: GPL-2.0-or-later
"""The HTTP API, asked over a real connection."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import ClientSession
from structlog.testing import capture_logs

from gateway.clock import LoopClock
from gateway.core.json_form import call_document, transfer_document
from gateway.core.model import PbxState
from gateway.core.outcome import Outcome, Reason
from gateway.core.record import CallRecord, TransferRecord
from gateway.ports import HistoryPage, HistoryQuery, Operations, ProbeResult, Reloaded, TooLateError, UnreadableError
from gateway.web.guard import _Sometimes
from gateway.web.server import WebServer
from tests.report import samples
from tests.report.reporting import Standing
from tests.support.processes import free_port

TOKEN = "correct horse"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}
BODY = {"type": "transfer", "destination": "sales", "message": "one moment"}


class Gateway(Operations):
    """A gateway with one call, one transfer under way, one that ended, and one PBX."""

    def __init__(self) -> None:
        self.conditions = {"transports": True, "configuration": True, "not-draining": True}
        self.mistakes: list[str] = []
        self.asked: list[tuple[object, ...]] = []
        self.disk_fails = False
        self.next: int | None = None
        self.answer = replace(samples.requested(), destination="sales")

    def ready(self) -> tuple[bool, Mapping[str, bool]]:
        return all(self.conditions.values()), self.conditions

    def status(self) -> Mapping[str, Any]:
        return {"state": "online"}

    def dialogs(self, most: int) -> Sequence[Mapping[str, Any]]:
        return [{"call_id": "1@pbx"}, {"call_id": "2@pbx"}, {"call_id": "3@pbx"}][:most]

    def calls(self) -> Sequence[CallRecord]:
        return [replace(samples.call(), ended_at=None)]

    async def transfers(self, *, limit: int | None = None, transfer: str | None = None) -> Sequence[TransferRecord]:
        if self.disk_fails:
            raise UnreadableError("disk I/O error")
        known = [samples.requested("01B"), samples.completed("01A")]
        return [record for record in known if transfer in {None, record.transfer}][:limit]

    async def history(self, what: str, query: HistoryQuery) -> HistoryPage:
        self.asked.append((what, query))
        if self.disk_fails:
            raise UnreadableError("disk I/O error")
        document = transfer_document(samples.completed("01A")) if what == "transfer" else call_document(samples.call())
        return HistoryPage([document], self.next)

    async def past_transfer(self, transfer: str) -> Mapping[str, Any] | None:
        if self.disk_fails:
            raise UnreadableError("disk I/O error")
        return {**transfer_document(samples.completed("01Z")), "events": []} if transfer == "01Z" else None

    def pbx_states(self) -> Sequence[PbxState]:
        return [samples.pbx_state(), PbxState("other")]

    def explain(self, target: str, number: str, at: datetime | None) -> Mapping[str, Any]:
        self.asked.append((target, number, at))
        if number == "nobody":
            raise KeyError(number)
        return {"decision": "accept", "destination": target}

    def cancel_transfer(self, which: str, command_id: str | None = None) -> TransferRecord:
        self.asked.append((which, command_id))
        if which == "late":
            raise TooLateError("transfer late is switching and can't be cancelled any more")
        if which not in ("01B", "c1"):
            raise LookupError(which)
        return samples.refused()

    def transfer_call(
        self, call: str, destination: str, message: str | None, command_id: str | None = None
    ) -> TransferRecord:
        self.asked.append((call, destination, message, *((command_id,) if command_id else ())))
        if call == "broken":
            raise RuntimeError("secret inner workings")
        if call != "c1":
            raise LookupError(call)
        return self.answer

    async def probe_call(self, number: str, destination: str) -> ProbeResult:
        self.asked.append((number, destination))
        if destination != "sales":
            raise LookupError(f"{number} has no destination {destination}")
        return ProbeResult(reached=True, code=200, text="answered", seconds=0.25)

    async def reload(self) -> Reloaded:
        self.asked.append(("reload",))
        return Reloaded(self.mistakes, ["sip.udp_port"])


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


def metrics(accept: str) -> tuple[bytes, str]:
    return b"up 1\n", f"text/plain; of={accept}"


class Client:
    """Asks a server that is really there."""

    def __init__(self, session: ClientSession, port: int) -> None:
        self._session = session
        self.port = port
        self._base = f"http://127.0.0.1:{port}"

    async def __call__(self, path: str, method: str = "GET", **options: Any) -> tuple[int, Any]:
        async with self._session.request(method, f"{self._base}{path}", **options) as response:
            self.headers = response.headers
            return response.status, await response.json()


@asynccontextmanager
async def serving(gateway: Gateway, token: str | None = TOKEN, **options: Any) -> AsyncIterator[Client]:
    port = free_port()
    server = WebServer(
        gateway,
        metrics=lambda accept: (b"up 1\n", f"text/plain; of={accept}"),
        token=token,
        clock=Standing(samples.START),
        **options,
    )
    await server.start("127.0.0.1", port)
    try:
        async with ClientSession() as session:
            yield Client(session, port)
    finally:
        await server.stop()


@pytest.fixture
async def ask(gateway: Gateway) -> AsyncIterator[Client]:
    async with serving(gateway) as client:
        yield client


async def test_metrics_are_written_as_the_client_accepts_them(ask: Client) -> None:
    async with ask._session.get(f"{ask._base}/metrics") as response:
        assert (response.status, await response.read()) == (200, b"up 1\n")
        assert response.headers["Content-Type"] == "text/plain; of=*/*"
        assert response.headers["Vary"] == "Accept"


async def test_ready_tells_what_is_missing(ask: Client, gateway: Gateway) -> None:
    assert (await ask("/healthz"))[0] == 200
    status, body = await ask("/readyz")
    assert (status, body["ready"], body["missing"]) == (200, True, [])
    gateway.conditions["not-draining"] = False
    status, body = await ask("/readyz")
    assert (status, body["ready"], body["missing"]) == (503, False, ["not-draining"])
    assert (await ask("/healthz"))[0] == 200


async def test_the_lists_of_the_contract(ask: Client, gateway: Gateway) -> None:
    assert await ask("/api/status") == (200, {"state": "online"})
    assert await ask("/api/calls") == (200, {"calls": [call_document(call) for call in gateway.calls()]})
    assert await ask("/api/dialogs?limit=2") == (200, {"dialogs": [{"call_id": "1@pbx"}, {"call_id": "2@pbx"}]})
    assert await ask("/api/dialogs") == (200, {"dialogs": list(gateway.dialogs(3))})
    transfers = [transfer_document(record) for record in await gateway.transfers()]
    assert await ask("/api/transfers") == (200, {"transfers": transfers})
    assert transfers[0]["outcome"] is None
    assert await ask("/api/transfers?limit=1") == (200, {"transfers": transfers[:1]})
    assert await ask("/api/transfers/01A") == (200, transfers[1])
    status, body = await ask("/api/queues")
    assert status == 200
    assert [(queue["pbx"], queue["queue"], queue["available"]) for queue in body["queues"]] == [
        ("asterisk", "sales", 1)
    ]
    assert [(pbx["pbx"], pbx["known"], pbx["unknown_because"]) for pbx in body["pbxs"]] == [
        ("asterisk", True, None),
        ("other", False, "no state source is configured"),
    ]


async def test_a_disk_that_does_not_tell_what_it_holds_is_said_so(ask: Client, gateway: Gateway) -> None:
    gateway.disk_fails = True
    for path in ("/api/transfers", "/api/transfers/01A"):
        status, body = await ask(path)
        assert (status, body["error"]["code"]) == (503, "unreadable")
        assert "disk I/O error" in body["error"]["message"]


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("target=sales&number=main-line", ("sales", "main-line", None)),
        ("target=%2B31612345678&number=%2B31201234567", ("+31612345678", "+31201234567", None)),
        # What people type.
        ("target=+31612345678&number=main-line", ("+31612345678", "main-line", None)),
        (
            "target=sales&number=main-line&at=2026-03-02T09:30:00+01:00",
            ("sales", "main-line", datetime(2026, 3, 2, 8, 30, tzinfo=UTC)),
        ),
        (
            "target=sip:sales@example.com&number=main-line&at=2026-03-02T08:30:00Z",
            ("sip:sales@example.com", "main-line", datetime(2026, 3, 2, 8, 30, tzinfo=UTC)),
        ),
        # The gateway knows by which clock.
        ("target=sales&number=main-line&at=2026-03-02T09:30", ("sales", "main-line", datetime(2026, 3, 2, 9, 30))),  # noqa: DTZ001
    ],
)
async def test_explain_asks_the_gate(ask: Client, gateway: Gateway, query: str, asked: tuple[object, ...]) -> None:
    assert await ask(f"/api/explain?{query}") == (200, {"decision": "accept", "destination": asked[0]})
    assert gateway.asked == [asked]


async def test_a_call_is_transferred_with_the_token(ask: Client, gateway: Gateway) -> None:
    status, body = await ask("/api/calls/c1/transfer", "POST", json=BODY, headers=RIGHT)
    assert (status, body) == (202, {"transfer": transfer_document(gateway.answer)})
    assert gateway.asked == [("c1", "sales", "one moment")]
    gateway.answer = replace(
        samples.refused(),
        trail=("queue sales: nobody is logged in",),
        outcome=Outcome.REFUSED,
        reason=Reason.QUEUE_UNSTAFFED,
    )
    status, body = await ask("/api/calls/c1/transfer", "POST", json=BODY, headers=RIGHT)
    assert (status, body["error"]["code"], body["transfer"]["reason"]) == (409, "refused", "queue-unstaffed")
    assert body["error"]["message"] == "queue-unstaffed: queue sales: nobody is logged in"


async def test_a_reload_tells_every_mistake(ask: Client, gateway: Gateway) -> None:
    assert await ask("/api/reload", "POST", headers=RIGHT) == (
        200,
        {"reloaded": True, "restart_needed": ["sip.udp_port"]},
    )
    gateway.mistakes = ["gateway.toml: sip.udp_port: 70000 is no port"]
    status, body = await ask("/api/reload", "POST", headers=RIGHT)
    assert (status, body["error"]["code"], body["mistakes"]) == (422, "bad-configuration", gateway.mistakes)


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
        ("/", {}, 404, "not-found"),
        ("/api/transfers/none", {}, 404, "unknown-transfer"),
        ("/api/transfers?limit=-1", {}, 400, "bad-request"),
        ("/api/transfers?limit=%C2%B2", {}, 400, "bad-request"),
        ("/api/reload", {}, 405, "method-not-allowed"),
        ("/api/status", {"method": "DELETE"}, 405, "method-not-allowed"),
        ("/api/explain?number=main-line", {}, 400, "bad-request"),
        ("/api/explain?target=x&number=nobody", {}, 404, "unknown-number"),
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
    monkeypatch.setattr("gateway.web.guard._unreadable", _Sometimes())
    with capture_logs() as logs:
        for _ in range(20):
            await raw(ask, UNREADABLE[4])
    assert [line["event"] for line in logs] == ["http-request-unreadable"]
    assert logs[0]["remote"] == "127.0.0.1"


@pytest.mark.keeps("16.170")
async def test_many_wrong_tokens_are_few_lines(ask: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.web.guard._wrong_token", _Sometimes())
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


async def test_a_port_that_is_taken_is_an_oserror_and_port_0_is_off(gateway: Gateway) -> None:
    port = free_port()
    first = WebServer(gateway, metrics=metrics, token=None, clock=LoopClock())
    await first.start("127.0.0.1", port)
    second = WebServer(gateway, metrics=metrics, token=None, clock=LoopClock())
    with pytest.raises(OSError, match=str(port)):
        await second.start("127.0.0.1", port)
    await first.stop()
    await second.start("127.0.0.1", 0)
    await second.stop()


async def test_a_test_call(gateway: Gateway) -> None:
    async with serving(gateway) as ask:
        body = {"number": "main-line", "destination": "sales"}
        assert (await ask("/api/probe", "POST", json=body))[0] == 401
        assert gateway.asked == []
        status, answer = await ask("/api/probe", "POST", json=body, headers=RIGHT)
        assert (status, answer) == (200, {"reached": True, "code": 200, "text": "answered", "seconds": 0.25})
        for wrong, code, expected in (
            ({"number": "main-line"}, "bad-request", 400),
            ({"number": "main-line", "destination": 6500}, "bad-request", 400),
            ({"number": "main-line", "destination": "nobody"}, "unknown-destination", 404),
        ):
            status, answer = await ask("/api/probe", "POST", json=wrong, headers=RIGHT)
            assert (status, answer["error"]["code"]) == (expected, code)


async def test_a_transfer_is_cancelled(gateway: Gateway) -> None:
    async with serving(gateway) as ask:
        assert (await ask("/api/transfers/01B/cancel", "POST"))[0] == 401
        assert gateway.asked == []
        status, answer = await ask("/api/transfers/01B/cancel", "POST", headers=RIGHT)
        assert (status, answer) == (200, {"transfer": transfer_document(samples.refused())})
        body = {"type": "cancel", "id": "crm-7"}
        assert (await ask("/api/calls/c1/cancel", "POST", json=body, headers=RIGHT))[0] == 200
        assert gateway.asked == [("01B", None), ("c1", "crm-7")]
        for path, wrong, code, expected in (
            ("/api/transfers/01X/cancel", {}, "unknown-transfer", 404),
            ("/api/transfers/late/cancel", {}, "too-late", 409),
            ("/api/transfers/01B/cancel", {"type": "transfer"}, "bad-request", 400),
            ("/api/transfers/01B/cancel", {"id": 7}, "bad-request", 400),
            ("/api/calls/c1/transfer", {**BODY, "id": "x" * 129}, "bad-request", 400),
            ("/api/calls/c1/transfer", {**BODY, "destination": "x" * 513}, "bad-request", 400),
            ("/api/calls/c1/transfer", {**BODY, "message": "x" * 2001}, "bad-request", 400),
            ("/api/calls/c1/transfer", {"destination": "sales"}, "bad-request", 400),
        ):
            status, answer = await ask(path, "POST", json=wrong, headers=RIGHT)
            assert (status, answer["error"]["code"]) == (expected, code)


async def test_a_command_takes_its_id_along(gateway: Gateway) -> None:
    async with serving(gateway) as ask:
        assert (await ask("/api/calls/c1/transfer", "POST", json={**BODY, "id": "crm-7"}, headers=RIGHT))[0] == 202
    assert gateway.asked == [("c1", "sales", "one moment", "crm-7")]
