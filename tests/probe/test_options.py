# SPDX-License-Identifier: GPL-2.0-or-later
"""OPTIONS to a PBX: over every transport, and whatever it answers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from gateway.config import PbxProfile, SipSettings
from gateway.options import Answer, ask, lives
from tests.support.certificates import Authority

pytestmark = pytest.mark.slow

Respond = Callable[[str], list[str]]


def response(request: str, code: int, call_id: str | None = None) -> str:
    """A response to `request`, of the least that makes one."""
    headers = [line for line in request.split("\r\n") if line.startswith(("Via", "From", "To", "Call-ID", "CSeq"))]
    if call_id is not None:
        headers = [f"Call-ID: {call_id}" if line.startswith("Call-ID") else line for line in headers]
    return "\r\n".join([f"SIP/2.0 {code} Whatever", *headers, "Content-Length: 2", "", "ab"])


class Pbx(asyncio.DatagramProtocol):
    """Answers each datagram as it is told."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.heard: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard.append(data.decode())
        for answer in self.respond(self.heard[-1]):
            self._transport.sendto(answer.encode(), addr)


@asynccontextmanager
async def udp(respond: Respond, host: str = "127.0.0.1") -> AsyncIterator[tuple[Pbx, PbxProfile]]:
    loop = asyncio.get_running_loop()
    transport, pbx = await loop.create_datagram_endpoint(lambda: Pbx(respond), local_addr=(host, 0))
    try:
        yield pbx, profile(host, transport.get_extra_info("sockname")[1])
    finally:
        transport.close()


def profile(host: str, port: int, transport: str = "udp") -> PbxProfile:
    name = f"[{host}]" if ":" in host else host
    return PbxProfile.model_validate({"kind": "pbx", "address": f"sip:{name}:{port}", "transport": transport})


SIP = SipSettings(bind_address="127.0.0.1", bind_address6="::1")


@pytest.mark.parametrize(
    ("code", "good", "text"),
    [
        (200, True, "has the extension (200)"),
        (404, False, "has no such extension (404)"),
        (484, False, "has no such extension (484)"),
        (401, True, "is there, wants a password (401)"),
        (501, True, "is there, serves no OPTIONS (501)"),
        (403, False, "answers 403"),
        (503, False, "answers 503"),
    ],
)
async def test_what_the_pbx_says(code: int, good: bool, text: str) -> None:
    async with udp(lambda request: [response(request, code)]) as (pbx, where):
        answer = await ask(where, SIP, "6500")
    assert (answer.code, answer.good, answer.text) == (code, good, text)
    assert pbx.heard[0].startswith(f"OPTIONS {where.address.replace('sip:', 'sip:6500@')} SIP/2.0\r\n")
    assert "\r\nVia: SIP/2.0/UDP 127.0.0.1:" in pbx.heard[0]


async def test_a_lost_request_is_sent_again_and_what_is_none_of_ours_is_passed_over() -> None:
    def respond(request: str) -> list[str]:
        if len(pbx.heard) == 1:
            return []
        return ["nonsense", response(request, 404, "another"), response(request, 100), response(request, 200)]

    async with udp(respond) as (pbx, where):
        assert await ask(where, SIP, "6500") == Answer(200)
    assert len(pbx.heard) == 2
    assert pbx.heard[0] == pbx.heard[1]


async def test_ipv6() -> None:
    async with udp(lambda request: [response(request, 200)], "::1") as (pbx, where):
        assert await ask(where, SIP, "6500") == Answer(200)
    assert "Via: SIP/2.0/UDP [::1]:" in pbx.heard[0]


async def test_a_pbx_that_says_nothing() -> None:
    async with udp(lambda _: []) as (_, where):
        answer = await ask(where, SIP, "6500", within_s=0.1)
    assert (answer.good, answer.text) == (False, "does not answer within 0.1 s")


async def test_no_pbx_at_all() -> None:
    async with udp(lambda _: []) as (_, where):
        pass
    assert (await ask(where, SIP, "6500")).text == "can't be asked: Connection refused"
    four = SipSettings(bind_address="127.0.0.1")
    assert (
        await ask(profile("::1", 5060), four, "6500")
    ).text == "::1 has no address that can be reached from 127.0.0.1"


@asynccontextmanager
async def stream(tls: ssl.SSLContext | None, pieces: Callable[[str], list[str]]) -> AsyncIterator[int]:
    """A PBX over TCP or TLS that answers in pieces; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        for piece in pieces(request):
            writer.write(piece.encode())
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


def in_pieces(request: str) -> list[str]:
    both = response(request, 100) + response(request, 200)
    return [both[:10], both[10:90], both[90:]]


async def test_over_tcp() -> None:
    async with stream(None, in_pieces) as port:
        assert await ask(profile("127.0.0.1", port, "tcp"), SIP, "6500") == Answer(200)


async def test_a_connection_that_ends_before_an_answer() -> None:
    async with stream(None, lambda request: [response(request, 200)[:20]]) as port:
        answer = await ask(profile("127.0.0.1", port, "tcp"), SIP, "6500")
    assert (answer.code, answer.good) == (None, False)
    assert answer.text == "closes the connection without an answer"


@pytest.mark.slow
async def test_over_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    pbx, own = authority.identity("127.0.0.1"), authority.identity("localhost")
    secure = SipSettings.model_validate(
        {
            "bind_address": "127.0.0.1",
            "tls_ca": str(authority.certificate),
            "tls_certificate": str(own.certificate),
            "tls_key": str(own.key),
        }
    )
    async with stream(pbx.server(clients=True), in_pieces) as port:
        where = profile("127.0.0.1", port, "tls")
        assert await ask(where, secure, "6500") == Answer(200)
        stranger = await ask(where, SIP, "6500")
        assert stranger.code is None
        assert "certificate verify failed" in stranger.text


async def test_whoever_answers_anything_lives() -> None:
    for code in (200, 403, 503):
        async with udp(lambda request, code=code: [response(request, code)]) as (pbx, profile):  # type: ignore[misc]
            assert await lives(profile.address, SipSettings(bind_address="127.0.0.1"))
            assert pbx.heard[0].startswith(f"OPTIONS sip:{profile.address.removeprefix('sip:')} SIP/2.0")


async def test_who_says_nothing_does_not() -> None:
    async with udp(lambda _: []) as (_, profile):
        assert not await lives(profile.address, SipSettings(bind_address="127.0.0.1"), within_s=0.1)
    assert not await lives(profile.address, SipSettings(bind_address="127.0.0.1"))


@pytest.mark.parametrize("uri", ["sip:127.0.0.1:{port};transport=tcp", "sips:127.0.0.1:{port}"])
async def test_of_a_connection_it_is_enough_that_it_is_taken(uri: str) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    there = uri.format(port=server.sockets[0].getsockname()[1])
    assert await lives(there, SipSettings(bind_address="127.0.0.1"))
    server.close()
    await server.wait_closed()
    assert not await lives(there, SipSettings(bind_address="127.0.0.1"))
