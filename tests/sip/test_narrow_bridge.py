# SPDX-License-Identifier: GPL-2.0-or-later
"""Where no profile has a wide codec, what is mixed has 8000 samples a second from end to end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gateway.sip.stack.settings import endpoint_config
from tests.sip.bed import ANNA, ASSISTANT_HZ, CALLER_HZ, TARGET_HZ, Bed, Pair, Stage
from tests.sip.hearing import GREETING_HZ, RINGBACK_HZ
from tests.sip.mid_call import both_hear
from tests.sip.talking import goes
from tests.support import tones
from tests.support.configuration import TOKEN
from tests.support.phone import Phone

if TYPE_CHECKING:
    from tests.support.processes import Net

pytestmark = pytest.mark.sip

GREETING_RATE = 16000
"""Sounds may have it whatever the bridge has."""


def bed(net: Net) -> Bed:
    """A platform with µ-law and a PBX with A-law, mixed, and a destination with an announcement."""
    made = Bed(net, {"narrow": Pair({"codecs": ["PCMU"], "media": "bridge"}, {"codecs": ["PCMA"]})})
    made.gateway.files.main["numbers"][0]["destinations"][0]["announcement"] = "greeting.wav"
    made.gateway.write()
    tones.write_wav(
        made.gateway.directory / "greeting.wav", tones.tone(GREETING_HZ, 1.0, rate=GREETING_RATE), GREETING_RATE
    )
    return made


@pytest.mark.keeps("17.44")
def test_pjmedia_makes_the_bridge_that_the_profiles_want() -> None:
    for rate in (8000, 16000):
        made = endpoint_config(10, debug=False, bridge_hz=rate).medConfig
        assert (made.clockRate, made.sndClockRate) == (rate, rate)


@pytest.mark.keeps("17.44")
async def test_all_that_is_mixed_or_played_is_heard(own_net: Net) -> None:
    narrow = bed(own_net)
    async with narrow.gateway, Stage(narrow, "narrow") as at:
        assert (await narrow.gateway.get("/api/status"))["bridge_hz"] == 8000
        caller, assistant = await at.conversation()
        await both_hear(caller, assistant)
        await goes(narrow, "bridge", "setting")
        assert (await assistant.refer(ANNA)).code == 202
        target = await at.pbx.wait_call()
        await caller.media.hears(GREETING_HZ)
        await caller.media.hears(RINGBACK_HZ)
        await target.answer(hz=TARGET_HZ)
        await both_hear(caller, target)
        await caller.hang_up()
        await target.wait_request("BYE")


@pytest.mark.keeps("17.45")
async def test_a_wide_codec_works_at_once_and_is_said_to_want_a_restart(own_net: Net) -> None:
    narrow = bed(own_net)
    name = "sip_profiles/narrow-pbx.toml: codecs"
    async with narrow.gateway as gateway:
        gateway.files.profiles["narrow-pbx"]["codecs"] = ["PCMA", "G722"]
        gateway.write()
        status, told = await gateway.http("POST", "/api/reload", token=TOKEN)
        assert (status, json.loads(told)) == (200, {"reloaded": True, "applied": [name], "restart_needed": [name]})
        async with (
            Phone(narrow.trunk_host("narrow"), hz=ASSISTANT_HZ, codecs=("PCMU",)) as assistant,
            Phone(narrow.pbx_host("narrow"), hz=CALLER_HZ, codecs=("G722/16000",), manner="ring") as caller,
        ):
            await caller.dial(f"sip:{narrow.number('narrow')}@{own_net.gateway}:5060")
            await assistant.event("CALL_ESTABLISHED")
            await caller.hears(ASSISTANT_HZ)
            await assistant.hears(CALLER_HZ)
            assert (await gateway.get("/api/status"))["bridge_hz"] == 8000
            await caller.hang_up()
            await assistant.event("CALL_CLOSED")
        await gateway.idle()
        await gateway.stop()
        await gateway.start()
        now = await gateway.get("/api/status")
        assert (now["bridge_hz"], now["restart_needed"]) == (16000, [])
