# SPDX-License-Identifier: GPL-2.0-or-later
"""What is captured of calls on its way to the capture server: as what it goes, with whose id, and what does not go."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from gateway.capturing import AT_ONCE, EVERY_S, MOST_BYTES, Capturing
from gateway.core.sip_message import Captured, RtcpPacket, SipMessage
from gateway.engine.call_book import CallBook, KnownCall
from tests.bench import BEGIN
from tests.bench.clock import VirtualClock
from tests.support.hep import parse
from tests.test_call_messages import INVITE, message

if TYPE_CHECKING:
    from tests.support.hep import Packet

REPORT = b"\x80\xc9\0\1\0\0\0\7"


class Sip:
    """Has captured what it is given."""

    def __init__(self) -> None:
        self.room = -1
        self.waiting: list[Captured] = []
        self.capture_lost = 0

    def capture(self, most_bytes: int) -> None:
        self.room = most_bytes

    def captured(self, most: int) -> list[Captured]:
        taken, self.waiting[:most] = self.waiting[:most], []
        return taken


class Sender:
    """Takes packets in the place of the one that has sockets."""

    def __init__(self) -> None:
        self.packets: list[Packet] = []
        self.server: Any = None

    def configure(self, server: object) -> None:
        self.server = server

    def send(self, packet: bytes, kind: str) -> None:
        read = parse(packet)
        assert kind == {1: "sip", 5: "rtcp"}[read.kind]
        self.packets.append(read)

    async def stop(self) -> None:
        self.server = None


class Counts:
    """Implements SenderObserver as far as it is asked here."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def dropped(self, reason: str, count: int = 1) -> None:
        self.reasons += [reason] * count

    def stands(self, *, up: bool | None) -> None:
        """Nobody looks."""


class World:
    """All that there is around it."""

    def __init__(self) -> None:
        self.clock = VirtualClock(BEGIN)
        self.sip, self.sender, self.counts = Sip(), Sender(), Counts()
        self.book = CallBook(self.clock)
        self.capturing = Capturing(self.sip, self.book, self.clock, self.counts)  # type: ignore[arg-type]
        self.capturing._sender = self.sender  # type: ignore[assignment]

    def configure(self, *, callers: str = "full", **hep: Any) -> None:
        settings = {"address": "[2001:db8::9]:9060", "transport": "udp", "password": None, "capture_id": 3, "node": ""}
        settings |= {"rtcp": True, **hep}
        self.capturing.configure(
            SimpleNamespace(
                hep=SimpleNamespace(**settings), history=SimpleNamespace(callers=callers),
                gateway=SimpleNamespace(instance="gw-1"),
            )  # type: ignore[arg-type]  # as much of it as is looked at
        )  # fmt: skip

    def passes_on(self, *captured: Captured) -> list[Packet]:
        self.sip.waiting += captured
        self.sender.packets.clear()
        self.clock.advance(EVERY_S)
        return list(self.sender.packets)


@pytest.fixture
def world() -> World:
    made = World()
    made.configure()
    return made


def sip(call_id: str = "a@pbx", text: str = INVITE) -> Captured:
    return Captured(call_id, message(text))


def rtcp(packet: bytes = REPORT) -> Captured:
    return Captured("a@pbx", RtcpPacket(BEGIN, True, "192.0.2.1:4001", "192.0.2.2:4003", packet))


@pytest.mark.keeps("23.40")
def test_a_message_has_the_id_of_its_newest_transfer_or_else_of_its_call(world: World) -> None:
    assert world.passes_on(sip())[0].correlation is None
    known = KnownCall("01C", None)
    leg = known.add("a@pbx", None)
    assert leg is not None
    world.book._calls["01C"], world.book._keys["a@pbx"] = known, "01C"
    assert world.passes_on(sip())[0].correlation == "01C"
    leg.roles |= {"01T1": "target", "01T2": "transferee"}  # type: ignore[dict-item]
    [packet] = world.passes_on(sip())
    assert (packet.correlation, packet.node, packet.capture_id) == ("01T2", "gw-1", 3)
    assert (packet.source, packet.destination) == (("192.0.2.7", 5060), ("192.0.2.1", 5060))


def test_bytes_that_are_no_text_stay_as_they_are(world: World) -> None:
    assert world.passes_on(sip(text="BYE sip:\udcff\r\n\r\n"))[0].payload == b"BYE sip:\xff\r\n\r\n"


@pytest.mark.keeps("23.42")
def test_numbers_are_masked_where_the_history_masks_them(world: World) -> None:
    assert b"612345678" in world.passes_on(sip())[0].payload
    world.configure(callers="hashed")
    assert b"612345678" not in world.passes_on(sip())[0].payload


def test_reports_have_the_call_id_and_what_is_none_does_not_go(world: World) -> None:
    [packet] = world.passes_on(rtcp(), rtcp(b"\x80\xcb\0\0"))
    assert (packet.kind, packet.correlation, packet.source) == (5, "a@pbx", ("192.0.2.1", 4001))
    world.configure(rtcp=False)
    assert world.passes_on(rtcp()) == []


def test_a_flood_holds_up_the_loop_for_no_longer_than_a_part_of_it_takes(world: World) -> None:
    assert len(world.passes_on(*[sip()] * (AT_ONCE + 5))) == AT_ONCE
    assert len(world.passes_on()) == 5


@pytest.mark.keeps("23.41")
def test_what_cannot_be_sent_is_counted_and_told_of_once(world: World) -> None:
    broken = Captured("x", SipMessage(BEGIN, True, "SCTP", "192.0.2.1:1", "192.0.2.2:2", 1, False, False, "x"))
    with capture_logs() as told:
        assert len(world.passes_on(broken, sip(), broken)) == 1
    assert [one["event"] for one in told] == ["capture-failed"]
    world.sip.capture_lost = 4
    world.passes_on()
    world.passes_on()
    assert world.counts.reasons == ["unfit", "unfit", *["full"] * 4]


async def test_without_a_server_nothing_is_captured(world: World) -> None:
    assert (world.sip.room, world.sender.server.host, world.sender.server.port) == (MOST_BYTES, "2001:db8::9", 9060)
    world.capturing.configure(SimpleNamespace(hep=None, history=SimpleNamespace(callers="full")))  # type: ignore[arg-type]
    assert (world.sip.room, world.sender.server) == (0, None)
    assert world.passes_on(sip()) == []
    world.configure()
    world.sender.packets.clear()
    await world.capturing.stop()
    assert [one.kind for one in world.sender.packets] == [1]
    assert world.passes_on(sip()) == []
