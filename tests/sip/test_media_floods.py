# SPDX-License-Identifier: GPL-2.0-or-later
"""Whoever is sent far more than a call needs, or what is no media at all, loses or delays no packet of another call."""

from __future__ import annotations

import asyncio
import socket
import statistics
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Self

import pytest

from tests.sip.bed import Bed, Pair, Stage
from tests.sip.mid_call import both_hear
from tests.sip.speaking import Speaker, delays
from tests.sip.talking import gateway_media, talking
from tests.support.rtp import Rtp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.peer_call import Call

pytestmark = [pytest.mark.sip, pytest.mark.alone]

PAIRS = {"victim": Pair(), "flooded": Pair(), "sealed": Pair({"srtp": "required"})}
DROPPED = "transfer_gateway_media_packets_dropped_total"
RATE = 12_500
"""Packets a second to each of two ports."""
PACKETS = 150
LATER_S = 0.005
"""A packet behind a queue of others would wait longer; a busy machine has the same for both."""
MALLORY = 98

FLOOD = """
import random, signal, socket, struct, sys, time
signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGINT may be ignored, as in a job of a shell's background
fd, host, port, rate, kind = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
out = socket.socket(fileno=fd)
noise = [random.randbytes(random.randrange(1, 200)) for _ in range(500)] + [b""]
ssrc, sent, begun = random.getrandbits(32), 0, time.monotonic()
try:
    while True:
        while sent < (time.monotonic() - begun) * rate:
            packet = struct.pack("!BBHII", 0x80, 8, sent & 0xFFFF, sent * 160 & 0xFFFFFFFF, ssrc) + bytes(160)
            if kind == "malformed":
                packet = noise[sent % len(noise)]
            elif kind == "misleading":
                packet = bytes([random.choice((0xBF, 0x9F, 0xB0)), 8]) + packet[2:random.randrange(12, 40)]
            try:
                out.sendto(packet, (host, port))
            except OSError:
                pass
            sent += 1
        time.sleep(0.0005)
except KeyboardInterrupt:
    print(sent / (time.monotonic() - begun))
"""
"""So many packets a second from the socket it is given: a stream, noise, or headers that promise more than there is."""


@asynccontextmanager
async def flood(sender: socket.socket, to: tuple[str, int], kind: str) -> AsyncIterator[None]:
    """Flood a port meanwhile. Raises AssertionError when the machine had no time for as many packets."""
    where = str(sender.fileno()), to[0], str(to[1]), str(RATE), kind
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FLOOD, *where, pass_fds=[sender.fileno()], stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout
    try:
        yield
    finally:
        child.terminate()
        told = await child.stdout.read()
        await child.wait()
    assert float(told) >= 0.8 * RATE


class Beside(Stage):
    """The peers of a conversation beside another one, whose scenario it ends in."""

    async def __aenter__(self) -> Self:
        await self.enter_async_context(self.trunk)
        await self.enter_async_context(self.pbx)
        return self


@asynccontextmanager
async def beside(bed: Bed, name: str) -> AsyncIterator[tuple[Call, Call]]:
    """Two who are flooded: they hear each other before and afterwards."""
    async with Beside(bed, name) as at:
        at.trunk.encryption = "required" if "srtp" in bed.pairs[name].trunk else "off"
        caller, assistant = await at.conversation()
        await both_hear(caller, assistant)
        yield caller, assistant
        await both_hear(caller, assistant)
        await caller.hang_up()
        await assistant.wait_request("BYE")


async def is_not_hurt(
    victim: Call, other: Call, kind: str, senders: list[tuple[socket.socket, tuple[str, int]]]
) -> None:
    """The victim's packets take as long during a flood as before it, and all of them come."""
    ssrc, sequence = victim.media._ssrc, victim.media._sequence
    speaker = Speaker(victim)
    speaker.ssrc, speaker.sequence = ssrc, sequence
    await delays(speaker, other, 5)  # from which on a source is believed (RFC 3550 A.1)
    before = await delays(speaker, other, PACKETS)
    (one, to), (two, and_to) = senders
    async with flood(one, to, kind), flood(two, and_to, kind):
        await delays(speaker, other, 25)  # until both are under way
        during = await delays(speaker, other, PACKETS)
    assert statistics.median(during) <= statistics.median(before) + LATER_S, (before, during)
    assert during[int(0.95 * PACKETS)] <= before[-1] + LATER_S, (before, during)
    victim.media._sequence = speaker.sequence & 0xFFFF
    victim.media.send_to(*gateway_media(victim))


@pytest.mark.keeps("17.17")
async def test_a_flood_of_strangers_hurts_nobody(bed: Bed) -> None:
    async with talking(bed, "victim") as (_, caller, assistant), beside(bed, "flooded") as (eve, robot):
        before = await bed.gateway.metric(DROPPED, kind="rtp")
        strangers = [Rtp(bed.net.host(MALLORY)) for _ in range(2)]
        try:
            senders = [(one._socket, gateway_media(call)) for one, call in zip(strangers, (eve, robot), strict=True)]
            await is_not_hurt(caller, assistant, "stream", senders)
            await both_hear(eve, robot)
            assert not any(one.received for one in strangers)
        finally:
            for one in strangers:
                one.close()
        assert await bed.gateway.metric(DROPPED, kind="rtp") - before >= RATE


@pytest.mark.keeps("17.17")
@pytest.mark.parametrize("name", ["flooded", "sealed"])
async def test_a_flood_of_a_call_s_own_peers_hurts_no_other(bed: Bed, name: str) -> None:
    async with talking(bed, "victim") as (_, caller, assistant), beside(bed, name) as (eve, robot):
        for call in (eve, robot):
            call.media.pause()
            call.media.ignore()
        senders = [(call.media._socket, gateway_media(call)) for call in (eve, robot)]
        await is_not_hurt(caller, assistant, "stream", senders)
        for call in (eve, robot):
            call.media.heed()
            call.media.send_to(*gateway_media(call))


@pytest.mark.keeps("17.18")
@pytest.mark.parametrize("name", ["flooded", "sealed"])
@pytest.mark.parametrize("kind", ["malformed", "misleading"])
@pytest.mark.parametrize("what", ["audio", "reports"])
async def test_what_is_no_media_changes_nothing(bed: Bed, name: str, kind: str, what: str) -> None:
    """Not for the call that is sent it either, though it comes from that call's own peers."""
    async with AsyncExitStack() as made:
        _, caller, assistant = await made.enter_async_context(talking(bed, "victim"))
        eve, robot = await made.enter_async_context(beside(bed, name))
        senders = []
        for call in (eve, robot):
            host, port = gateway_media(call)
            if what == "audio":
                senders.append((call.media._socket, (host, port)))
                continue
            reporter = made.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            reporter.bind((call.media.host, call.media.port + 1))
            senders.append((reporter, (host, port + 1)))
        await is_not_hurt(caller, assistant, kind, senders)
        await both_hear(eve, robot)
