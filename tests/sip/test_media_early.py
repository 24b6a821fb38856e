# SPDX-License-Identifier: GPL-2.0-or-later
"""A caller whose own INVITE is not answered yet: what they are told, and what they hear of the other side before that.

In both directions: the platform calls a destination, and the PBX calls the assistant.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.sip.hearing import EARLY_HZ, GREETING_HZ, NUMBERS, RINGBACK_HZ, SECOND_HZ, heard, sounds
from tests.sip.scene import CALLER_HZ, LINES, TARGET_HZ
from tests.support.begun import Begun
from tests.support.processes import kept_waiting_s

if TYPE_CHECKING:
    from tests.sip.hearing import Hearing
    from tests.support.peer_call import Call
    from tests.support.sip_message import Message

pytestmark = pytest.mark.sip


async def call_destination(hearing: Hearing, destination: str, *, extension: str, **more: Any) -> tuple[Call, Call]:
    """The platform calls a destination: its call, and the one that the PBX gets."""
    platform = await hearing.platform()
    own = f"<sip:{LINES['main'].number}@{platform.host}>"
    uri = hearing.uri(NUMBERS[destination])
    caller = platform.invite(uri, hearing.remote, from_=own, hz=CALLER_HZ, **more)
    return caller, await hearing.extension(extension)


async def call_assistant(hearing: Hearing, **more: Any) -> tuple[Call, Call]:
    """The PBX calls the assistant: its call, and the one that the platform gets."""
    platform = await hearing.platform()
    return hearing.call_from_pbx(**more), await platform.wait_call()


async def call(hearing: Hearing, direction: str, **more: Any) -> tuple[Call, Call]:
    """A call in one of the two directions, which is not answered yet."""
    if direction == "to the assistant":
        return await call_assistant(hearing, **more)
    return await call_destination(hearing, "anna", extension="6001", **more)


def told(caller: Call) -> list[int]:
    """The responses to the caller's INVITE so far, 100 left out."""
    assert caller.invite
    return [response.code for response in caller.invite.responses if response.code > 100]


async def provisional(caller: Call, code: int) -> Message:
    assert caller.invite
    return await caller.invite.provisional(code)


both_ways = pytest.mark.parametrize("direction", ["to the assistant", "to a destination"])


@pytest.mark.keeps("9.8")
@both_ways
async def test_early_media_reaches_a_caller_who_is_not_answered(hearing: Hearing, direction: str) -> None:
    caller, target = await call(hearing, direction)
    target.hz = EARLY_HZ
    # Before there is anything to hear: a packet's time is the kernel's, and this test may come to it later.
    began = Begun(hearing.gateway.child.pid)
    await target.ring(183, early_media=True)
    assert (await provisional(caller, 183)).body.startswith(b"v=0")
    await caller.media.hears(EARLY_HZ)
    await asyncio.sleep(0.3)  # enough of it to be told from a click
    caller.media.hz = CALLER_HZ
    await target.media.hears(CALLER_HZ)
    await target.answer(hz=TARGET_HZ)
    await caller.answered()
    await caller.media.hears(TARGET_HZ)
    await target.media.hears(CALLER_HZ)
    await asyncio.sleep(0.2)
    assert sounds(heard(caller, began)) == [EARLY_HZ, TARGET_HZ]  # and no ringback of ours
    assert told(caller) == [183, 200]


@pytest.mark.keeps("9.8")
@both_ways
async def test_a_target_that_rings_without_media_is_left_to_the_caller_s_own_side(
    hearing: Hearing, direction: str
) -> None:
    caller, target = await call(hearing, direction)
    await target.ring(180)
    assert not (await provisional(caller, 180)).body
    await target.ring(180)
    await target.answer(hz=TARGET_HZ)
    await caller.answered()
    await caller.media.hears(TARGET_HZ)
    assert told(caller) == [180, 200]


@pytest.mark.keeps("12.5")
@both_ways
async def test_after_a_second_of_nothing_but_100_the_caller_is_told_that_it_rings(
    hearing: Hearing, direction: str
) -> None:
    gateway = hearing.gateway.child.pid
    began, kept = time.monotonic(), kept_waiting_s(gateway)
    caller, target = await call(hearing, direction)
    assert target.incoming
    target.respond(target.incoming, 100)
    await provisional(caller, 180)
    assert 0.9 < time.monotonic() - began < 1.6 + kept_waiting_s(gateway) - kept
    await target.answer(hz=TARGET_HZ)
    await caller.answered()
    assert told(caller) == [180, 200]


@pytest.mark.keeps("12.5")
@both_ways
async def test_a_caller_without_an_offer_gets_no_media_before_the_answer(hearing: Hearing, direction: str) -> None:
    caller, target = await call(hearing, direction, body=b"")
    target.hz = EARLY_HZ
    await target.ring(183, early_media=True)
    assert not (await provisional(caller, 180)).body
    target.reject(480)
    assert (await caller.final()).code == 480
    assert told(caller) == [180, 480]


@pytest.mark.keeps("12.3")
async def test_ringback_of_ours_between_two_targets_once_there_is_media(hearing: Hearing) -> None:
    caller, first = await call_destination(hearing, "chained", extension="6005")
    first.hz = EARLY_HZ
    await first.ring(183, early_media=True)
    await caller.media.hears(EARLY_HZ)
    began = Begun(hearing.gateway.child.pid)
    await asyncio.sleep(0.2)
    first.reject(486)
    second = await hearing.extension("6006")
    await second.ring(180)
    await caller.media.hears(RINGBACK_HZ)  # its own side would make none: it has been told 183
    await asyncio.sleep(0.2)
    await second.answer(hz=SECOND_HZ)
    await caller.answered()
    await caller.media.hears(SECOND_HZ)
    await asyncio.sleep(0.2)
    assert sounds(heard(caller, began)) == [EARLY_HZ, RINGBACK_HZ, SECOND_HZ]
    assert told(caller) == [183, 200]


@pytest.mark.keeps("12.5")
async def test_an_announcement_reaches_a_caller_who_is_not_answered(hearing: Hearing) -> None:
    caller, target = await call_destination(hearing, "greeted", extension="6003")
    await provisional(caller, 183)
    await caller.media.hears(GREETING_HZ)
    began = Begun(hearing.gateway.child.pid)
    await target.ring(180)
    await caller.media.hears(RINGBACK_HZ)
    await asyncio.sleep(0.2)
    await target.answer(hz=TARGET_HZ)
    await caller.answered()
    await caller.media.hears(TARGET_HZ)
    await asyncio.sleep(0.2)
    assert sounds(heard(caller, began)) == [GREETING_HZ, RINGBACK_HZ, TARGET_HZ]
    assert told(caller) == [183, 200]


# --- PRACK (RFC 3262)
