# SPDX-License-Identifier: GPL-2.0-or-later
"""A leg that has agreed on SRTP keeps it: no offer or answer in mid call turns it into RTP; its keys may change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.sip.bed import CALLER_HZ, TARGET_HZ, Bed, Pair, Stage
from tests.sip.mid_call import both_hear, offers, told
from tests.support.processes import eventually
from tests.support.sip_message import sdp
from tests.support.srtp import Key, keys_of, profile_of
from tests.support.tones import strength

if TYPE_CHECKING:
    from tests.support.peer_call import Call

pytestmark = pytest.mark.sip

SDP = "application/sdp"
PAIRS = {"required": Pair({"srtp": "required"}), "optional": Pair({"srtp": "optional"})}
profiles = pytest.mark.parametrize("profile", PAIRS)
ways = pytest.mark.parametrize("way", ["to the trunk", "from the trunk"])


@asynccontextmanager
async def talking(bed: Bed, profile: str, way: str = "to the trunk") -> AsyncIterator[tuple[Call, Call]]:
    """Two who talk, the first of them encrypted, on the trunk, and the second in the clear, at the PBX."""
    async with Stage(bed, profile) as at:
        at.trunk.encryption = "required" if profile == "required" else "optional"
        if way == "to the trunk":
            other, sealed = await at.conversation()
        else:
            sealed = at.trunk.invite("sip:+31612345681@gateway", at.gateway, hz=CALLER_HZ)
            other = await at.pbx.wait_call()
            await other.answer(hz=TARGET_HZ)
            await sealed.answered()
        await both_hear(sealed, other)
        yield sealed, other
        await still_encrypted(sealed, other)
        await sealed.hang_up()
        await other.wait_request("BYE")


async def still_encrypted(sealed: Call, other: Call) -> None:
    """Both hear each other, and who reads along on the encrypted side hears nothing."""
    for call in (sealed, other):
        call.media.received.clear()
    await both_hear(sealed, other)
    await eventually(lambda: arrived(sealed, 12), "a quarter of a second of packets")
    assert other.hz
    assert sealed.media.unopened == []
    assert {len(packet.wire) - len(packet.payload) for packet in sealed.media.received} == {10}  # the tag of SHA1_80
    assert strength(sealed.media.heard(), other.hz) > 0.9
    assert strength(sealed.media.heard(wire=True), other.hz) < 0.1  # noise has a little of everything
    assert {packet.payload_type for packet in sealed.media.received} == {8}
    assert all(packet.wire == packet.payload for packet in other.media.received)


async def arrived(call: Call, count: int) -> bool:
    """Whether so many packets have come."""
    return len(call.media.received) >= count


@pytest.mark.keeps("8.14")
@profiles
@ways
async def test_what_is_encrypted_is_so_on_the_wire(bed: Bed, profile: str, way: str) -> None:
    async with talking(bed, profile, way) as (sealed, other):
        assert offers(sealed) == offers(other) == []


OF_ANOTHER_KIND = b"a=crypto:1 NULL_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"


@pytest.mark.keeps("8.15")
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@profiles
@ways
async def test_an_offer_without_a_key_is_refused(bed: Bed, profile: str, way: str, method: str) -> None:
    async with talking(bed, profile, way) as (sealed, other):
        for more in (b"", OF_ANOTHER_KIND):
            body = sdp(sealed.peer.host, sealed.media.port) + more
            said = bed.gateway.log.count("key-missing")
            assert (await sealed.begin(method, body=body, content_type=SDP).final()).code == 488
            await still_encrypted(sealed, other)
            assert bed.gateway.log.count("key-missing") == said + 1
        assert offers(other) == []


@pytest.mark.keeps("8.15")
@profiles
async def test_what_answers_our_offer_without_a_key_changes_nothing(bed: Bed, profile: str) -> None:
    async with talking(bed, profile) as (sealed, other):
        sealed.keeps_ack = True
        for protocol in (b"RTP/AVP", b"RTP/SAVP"):
            offered = await sealed.reinvite(delayed=True)
            assert profile_of(offered.body) == "RTP/SAVP"
            assert keys_of(offered.body)
            assert sealed.ack
            sealed.ack.body = in_the_clear(sealed, protocol)
            sealed.peer.send(sealed.ack, sealed.remote)
            await still_encrypted(sealed, other)
        sealed.keeps_ack = False


@pytest.mark.keeps("8.15")
@pytest.mark.parametrize("protocol", [b"RTP/AVP", b"RTP/SAVP"], ids=["avp", "savp"])
@profiles
@ways
async def test_our_own_offers_ask_for_it_and_take_nothing_less(
    bed: Bed, profile: str, way: str, protocol: bytes
) -> None:
    async with talking(bed, profile, way) as (sealed, other):
        sealed.answers["INVITE"] = None
        await other.reinvite(direction="sendonly")
        asked = await sealed.wait_request("INVITE")
        assert profile_of(asked.body) == "RTP/SAVP"
        assert len(keys_of(asked.body)) == 1
        sealed.respond(asked, 200, body=in_the_clear(sealed, protocol))
        await told(sealed, "sendonly")
        sealed.media.received.clear()
        await eventually(lambda: arrived(sealed, 5), "a tenth of a second of packets")
        assert sealed.media.unopened == []
        sealed.answers["INVITE"] = 200
        await other.reinvite()
        await told(sealed, "sendrecv", 2)


@pytest.mark.keeps("8.15")
@profiles
@ways
async def test_a_held_side_is_held_with_its_key(bed: Bed, profile: str, way: str) -> None:
    async with talking(bed, profile, way) as (sealed, other):
        await other.reinvite(direction="sendonly")
        assert profile_of((await told(sealed, "sendonly")).body) == "RTP/SAVP"
        await other.reinvite()
        await told(sealed, "sendrecv", 2)
        await sealed.reinvite(direction="sendonly")
        await told(other, "sendonly")
        await sealed.reinvite(direction="sendrecv")
        await told(other, "sendrecv", 2)


@pytest.mark.keeps("8.16")
@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
@profiles
@ways
async def test_a_new_key_in_mid_call(bed: Bed, profile: str, way: str, method: str) -> None:
    async with talking(bed, profile, way) as (sealed, other):
        former = sealed.media.cipher
        assert former
        for _ in range(2):
            sealed.key = Key.new()
            answer = await sealed.reinvite(method=method)
            assert answer.code == 200
            assert keys_of(answer.body)
            await still_encrypted(sealed, other)
        assert sealed.media.cipher
        assert sealed.media.cipher.keys[0] != former.keys[0]
        assert offers(other) == []


@pytest.mark.keeps("8.15")
async def test_required_takes_no_answer_without_a_key_to_its_first_offer_either(bed: Bed) -> None:
    async with Stage(bed, "required") as at:
        caller = at.trunk.invite("sip:+31612345681@gateway", at.gateway, hz=CALLER_HZ, body=b"")
        called = await at.pbx.wait_call()
        await called.answer(hz=TARGET_HZ)
        assert profile_of((await caller.answered()).body) == "RTP/SAVP"
        assert caller.ack
        assert keys_of(caller.ack.body) == []
        await caller.wait_request("BYE")
        await called.wait_request("BYE")
        await bed.gateway.idle()
        assert [one.method for one in caller.requests].count("BYE") == 1
        assert caller.media.received == []


@pytest.mark.keeps("8.17")
async def test_a_leg_that_falls_to_rtp_is_named_once(bed: Bed) -> None:
    async with Stage(bed, "optional") as at:
        caller, assistant = await at.conversation()
        await caller.reinvite(direction="sendonly")
        await caller.reinvite()
        await both_hear(caller, assistant)
        await caller.hang_up()
    said = [line for line in bed.gateway.log.splitlines() if "not-encrypted" in line]
    assert len(said) == 1
    assert "optional-trunk" in said[0]
    assert "leg" in said[0]


@pytest.mark.keeps("8.16")
async def test_a_plain_leg_may_become_encrypted(bed: Bed) -> None:
    async with Stage(bed, "optional") as at:
        caller, assistant = await at.conversation()
        await both_hear(caller, assistant)
        assistant.encryption = "optional"
        assert keys_of((await assistant.reinvite()).body)
        await still_encrypted(assistant, caller)
        await caller.hang_up()


def in_the_clear(call: Call, protocol: bytes) -> bytes:
    """An answer without a key, whatever it calls itself."""
    return sdp(call.peer.host, call.media.port, ("PCMA",)).replace(b"RTP/AVP", protocol)
