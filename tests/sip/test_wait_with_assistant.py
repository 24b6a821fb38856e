# SPDX-License-Identifier: GPL-2.0-or-later
"""A caller who waits goes on talking with the assistant, until somebody has taken the call."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.sip.hearing import RINGBACK_HZ, WHISPER_HZ, heard, sounds
from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ, codes
from tests.sip.test_accept_by_key import has_heard

if TYPE_CHECKING:
    from tests.sip.hearing import Hearing

pytestmark = pytest.mark.sip


@pytest.mark.keeps("21.18")
async def test_both_talk_on_until_somebody_answers(hearing: Hearing) -> None:
    caller, assistant, asked = await hearing.waiting("talking")
    target = await hearing.extension("6013")
    await target.ring()
    await asyncio.sleep(0.3)  # in which both talk
    await caller.media.hears(ASSISTANT_HZ)
    await assistant.media.hears(CALLER_HZ)
    answered = time.monotonic()
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    await target.media.hears(CALLER_HZ)
    await has_heard(caller, asked, ASSISTANT_HZ, TARGET_HZ)
    await has_heard(target, answered, CALLER_HZ)
    await has_heard(assistant, asked, CALLER_HZ)
    assert codes(await assistant.notifies()) == [100, 180, 200]
    assert (await hearing.outcome())["outcome"] == "completed"


@pytest.mark.keeps("21.18")
async def test_who_answers_is_asked_meanwhile(hearing: Hearing) -> None:
    caller, assistant, asked = await hearing.waiting("talking-asked")
    target = await hearing.extension("6014")
    answered = time.monotonic()
    await target.answer(hz=TARGET_HZ)
    await target.media.hears(WHISPER_HZ)
    await asyncio.sleep(0.3)  # of the whisper, while both talk
    await caller.media.hears(ASSISTANT_HZ)
    await assistant.media.hears(CALLER_HZ)
    await target.press("1")
    await caller.media.hears(TARGET_HZ)
    await has_heard(caller, asked, ASSISTANT_HZ, TARGET_HZ)
    await has_heard(target, answered, WHISPER_HZ, CALLER_HZ)


@pytest.mark.keeps("21.19")
async def test_a_failure_is_told_and_both_have_never_stopped_talking(hearing: Hearing) -> None:
    caller, assistant, asked = await hearing.waiting("talking")
    target = await hearing.extension("6013")
    await target.ring()
    target.reject(486)
    assert codes(await assistant.notifies())[-1] == 486
    ended = await hearing.outcome()
    assert (ended["reason"], ended["returned_to_transferor"]) == ("busy", True)
    await asyncio.sleep(0.3)  # in which they go on
    await assistant.media.hears(CALLER_HZ)
    await has_heard(caller, asked, ASSISTANT_HZ)
    await has_heard(assistant, asked, CALLER_HZ)


@pytest.mark.keeps("21.19")
async def test_once_the_assistant_is_gone_the_caller_waits_as_others_do(hearing: Hearing) -> None:
    caller, assistant, asked = await hearing.waiting("talking")
    target = await hearing.extension("6013")
    await target.ring()
    await assistant.hang_up()
    await caller.media.hears(RINGBACK_HZ)
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    await target.media.hears(CALLER_HZ)
    await has_heard(caller, asked, ASSISTANT_HZ, RINGBACK_HZ, TARGET_HZ)


@pytest.mark.keeps("21.18")
@pytest.mark.alone
async def test_the_caller_changes_over_without_a_gap(hearing: Hearing) -> None:
    caller, _, asked = await hearing.waiting("talking")
    target = await hearing.extension("6013")
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    await asyncio.sleep(0.2)
    assert sounds(heard(caller, asked - 0.2)) == [ASSISTANT_HZ, TARGET_HZ]
