# SPDX-License-Identifier: GPL-2.0-or-later
"""What the listener for platforms bears: sizes, rates and times, whoever handles a request, and TLS."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from gateway.ports.platform import PlatformResult
from gateway.report.platform_metrics import PlatformMetrics
from gateway.web import connections
from gateway.web.platforms import limits, listener
from gateway.web.platforms.events import Handler, JsonObject, PlatformEvent
from gateway.web.platforms.limits import Rates
from gateway.web.platforms.listener import MAX_BODY
from tests.support.certificates import Authority
from tests.support.platform_client import signature
from tests.web.platforms.listening import SECRET, Listening, files

pytestmark = pytest.mark.slow  # a server, and whoever asks it, at sockets


@pytest.fixture
def gateway(tmp_path: Path) -> Listening:
    return Listening(tmp_path, files())


def nested(levels: int) -> Any:
    return {} if levels <= 1 else {"in": nested(levels - 1)}


UNREADABLE = {
    "empty": b"",
    "no-json": b"{",
    "no-utf-8": b'{"message": "\xff"}',
    "half-a-surrogate": b'{"message": {"type": "status-update", "more": "\\ud800"}}',
    "not-a-number": b'{"message": {"type": "status-update", "more": NaN}}',
    "a-list": b"[]",
    "no-message": b"{}",
    "message-is-a-text": b'{"message": "status-update"}',
    "no-type": b'{"message": {}}',
    "type-is-a-number": b'{"message": {"type": 1}}',
    "a-long-type": json.dumps({"message": {"type": "x" * 65}}).encode(),
    "33-deep": json.dumps({"message": {"type": "status-update", "more": nested(31)}}).encode(),
    "a-thousand-deep": b'{"message":' + b"[" * 1000 + b"]" * 1000 + b"}",
    "too-deep-to-parse": b"[" * 200_000,
    "many-lists": b'{"message": {"type": "status-update", "more": [' + b",".join([b"[]"] * 10_000) + b"]}}",
    "many-objects": b'{"message": {"type": "status-update", "more": [' + b",".join([b"{}"] * 10_000) + b"]}}",
    "many-numbers": b'{"message": {"type": "status-update", "more": [' + b",".join([b"1"] * 50_001) + b"]}}",
    "zipped": gzip.compress(b'{"message": {"type": "status-update"}}'),
    "many-digits": b'{"message": {"type": "status-update", "more": ' + b"9" * 10_000 + b"}}",
}


@pytest.mark.keeps("19.14")
@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_cannot_be_read_is_refused_though_it_is_signed(gateway: Listening, body: bytes) -> None:
    encoding = {"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
    async with gateway.running() as platform:
        answer = await platform.post(body, headers=encoding)
        assert answer.status == 400
        assert set(answer.json) == {"error", "code"}
        # The next one is none the worse for it.
        assert (await platform.post(platform.event("status-update"))).status == 200
    assert gateway.observed.asked[0] == ("hms", "unknown", PlatformResult.UNREADABLE)
    assert len(gateway.events) == 1


@pytest.mark.keeps("19.14")
async def test_a_report_of_a_long_call_is_read(gateway: Listening) -> None:
    said = [{"role": "assistant", "content": "Yes, of course, one moment, please, I will have a look. " * 3}] * 2400
    async with gateway.running() as platform:
        assert (await platform.post(platform.event("status-update", messages=said))).status == 200
    assert gateway.events[0].message["messages"] == said


@pytest.mark.keeps("19.14")
async def test_what_is_32_deep_and_as_large_as_may_be_is_taken(gateway: Listening) -> None:
    message = {"type": "status-update", "more": nested(30), "text": ""}
    message["text"] = "x" * (MAX_BODY - len(json.dumps({"message": message})))
    async with gateway.running() as platform:
        assert (await platform.post({"message": message})).status == 200
        message["text"] += "x"
        answer = await platform.post({"message": message})
        assert (answer.status, answer.json["code"]) == (413, "too-large")
        # … nor is it read to the end where its length is not told beforehand, or waited for where it is.
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.written.main["platform"]["port"])
        writer.write(f"POST /platform/hms HTTP/1.1\r\nHost: gw\r\nContent-Length: {MAX_BODY + 1}\r\n\r\n".encode())
        assert b" 413 " in await asyncio.wait_for(reader.readline(), 2)
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.written.main["platform"]["port"])
        writer.write(b"POST /platform/hms HTTP/1.1\r\nHost: gw\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"80001\r\n" + b"x" * 0x80001 + b"\r\n")
        assert b" 413 " in await asyncio.wait_for(reader.readline(), 2)
        writer.close()
    assert gateway.observed.asked[1:] == [("hms", "unknown", PlatformResult.TOO_LARGE)] * 3
    assert len(gateway.events) == 1


@pytest.mark.keeps("19.14")
async def test_a_body_that_does_not_come_is_waited_for_no_longer(gateway: Listening) -> None:
    head = "POST /platform/hms HTTP/1.1\r\nHost: gateway\r\nContent-Length: 100\r\n\r\n{"
    with patch.object(listener, "BODY_S", 0.2):
        async with gateway.running():
            port = gateway.written.main["platform"]["port"]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head.encode())
            assert b" 408 " in await asyncio.wait_for(reader.readline(), 5)
            await asyncio.wait_for(reader.read(), 10)  # to the end of the connection
            writer.close()
    assert gateway.observed.asked == [("hms", "unknown", PlatformResult.TOO_SLOW)]


@pytest.mark.keeps("19.14")
async def test_a_body_whose_sender_is_gone_is_given_up(gateway: Listening) -> None:
    head = "POST /platform/hms HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"
    async with gateway.running() as platform:
        port = gateway.written.main["platform"]["port"]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode())
        assert b" 400 " in await asyncio.wait_for(reader.readline(), 5)
        writer.close()
        assert (await platform.post(platform.event("status-update"))).status == 200


@pytest.mark.keeps("19.14")
async def test_what_nobody_here_handles_is_taken_and_ignored(gateway: Listening) -> None:
    async with gateway.running() as platform:
        answer = await platform.post(platform.event("speech-update"))
    assert (answer.status, answer.json) == (200, {})
    assert gateway.observed.asked == [("hms", "other", PlatformResult.IGNORED)]


async def raising(_: PlatformEvent) -> JsonObject:
    raise RuntimeError("secret inner workings")


async def slow(_: PlatformEvent) -> JsonObject:
    await asyncio.sleep(60)
    return {}


@pytest.mark.keeps("19.15")
@pytest.mark.parametrize(("answer", "status"), [(raising, 500), (slow, 503)])
async def test_who_handles_it_may_fail_or_take_too_long(gateway: Listening, answer: Any, status: int) -> None:
    gateway.handlers = {
        ("hms", "status-update"): Handler(answer),
        ("hms", "assistant-request"): Handler(answer, otherwise={}),
    }
    with patch.object(listener, "ANSWER_S", 0.05):
        async with gateway.running() as platform:
            refused = await platform.post(platform.event("status-update"))
            assert refused.status == status
            assert "secret" not in refused.text
            assert (await platform.post(platform.event("assistant-request"))).json == {}
    assert [result for *_, result in gateway.observed.asked] == [PlatformResult.FAILED] * 2


@pytest.mark.keeps("19.15")
async def test_an_answer_of_nothing_is_an_empty_object(gateway: Listening) -> None:
    gateway.answer = None
    async with gateway.running() as platform:
        assert (await platform.post(platform.event("status-update"))).json == {}


@pytest.mark.keeps("19.13")
@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/api/status", "/api/openapi.json", "/", "/platform"])
async def test_nothing_else_is_served_there(gateway: Listening, path: str) -> None:
    async with gateway.running(), aiohttp.ClientSession() as session:
        base = gateway.url().partition("/platform")[0]
        for method in ("GET", "POST"):
            async with session.request(method, base + path) as answer:
                assert answer.status == 404
        async with session.get(gateway.url()) as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "POST")


@pytest.mark.keeps("19.15")
def test_nobody_takes_what_is_there_for_another() -> None:
    rates = Rates()
    assert all(rates.admit("platform", 10.0) for _ in range(limits.OF_STRANGERS))
    assert not rates.admit("platform", 14.9)
    rates.proved("platform", 14.9)
    assert all(rates.admit("platform", 15.0) for _ in range(limits.OF_ONE))
    assert not rates.admit("platform", 19.9)
    # Strangers, however many, have their own part.
    admitted = [rates.admit(f"stranger {one}", 20.0) for one in range(9999)]
    assert sum(admitted) == limits.OF_STRANGERS
    assert rates.admit("platform", 22.5)
    # … and whoever has proved who they are, a while ago, is one again.
    again = [rates.admit("platform", 22.5 + limits.KNOWN_S) for _ in range(limits.OF_ONE)]
    assert sum(again) == limits.OF_STRANGERS
    for one in range(limits.MOST_KNOWN + 1):
        rates.proved(f"{one}", 20.0)
    assert len(rates._proved) == limits.MOST_KNOWN


@pytest.mark.keeps("19.15")
async def test_more_than_are_taken_are_refused(gateway: Listening) -> None:
    async with gateway.running() as platform:
        assert (await platform.post(platform.event("status-update"))).status == 200
        with patch.object(limits, "OF_ONE", 0):
            refused = await platform.post(platform.event("status-update"))
    assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
    assert gateway.observed.asked[-1] == ("unknown", "unknown", PlatformResult.TOO_MANY)


@pytest.mark.slow
@pytest.mark.keeps("19.13")
async def test_it_listens_over_tls_and_takes_a_renewed_certificate(tmp_path: Path) -> None:
    first, second = Authority(tmp_path / "first"), Authority(tmp_path / "second")
    written = files(tls_certificate="platform.crt", tls_key="platform.key")

    def issue(authority: Authority) -> ssl.SSLContext:
        made = authority.identity("127.0.0.1")
        written.secrets |= {"platform.crt": made.certificate.read_text(), "platform.key": made.key.read_text()}
        return made.client(shown=False)

    trusting_first = issue(first)
    gateway = Listening(tmp_path / "etc", written)
    async with gateway.running(), gateway.client(tls=trusting_first) as platform:
        assert (await platform.post(platform.event("status-update"))).status == 200
        trusting_second = issue(second)
        gateway.listener.configure(gateway.config())
        async with gateway.client(tls=trusting_second) as renewed:
            assert (await renewed.post(renewed.event("status-update"))).status == 200
        # A certificate that has gone, as after a change that takes a restart, leaves the one in use in force.
        config = gateway.config()
        (gateway.directory / "platform.crt").unlink()
        gateway.listener.configure(config)
        async with gateway.client(tls=trusting_second) as renewed:
            assert (await renewed.post(renewed.event("status-update"))).status == 200


@pytest.mark.keeps("19.15")
async def test_strangers_do_not_hide_what_a_platform_does_wrong(gateway: Listening) -> None:
    with capture_logs() as logs:
        async with gateway.running() as platform:
            for number in range(3):
                await platform.post({}, url=gateway.url("nobody"))
                await platform.post(platform.event("status-update"), secret="another")
                await platform.post(b"{" * (number + 1))
    told = [(line["trunk"], line["code"]) for line in logs if line["event"] == "platform-request-refused"]
    assert told == [("unknown", "not-found"), ("hms", "signature-wrong"), ("hms", "bad-json")]


@pytest.mark.slow
@pytest.mark.keeps("19.15")
async def test_who_does_not_get_through_the_handshake_counts_too(tmp_path: Path) -> None:
    made = Authority(tmp_path / "pki").identity("127.0.0.1")
    written = files(tls_certificate=str(made.certificate), tls_key=str(made.key))
    gateway = Listening(tmp_path / "etc", written)
    port = written.main["platform"]["port"]
    with patch.object(connections, "FIRST_WORD_S", 0.5):
        async with gateway.running():
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections.MOST_OF_ONE)]
            one_more = await asyncio.open_connection("127.0.0.1", port)
            assert await asyncio.wait_for(one_more[0].read(), 0.4) == b""
            # Others are none the worse for it.
            other = aiohttp.TCPConnector(local_addr=("127.0.0.66", 0), ssl=made.client(shown=False))
            async with aiohttp.ClientSession(connector=other) as session, session.post(gateway.url()) as answer:
                assert answer.status == 401
            for reader, writer in (one_more, *silent):
                assert await asyncio.wait_for(reader.read(), 5) == b""
                writer.close()
            # Nonsense in place of a handshake ends that connection alone.
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            await asyncio.wait_for(reader.read(), 5)
            writer.close()
            async with gateway.client(tls=made.client(shown=False)) as platform:
                assert (await platform.post(platform.event("status-update"))).status == 200


async def test_without_the_table_nobody_listens(gateway: Listening) -> None:
    port = gateway.written.main.pop("platform")["port"]
    for profile in gateway.written.profiles.values():
        profile.pop("platform", None)
    config = gateway.config()
    made = listener.PlatformListener(config, {}, None, gateway.observed)  # type: ignore[arg-type]  # no clock is asked
    await made.start()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    await made.stop()


async def test_a_port_that_is_taken_is_an_error(gateway: Listening) -> None:
    async with gateway.running():
        again = listener.PlatformListener(gateway.config(), {}, None, gateway.observed)  # type: ignore[arg-type]
        with pytest.raises(OSError, match=r"cannot listen on http 127\.0\.0\.1:\d+: Address already in use"):
            await again.start()


def test_all_that_can_be_counted_is_there_from_the_start_and_nothing_else_ever() -> None:
    registry = CollectorRegistry()
    metrics = PlatformMetrics(registry, kinds=["tool-calls"], tools=["check_availability"])
    metrics.configure(["hms", "spare"])

    def series() -> set[tuple[str, ...]]:
        return {
            (sample.name, *sorted(sample.labels.values())) for family in registry.collect() for sample in family.samples
        }

    before = series()
    metrics.platform_asked("nobody", "tool-calls", PlatformResult.NOT_FOUND, 0)
    metrics.platform_asked("unknown", "unknown", PlatformResult.TOO_MANY, 0)
    for result in set(PlatformResult) - {PlatformResult.ANSWERED, PlatformResult.IGNORED}:
        metrics.platform_asked("hms", "unknown", result, 0)
    for kind in ("tool-calls", "other"):
        metrics.platform_asked("hms", kind, PlatformResult.ANSWERED, 0)
    for trunk in ("hms", "nobody"):
        for tool in ("check_availability", "invented"):
            metrics.tool_called(trunk, tool, "error")
    assert series() == before
    metrics.configure(["spare"])
    assert not [one for one in series() if "hms" in one]


async def test_a_signature_is_that_of_the_body_as_it_was_sent(gateway: Listening) -> None:
    """Not of what it would be once unpacked."""
    packed, at = gzip.compress(b'{"message": {"type": "status-update"}}'), str(int(time.time()))
    async with gateway.running() as platform:
        unpacked = signature(SECRET, at, gzip.decompress(packed))
        headers = {"Content-Encoding": "gzip", "X-Webhook-Signature": unpacked}
        assert (await platform.post(packed, at=at, headers=headers)).status == 401
