# SPDX-License-Identifier: GPL-2.0-or-later
"""Audio that goes from peer to peer and past the gateway, and comes to it again whenever it is needed there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.sip.bed import ANNA, ASSISTANT_HZ, TARGET_HZ, Pair, Stage
from tests.sip.hearing import RINGBACK_HZ
from tests.sip.mid_call import both_hear
from tests.sip.talking import goes, talking
from tests.support.processes import eventually
from tests.support.sip_message import sdp

if TYPE_CHECKING:
    from tests.sip.bed import Bed
    from tests.support.peer_call import Call

pytestmark = pytest.mark.sip

DIRECT = {"media": "direct"}
PAIRS = {
    "direct": Pair(DIRECT, DIRECT),
    "half": Pair(DIRECT),
    "sealed": Pair({**DIRECT, "srtp": "optional"}, {**DIRECT, "srtp": "optional"}),
}
SIP = {"rtp_timeout_s": 4}


def place(call: Call) -> tuple[str, int]:
    """Where an end takes its audio."""
    return call.media.host, call.media.port


async def send_to(one: Call, other: Call, bed: Bed) -> None:
    """Wait until two ends send to each other, and the gateway says so."""

    async def do() -> bool:
        return one.media.remote == place(other) and other.media.remote == place(one)

    await eventually(do, "each sends to the other")
    await goes(bed, "direct", "same-codec")


def offers(call: Call) -> int:
    """How many re-INVITEs an end was sent."""
    return len([one for one in call.requests if one.method == "INVITE" and one.tag("To")])


@pytest.mark.keeps("17.31")
async def test_two_who_talk_send_to_each_other(bed: Bed) -> None:
    async with talking(bed, "direct") as (_, caller, assistant):
        await send_to(caller, assistant, bed)
        await both_hear(caller, assistant)
        caller.media.press("5")
        await assistant.has_keys("5")
        await asyncio.sleep(SIP["rtp_timeout_s"] + 3)  # nothing comes to us, and that is no reason to end it
        await both_hear(caller, assistant)
        assert offers(caller) == offers(assistant) == 1


@pytest.mark.keeps("17.32")
async def test_a_transfer_has_the_audio_come_to_us_and_go_past_again(bed: Bed) -> None:
    async with Stage(bed, "direct") as at:
        caller, assistant = await at.conversation()
        await send_to(caller, assistant, bed)
        assert (await assistant.refer(ANNA)).code == 202
        refused = await at.pbx.wait_call()
        await caller.media.hears(RINGBACK_HZ)
        await caller.media.hears_no_more(ASSISTANT_HZ)
        refused.reject(486)
        await send_to(caller, assistant, bed)
        await both_hear(caller, assistant)
        assert (await assistant.refer(ANNA)).code == 202
        target = await at.pbx.wait_call()
        await target.answer(hz=TARGET_HZ)
        await send_to(caller, target, bed)
        await both_hear(caller, target)
        await caller.hang_up()
        await target.wait_request("BYE")


@pytest.mark.keeps("17.33")
async def test_hold_and_another_port_are_passed_on(bed: Bed) -> None:
    async with talking(bed, "direct") as (_, caller, assistant):
        await send_to(caller, assistant, bed)
        await assistant.reinvite(direction="sendonly")
        await caller.told("sendonly")
        assert caller.media.remote == place(assistant)
        await assistant.reinvite()
        await caller.told("sendrecv")
        await both_hear(caller, assistant)

        assistant.move()
        assert (await assistant.reinvite()).code == 200
        await send_to(caller, assistant, bed)


@pytest.mark.keeps("17.34")
async def test_who_will_not_send_elsewhere_is_relayed(bed: Bed) -> None:
    async with Stage(bed, "direct") as at:
        caller = at.call()
        assistant = await at.trunk.wait_call()
        await assistant.answer(hz=ASSISTANT_HZ)
        await caller.answered()
        assistant.answers["INVITE"] = 488
        await goes(bed, "relay", "declined")
        await both_hear(caller, assistant)

        async def given_back() -> bool:
            return caller.media.remote != place(assistant)

        await eventually(given_back, "the caller sends to us again")
        told = offers(assistant)
        await asyncio.sleep(2)
        assert offers(assistant) == told == 1
        await both_hear(caller, assistant)
        await caller.hang_up()
        await assistant.wait_request("BYE")


@pytest.mark.keeps("17.34")
async def test_one_profile_alone_changes_nothing(bed: Bed) -> None:
    async with talking(bed, "half") as (_, caller, assistant):
        await goes(bed, "relay", "same-codec")
        await asyncio.sleep(2)
        assert offers(caller) == offers(assistant) == 0


@pytest.mark.keeps("17.34")
async def test_keys_of_their_own_and_other_numbers_keep_it_here(bed: Bed) -> None:
    async with talking(bed, "sealed"):
        await goes(bed, "relay", "encrypted")
    async with Stage(bed, "direct") as at:
        caller, assistant = await at.conversation()
        without = sdp(caller.media.host, caller.media.port, ("PCMA",), events=None)
        assert (await caller.begin("INVITE", body=without, content_type="application/sdp").final()).code == 200
        await goes(bed, "relay", "payload-types")
        await both_hear(caller, assistant)
        await caller.hang_up()
        await assistant.wait_request("BYE")


@pytest.mark.keeps("17.34")
async def test_a_key_that_comes_by_info_has_the_audio_come_here(bed: Bed) -> None:
    async with talking(bed, "direct") as (_, caller, assistant):
        await send_to(caller, assistant, bed)
        await assistant.press_infos("7")
        await caller.has_keys("7")
        await goes(bed, "relay", "declined")
