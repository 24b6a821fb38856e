# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys of a side that speaks opus: its events are clocked as opus is (RFC 7587 §4.1, RFC 4733 §2.1)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.sip.bed import ASSISTANT_HZ, PORT, TARGET_HZ, Bed, Pair, Stage
from tests.support.peer import Peer
from tests.support.phone import Phone
from tests.support.processes import eventually
from tests.support.sip_message import events_of, sdp

if TYPE_CHECKING:
    from tests.support.peer_call import Call

pytestmark = pytest.mark.sip

OPUS, G711 = {"codecs": ["opus"]}, {"codecs": ["PCMA"]}
PAIRS = {"opus": Pair(OPUS, G711), "both": Pair(OPUS, OPUS)}
ways = pytest.mark.parametrize("way", ["from the trunk", "to the trunk"])


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
    giver.media.press(keys, ms=120)
    await eventually(lambda: has_keys(taker, len(keys)), keys)
    await eventually(lambda: rested(taker), "the end of the last key")
    assert [key for key, _ in taker.media.presses] == list(keys)
    for _, lasted in taker.media.presses:
        if (taker.media.codec == "opus") is (taker.media.events_rate == 48000):
            assert 80 <= lasted <= 140, taker.media.presses


async def rested(call: Call) -> bool:
    """Whether the last key is over: audio has come after it."""
    return call.media.received[-1].payload_type != call.media.events


@pytest.mark.keeps("9.19")
@ways
async def test_between_opus_and_g711(bed: Bed, way: str) -> None:
    async with talking(bed, "opus", way) as (ours, theirs):
        assert (ours.media.events_rate, theirs.media.events_rate) == (48000, 8000)
        await keys_pass(ours, theirs, "12*D")
        await keys_pass(theirs, ours, "90#")


@pytest.mark.keeps("9.19")
@ways
async def test_from_opus_to_opus(bed: Bed, way: str) -> None:
    async with talking(bed, "both", way) as (ours, theirs):
        assert (ours.media.events_rate, theirs.media.events_rate) == (48000, 48000)
        await keys_pass(ours, theirs, "35")
        await keys_pass(theirs, ours, "86")


@pytest.mark.keeps("9.20")
async def test_a_key_that_is_held_longer_than_its_event_can_say(bed: Bed) -> None:
    async with talking(bed, "opus", "from the trunk") as (ours, theirs):
        ours.media.press("5", ms=1600)  # 0xFFFF at 48000 Hz is 1.4 s
        ours.media.press("5", ms=100)
        ours.media.press("6", ms=100)
        await eventually(lambda: has_keys(theirs, 3), "three keys")
        assert theirs.media.keys == "556"


@pytest.mark.keeps("9.19")
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


@pytest.mark.keeps("9.19")
@ways
async def test_a_side_whose_opus_has_only_the_events_of_g711(bed: Bed, way: str) -> None:
    async with talking(bed, "opus", way, wide=False) as (ours, theirs):
        assert ours.media.events_rate == 8000
        await keys_pass(ours, theirs, "47")
        await keys_pass(theirs, ours, "0*")


@pytest.mark.keeps("9.19")
async def test_keys_of_a_phone_that_speaks_opus(bed: Bed) -> None:
    async with (
        Peer(bed.pbx_host("opus"), PORT, user="pbx") as pbx,
        Phone(bed.trunk_host("opus"), hz=ASSISTANT_HZ, codecs=("opus/48000/2",), manner="ring") as phone,
    ):
        await phone.dial(f"sip:anna@{bed.net.gateway}")
        anna = await pbx.wait_call()
        await anna.answer(hz=TARGET_HZ)
        await phone.hears(TARGET_HZ)
        for key in "58":
            await phone.press(key)
        await eventually(lambda: has_keys(anna, 2), "both keys")
        assert anna.media.keys == "58"
        anna.media.press("31")
        await phone.event("CALL_DTMF_START", count=2)
        assert [one["param"] for one in phone.events if one["type"] == "CALL_DTMF_START"] == ["3", "1"]
        await anna.hang_up()
        await phone.event("CALL_CLOSED")
        await bed.gateway.idle()


async def has_keys(call: Call, count: int) -> bool:
    """Whether so many keys have come."""
    return len(call.media.keys) >= count
