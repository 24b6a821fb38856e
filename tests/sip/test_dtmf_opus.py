# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys of a side that speaks opus: its events are clocked as opus is (RFC 7587 §4.1, RFC 4733 §2.1)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.sip.bed import TARGET_HZ, Bed, Pair, Stage
from tests.support.processes import Net, eventually
from tests.support.sip_message import events_of, sdp

if TYPE_CHECKING:
    from tests.support.peer_call import Call

pytestmark = pytest.mark.sip

OPUS, G711 = {"codecs": ["opus"]}, {"codecs": ["PCMA"]}
PAIRS = {"opus": Pair(OPUS, G711), "both": Pair(OPUS, OPUS)}
ways = pytest.mark.parametrize("way", ["from the trunk", "to the trunk"])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bed(bed_net: Net) -> AsyncIterator[Bed]:
    made = Bed(bed_net, PAIRS)
    async with made.gateway:
        yield made


@asynccontextmanager
async def talking(bed: Bed, name: str, way: str, *, wide: bool = True) -> AsyncIterator[tuple[Call, Call]]:
    """Two who talk: the one on the trunk speaks opus, the one at the PBX what its profile has."""
    async with Stage(bed, name) as at:
        at.trunk.wide_events = wide
        if way == "from the trunk":
            ours = at.trunk.invite("sip:+31612345681@gateway", at.gateway, codecs=("opus",))
            theirs = await at.pbx.wait_call()
            await theirs.answer(hz=TARGET_HZ)
            await ours.answered()
        else:
            theirs = at.call(codecs=("opus",) if name == "both" else ("PCMA",))
            ours = await at.trunk.wait_call()
            await ours.answer()
            await theirs.answered()
        yield ours, theirs
        await ours.hang_up()
        await theirs.wait_request("BYE")


async def keys_pass(giver: Call, taker: Call, keys: str) -> None:
    """Each key arrives once, in order, and lasts as long as those of the gateway do, by the clock of its codec."""

    async def are_there() -> bool:
        return len(taker.media.keys) >= len(keys)

    giver.media.press(keys, ms=120)
    await eventually(are_there, f"{keys} (there are {taker.media.keys})")
    await eventually(lambda: rested(taker), "the end of the last key")
    assert [key for key, _ in taker.media.presses] == list(keys)
    for _, lasted in taker.media.presses:
        if (taker.media.codec == "opus") is (taker.media.events_rate == 48000):
            assert 80 <= lasted <= 140, taker.media.presses


async def rested(call: Call) -> bool:
    """Whether the last key is over: audio has come after it."""
    return call.media.received[-1].payload_type != call.media.events


@ways
async def test_between_opus_and_g711(bed: Bed, way: str) -> None:
    async with talking(bed, "opus", way) as (ours, theirs):
        assert (ours.media.events_rate, theirs.media.events_rate) == (48000, 8000)
        await keys_pass(ours, theirs, "12*D")
        await keys_pass(theirs, ours, "90#")


@ways
async def test_from_opus_to_opus(bed: Bed, way: str) -> None:
    async with talking(bed, "both", way) as (ours, theirs):
        assert (ours.media.events_rate, theirs.media.events_rate) == (48000, 48000)
        await keys_pass(ours, theirs, "35")
        await keys_pass(theirs, ours, "86")


async def test_an_answer_with_events_of_both_clocks(bed: Bed) -> None:
    async with Stage(bed, "opus") as at:
        caller = at.call()
        ours = await at.trunk.wait_call()
        assert ours.incoming
        narrow, wide = events_of(ours.incoming.body), events_of(ours.incoming.body, 48000)
        ours.follow(ours.incoming.body)
        body = sdp(at.trunk.host, ours.media.port, ("opus",), events=narrow, wide_events=wide)
        ours.respond(ours.incoming, 200, body=body)
        await caller.answered()
        await keys_pass(ours, caller, "61")
        await keys_pass(caller, ours, "72")
        await ours.hang_up()


@ways
async def test_a_side_whose_opus_has_only_the_events_of_g711(bed: Bed, way: str) -> None:
    async with talking(bed, "opus", way, wide=False) as (ours, theirs):
        assert ours.media.events_rate == 8000
        await keys_pass(ours, theirs, "47")
        await keys_pass(theirs, ours, "0*")
