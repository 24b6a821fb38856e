# SPDX-License-Identifier: GPL-2.0-or-later
"""Codecs: those of each profile and no others, and the same on both legs of a conversation wherever they have one."""

from __future__ import annotations

import re

import pytest

from tests.sip.bed import ANNA, ASSISTANT_HZ, CALLER_HZ, TARGET_HZ, Bed, Pair, Stage
from tests.sip.talking import goes
from tests.support.phone import Phone
from tests.support.sip_message import Message, media_of

pytestmark = pytest.mark.sip

PCMU, PCMA, G722 = 0, 8, 9
PAIRS = {
    "any": Pair(),
    "ulaw": Pair({"codecs": ["PCMU"]}),
    "wide": Pair({"codecs": ["opus", "PCMA"]}, {"codecs": ["G722", "PCMU"]}),
}


def formats(message: Message | None) -> list[str]:
    """The codecs of a description by name, telephone events left out."""
    assert message
    described = media_of(message.body)
    assert described
    names = dict(re.findall(r"a=rtpmap:(\d+) ([\w-]+)", message.body.decode()))
    return [names[str(number)] for number in described[2] if names[str(number)] != "telephone-event"]


@pytest.mark.keeps("8.18")
async def test_both_legs_have_the_callers_first_choice(bed: Bed) -> None:
    async with Stage(bed, "any") as at:
        caller, assistant = await at.conversation(codecs=("PCMU", "PCMA"))
        assert formats(assistant.incoming) == ["PCMU", "PCMA", "G722", "opus"]
        assert formats(await caller.final()) == ["PCMU"]
        await caller.media.hears(ASSISTANT_HZ)
        await assistant.media.hears(CALLER_HZ)
        for call in (caller, assistant):
            assert {packet.payload_type for packet in call.media.received} == {PCMU}
        await caller.hang_up()


@pytest.mark.keeps("8.18")
async def test_the_assistants_choice_is_the_callers_too(bed: Bed) -> None:
    async with Stage(bed, "any") as at:
        caller = at.call(codecs=("PCMU", "PCMA"))
        assistant = await at.trunk.wait_call()
        await assistant.answer(hz=ASSISTANT_HZ, codec="PCMA")
        assert formats(await caller.answered()) == ["PCMA"]
        await caller.media.hears(ASSISTANT_HZ)
        assert {packet.payload_type for packet in caller.media.received} == {PCMA}
        await caller.hang_up()


@pytest.mark.keeps("8.18")
async def test_a_target_is_offered_first_what_the_caller_speaks(bed: Bed) -> None:
    async with Stage(bed, "any") as at:
        caller, assistant = await at.conversation(codecs=("PCMU",))
        anna = await at.transfer(caller, assistant)
        assert formats(anna.incoming)[0] == "PCMU"
        assert {packet.payload_type for packet in anna.media.received} == {PCMU}
        await assistant.wait_request("BYE")
        await anna.hang_up()
        await caller.wait_request("BYE")


@pytest.mark.keeps("8.19")
async def test_a_target_with_another_codec_is_understood(bed: Bed) -> None:
    async with Stage(bed, "any") as at:
        caller, assistant = await at.conversation(codecs=("PCMU",))
        assert (await assistant.refer(ANNA)).code == 202
        anna = await at.pbx.wait_call()
        await anna.answer(hz=TARGET_HZ, codec="PCMA")
        await caller.media.hears(TARGET_HZ)
        await anna.media.hears(CALLER_HZ)
        assert {packet.payload_type for packet in anna.media.received} == {PCMA}
        assert {packet.payload_type for packet in caller.media.received} == {PCMU}
        await assistant.wait_request("BYE")
        await anna.hang_up()
        await caller.wait_request("BYE")


@pytest.mark.keeps("8.19")
async def test_no_codec_that_a_profile_does_not_name(bed: Bed) -> None:
    async with Stage(bed, "ulaw") as at:
        caller, assistant = await at.conversation(codecs=("PCMA",))
        assert formats(assistant.incoming) == ["PCMU"]
        await caller.media.hears(ASSISTANT_HZ)
        await assistant.media.hears(CALLER_HZ)
        assert {packet.payload_type for packet in caller.media.received} == {PCMA}
        assert {packet.payload_type for packet in assistant.media.received} == {PCMU}
        await caller.hang_up()
        await assistant.wait_request("BYE")
        refused = at.trunk.invite("sip:anna@gateway", at.gateway, codecs=("PCMA",))
        assert (await refused.final()).code == 488
        assert not at.pbx.received("INVITE")


@pytest.mark.keeps("8.19", "17.2")
@pytest.mark.parametrize(("name", "codec"), [("opus", "opus/48000/2"), ("pcma", "PCMA")])
async def test_wideband_phones_understand_each_other(bed: Bed, name: str, codec: str) -> None:
    async with (
        Phone(bed.trunk_host("wide"), hz=ASSISTANT_HZ, codecs=(codec,)) as assistant,
        Phone(bed.pbx_host("wide"), hz=CALLER_HZ, codecs=("G722/16000",), manner="ring") as caller,
    ):
        await caller.dial(f"sip:{bed.number('wide')}@{bed.net.gateway}:5060")
        await assistant.event("CALL_ESTABLISHED")
        await caller.event("CALL_ESTABLISHED")
        await caller.hears(ASSISTANT_HZ)
        await assistant.hears(CALLER_HZ)
        await goes(bed, "bridge", "another-codec")
        await caller.hang_up()
        await assistant.event("CALL_CLOSED")
        await bed.gateway.idle()
