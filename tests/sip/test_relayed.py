# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets of two who speak the same codec go from socket to socket, and what leaves us is one stream all the same."""

from __future__ import annotations

import asyncio
import random
import statistics
from typing import TYPE_CHECKING

import pytest

from tests.sip.bed import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ, Bed, Pair, Stage
from tests.sip.hearing import RINGBACK_HZ
from tests.sip.mid_call import both_hear
from tests.sip.speaking import Speaker, heard
from tests.sip.talking import gateway_media, goes, talking
from tests.support.begun import Begun
from tests.support.processes import eventually
from tests.support.rtp import EVENT, KEYS
from tests.support.sip_message import events_of, sdp
from tests.support.timeline import is_one_stream

if TYPE_CHECKING:
    from tests.sip.bed import Bed
    from tests.support.peer_call import Call

pytestmark = pytest.mark.sip

PAIRS = {
    "plain": Pair(),
    "sealed": Pair({"srtp": "required"}),
    "both-sealed": Pair({"srtp": "required"}, {"srtp": "required"}),
    "bridged": Pair({"media": "bridge"}),
}
AT_ONCE_S = 0.005
"""No clock of 20 ms lies between."""


async def lead(speaker: Speaker, call: Call) -> None:
    """Two packets in order, from which on a source is believed (RFC 3550 A.1)."""
    for mark in (b"lead 1", b"lead 2", b"lead 3"):
        speaker.say(mark)
    await heard(call, b"lead 3")


@pytest.mark.keeps("17.1", "17.16")
@pytest.mark.parametrize("name", ["plain", "sealed", "both-sealed"])
async def test_a_packet_goes_on_at_once(bed: Bed, name: str) -> None:
    async with talking(bed, name) as (_, caller, assistant):
        await goes(bed, "relay", "same-codec")
        for one, other in ((caller, assistant), (assistant, caller)):
            ssrc = one.media._ssrc
            speaker = Speaker(one)
            speaker.ssrc, speaker.sequence = ssrc, one.media._sequence  # one stream, for SRTP
            took = []
            for number in range(25):
                mark = b"packet %d." % number
                said = speaker.say(mark)
                took.append((await heard(other, mark)).at - said)
                await asyncio.sleep(random.uniform(0.005, 0.02))
            assert statistics.median(took) < AT_ONCE_S, took
            one.media._sequence = speaker.sequence & 0xFFFF
            one.media.send_to(*gateway_media(one))


@pytest.mark.keeps("17.2")
async def test_what_is_not_to_be_relayed_is_mixed(bed: Bed) -> None:
    async with Stage(bed, "bridged") as at:
        caller, assistant = await at.conversation(codecs=("PCMA",))
        await both_hear(caller, assistant)
        await goes(bed, "bridge", "setting")
        caller.media.pause()
        before = len(assistant.media.received)

        async def goes_on() -> bool:
            return len(assistant.media.received) >= before + 25

        await eventually(goes_on, "silence that the bridge sends for who says nothing")
        await caller.hang_up()
        await assistant.wait_request("BYE")


@pytest.mark.keeps("17.3")
async def test_it_is_one_stream_from_the_assistant_to_the_target_and_back(bed: Bed) -> None:
    async with Stage(bed, "plain") as at:
        caller, assistant = await at.conversation()
        await both_hear(caller, assistant)
        since = Begun(bed.gateway.child.pid)
        assert (await assistant.refer("<sip:+31612345681@gateway>")).code == 202
        refused = await at.pbx.wait_call()
        await caller.media.hears(RINGBACK_HZ)
        await goes(bed, "bridge", "waiting")
        refused.reject(486)
        await caller.media.hears(ASSISTANT_HZ)
        await assistant.media.hears(CALLER_HZ)
        assert (await assistant.refer("<sip:+31612345681@gateway>")).code == 202
        target = await at.pbx.wait_call()
        await target.answer(hz=TARGET_HZ)
        await both_hear(caller, target)
        packets = [one for one in caller.media.received if one.at >= since]
        assert is_one_stream(packets)
        assert caller.media.longest_gap(since) <= 0.1 + since.kept_s
        await caller.hang_up()
        await target.wait_request("BYE")


@pytest.mark.keeps("17.4")
async def test_late_packets_keep_their_order_and_lost_ones_stay_lost(bed: Bed) -> None:
    async with talking(bed, "plain") as (_, caller, assistant):
        speaker = Speaker(assistant)
        await lead(speaker, caller)
        speaker.go_on()  # comes later
        speaker.say(b"second")
        speaker.say(b"first", late=2)
        speaker.say(b"again")
        speaker.go_on(3)
        speaker.say(b"after a loss")
        packets = {
            mark: await heard(caller, mark) for mark in (b"lead 3", b"first", b"second", b"again", b"after a loss")
        }
        base = packets[b"lead 3"]
        steps = {
            mark: ((one.sequence - base.sequence) & 0xFFFF, (one.timestamp - base.timestamp) & 0xFFFFFFFF)
            for mark, one in packets.items()
        }
        assert steps == {
            b"lead 3": (0, 0), b"first": (1, 160), b"second": (2, 320), b"again": (3, 480), b"after a loss": (7, 1120),
        }  # fmt: skip
        assistant.media.send_to(*gateway_media(assistant))


@pytest.mark.keeps("17.5")
async def test_a_source_that_begins_anew_goes_on_in_the_same_stream(bed: Bed) -> None:
    async with talking(bed, "plain") as (_, caller, assistant):
        speaker = Speaker(assistant)
        await lead(speaker, caller)
        last = await heard(caller, b"lead 3")
        speaker.sequence, speaker.stamp, speaker.ssrc = 7, 12345, speaker.ssrc ^ 0xFFFF
        for number in range(3):
            speaker.say(b"anew %d" % number)
        first = await heard(caller, b"anew 2")
        behind = [one for one in caller.media.received if one.payload.startswith(b"anew")]
        assert first.ssrc == last.ssrc
        assert [(one.sequence - last.sequence) & 0xFFFF for one in behind] == [*range(1, len(behind) + 1)]
        assistant.media.send_to(*gateway_media(assistant))


@pytest.mark.keeps("17.6")
async def test_nothing_passes_that_was_not_agreed_on(bed: Bed) -> None:
    async with talking(bed, "plain") as (_, caller, assistant):
        speaker = Speaker(assistant)
        await lead(speaker, caller)
        before = len(caller.media.received)
        for kind in (0, 13, 96, 127, 72):
            speaker.say(b"unknown", kind=kind)
        for broken in (b"", b"\x80", b"\x80\x08" + bytes(8), b"\x00\x08" + bytes(170), b"\xbf\x08" + bytes(20)):
            assistant.media.transmit(broken, gateway_media(assistant))
        # Sources and an extension are for who has agreed on them; the sound goes on without.
        speaker.say(b"plain", first=0x91, before=b"\0\0\0\1" + b"\xbe\xde\0\1" + b"ext!")
        packet = await heard(caller, b"plain")
        assert packet.wire == packet.payload
        assert len(packet.payload) == 160
        assert len(caller.media.received) == before + 1
        assistant.media.send_to(*gateway_media(assistant))


@pytest.mark.keeps("17.7")
async def test_keys_go_on_as_they_come_and_once(bed: Bed) -> None:
    async with talking(bed, "plain") as (_, caller, assistant):
        caller.media.press("12", ms=300)

        async def went_on() -> bool:
            # As long as they were pressed: a key that we give is one of 100 ms.
            return assistant.media.presses == [("1", 300), ("2", 300)]

        await eventually(went_on, "both keys")
        await both_hear(caller, assistant)
        assert assistant.media.keys == "12"
        events = [one for one in assistant.media.received if one.payload_type == assistant.media.events]
        assert {one.payload[0] for one in events} == {KEYS.index("1"), KEYS.index("2")}
        assert max(EVENT.unpack(one.payload)[2] for one in events) == 300 * 8
        await caller.press_infos("3")
        await assistant.has_keys("123")
        caller.media.press("4")
        await assistant.has_keys("1234")


@pytest.mark.keeps("17.8")
async def test_who_may_not_be_heard_is_not(bed: Bed) -> None:
    async with talking(bed, "plain") as (_, caller, assistant):
        assert (await assistant.reinvite(direction="recvonly")).code == 200
        await caller.told("recvonly")
        await assistant.media.hears(CALLER_HZ)
        await caller.media.hears_nothing()
        assert (await assistant.reinvite()).code == 200


@pytest.mark.keeps("17.9")
async def test_payload_types_are_each_sides_own(bed: Bed) -> None:
    async with Stage(bed, "plain") as at:
        caller = at.call()
        assistant = await at.trunk.wait_call()
        assert assistant.incoming
        assistant.media.events = 97
        assistant.respond(assistant.incoming, 200, body=sdp(at.trunk.host, assistant.media.port, ("PCMA",), events=97))
        assistant.hz = assistant.media.hz = ASSISTANT_HZ
        assistant.media.send_to(*gateway_media(assistant))
        await caller.answered()
        await both_hear(caller, assistant)
        caller.media.press("5")
        await assistant.has_keys("5")
        assistant.media.events = events_of(assistant.incoming.body)  # to us, with our number
        assistant.media.press("6")
        await caller.has_keys("6")
        await caller.hang_up()
        await assistant.wait_request("BYE")
