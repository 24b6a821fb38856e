# SPDX-License-Identifier: GPL-2.0-or-later
"""Reports of two whose packets are relayed: each gets the other's, about the stream that it knows (RFC 3550 §6)."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from tests.sip.bed import Pair, Stage
from tests.sip.mid_call import both_hear
from tests.sip.talking import gateway_media
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.sip.bed import Bed
    from tests.support.peer_call import Call

pytestmark = pytest.mark.sip

PAIRS = {"plain": Pair(), "sealed": Pair({"srtp": "required"})}
SENDER, RECEIVER, DESCRIPTION, FAREWELL, APPLICATION = 200, 201, 202, 203, 204
NTP = (0xE0000001, 0x80000000)
LOST = 7
MIDDLE = (NTP[0] & 0xFFFF) << 16 | NTP[1] >> 16
"""As a receiver tells it in its next report."""


@dataclass(frozen=True)
class Report:
    """What one packet of RTCP says."""

    kind: int
    ssrc: int
    ntp: tuple[int, int] = (0, 0)
    stamp: int = 0
    packets: int = 0
    about: int | None = None
    fraction: int = 0
    highest: int = 0
    last: int = 0
    delay: int = 0
    cname: str = ""

    @property
    def packed(self) -> bytes:
        """On the wire, without its description."""
        block = b""
        if self.about is not None:
            lost = self.fraction << 24 | LOST
            block = struct.pack("!IIIIII", self.about, lost, self.highest, 11, self.last, self.delay)
        sender = struct.pack("!IIIII", *self.ntp, self.stamp, self.packets, 0) if self.kind == SENDER else b""
        body = struct.pack("!I", self.ssrc) + sender + block
        return struct.pack("!BBH", 0x80 | bool(block), self.kind, len(body) // 4) + body

    @classmethod
    def read(cls, packet: bytes) -> Report:
        """A compound packet as the gateway sends it: a report, and CNAME."""
        first, kind, words, ssrc = struct.unpack_from("!BBHI", packet)
        end, at = 4 * words + 4, 8
        report = cls(kind, ssrc)
        if kind == SENDER:
            high, low, stamp, packets, _ = struct.unpack_from("!IIIII", packet, at)
            report, at = replace(report, ntp=(high, low), stamp=stamp, packets=packets), at + 20
        if first & 0x1F:
            about, lost, highest, _, last, delay = struct.unpack_from("!IIIIII", packet, at)
            report = replace(report, about=about, fraction=lost >> 24, highest=highest, last=last, delay=delay)
        _, described, _, whose, item, length = struct.unpack_from("!BBHIBB", packet, end)
        assert (described, whose, item) == (DESCRIPTION, ssrc, 1)
        assert len(packet) % 4 == 0
        return replace(report, cname=packet[end + 10 : end + 10 + length].decode())


class Reporter:
    """The RTCP port of one end (RFC 3550 §11)."""

    def __init__(self, call: Call) -> None:
        self._call = call
        host, port = gateway_media(call)
        self._to = host, port + 1
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind((call.media.host, call.media.port + 1))

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    def send(self, packet: bytes) -> None:
        """Send it, sealed where that was agreed on."""
        cipher = self._call.media.cipher
        self._socket.sendto(packet if cipher is None else cipher._out.protect_rtcp(packet), self._to)

    async def receive(self) -> Report:
        """The next one that comes."""
        packet = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self._socket, 2000), 5)
        cipher = self._call.media.cipher
        return Report.read(packet if cipher is None else cipher._in.unprotect_rtcp(packet))

    @property
    def is_empty(self) -> bool:
        """Whether nothing has come."""
        try:
            self._socket.recv(2000, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        return False


@asynccontextmanager
async def reporting(bed: Bed, name: str = "plain") -> AsyncIterator[tuple[Call, Reporter, Call, Reporter]]:
    """A caller and an assistant who hear each other, and the ports of their reports."""
    async with Stage(bed, name) as at:
        at.trunk.encryption = "required" if name == "sealed" else "off"
        caller, assistant = await at.conversation()
        ends = Reporter(caller), Reporter(assistant)
        try:
            await both_hear(caller, assistant)
            yield caller, ends[0], assistant, ends[1]
            await both_hear(caller, assistant)
            await caller.hang_up()
            await assistant.wait_request("BYE")
        finally:
            for end in ends:
                end.close()


def ssrc_to(call: Call) -> int:
    """Of the stream that an end hears."""
    return call.media.received[-1].ssrc


@pytest.mark.keeps("17.11")
@pytest.mark.parametrize("name", ["plain", "sealed"])
async def test_a_senders_report_tells_of_the_stream_that_the_other_hears(bed: Bed, name: str) -> None:
    async with reporting(bed, name) as (caller, ours, assistant, theirs):
        said = assistant.media._timestamp
        theirs.send(Report(SENDER, assistant.media._ssrc, NTP, said, 1000).packed)
        report = await ours.receive()
        assert (report.kind, report.ssrc, report.ntp) == (SENDER, ssrc_to(caller), NTP)
        # The stamp is that of the same instant: the packet that was sent next has come with it, or comes.
        newest = caller.media.received[-1].timestamp
        assert (report.stamp - newest + 8000) & 0xFFFFFFFF < 16000
        assert len(caller.media.received) - 5 <= report.packets <= len(caller.media.received) + 50
        assert f"cname:{report.cname}".encode() in (caller.invite.responses[-1].body if caller.invite else b"")


@pytest.mark.keeps("17.12")
@pytest.mark.parametrize("name", ["plain", "sealed"])
async def test_a_receivers_report_is_about_what_the_other_has_sent(bed: Bed, name: str) -> None:
    async with reporting(bed, name) as (caller, ours, assistant, theirs):
        theirs.send(Report(SENDER, assistant.media._ssrc, NTP, assistant.media._timestamp, 1000).packed)
        await ours.receive()
        heard = caller.media.received[-1]
        sent = assistant.media._sequence
        highest = 0x30000 | heard.sequence
        block = Report(RECEIVER, caller.media._ssrc, about=heard.ssrc, highest=highest, last=MIDDLE, delay=6554)
        ours.send(replace(block, fraction=12).packed)
        report = await theirs.receive()
        assert (report.kind, report.ssrc) == (RECEIVER, ssrc_to(assistant))
        assert (report.about, report.fraction) == (assistant.media._ssrc, 12)
        assert (sent - report.highest) & 0xFFFF < 10
        assert (report.last, report.delay) == (MIDDLE, 6554)
        # One that is about a source of nobody, or about a report that we have not passed on, says nothing of it.
        ours.send(replace(block, about=heard.ssrc ^ 1).packed)
        assert (await theirs.receive()).about is None
        ours.send(replace(block, last=MIDDLE ^ 1).packed)
        assert (await theirs.receive()).last == 0


@pytest.mark.keeps("17.13")
async def test_what_is_malformed_or_of_another_kind_is_not_passed_on(bed: Bed) -> None:
    async with reporting(bed) as (caller, ours, assistant, theirs):
        good = Report(RECEIVER, assistant.media._ssrc).packed
        block = Report(RECEIVER, assistant.media._ssrc, about=1).packed
        application = struct.pack("!BBHI4s", 0x80, APPLICATION, 2, 1, b"name")
        for packet in (
            b"", b"\x80", good[:6], b"\x40" + good[1:], b"\xa0" + good[1:], good[:2] + b"\x00\x09" + good[4:],
            b"\x85" + good[1:], good + b"\x80", good + b"\x80\xca\xff\xff", application + good, block[:-4],
            bytes(1400),
        ):  # fmt: skip
            theirs.send(packet)
        # The stream goes on when whoever speaks has gone: a farewell ends here, and what nobody has negotiated.
        theirs.send(good + struct.pack("!BBHI", 0x81, FAREWELL, 1, assistant.media._ssrc) + application)
        report = await ours.receive()
        assert (report.kind, report.ssrc, report.about) == (RECEIVER, ssrc_to(caller), None)
        theirs.send(good)
        await ours.receive()
        assert ours.is_empty


@pytest.mark.keeps("17.14")
async def test_a_report_is_counted_for_the_leg_that_it_comes_from(bed: Bed) -> None:
    async with Stage(bed, "plain") as at:
        caller, assistant = await at.conversation()
        target = await at.transfer(caller, assistant)
        ours, theirs = Reporter(caller), Reporter(target)
        theirs.send(Report(SENDER, target.media._ssrc, NTP, target.media._timestamp, 1000).packed)
        await ours.receive()
        await asyncio.sleep(0.1)  # is how long it takes the caller to report, who says that 0.05 s of it were theirs
        report = Report(RECEIVER, caller.media._ssrc, about=ssrc_to(caller), last=MIDDLE, delay=65536 // 20)
        ours.send(report.packed)
        await theirs.receive()
        ours.close()
        theirs.close()
        await caller.hang_up()
        await target.wait_request("BYE")
    legs: list[dict[str, float]] = []

    async def told() -> bool:
        calls = (await bed.gateway.get("/api/calls?number=plain"))["calls"]
        legs[:] = [leg for call in calls for leg in call["media"] if leg["call_id"] == caller.call_id]
        return bool(legs)

    await eventually(told, "the call in the history")
    assert legs[0]["packets_sent_lost"] == LOST
    assert 45 < legs[0]["round_trip_ms"] < 1000
