# SPDX-License-Identifier: GPL-2.0-or-later
"""Thousands of broken descriptions in mid call, beside fifty calls that notice nothing of it."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.fuzz.mutator import Mutator
from tests.sip.bed import CALLER_HZ, Bed, Pair, Stage
from tests.support.processes import Net
from tests.support.rtp import HEADER, Packet, Rtp
from tests.support.tones import FRAME, encode, tone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.peer_call import Call

pytestmark = [pytest.mark.sip, pytest.mark.alone]

CALLS = 50
DESCRIPTIONS = 20_000
CLUMSY_CALLS = 10
SEED = 20261128
GAP_S = 0.3
"""By the kernel's clock, not by the test's: fifteen packets that come late, of which none may be missing."""
ANSWER_S = 32.0
"""Timer B (RFC 3261 §17.1.1.2): how long a peer waits that sends its request again and again."""
PACE_S = 0.032
"""Some 300 a second of all: over 500 the gateway holds so many transactions that it refuses more (decision 0034)."""


class Listener:
    """What one end of a call hears, packet by packet: what comes late, and what does not come at all."""

    def __init__(self, media: Rtp) -> None:
        self.media = media
        self.longest_s = 0.0
        self.missing = 0
        self._last: Packet | None = None
        media.received.clear()

    def listen(self) -> None:
        """Take what has come since it was asked last, and forget it: it would be a quarter of a million packets."""
        for packet in self.media.received:
            if self._last is not None:
                self.longest_s = max(self.longest_s, packet.at - self._last.at)
                self.missing += (packet.sequence - self._last.sequence - 1) & 0xFFFF
            self._last = packet
        self.media.received.clear()

    async def still_hears(self, hz: float) -> None:
        """There is a tone yet, and up to now nothing was missing or late."""
        await self.media.hears(hz)
        self.listen()
        assert (self.missing, self.longest_s < GAP_S) == (0, True), f"{self.missing} missing, {self.longest_s:.3f} s"


@asynccontextmanager
async def streaming(calls: list[Call], listeners: list[Listener]) -> AsyncIterator[None]:
    """One tone to all calls, each packet made once for all: fifty senders would be too much for one Python."""
    task = asyncio.create_task(stream(calls, listeners))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def stream(calls: list[Call], listeners: list[Listener]) -> None:
    """A packet to each every 20 ms, until cancelled."""
    payload = encode(tone(CALLER_HZ, 0.02), "PCMA")  # a whole number of waves: packets follow without a break
    start, number = time.monotonic(), 0
    remotes = [(call.media, call.media.remote) for call in calls]
    while True:
        packet = HEADER.pack(0x80, 8, number & 0xFFFF, number * FRAME & 0xFFFFFFFF, 4711) + payload
        for media, remote in remotes:
            if remote is not None:
                media.transmit(packet, remote)
        if number % 50 == 0:
            for listener in listeners:
                listener.listen()
        number += 1
        await asyncio.sleep(start + number * 0.02 - time.monotonic())


async def quiet(at: Stage) -> tuple[Call, Call]:
    """A caller and the assistant of a call that is up, neither of whom sends anything by itself."""
    both = await at.conversation()
    for call in both:
        call.media.pause()
    both[0].media.ignore()
    return both


async def offer(call: Call, mutator: Mutator) -> bool:
    """Offer something broken; whether the call is still there."""
    method = mutator.random.choice(("INVITE", "INVITE", "UPDATE"))
    good = call.offer(mutator.random.choice((("PCMA",), ("PCMU", "PCMA"), ("opus", "PCMA"))))
    transaction = call.begin(method, body=mutator.description(good), content_type="application/sdp")
    response = await transaction.final(ANSWER_S)
    call.media.pause()
    return response.code != 481 and not any(one.method == "BYE" for one in call.requests)


async def clumsy(at: Stage, mutator: Mutator, left: list[int]) -> None:
    """Calls whose two ends describe themselves wrongly, one after the other."""
    while left[0] > 0:
        caller = at.call()
        try:
            assistant = await at.trunk.wait_call()
            await assistant.answer()
            await caller.answered()
            for call in (caller, assistant):
                call.media.pause()
                call.media.ignore()
            there = True
            while there and left[0] > 0:
                left[0] -= 1
                next_one = asyncio.create_task(asyncio.sleep(PACE_S))
                there = await offer(caller, mutator)
                await next_one
        finally:
            if not any(one.method == "BYE" for one in caller.requests):
                with suppress(AssertionError):
                    await caller.begin("BYE").final(ANSWER_S)
            at.pbx.calls.remove(caller)
            caller.close()
            for peer in (at.trunk, at.pbx):
                peer.trace.clear()


@pytest.mark.timeout(900)
async def test_no_description_in_mid_call_harms_another_call() -> None:
    left = [DESCRIPTIONS]
    with Net() as net:
        bed = Bed(net, {"good": Pair(), "clumsy": Pair()})
        async with bed.gateway, Stage(bed, "good") as at, Stage(bed, "clumsy").persistent() as odd:
            good = [await quiet(at) for _ in range(CALLS)]
            listeners = [Listener(assistant.media) for _, assistant in good]
            begun = time.monotonic()
            try:
                async with streaming([caller for caller, _ in good], listeners):
                    mutators = [Mutator(SEED + number) for number in range(CLUMSY_CALLS)]
                    await asyncio.gather(*(clumsy(odd, mutator, left) for mutator in mutators))
                    print(f"{DESCRIPTIONS} descriptions in {time.monotonic() - begun:.0f} s")
                    for listener in listeners:
                        await listener.still_hears(CALLER_HZ)
                print(f"{max(one.longest_s for one in listeners):.3f} s without a packet at most")
                assert not [one for _, assistant in good for one in assistant.requests if one.method != "ACK"]
            finally:
                assert bed.gateway.child.exit_code is None, f"the gateway ended with {bed.gateway.child.exit_code}"
            for caller, _ in good:
                assert (await caller.hang_up()).code == 200
            await bed.gateway.idle(40)
