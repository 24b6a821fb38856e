# SPDX-License-Identifier: GPL-2.0-or-later
"""SRTP with keys in SDP (RFC 4568): off, optional and required on either side by itself, never dropped silently."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.sip.bed import ANNA, ASSISTANT_HZ, CALLER, CALLER_HZ, PORT, TARGET_HZ, Bed, Pair, Stage
from tests.support.peer import Peer
from tests.support.phone import Encryption, Phone
from tests.support.processes import Net, eventually
from tests.support.srtp import keys_of, profile_of

if TYPE_CHECKING:
    from tests.support.peer_call import Call
    from tests.support.rtp import Rtp

pytestmark = pytest.mark.sip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bed(own_net: Net) -> AsyncIterator[Bed]:
    callers = {"addresses": [own_net.host(90)]}
    pairs = {
        "off": Pair(),
        "trunk": Pair({"srtp": "required"}),
        "either": Pair({"srtp": "optional"}),
        "pbx": Pair(pbx={"srtp": "required"}),
        "both": Pair({"srtp": "required"}, {"srtp": "optional", **callers}),
    }
    made = Bed(own_net, pairs)
    async with made.gateway:
        yield made


def asked(call: Call) -> bytes:
    """What a side was offered in the INVITE that called it."""
    assert call.incoming
    return call.incoming.body


@pytest.mark.keeps("8.11")
async def test_an_encrypted_trunk_and_a_plain_pbx_and_a_transfer_between_them(bed: Bed) -> None:
    async with (
        Peer(bed.pbx_host("trunk"), PORT, user="pbx") as pbx,
        Phone(bed.trunk_host("trunk"), hz=ASSISTANT_HZ, encryption="srtp-mand") as assistant,
    ):
        caller = pbx.invite(f"sip:{bed.number('trunk')}@gateway", (bed.net.gateway, PORT), from_=CALLER, hz=CALLER_HZ)
        await caller.answered()
        await caller.media.hears(ASSISTANT_HZ)
        await assistant.hears(CALLER_HZ)
        await assistant.event("CALL_ESTABLISHED")
        await assistant.refer(ANNA.strip("<>"))
        anna = await pbx.wait_call()
        assert profile_of(asked(anna)) == "RTP/AVP"
        await anna.answer(hz=TARGET_HZ)
        await caller.media.hears(TARGET_HZ)
        await anna.media.hears(CALLER_HZ)
        await anna.hang_up()
        await caller.wait_request("BYE")
        await bed.gateway.idle()


@pytest.mark.keeps("8.11")
async def test_a_transfer_to_a_phone_with_encryption_and_another_codec(bed: Bed) -> None:
    """The caller's leg is plain, the assistant's and the target's are encrypted; each speaks a codec of its own."""
    caller_at = Peer(bed.net.host(90), PORT, user="pbx")
    async with (
        caller_at,
        Phone(bed.trunk_host("both"), hz=ASSISTANT_HZ, encryption="srtp-mand", codecs=("opus/48000/2",)) as assistant,
        Phone(bed.pbx_host("both"), hz=TARGET_HZ, encryption="srtp", codecs=("G722/16000",)) as anna,
    ):
        number = bed.number("both")
        caller = caller_at.invite(f"sip:{number}@gateway", (bed.net.gateway, PORT), from_=CALLER, hz=CALLER_HZ)
        assert profile_of((await caller.answered()).body) == "RTP/AVP"
        await caller.media.hears(ASSISTANT_HZ)
        await assistant.event("CALL_ESTABLISHED")
        await assistant.refer(ANNA.strip("<>"))
        await caller.media.hears(TARGET_HZ)
        await anna.hears(CALLER_HZ)
        await hears_loudly(caller.media, TARGET_HZ)
        assert re.findall(r"^a=rtpmap:9 (\S+)", anna.log, re.MULTILINE) == ["G722/8000"] * 2  # offered, and answered
        for phone in (assistant, anna):
            assert len(set(re.findall(r"inline:(\S+)", phone.log))) >= 2  # a key for each direction
        await caller.hang_up()
        await anna.event("CALL_CLOSED")
        await bed.gateway.idle()


async def hears_loudly(rtp: Rtp, hz: float) -> None:
    """Wait until a second of sound has come and this tone is heard still: its beginning may be louder than the rest."""
    enough = len(rtp.received) + 50

    async def has_come() -> bool:
        return len(rtp.received) >= enough

    await eventually(has_come, "a second of sound")
    await rtp.hears(hz)


@pytest.mark.keeps("8.11")
@pytest.mark.parametrize("encryption", ["srtp-mand", ""])
async def test_optional_takes_both(bed: Bed, encryption: Encryption) -> None:
    async with (
        Peer(bed.pbx_host("either"), PORT, user="pbx") as pbx,
        Phone(bed.trunk_host("either"), hz=ASSISTANT_HZ, encryption=encryption, manner="ring") as assistant,
    ):
        await assistant.dial(f"sip:anna@{bed.net.gateway}")
        anna = await pbx.wait_call()
        await anna.answer(hz=TARGET_HZ)
        await assistant.hears(TARGET_HZ)
        await anna.media.hears(ASSISTANT_HZ)
        # A key for each direction: in its offer, and in what it was answered.
        assert len(set(re.findall(r"inline:(\S+)", assistant.log))) >= (2 if encryption else 0)
        assert bool(encryption) is ("a=crypto:" in assistant.log)
        await anna.hang_up()
        await assistant.event("CALL_CLOSED")
        await bed.gateway.idle()


@pytest.mark.keeps("8.11")
async def test_optional_offers_both(bed: Bed) -> None:
    async with Stage(bed, "either") as at:
        caller, assistant = await at.conversation()
        assert profile_of(asked(assistant)) == "RTP/AVP"
        assert keys_of(asked(assistant))
        await caller.media.hears(ASSISTANT_HZ)  # it was answered without
        await caller.hang_up()


@pytest.mark.keeps("8.12")
async def test_required_is_offered_so_and_an_answer_without_ends_the_call(bed: Bed) -> None:
    async with Stage(bed, "trunk") as at:
        caller = at.call()
        assistant = await at.trunk.wait_call()
        assert profile_of(asked(assistant)) == "RTP/SAVP"
        await assistant.answer(hz=ASSISTANT_HZ)  # in the clear
        await assistant.wait_request("BYE")
        assert (await caller.final()).code >= 400
        assert not assistant.media.received
        assert not caller.media.received


@pytest.mark.keeps("8.12")
async def test_required_refuses_an_offer_without(bed: Bed) -> None:
    async with Stage(bed, "pbx") as at:
        assert (await at.call().final()).code == 488
        assert not at.trunk.received("INVITE")


@pytest.mark.keeps("8.12")
async def test_off_refuses_an_offer_that_asks_for_it(bed: Bed) -> None:
    async with Stage(bed, "off") as at:
        at.pbx.encryption = "required"
        refused = await at.call().final()
        assert refused.code == 488
        assert not at.trunk.received("INVITE")
