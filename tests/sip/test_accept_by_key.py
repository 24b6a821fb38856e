# SPDX-License-Identifier: GPL-2.0-or-later
"""Who answers hears a whisper, and takes the call by a key: nobody hears what is not meant for them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.sip.hearing import ACCEPT_S, ALL_HZ, NUMBERS, RINGBACK_HZ, SECOND_HZ, WHISPER_HZ, WHISPER_S, heard, sounds
from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ, codes
from tests.support.timeline import timeline

if TYPE_CHECKING:
    from tests.sip.hearing import Hearing
    from tests.support.peer_call import Call

pytestmark = pytest.mark.sip

BEFORE_S = 0.4
"""So much of the assistant is heard before it asks, whatever else the machine has to do."""
JOINED_S = 0.5
"""The key itself takes 0.16 s."""


async def press(target: Call, way: str, keys: str) -> None:
    """The person presses keys, and their phone tells of them in this way."""
    await (target.press(keys) if way == "rfc4733" else target.press_infos(keys))


async def has_heard(call: Call, since: float, *tones: int) -> None:
    """These tones it has heard, in this order, and no others; silences between them are left out.

    How long after one another says a machine alone that has nothing else to do.
    """

    def so_far() -> list[int]:
        return sounds(timeline(call.media, ALL_HZ, since=since - BEFORE_S))

    last = asyncio.get_running_loop().time() + 30
    while so_far() != list(tones) and asyncio.get_running_loop().time() < last:
        assert len(so_far()) < len(tones), f"{so_far()} instead of {tones}"
        await asyncio.sleep(0.1)  # until enough of the newest has come
    assert so_far() == list(tones)


async def whispered_to(hearing: Hearing, extension: str = "6011") -> tuple[Call, float]:
    """Who answers, and speaks at once, hears the whisper; when that was."""
    target = await hearing.extension(extension)
    answered = time.monotonic()
    await target.answer(hz=TARGET_HZ)
    await target.media.hears(WHISPER_HZ)
    await asyncio.sleep(0.3)  # some of it, and what others hear meanwhile
    return target, answered


@pytest.mark.keeps("21.8")
async def test_the_whisper_is_for_who_answers_alone_and_then_both_talk(hearing: Hearing) -> None:
    caller, assistant, asked = await hearing.waiting("whispered")
    target, answered = await whispered_to(hearing, "6010")
    await caller.media.hears(TARGET_HZ)
    await target.media.hears(CALLER_HZ)
    await has_heard(caller, asked, ASSISTANT_HZ, RINGBACK_HZ, TARGET_HZ)
    await has_heard(target, answered, WHISPER_HZ, CALLER_HZ)
    whisper = sum(span.seconds for span in timeline(target.media, [WHISPER_HZ], since=answered) if span.tones)
    assert whisper > WHISPER_S / 2
    assert codes(await assistant.notifies())[-1] == 200
    told = await hearing.outcome()
    assert told["whispered_at"] is not None
    assert told["accepted_at"] is None


@pytest.mark.keeps("21.9")
@pytest.mark.parametrize("way", ["rfc4733", "info"])
@pytest.mark.parametrize("early", [True, False], ids=["in the whisper", "after it"])
async def test_a_key_takes_the_call(hearing: Hearing, way: str, early: bool) -> None:
    caller, assistant, asked = await hearing.waiting("accepting")
    target, answered = await whispered_to(hearing)
    if not early:
        await target.media.hears_no_more(WHISPER_HZ)
    assert 200 not in codes([one for one in assistant.requests if one.method == "NOTIFY"])
    await press(target, way, "1")
    await caller.media.hears(TARGET_HZ)
    await target.media.hears(CALLER_HZ)
    await has_heard(caller, asked, ASSISTANT_HZ, RINGBACK_HZ, TARGET_HZ)
    await has_heard(target, answered, WHISPER_HZ, CALLER_HZ)
    assert (caller.media.keys, caller.infos) == ("", "")  # the key was for the gateway
    await press(target, way, "5")  # what comes later is for the caller
    await caller.has_keys("5")
    assert codes(await assistant.notifies())[-1] == 200
    told = await hearing.outcome()
    assert (told["outcome"], told["human_at"]) == ("completed", told["accepted_at"])
    assert told["answered_at"] <= told["whispered_at"] < told["accepted_at"]


@pytest.mark.keeps("21.8")
@pytest.mark.alone
@pytest.mark.parametrize("way", ["rfc4733", "info"])
async def test_the_two_are_joined_without_a_gap(hearing: Hearing, way: str) -> None:
    caller, _, asked = await hearing.waiting("accepting")
    target, answered = await whispered_to(hearing)
    await press(target, way, "1")
    pressed = time.monotonic()
    await caller.media.hears(TARGET_HZ)
    await target.media.hears(CALLER_HZ)
    await asyncio.sleep(0.2)
    for spans in (heard(caller, asked - 0.2), heard(target, answered)):  # 100 ms at most, one stream
        assert abs(spans[-1].start - pressed) < JOINED_S  # and neither waits for the other


@pytest.mark.keeps("21.10")
@pytest.mark.parametrize("how", ["declines", "another key", "no key", "hangs up"])
async def test_who_does_not_take_the_call_never_hears_the_caller_and_the_next_does(hearing: Hearing, how: str) -> None:
    caller, assistant, asked = await hearing.waiting("hunting")
    target, answered = await whispered_to(hearing, "6012")
    match how:
        case "declines":
            await target.press("2")
        case "another key":
            await target.press("7")
        case "hangs up":
            await target.hang_up()
    second = await hearing.extension("6006")
    waited = time.monotonic() - answered
    if how == "no key":
        assert waited > WHISPER_S + ACCEPT_S
    await second.answer(hz=SECOND_HZ)
    await caller.media.hears(SECOND_HZ)
    await has_heard(caller, asked, ASSISTANT_HZ, RINGBACK_HZ, SECOND_HZ)
    await has_heard(target, answered, WHISPER_HZ)
    assert codes(await assistant.notifies())[-1] == 200
    reason = "no-answer" if how == "no key" else "declined"
    told = await hearing.outcome()
    assert [(one["destination"], one["reason"]) for one in told["attempts"]] == [
        ("hunting", reason),
        ("second", "answered"),
    ]


@pytest.mark.keeps("21.11")
async def test_the_caller_is_back_with_the_assistant_where_nobody_takes_the_call(hearing: Hearing) -> None:
    caller, assistant, asked = await hearing.waiting("accepting")
    target, answered = await whispered_to(hearing)
    await target.press("2")
    await caller.media.hears(ASSISTANT_HZ)
    await assistant.media.hears(CALLER_HZ)
    await has_heard(caller, asked, ASSISTANT_HZ, RINGBACK_HZ, ASSISTANT_HZ)
    await has_heard(target, answered, WHISPER_HZ)
    assert codes(await assistant.notifies())[-1] == 603
    told = await hearing.outcome()
    assert (told["outcome"], told["reason"], told["returned_to_transferor"]) == ("failed", "declined", True)
    assert told["whispered_at"] is not None


@pytest.mark.keeps("21.12")
async def test_a_caller_who_hangs_up_meanwhile_lets_go_of_who_was_asked(hearing: Hearing) -> None:
    caller, assistant, _ = await hearing.waiting("accepting")
    target, _ = await whispered_to(hearing)
    await caller.hang_up()
    await target.hung_up()
    assert codes(await assistant.notifies())[-1] == 487
    told = await hearing.outcome()
    assert (told["outcome"], told["reason"]) == ("abandoned", "caller-hung-up")


@pytest.mark.keeps("21.12")
async def test_an_assistant_that_hangs_up_meanwhile_changes_nothing(hearing: Hearing) -> None:
    caller, assistant, _ = await hearing.waiting("accepting")
    target, _ = await whispered_to(hearing)
    await assistant.hang_up()
    await target.press("1")
    await caller.media.hears(TARGET_HZ)
    await target.media.hears(CALLER_HZ)
    assert (await hearing.outcome())["outcome"] == "completed"


@pytest.mark.keeps("21.12")
async def test_who_is_asked_may_hold_and_come_back(hearing: Hearing) -> None:
    caller, _, asked = await hearing.waiting("accepting")
    target, _ = await whispered_to(hearing)
    await target.changes("sendonly")
    await target.changes("sendrecv")
    await target.press("1")
    await caller.media.hears(TARGET_HZ)
    await target.media.hears(CALLER_HZ)
    await has_heard(caller, asked, ASSISTANT_HZ, RINGBACK_HZ, TARGET_HZ)


@pytest.mark.keeps("21.13")
async def test_early_media_of_a_target_that_is_whispered_to_is_heard_by_nobody(hearing: Hearing) -> None:
    caller, _, asked = await hearing.waiting("accepting")
    target = await hearing.extension("6011")
    await caller.media.hears(RINGBACK_HZ)
    target.hz = TARGET_HZ
    await target.ring(183, early_media=True)
    rang = time.monotonic()
    await asyncio.sleep(0.5)
    await target.answer(hz=TARGET_HZ)
    await target.media.hears(WHISPER_HZ)
    await target.press("1")
    await caller.media.hears(TARGET_HZ)
    await target.media.hears(CALLER_HZ)
    await has_heard(target, rang, WHISPER_HZ, CALLER_HZ)
    await has_heard(caller, asked, ASSISTANT_HZ, RINGBACK_HZ, TARGET_HZ)


@pytest.mark.keeps("21.14")
async def test_a_platform_that_calls_is_answered_once_the_call_is_taken(hearing: Hearing) -> None:
    platform = await hearing.platform()
    caller = platform.invite(f"sip:{NUMBERS['accepting']}@{hearing.remote[0]}", hearing.remote, hz=CALLER_HZ)
    target, answered = await whispered_to(hearing)
    await asyncio.sleep(0.3)
    assert caller.invite
    assert not [one for one in caller.invite.responses if one.code >= 200]
    await target.press("1")
    await caller.answered()
    await caller.media.hears(TARGET_HZ)
    await target.media.hears(CALLER_HZ)
    await has_heard(target, answered, WHISPER_HZ, CALLER_HZ)
