# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests that cannot be read: who sends them is told so, over UDP and over TCP, and calls go on."""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator

import pytest

from tests.sip.bed import ANNA, ASSISTANT_HZ, CALLER_HZ, PORT, Bed, Pair, Stage
from tests.support.begun import Begun
from tests.support.peer import Peer
from tests.support.sip_message import Message
from tests.support.wire import Streams, Wire

pytestmark = pytest.mark.sip

TRANSPORTS = ("udp", "tcp")
PAIRS = {"udp": Pair(), "tcp": Pair({"transport": "tcp"})}
SIP = {"tcp_port": PORT}


@pytest.fixture(params=TRANSPORTS)
async def at(bed: Bed, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    wire: Wire | None = Streams() if request.param == "tcp" else None
    async with Stage(bed, request.param, trunk=wire) as opened:
        yield opened


NUMBERS = itertools.count(1)


def raw(
    at: Stage, method: str, *lines: str, version: str = "2.0", body: bytes = b"", length: int | None = None
) -> bytes:
    """A request outside of any dialog, to which any lines may be added; each is a transaction of its own (§8.1.1.7)."""
    number = next(NUMBERS)
    head = [
        f"{method} sip:{at.number}@gateway SIP/{version}",
        f"Via: SIP/2.0/{at.trunk.wire.name} {at.trunk.sent_by};branch=z9hG4bK-{number}",
        "Max-Forwards: 70", "From: <sip:a@b>;tag=7", "To: <sip:c@d>", f"Call-ID: {number}@test",
        f"CSeq: 1 {method}", *lines, f"Content-Length: {len(body) if length is None else length}", "", "",
    ]  # fmt: skip
    return "\r\n".join(head).encode() + body


async def response(at: Stage, data: bytes) -> Message:
    at.trunk.send_raw(data, at.gateway)
    return await at.trunk.until(lambda: answers(at.trunk)[0] if answers(at.trunk) else None, "response")


def answers(peer: Peer) -> list[Message]:
    return [one.message for one in peer.trace if not one.sent and not one.message.is_request]


@pytest.mark.keeps("6.9")
@pytest.mark.parametrize(
    ("line", "header"),
    [("Contact: <sip:", "Contact"), ("Session-Expires: soon", ""), ("Route: <<>>", "Route"),
     ("Expires: \x00", ""), ('Authorization: Digest "', "Authorization")],
)  # fmt: skip
@pytest.mark.parametrize("method", ["OPTIONS", "INVITE", "REFER"])
async def test_a_header_that_cannot_be_read_is_400(at: Stage, method: str, line: str, header: str) -> None:
    told = await response(at, raw(at, method, line))
    assert told.code == 400, told.start
    assert header in told.start
    assert told["CSeq"] == f"1 {method}"
    assert re.search(r"^<sip:c@d>;tag=\S+$", told["To"])
    assert told["Reason"] == 'SIP;cause=400;text="bad-request"'


@pytest.mark.keeps("6.9")
async def test_a_refer_that_cannot_be_read_leaves_the_call_and_the_next_one_works(at: Stage) -> None:
    caller, assistant = await at.conversation()
    refused = await assistant.refer(ANNA, ("Contact", "<sip:"))
    assert (refused.code, refused["CSeq"].split()[1]) == (400, "REFER")
    await caller.media.hears(ASSISTANT_HZ)
    await assistant.media.hears(CALLER_HZ)
    anna = await at.transfer(caller, assistant)
    await anna.hang_up()
    await caller.wait_request("BYE")
    await assistant.wait_request("BYE")


@pytest.mark.keeps("6.10")
async def test_another_version_of_sip_is_505(at: Stage) -> None:
    assert (await response(at, raw(at, "OPTIONS", version="7.0"))).code == 505


@pytest.mark.keeps("6.11")
async def test_a_datagram_that_lacks_a_part_of_its_body_is_400(bed: Bed) -> None:
    async with Stage(bed, "udp") as at:
        told = await response(at, raw(at, "INVITE", "Content-Type: application/sdp", body=b"v=0\r\n", length=400))
        assert told.code == 400
        assert not at.pbx.received("INVITE")


@pytest.mark.keeps("6.11")
@pytest.mark.parametrize("where", ["header", "body"])
async def test_too_long_a_message_is_513(bed: Bed, where: str) -> None:
    async with Stage(bed, "udp") as at:
        much = "x" * 9000
        told = await response(
            at, raw(at, "OPTIONS", f"X-Much: {much}") if where == "header" else raw(at, "OPTIONS", body=much.encode())
        )
        assert told.code == 513, told.start


@pytest.mark.keeps("16.66")
@pytest.mark.parametrize("declared", [30_000, 65_535])
async def test_a_message_on_a_stream_that_declares_more_than_is_taken_is_513(bed: Bed, declared: int) -> None:
    async with Stage(bed, "tcp", trunk=Streams()) as at:
        told = await response(at, raw(at, "OPTIONS", body=b"x" * 9000, length=declared))
        assert told.code == 513, told.start
        assert "x" * 4000 not in str(told)
    async with Stage(bed, "udp") as other:
        assert (await response(other, raw(other, "OPTIONS"))).code == 200


@pytest.mark.keeps("6.11")
async def test_what_follows_the_body_of_a_datagram_is_no_part_of_it(bed: Bed) -> None:
    async with Stage(bed, "udp") as at:
        assert (await response(at, raw(at, "OPTIONS", body=b"x" * 30, length=10))).code == 200


HOSTILE = [
    b"INVITE" + b" " * 7900 + b"x",
    b"INVITE sip:a" + b" " * 7900 + b"SIP/2.x",
    b"INVITE sip:a" + b" SIP" * 1900 + b"\r\n\r\n",
    b"INVITE sip:a SIP/2.0\r\nVia:" + b" \r\n" * 2500,
]
"""Requests that cannot be read, and once took minutes to be found so."""


@pytest.mark.keeps("16.71")
@pytest.mark.parametrize("sender", ["stranger", "peer"])
async def test_no_text_keeps_the_gateway_from_answering_others(bed: Bed, sender: str) -> None:
    async with Stage(bed, "udp") as at, Peer(bed.net.host(99), PORT) as stranger:
        who = stranger if sender == "stranger" else at.pbx
        asked = Begun(bed.gateway.child.pid)
        for data in HOSTILE * 5:
            who.send_raw(data, at.gateway)
        at.trunk.send_raw(raw(at, "OPTIONS"), at.gateway)
        told = await at.trunk.until(lambda: answers(at.trunk)[0] if answers(at.trunk) else None, "response")
        assert told.code == 200
        assert asked.took_s < 2


@pytest.mark.keeps("16.71")
async def test_what_fills_the_headers_of_a_peer_costs_nothing(bed: Bed) -> None:
    async with Stage(bed, "udp") as at:
        asked = Begun(bed.gateway.child.pid)
        for name in ("X-Much", "P-Asserted-Identity", "Diversion", "History-Info", "Referred-By"):
            for much in (" " * 6900, "<" * 6900):
                call = at.pbx.invite("sip:+31209999999@gateway", at.gateway, headers=[(name, f"a{much}b")])
                assert (await call.final()).code == 404
        assert asked.took_s < 3  # half a second each, once


@pytest.mark.keeps("6.12")
async def test_strangers_responses_and_acks_are_not_answered(bed: Bed) -> None:
    bad = "Contact: <sip:"
    async with Stage(bed, "udp") as at, Peer(bed.net.host(99), PORT) as stranger:
        before = await bed.gateway.metric("transfer_gateway_requests_rejected_total", reason="peer-not-allowed")
        stranger.send_raw(raw(at, "OPTIONS", bad), at.gateway)
        at.trunk.send_raw(raw(at, "ACK", bad), at.gateway)
        at.trunk.send_raw(raw(at, "OPTIONS", bad).replace(b"OPTIONS sip:", b"SIP/2.0 200 ", 1), at.gateway)
        assert (await response(at, raw(at, "OPTIONS"))).code == 200
        assert len(answers(at.trunk)) == 1
        assert not stranger.trace
        after = await bed.gateway.metric("transfer_gateway_requests_rejected_total", reason="peer-not-allowed")
        assert after == before + 1
