# SPDX-License-Identifier: GPL-2.0-or-later
"""Between two real Asterisks: each transport, encryption and codec, both directions, and a transfer in the middle."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.sip.bed import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ
from tests.sip.far_ends import End, Ends, FarBed, FarStage
from tests.sip.mid_call import WAYS, both_hear
from tests.support.peer_call import Call
from tests.support.sip_message import media_of

pytestmark = [pytest.mark.sip, pytest.mark.pbx]

PAYLOAD_TYPES = {"ulaw": 0, "alaw": 8, "g722": 9}
# opus has the number that who offers it gives it: the gateway to the platform, or the other way round.
OPUS = {WAYS[0]: 96, WAYS[1]: 107}
SAFE = End("tls", encrypted=True)
# SRTP or not, as the other side has it: on the line of this Asterisk that has it, it is used.
EITHER = End(asterisk={"media_encryption_optimistic": "yes"}, profile={"srtp": "optional"})
# What is Asterisk's own default: in mid call it tells the gateway to send a person's media straight to them.
DIRECT = End(asterisk={"direct_media": "yes"})
STRANGER = End("tls", stranger=True)
PAIRS = {
    "plain": Ends(),
    "tcp": Ends(End("tcp"), End("tcp")),
    "tls": Ends(End("tls", tls="tlsv1_3"), End("tls")),
    "safetrunk": Ends(replace(SAFE, codecs=("g722",))),
    "safepbx": Ends(pbx=SAFE),
    "safe": Ends(SAFE, SAFE),
    "either": Ends(replace(EITHER, encrypted=True), EITHER),
    "wide": Ends(End(codecs=("g722",)), End(codecs=("alaw",))),
    "direct": Ends(DIRECT, DIRECT),
    "stranger": Ends(STRANGER),
    "strangepbx": Ends(pbx=STRANGER),
    "opus": Ends(End("tls", encrypted=True, codecs=("opus",)), End("tcp", codecs=("ulaw",))),
}


@pytest.mark.keeps("10.1")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", sorted(PAIRS.keys() - {"direct", "stranger", "strangepbx"}))
async def test_a_call_and_a_transfer(far_bed: FarBed, name: str, way: str) -> None:
    """What each Asterisk says of its own line is what its profile asks for, and everybody hears whom they should."""
    ends = PAIRS[name]
    async with FarStage(far_bed, name) as at:
        person, assistant = await at.conversation(way)
        for far, end in ((far_bed.platform, ends.trunk), (far_bed.pbx, ends.pbx)):
            assert await far.on_line(name, "CHANNEL(pjsip,secure)") == str(int(end.transport == "tls"))
            assert await far.on_line(name, "CHANNEL(rtp,secure)") == str(int(end.encrypted))
            assert await far.on_line(name, "CHANNEL(audionativeformat)") == f"({end.codecs[0]})"
        async with far_bed.platform.ami() as ami:
            target = await at.transfer(person, assistant)
            await ami.event("UserEvent", UserEvent="Transferred", Status="SUCCESS")
        outcome = await at.outcome()
        assert (outcome["outcome"], outcome["entry"]) == ("completed", "refer")
        await at.hang_up(person, target)
    messages = [one for _, one in await at.messages(at.platform)]
    exchange = [one.label for one in messages if one.method in {"NOTIFY", "BYE"}]
    # Asterisk may answer the first NOTIFY when the second, and even the BYE, is there already.
    assert [label for label in exchange if not label.startswith("200")] == ["NOTIFY 100", "NOTIFY 200", "BYE"], messages
    assert sorted(label for label in exchange if label.startswith("200")) == ["200 BYE", "200 NOTIFY", "200 NOTIFY"]
    for far, end in ((far_bed.platform, ends.trunk), (far_bed.pbx, ends.pbx)):
        assert await at.betrayed(far) == set()
        types = at.payload_types(far)
        assert types["received"] == types["sent"] == {PAYLOAD_TYPES.get(end.codecs[0], OPUS[way])}


@pytest.mark.keeps("10.2")
@pytest.mark.parametrize("name", ["plain", "safe"])
async def test_after_a_failure_the_caller_is_back_with_the_assistant(far_bed: FarBed, name: str) -> None:
    async with FarStage(far_bed, name) as at:
        person, assistant = await at.conversation()
        async with far_bed.platform.ami() as ami:
            await at.refer(assistant)
            target = await at.people.wait_call()
            target.reject(486)
            await ami.event("UserEvent", UserEvent="Transferred", Status="FAILURE", Code="486")
        outcome = await at.outcome()
        assert (outcome["outcome"], outcome["reason"], outcome["returned_to_transferor"]) == ("failed", "busy", True)
        again = await at.assistant.wait_call()
        await again.answer(hz=ASSISTANT_HZ)
        await both_hear(person, again)
        assert not person.media.detect(CALLER_HZ)
        await at.hang_up(person, again)


@pytest.mark.keeps("10.3")
async def test_the_pbx_has_the_assistant_put_through(far_bed: FarBed) -> None:
    """As somebody does who was called by the assistant, and knows who can help."""
    async with FarStage(far_bed, "plain") as at:
        person, assistant = await at.conversation(WAYS[1])
        await at.refer(person)
        target = await at.people.wait_call()
        await target.answer(hz=TARGET_HZ)
        await both_hear(assistant, target)
        assert (await at.outcome())["outcome"] == "completed"
        await at.hang_up(assistant, target)


@pytest.mark.keeps("10.4")
@pytest.mark.parametrize("way", WAYS)
async def test_media_that_goes_past_the_asterisks(far_bed: FarBed, way: str) -> None:
    async with FarStage(far_bed, "direct") as at:
        person, assistant = await at.conversation(way)
        for call in (person, assistant):
            await moved(at, call)
        await both_hear(person, assistant)
        target = await at.transfer(person, assistant)
        for call in (person, target):
            await moved(at, call)
        await both_hear(person, target)
        assert (await at.outcome())["outcome"] == "completed"
        await at.hang_up(person, target)


async def moved(at: FarStage, call: Call) -> None:
    """Wait until a person is told that the other end of their media is the gateway itself."""

    def is_told() -> bool | None:
        bodies = [one.body for one in call.requests if one.method == "INVITE"]
        described = media_of(bodies[-1]) if bodies else None
        return True if described and described[0] == at.bed.net.gateway else None

    await call.peer.until(is_told, "re-INVITE with the gateway's address")


@pytest.mark.keeps("10.5")
@pytest.mark.parametrize("name", ["stranger", "strangepbx"])
async def test_nothing_is_said_to_an_asterisk_that_cannot_prove_its_name(far_bed: FarBed, name: str) -> None:
    async with FarStage(far_bed, name) as at:
        way = WAYS[0] if name == "stranger" else WAYS[1]
        assert (await at.call(way).final()).code >= 480
        assert not await at.messages(at.platform if name == "stranger" else at.pbx)
        # … nor is anything heard from it: it is the one that calls.
        assert (await at.call(WAYS[1] if way == WAYS[0] else WAYS[0]).final()).code >= 480
        assert not at.assistant.received("INVITE")
        assert not at.people.received("INVITE")
