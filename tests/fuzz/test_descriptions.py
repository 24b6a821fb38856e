# SPDX-License-Identifier: GPL-2.0-or-later
"""Thousands of broken descriptions in mid call, beside fifty calls that notice nothing of it."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.fuzz.mutator import Mutator
from tests.sip.bed import CALLER, CALLER_HZ, PORT, Bed, Pair
from tests.support.peer import Peer
from tests.support.processes import Net
from tests.support.rtp import HEADER
from tests.support.tones import FRAME, encode, tone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.peer_call import Call

pytestmark = pytest.mark.sip

CALLS = 50
DESCRIPTIONS = 5_000
CLUMSY_CALLS = 8
SEED = 20261128
GAP_S = 0.3
"""Asyncio hands a packet on a little late beside so much else; what is lost with a call does not come at all."""
ANSWER_S = 8.0
PACE_S = 0.032
"""250 a second of all: PJSIP keeps each for 32 s (RFC 3261 §17.2.2, timer J), and no more than 16,383 at a time."""


@asynccontextmanager
async def streaming(calls: list[Call]) -> AsyncIterator[None]:
    """One tone to all calls, each packet made once for all: fifty senders would be too much for one Python."""
    task = asyncio.create_task(stream(calls))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def stream(calls: list[Call]) -> None:
    """A packet to each every 20 ms, until cancelled; what comes back is not kept."""
    payload = encode(tone(CALLER_HZ, 0.02), "PCMA")  # a whole number of waves: packets follow without a break
    start, number = time.monotonic(), 0
    remotes = [(call.media, call.media.remote) for call in calls]
    while True:
        packet = HEADER.pack(0x80, 8, number & 0xFFFF, number * FRAME & 0xFFFFFFFF, 4711) + payload
        for media, remote in remotes:
            if remote is not None:
                media.transmit(packet, remote)
            if number % 50 == 0:
                media.received.clear()
        number += 1
        await asyncio.sleep(start + number * 0.02 - time.monotonic())


async def answered(caller: Call, assistant: Call) -> None:
    """Both ends are up, and neither sends anything by itself."""
    await assistant.answer()
    await caller.answered()
    for call in (caller, assistant):
        call.media.pause()


async def offer(call: Call, mutator: Mutator) -> bool:
    """Offer something broken; whether the call is still there."""
    method = mutator.random.choice(("INVITE", "INVITE", "UPDATE"))
    good = call.offer(mutator.random.choice((("PCMA",), ("PCMU", "PCMA"), ("opus", "PCMA"))))
    transaction = call.begin(method, body=mutator.description(good), content_type="application/sdp")
    response = await transaction.final(ANSWER_S)
    call.media.pause()
    return response.code != 481 and not any(one.method == "BYE" for one in call.requests)


async def clumsy(trunk: Peer, pbx: Peer, bed: Bed, mutator: Mutator, left: list[int]) -> None:
    """Calls whose two ends describe themselves wrongly, one after the other."""
    while left[0] > 0:
        caller = pbx.invite(f"sip:{bed.number('clumsy')}@gateway", bed.gateway.sip, from_=CALLER)
        try:
            await answered(caller, await trunk.wait_call())
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
            pbx.calls.remove(caller)
            caller.close()
            for peer in (trunk, pbx):
                peer.trace.clear()


@pytest.mark.timeout(900)
async def test_no_description_in_mid_call_harms_another_call() -> None:
    net = Net()
    bed = Bed(net, {"good": Pair(), "clumsy": Pair()})
    left = [DESCRIPTIONS]
    async with (
        bed.gateway,
        Peer(bed.trunk_host("good"), PORT) as trunk, Peer(bed.pbx_host("good"), PORT, user="pbx") as pbx,
        Peer(bed.trunk_host("clumsy"), PORT) as odd_trunk, Peer(bed.pbx_host("clumsy"), PORT, user="pbx") as odd_pbx,
    ):  # fmt: skip
        good = []
        for _ in range(CALLS):
            caller = pbx.invite(f"sip:{bed.number('good')}@gateway", bed.gateway.sip, from_=CALLER)
            assistant = await trunk.wait_call()
            await answered(caller, assistant)
            good.append((caller, assistant))
        begun = time.monotonic()
        try:
            async with streaming([caller for caller, _ in good]):
                await asyncio.gather(
                    *(clumsy(odd_trunk, odd_pbx, bed, Mutator(SEED + number), left) for number in range(CLUMSY_CALLS))
                )
                print(f"{DESCRIPTIONS} descriptions in {time.monotonic() - begun:.0f} s")
                for _, assistant in good:
                    assert assistant.media.longest_gap(begun) < GAP_S
                    assert assistant.media.detect(CALLER_HZ) == {CALLER_HZ}
                    assert not [one for one in assistant.requests if one.method != "ACK"]
        finally:
            assert bed.gateway.child.exit_code is None, f"the gateway ended with {bed.gateway.child.exit_code}"
        for caller, _ in good:
            assert (await caller.hang_up()).code == 200
        await bed.gateway.idle(40)
    net.close()
