# SPDX-License-Identifier: GPL-2.0-or-later
"""One side speaks A-law and the other µ-law: packets go from socket to socket, each sample in the other's form."""

from __future__ import annotations

import asyncio
import random
import statistics
from typing import TYPE_CHECKING

import pytest

from gateway.sip.calls.direct import SETTLED_S
from tests.sip.bed import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ, Bed, Pair, Stage
from tests.sip.hearing import RINGBACK_HZ
from tests.sip.mid_call import both_hear
from tests.sip.speaking import Speaker
from tests.sip.talking import gateway_media, goes, talking
from tests.support import tones
from tests.support.begun import Begun
from tests.support.processes import eventually
from tests.support.rtp import EVENT
from tests.support.timeline import is_one_stream

if TYPE_CHECKING:
    from tests.support.peer_call import Call
    from tests.support.rtp import Packet

pytestmark = pytest.mark.sip

ULAW, ALAW = {"codecs": ["PCMU"]}, {"codecs": ["PCMA"]}
PAIRS = {
    "plain": Pair(ULAW, ALAW),
    "sealed": Pair({**ULAW, "srtp": "required"}, ALAW),
    "info": Pair({**ULAW, "dtmf": "info"}, ALAW),
    "any": Pair(ULAW),
    "direct": Pair({**ULAW, "media": "direct"}, {**ALAW, "media": "direct"}),
}
AT_ONCE_S = 0.005
"""No clock of 20 ms lies between."""
SIGN = 0x80
"""Of a sample, set where it is positive, in both forms (ITU-T G.711 §3)."""
EVERY = bytes(range(256))
"""All samples that there are."""


async def one_more(call: Call, before: int) -> Packet:
    """The packet that holds as many samples as there are, of those that have come since."""

    def found() -> Packet | None:
        return next((one for one in call.media.received[before:] if len(one.payload) == len(EVERY)), None)

    async def there() -> bool:
        return found() is not None

    await eventually(there, "the packet", every_s=0.002)
    packet = found()
    assert packet
    return packet


def is_nearest(given: bytes, of: str, got: bytes, into: str) -> bool:
    """Whether each sample has the same sign as before, and no other level is nearer."""
    levels = [int(level) for level in tones.decode(EVERY, into)]
    wanted, there = tones.decode(given, of), tones.decode(got, into)
    return all(
        one & SIGN == other & SIGN and abs(int(was) - int(is_)) == min(abs(int(was) - level) for level in levels)
        for one, other, was, is_ in zip(given, got, wanted, there, strict=True)
    )


@pytest.mark.keeps("17.40")
@pytest.mark.parametrize("name", ["plain", "sealed"])
async def test_each_sample_goes_on_at_once_in_the_other_form(bed: Bed, name: str) -> None:
    async with talking(bed, name) as (_, caller, assistant):
        await goes(bed, "relay", "both-g711")
        for one, other in ((caller, assistant), (assistant, caller)):
            codec, others = one.media.codec, other.media.codec
            speaker = Speaker(one)
            speaker.ssrc, speaker.sequence = one.media._ssrc, one.media._sequence  # one stream, for SRTP
            took = []
            for _ in range(25):
                before = len(other.media.received)
                said = speaker.say(EVERY, kind=tones.PAYLOAD_TYPES[codec])
                packet = await one_more(other, before)
                took.append(packet.at - said)
                assert packet.payload_type == tones.PAYLOAD_TYPES[others]
                assert is_nearest(EVERY, codec, packet.payload, others)
                await asyncio.sleep(random.uniform(0.005, 0.02))
            assert {codec, others} == {"PCMA", "PCMU"}
            assert statistics.median(took) < AT_ONCE_S, took
            one.media._sequence = speaker.sequence & 0xFFFF
            one.media.send_to(*gateway_media(one))


@pytest.mark.keeps("17.41")
async def test_keys_are_no_samples(bed: Bed) -> None:
    async with talking(bed, "plain") as (_, caller, assistant):
        for one, other in ((caller, assistant), (assistant, caller)):
            one.media.press("12", ms=300)

            async def went_on(call: Call = other) -> bool:
                return call.media.presses == [("1", 300), ("2", 300)]

            await eventually(went_on, "both keys as long as they were pressed")
            events = [packet for packet in other.media.received if packet.payload_type == other.media.events]
            assert max(EVENT.unpack(packet.payload)[2] for packet in events) == 300 * 8


@pytest.mark.keeps("17.41")
async def test_a_side_that_wants_info_has_the_keys_as_info(bed: Bed) -> None:
    async with talking(bed, "info") as (_, caller, assistant):
        caller.media.press("7")
        await assistant.has_infos("7")
        await goes(bed, "relay", "both-g711")
        assert not assistant.media.presses


@pytest.mark.keeps("17.42")
async def test_it_is_one_stream_for_the_caller_whatever_form_the_next_speaker_has(bed: Bed) -> None:
    async with Stage(bed, "any") as at:
        caller, assistant = await at.conversation(codecs=("PCMA",))
        await both_hear(caller, assistant)
        await goes(bed, "relay", "both-g711")
        since = Begun(bed.gateway.child.pid)
        assert (await assistant.refer("<sip:+31612345681@gateway>")).code == 202
        refused = await at.pbx.wait_call()
        await caller.media.hears(RINGBACK_HZ)
        await goes(bed, "bridge", "waiting")
        refused.reject(486)
        await caller.media.hears(ASSISTANT_HZ)
        await assistant.media.hears(CALLER_HZ)
        await goes(bed, "relay", "both-g711")
        assert (await assistant.refer("<sip:+31612345681@gateway>")).code == 202
        target = await at.pbx.wait_call()
        await target.answer(hz=TARGET_HZ, codec="PCMA")
        await both_hear(caller, target)
        await goes(bed, "relay", "same-codec")
        packets = [one for one in caller.media.received if one.at >= since]
        assert {one.payload_type for one in packets} == {tones.PAYLOAD_TYPES["PCMA"]}
        assert is_one_stream(packets)
        assert caller.media.longest_gap(since) <= 0.1 + since.kept_s
        await caller.hang_up()
        await target.wait_request("BYE")


@pytest.mark.keeps("17.43")
async def test_two_who_do_not_understand_each_other_are_not_told_to_send_to_each_other(bed: Bed) -> None:
    async with talking(bed, "direct") as (_, caller, assistant):
        await goes(bed, "relay", "both-g711")
        await asyncio.sleep(SETTLED_S + 1)  # when two with one codec would have been told
        await both_hear(caller, assistant)
        assert not [
            one for call in (caller, assistant) for one in call.requests if one.tag("To") and one.method == "INVITE"
        ]
