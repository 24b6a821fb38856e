# SPDX-License-Identifier: GPL-2.0-or-later
"""What a transferred caller hears: announcement, ringback or the PBX's own early media, a person, or the assistant."""

from __future__ import annotations

import asyncio
import time
from itertools import groupby
from typing import TYPE_CHECKING

import pytest

from tests.sip.hearing import (
    EARLY_HZ,
    GREETING_HZ,
    GREETING_S,
    RINGBACK_HZ,
    SECOND_HZ,
    heard,
    lasted,
    sounds,
    unbroken,
)
from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ, codes
from tests.support.begun import Begun
from tests.support.sip_message import sdp
from tests.support.timeline import order

if TYPE_CHECKING:
    from tests.sip.hearing import Hearing

pytestmark = pytest.mark.sip


@pytest.mark.keeps("12.1")
async def test_early_media_takes_the_place_of_the_ringback_and_a_person_that_of_both(hearing: Hearing) -> None:
    caller, assistant, asked = await hearing.waiting()
    target = await hearing.extension("6001")
    await caller.media.hears(RINGBACK_HZ)
    target.hz = EARLY_HZ
    await target.ring(183, early_media=True)
    await caller.media.hears(EARLY_HZ)
    await target.media.hears(CALLER_HZ)  # who may be asked to press a key
    await asyncio.sleep(0.3)
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    await target.media.hears(CALLER_HZ)
    await asyncio.sleep(0.2)
    assert sounds(heard(caller, asked - 0.2)) == [ASSISTANT_HZ, RINGBACK_HZ, EARLY_HZ, TARGET_HZ]
    assert codes(await assistant.notifies()) == [100, 180, 200]


@pytest.mark.keeps("12.1")
async def test_a_description_without_any_sound_leaves_the_caller_his_ringback(hearing: Hearing) -> None:
    caller, _, asked = await hearing.waiting()
    target = await hearing.extension("6001")
    assert target.incoming
    target.respond(target.incoming, 180, body=sdp(target.peer.host, target.media.port, ("PCMA",)))
    await caller.media.hears(RINGBACK_HZ)
    await asyncio.sleep(0.2)
    assert sounds(heard(caller, asked - 0.2)) == [ASSISTANT_HZ, RINGBACK_HZ]
    target.reject()


@pytest.mark.keeps("12.1")
async def test_early_media_that_falls_silent_gives_the_ringback_back(hearing: Hearing) -> None:
    caller, _, asked = await hearing.waiting()
    target = await hearing.extension("6001")
    await caller.media.hears(RINGBACK_HZ)
    await asyncio.sleep(0.2)
    target.hz = EARLY_HZ
    await target.ring(183, early_media=True)
    await caller.media.hears(EARLY_HZ)
    await asyncio.sleep(2.5)  # longer than it may be silent
    target.media.pause()
    await caller.media.hears(RINGBACK_HZ)
    await asyncio.sleep(0.2)
    assert sounds(heard(caller, asked - 0.2)) == [ASSISTANT_HZ, RINGBACK_HZ, EARLY_HZ, RINGBACK_HZ]
    target.reject()


@pytest.mark.keeps("12.2")
async def test_back_with_the_assistant_without_a_break(hearing: Hearing) -> None:
    caller, assistant, asked = await hearing.waiting()
    target = await hearing.extension("6001")
    await caller.media.hears(RINGBACK_HZ)
    await asyncio.sleep(0.2)
    failed = Begun(hearing.gateway.child.pid)
    target.reject(486)
    await caller.media.hears(ASSISTANT_HZ)
    await assistant.media.hears(CALLER_HZ)
    await asyncio.sleep(0.2)
    spans = heard(caller, asked - 0.2)
    assert unbroken(spans, asked) == [ASSISTANT_HZ, RINGBACK_HZ, ASSISTANT_HZ]
    back = next(span.start for span in spans if span.tones == {ASSISTANT_HZ} and span.start > failed)
    assert back - failed < 0.2 + failed.kept_s
    of_assistant = heard(assistant, asked - 0.2)  # who heard nothing meanwhile, but packets kept coming
    assert [tone for tone, _ in groupby(order(of_assistant))] == [CALLER_HZ, None, CALLER_HZ]


@pytest.mark.keeps("12.2")
async def test_back_with_the_assistant_straight_from_early_media(hearing: Hearing) -> None:
    caller, _, asked = await hearing.waiting()
    target = await hearing.extension("6001")
    await caller.media.hears(RINGBACK_HZ)
    await asyncio.sleep(0.2)
    target.hz = EARLY_HZ
    await target.ring(183, early_media=True)
    await caller.media.hears(EARLY_HZ)
    await asyncio.sleep(0.3)
    target.reject(486)
    target.media.pause()
    await caller.media.hears(ASSISTANT_HZ)
    await asyncio.sleep(0.2)
    assert unbroken(heard(caller, asked - 0.2), asked) == [ASSISTANT_HZ, RINGBACK_HZ, EARLY_HZ, ASSISTANT_HZ]


@pytest.mark.keeps("12.3")
async def test_the_ringback_goes_on_from_one_target_to_the_next(hearing: Hearing) -> None:
    caller, _, asked = await hearing.waiting("chained")
    first = await hearing.extension("6005")
    await caller.media.hears(RINGBACK_HZ)
    await asyncio.sleep(0.3)
    first.reject(486)
    second = await hearing.extension("6006")
    await asyncio.sleep(0.3)
    await second.answer(hz=SECOND_HZ)
    await caller.media.hears(SECOND_HZ)
    await asyncio.sleep(0.2)
    spans = heard(caller, asked - 0.2)
    assert unbroken(spans, asked) == [ASSISTANT_HZ, RINGBACK_HZ, SECOND_HZ]
    assert lasted(spans, RINGBACK_HZ) > 0.6


@pytest.mark.keeps("12.3")
async def test_no_extension_is_rung_twice_and_a_failure_may_end_the_hunt(hearing: Hearing) -> None:
    _, assistant, _ = await hearing.waiting("chained")
    (await hearing.extension("6005")).reject(603)
    (await hearing.extension("6006")).reject(480)
    (await hearing.extension("6007")).reject(486)  # and not 6005 again
    assert codes(await assistant.notifies()) == [100, 486]
    tried = (await hearing.outcome())["attempts"]
    assert [one["destination"] for one in tried] == ["chained", "second", "third"]


@pytest.mark.keeps("12.2")
async def test_a_failure_that_is_none_to_go_on_after_brings_the_caller_back(hearing: Hearing) -> None:
    caller, assistant, asked = await hearing.waiting("busy-only")
    (await hearing.extension("6008")).reject(603)
    assert codes(await assistant.notifies()) == [100, 603]
    await caller.media.hears(ASSISTANT_HZ)
    assert len(hearing.pbx.received("INVITE")) == 1
    assert sounds(heard(caller, asked - 0.2))[-1] == ASSISTANT_HZ


# --- announcements


@pytest.mark.keeps("12.4")
async def test_an_announcement_is_heard_before_the_ringback_while_it_rings(hearing: Hearing) -> None:
    caller, _, asked = await hearing.waiting("greeted")
    target = await hearing.extension("6003")
    await target.ring()
    await caller.media.hears(RINGBACK_HZ)
    await asyncio.sleep(0.2)
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    await asyncio.sleep(0.2)
    spans = heard(caller, asked - 0.2)
    assert unbroken(spans, asked) == [ASSISTANT_HZ, GREETING_HZ, RINGBACK_HZ, TARGET_HZ]
    assert abs(lasted(spans, GREETING_HZ) - GREETING_S) < 0.15 + asked.kept_s


@pytest.mark.keeps("12.4")
async def test_an_announcement_comes_before_the_early_media_too(hearing: Hearing) -> None:
    caller, _, asked = await hearing.waiting("greeted")
    target = await hearing.extension("6003")
    target.hz = EARLY_HZ
    await target.ring(183, early_media=True)
    await caller.media.hears(EARLY_HZ)
    await asyncio.sleep(0.2)
    spans = heard(caller, asked - 0.2)
    assert unbroken(spans, asked) == [ASSISTANT_HZ, GREETING_HZ, EARLY_HZ]
    assert abs(lasted(spans, GREETING_HZ) - GREETING_S) < 0.15 + asked.kept_s
    target.reject()


@pytest.mark.keeps("12.4")
async def test_a_person_who_answers_cuts_the_announcement_off(hearing: Hearing) -> None:
    caller, _, asked = await hearing.waiting("greeted")
    target = await hearing.extension("6003")
    await caller.media.hears(GREETING_HZ)
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    await asyncio.sleep(0.2)
    spans = heard(caller, asked - 0.2)
    assert unbroken(spans, asked) == [ASSISTANT_HZ, GREETING_HZ, TARGET_HZ]
    assert lasted(spans, GREETING_HZ) < GREETING_S


@pytest.mark.keeps("12.4")
async def test_an_announcement_before_the_dialling_is_heard_to_its_end(hearing: Hearing) -> None:
    caller, _, asked = await hearing.waiting("recorded")
    await caller.media.hears(GREETING_HZ)
    assert not hearing.pbx.received("INVITE")
    target = await hearing.extension("6004")
    assert time.monotonic() - asked >= GREETING_S
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    await asyncio.sleep(0.2)
    spans = heard(caller, asked - 0.2)
    assert sounds(spans) in (
        [ASSISTANT_HZ, GREETING_HZ, TARGET_HZ],
        [ASSISTANT_HZ, GREETING_HZ, RINGBACK_HZ, TARGET_HZ],
    )
    assert abs(lasted(spans, GREETING_HZ) - GREETING_S) < 0.15 + asked.kept_s


@pytest.mark.keeps("12.4")
async def test_a_caller_who_hangs_up_during_the_announcement_has_nobody_rung(hearing: Hearing) -> None:
    caller, assistant, _ = await hearing.waiting("recorded")
    await caller.media.hears(GREETING_HZ)
    await caller.hang_up()
    assert codes(await assistant.notifies()) == [100, 487]
    assert (await hearing.outcome())["outcome"] == "abandoned"
    await hearing.gateway.idle()
    assert not hearing.pbx.received("INVITE")


@pytest.mark.keeps("12.4")
async def test_each_target_of_a_hunt_has_its_own_announcement(hearing: Hearing) -> None:
    caller, _, asked = await hearing.waiting("greeted-first")
    first = await hearing.extension("6009")
    await caller.media.hears(RINGBACK_HZ)
    await asyncio.sleep(0.2)
    first.reject()
    target = await hearing.extension("6003")
    await caller.media.hears(GREETING_HZ)
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    await asyncio.sleep(0.2)
    assert sounds(heard(caller, asked - 0.2)) == [ASSISTANT_HZ, RINGBACK_HZ, GREETING_HZ, TARGET_HZ]
