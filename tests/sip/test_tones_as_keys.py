# SPDX-License-Identifier: GPL-2.0-or-later
"""Who answers takes the call by a key that comes as a tone in their audio; what they say is no key."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import gateway.config
from tests.sip.bed import PORT, Bed, Pair
from tests.sip.hearing import RINGBACK_HZ, SECOND_HZ, WHISPER_HZ
from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ
from tests.sip.test_accept_by_key import has_heard, whispered_to
from tests.support import tones
from tests.support.key_tones import key, pcm, silence
from tests.support.late_numpy import np
from tests.support.peer import Peer
from tests.support.phone import WIDE, Phone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.sip.hearing import Hearing
    from tests.support.processes import Net

pytestmark = pytest.mark.sip

DIGITS = Path(gateway.config.__file__).with_name("digits")
PHONES = {"opus": "opus/48000/2", "G722": "G722/16000", "PCMU": "PCMU"}
ASKING = {"whisper": "whisper.wav", "accept": "1", "decline": "2", "accept_timeout_s": 20}
PAIRS = {codec.lower(): Pair({"codecs": ["PCMA"]}, {"codecs": [codec]}, ASKING) for codec in PHONES}


def speech() -> tones.Pcm:
    """Somebody who says ten digits."""
    words = []
    for path in sorted((DIGITS / "en").glob("[0-9].wav")):
        with wave.open(str(path)) as file:
            words.append(np.frombuffer(file.readframes(file.getnframes()), np.int16))
    return np.concatenate(words)


@pytest.mark.keeps("21.38")
async def test_a_tone_takes_the_call(hearing: Hearing) -> None:
    caller, _, asked = await hearing.waiting("accepting")
    target, _ = await whispered_to(hearing)
    target.media.play(pcm(key("1", 100)))
    await caller.media.hears(TARGET_HZ)
    await target.media.hears(CALLER_HZ)
    await has_heard(caller, asked, ASSISTANT_HZ, RINGBACK_HZ, TARGET_HZ)
    assert (caller.media.keys, caller.infos) == ("", "")
    told = await hearing.outcome()
    assert (told["outcome"], told["human_at"]) == ("completed", told["accepted_at"])


@pytest.mark.keeps("21.38")
async def test_a_tone_declines_it(hearing: Hearing) -> None:
    caller, _, _ = await hearing.waiting("hunting")
    target, _ = await whispered_to(hearing, "6012")
    target.media.play(pcm(key("2", 60, dbm0=-25)))
    second = await hearing.extension("6006")
    await second.answer(hz=SECOND_HZ)
    await caller.media.hears(SECOND_HZ)
    told = await hearing.outcome()
    assert [one["reason"] for one in told["attempts"]] == ["declined", "answered"]


@pytest.mark.keeps("21.37")
async def test_what_they_say_is_no_key_nor_is_a_tone_that_nobody_asks_for(hearing: Hearing) -> None:
    caller, _, _ = await hearing.waiting("hunting")
    target = await hearing.extension("6012")
    target.media.play(speech())
    target.media.play(pcm(key("7", 100), silence(100), key("1", 20), silence(100), key("1", 100, off=0.04)))
    target.media.play(speech())
    await target.answer()
    await target.media.hears(WHISPER_HZ)
    second = await hearing.extension("6006")
    await second.answer(hz=SECOND_HZ)
    await caller.media.hears(SECOND_HZ)
    told = await hearing.outcome()
    assert [one["reason"] for one in told["attempts"]] == ["no-answer", "answered"]


@pytest.mark.keeps("21.39")
async def test_a_key_that_comes_both_ways_is_one(hearing: Hearing) -> None:
    caller, _, _ = await hearing.waiting("accepting")
    target, _ = await whispered_to(hearing)
    target.media.play(pcm(key("1", 100)))  # … and the event right behind it
    await asyncio.sleep(0.1)
    target.media.press("1")
    await caller.media.hears(TARGET_HZ)
    await target.media.hears(CALLER_HZ)
    await target.press("5")
    await caller.has_keys("5")
    target.media.play(pcm(key("9", 100)))  # the two talk: a tone is theirs, and passes as any sound does
    await target.press("6")
    await caller.has_keys("56")


@pytest.fixture
async def asking(own_net: Net) -> AsyncIterator[Bed]:
    """A gateway whose PBXs speak one codec each."""
    made = Bed(own_net, PAIRS)
    tones.write_wav(made.gateway.directory / "whisper.wav", tones.tone(WHISPER_HZ, 1))
    async with made.gateway:
        yield made


@pytest.mark.keeps("21.38")
@pytest.mark.parametrize("codec", PHONES)
async def test_a_tone_is_understood_in_each_codec(asking: Bed, codec: str) -> None:
    phone = Phone(asking.pbx_host(codec.lower()), hz=TARGET_HZ, codecs=(PHONES[codec],))
    press = pcm(silence(900), key("1", 100))
    phone.voice = np.repeat(press, 2) if phone.voice_rate == WIDE else press
    async with phone, Peer(asking.trunk_host(codec.lower()), PORT) as trunk, asking.gateway.scenario():
        to = (asking.net.gateway, PORT)
        caller = trunk.invite("sip:+31612345681@gateway", to, codecs=("PCMA",), hz=CALLER_HZ)
        await phone.event("CALL_ESTABLISHED")
        await caller.answered()
        await phone.hears(CALLER_HZ)
        await caller.hang_up()
        await phone.event("CALL_CLOSED")
