# SPDX-License-Identifier: GPL-2.0-or-later
"""Who answers hears the caller's number spelled, and nobody else does."""

from __future__ import annotations

import time
import wave
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import gateway.config
from gateway.core.whisper import PAUSE, PLUS
from tests.sip.hearing import ALL_HZ, RINGBACK_HZ, WHISPER_HZ, refer_to, sounds
from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ
from tests.sip.test_accept_by_key import BEFORE_S, has_heard, whispered_to
from tests.support import tones
from tests.support.late_numpy import np
from tests.support.rtp import CODECS
from tests.support.timeline import timeline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.sip.hearing import Hearing
    from tests.support.peer_call import Call

pytestmark = pytest.mark.sip

DIGITS = Path(gateway.config.__file__).with_name("digits")
STEP = 80
"""Samples of which the loudness is compared: 10 ms."""


def spoken(language: str, text: str) -> tones.Pcm:
    """What is heard when a number is spelled so: a blank is a pause."""
    parts = []
    for sign in text:
        name = {" ": PAUSE, "+": PLUS}.get(sign, sign)
        with wave.open(str(DIGITS / language / f"{name}.wav")) as file:
            parts.append(np.frombuffer(file.readframes(file.getnframes()), np.int16))
    return np.concatenate(parts)


def likeness(heard: tones.Pcm, wanted: tones.Pcm) -> float:
    """How much the loudness of a part of `heard` is that of `wanted`: 1 is the same, 0 has nothing to do with it."""

    def loudness(pcm: tones.Pcm) -> NDArray[np.float64]:
        whole = pcm[: len(pcm) // STEP * STEP].astype(np.float64).reshape(-1, STEP)
        found: NDArray[np.float64] = np.sqrt((whole**2).mean(axis=1))
        return found

    there, here = loudness(heard), loudness(wanted)
    parts = (there[at : at + len(here)] for at in range(len(there) - len(here) + 1))
    return max((float(np.corrcoef(part, here)[0, 1]) for part in parts if part.std()), default=0.0)


def audio(call: Call, since: float) -> tones.Pcm:
    """All that has come since."""
    packets = [one for one in call.media.received if one.at >= since and one.payload_type in CODECS]
    return np.concatenate([tones.decode(one.payload, CODECS[one.payload_type]) for one in packets])


@pytest.mark.keeps("21.32")
async def test_the_caller_s_number_is_spelled_in_the_destination_s_language(hearing: Hearing) -> None:
    caller, _, asked = await hearing.waiting("spelled")
    target, answered = await whispered_to(hearing, "6015")
    await caller.media.hears(TARGET_HZ, timeout_s=40)
    await target.media.hears(CALLER_HZ)
    heard = audio(target, answered)
    right = likeness(heard, spoken("nl", "020 111 2222"))
    others = [likeness(heard, spoken(*other)) for other in (("en", "020 111 2222"), ("nl", "020 111 3222"))]
    assert right > 0.85 > max(others), (right, others)
    assert time.monotonic() - answered < 30
    heard_alone = [tone for tone, _ in groupby(sounds(timeline(caller.media, ALL_HZ, since=asked - BEFORE_S)))]
    assert heard_alone[:2] == [ASSISTANT_HZ, RINGBACK_HZ]
    assert heard_alone[2:] in ([], [TARGET_HZ])  # as much of which as there was by then
    assert likeness(audio(caller, asked), spoken("nl", "020")) < 0.8
    assert (await hearing.outcome())["outcome"] == "completed"


@pytest.mark.keeps("21.32")
async def test_of_a_caller_who_is_not_named_nothing_is_spelled(hearing: Hearing) -> None:
    caller, assistant = await hearing.bridged(from_='"Anonymous" <sip:anonymous@anonymous.invalid>')
    await caller.media.hears(ASSISTANT_HZ)
    assert (await assistant.refer(refer_to("spelled"))).code == 202
    target, answered = await whispered_to(hearing, "6015")
    await target.media.hears(CALLER_HZ)
    await has_heard(target, answered, WHISPER_HZ, CALLER_HZ)
    assert likeness(audio(target, answered), spoken("nl", "020 111 2222")) < 0.85
