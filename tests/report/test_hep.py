# SPDX-License-Identifier: GPL-2.0-or-later
"""HEP: each packet as a parser of another hand reads it, and a capture server that is gone, slow or back."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from gateway.report.hep.line import MOST_WAITING
from gateway.report.hep.line import CaptureServer as Where
from gateway.report.hep.packet import RTCP_JSON, SIP, Flow, Node, packet
from gateway.report.hep.rtcp import report
from gateway.report.hep.sender import Sender
from tests.bench import BEGIN
from tests.bench.clock import VirtualClock
from tests.support.hep import CaptureServer, parse
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

AT = datetime(2026, 11, 29, 12, 0, 1, 250_001, UTC)
NODE = Node(2001, "gw-1", "s3cret")
FLOW = Flow("192.0.2.1:5060", "198.51.100.5:5070", "UDP")


def test_a_packet_says_who_has_sent_what_to_whom_and_when() -> None:
    read = parse(packet(NODE, FLOW, AT, SIP, b"OPTIONS sip:x SIP/2.0\r\n\r\n\xff", "01TRANSFER"))
    assert (read.source, read.destination, read.protocol) == (("192.0.2.1", 5060), ("198.51.100.5", 5070), 17)
    assert read.at == pytest.approx(AT.timestamp(), abs=2e-6)
    assert (read.kind, read.payload) == (1, b"OPTIONS sip:x SIP/2.0\r\n\r\n\xff")
    assert (read.capture_id, read.node, read.key, read.correlation) == (2001, "gw-1", "s3cret", "01TRANSFER")


def test_what_is_not_known_has_no_chunk() -> None:
    read = parse(packet(Node(7, "gw", None), FLOW, AT, RTCP_JSON, b"{}", None))
    assert (read.key, read.correlation, read.kind, read.capture_id) == (None, None, 5, 7)


@pytest.mark.parametrize(
    ("source", "destination", "read"),
    [
        ("[2001:db8::1]:5061", "[2001:db8::2]:1024", (("2001:db8::1", 5061), ("2001:db8::2", 1024))),
        ("192.0.2.1:5061", "[2001:db8::2]:1", (("::ffff:192.0.2.1", 5061), ("2001:db8::2", 1))),
        ("gw.example.com:5061", "192.0.2.2:65535", (("0.0.0.0", 5061), ("192.0.2.2", 65535))),
    ],
)
def test_addresses_of_either_version(source: str, destination: str, read: object) -> None:
    told = parse(packet(NODE, Flow(source, destination, "TLS"), AT, SIP, b"x", "c"))
    assert ((told.source, told.destination), told.protocol) == (read, 6)


def test_a_payload_that_no_packet_holds_is_cut() -> None:
    made = packet(NODE, FLOW, AT, SIP, b"x" * 70_000, "c")
    assert (len(made), parse(made).correlation) == (65_535, "c")


# --- RTCP

BLOCK = struct.pack("!IIIIII", 0xCAFE, 64 << 24 | 3, 70_000, 80, 0x11112222, 65_536)
SENT = struct.pack("!IIIII", 0xE0000001, 0x80000000, 160, 50, 8000)


def rtcp(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


DESCRIPTION = rtcp(202, 1, struct.pack("!I", 0xBEEF) + b"\1\2ab\0\0\0\0")


def test_a_sender_s_report_is_told_as_agents_of_homer_tell_it() -> None:
    told = report(rtcp(200, 1, struct.pack("!I", 0xBEEF) + SENT + BLOCK) + DESCRIPTION)
    assert told is not None
    assert json.loads(told) == {
        "sender_information": {
            "ntp_timestamp_sec": 0xE0000001, "ntp_timestamp_usec": 0x80000000, "rtp_timestamp": 160, "packets": 50,
            "octets": 8000,
        },
        "ssrc": 0xBEEF, "type": 200, "report_count": 1, "sdes_ssrc": 0xBEEF,
        "report_blocks": [
            {"source_ssrc": 0xCAFE, "fraction_lost": 64, "packets_lost": 3, "highest_seq_no": 70_000, "ia_jitter": 80,
             "lsr": 0x11112222, "dlsr": 65_536},
        ],
    }  # fmt: skip


def test_a_receiver_s_report_has_nothing_of_a_sender() -> None:
    told = report(rtcp(201, 1, struct.pack("!I", 7) + BLOCK.replace(b"\x40\0\0\3", b"\0\xff\xff\xff")))
    assert told is not None
    read = json.loads(told)
    assert (read["type"], read["ssrc"], read["sender_information"]["packets"]) == (201, 7, 0)
    assert read["report_blocks"][0]["packets_lost"] == 0  # some came twice


@pytest.mark.parametrize(
    "broken",
    [
        b"", b"\x80", rtcp(203, 1, b"\0\0\0\1"), rtcp(200, 1, struct.pack("!I", 1) + SENT),
        rtcp(200, 0, struct.pack("!I", 1)), rtcp(201, 31, struct.pack("!I", 1) + BLOCK),
        b"\x40" + rtcp(201, 0, b"abcd")[1:],
        struct.pack("!BBH", 0x80, 201, 0xFFFF) + b"abcd", rtcp(201, 0, b""),
    ],
)  # fmt: skip
def test_what_is_no_report_is_not_told(broken: bytes) -> None:
    assert report(broken) is None


# --- the way to the server


class Counts:
    """Implements SenderObserver."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.reasons: list[str] = []
        self.up: bool | None = None

    def sent(self, kind: str) -> None:
        self.kinds.append(kind)

    def dropped(self, reason: str, count: int = 1) -> None:
        self.reasons += [reason] * count

    def stands(self, *, up: bool | None) -> None:
        self.up = up


async def until(clock: VirtualClock, holds: Callable[[], bool], what: str, step_s: float = 0.0) -> None:
    async def asked() -> bool:
        if step_s:
            clock.advance(step_s)
        return holds()

    await eventually(asked, what, timeout_s=30)


SENT_PACKET = packet(NODE, FLOW, AT, SIP, b"x" * 900, "c")


@pytest.mark.slow
@pytest.mark.keeps("23.41")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_server_that_goes_is_told_of_once_and_one_that_comes_back_too(transport: str) -> None:
    clock, counts = VirtualClock(BEGIN), Counts()
    sender = Sender(clock, counts)
    async with CaptureServer("127.0.0.1") as server:
        port = server.port
        sender.configure(Where("127.0.0.1", port, transport))
        sender.send(SENT_PACKET, "sip")
        assert (counts.reasons, counts.up) == (["unreachable"], False)
        await until(clock, lambda: counts.up is True, "it is there")
        sender.send(SENT_PACKET, "sip")
        await server.until(lambda packets: len(packets) == 1, "it has come")
        assert counts.kinds == ["sip"]
    with capture_logs() as told:

        def sends(times: int) -> None:
            for _ in range(times):
                sender.send(SENT_PACKET, "sip")
                clock.advance(3)

        def gone() -> bool:
            sends(1)
            return counts.up is False

        await until(clock, gone, "that it is gone was noticed")
        for _ in range(20):
            sends(5)
            await asyncio.sleep(0.001)
        assert [one["event"] for one in told] == ["capture-server-gone"]
        assert told[0]["why"]
        async with CaptureServer("127.0.0.1", port) as server:
            await until(clock, lambda: counts.up is True, "it is there again", 1)

            def stays() -> bool:
                sends(1)
                return len(told) > 1

            await until(clock, stays, "it stays")
            await server.until(bool, "it has come")
            assert [one["event"] for one in told] == ["capture-server-gone", "capture-server-back"]
            await sender.stop()
    sender.send(SENT_PACKET, "sip")
    assert counts.up is None


@pytest.mark.slow
@pytest.mark.keeps("23.41")
async def test_a_server_that_does_not_read_costs_bounded_memory_and_no_time() -> None:
    clock, counts = VirtualClock(BEGIN), Counts()
    sender = Sender(clock, counts)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        sender.configure(Where("127.0.0.1", deaf.getsockname()[1], "tcp"))
        await until(clock, lambda: counts.up is True, "it is there")
        sends = 20_000
        for _ in range(sends):
            sender.send(SENT_PACKET, "rtcp")
            if not len(counts.kinds) % 50:
                await asyncio.sleep(0)
        assert set(counts.reasons) == {"full"}
        assert len(counts.kinds) + len(counts.reasons) == sends
        assert len(SENT_PACKET) * len(counts.kinds) < MOST_WAITING + 12_000_000  # and what the system holds
        await sender.stop()


@pytest.mark.slow
async def test_a_name_that_nobody_knows_is_no_more_than_a_server_that_is_gone() -> None:
    clock, counts = VirtualClock(BEGIN), Counts()
    sender = Sender(clock, counts)
    with capture_logs() as told:
        sender.configure(Where("capture.invalid", 9060, "udp"))
        await until(clock, lambda: bool(told), "it was told")
    assert (told[0]["event"], told[0]["host"]) == ("capture-server-gone", "capture.invalid")
    await sender.stop()
