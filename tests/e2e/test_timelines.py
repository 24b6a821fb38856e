# SPDX-License-Identifier: GPL-2.0-or-later
"""What a caller hears from first to last, on a real PBX: one thing after the other, not nothing, not two at once."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.scene import ASSISTANT_HZ, CALLER_HZ, RINGBACK_HZ, hang_up, scene
from tests.support.asterisk import EARLY_HZ, VOICEMAIL_HZ
from tests.support.begun import Begun
from tests.support.company import settings
from tests.support.configuration import Configuration
from tests.support.timeline import Span, longest_break, order, timeline

if TYPE_CHECKING:
    from tests.conftest import Phones
    from tests.e2e.scene import Scene
    from tests.support.asterisk import Asterisk
    from tests.support.configuration import Table
    from tests.support.peer_call import Call

pytestmark = [pytest.mark.pbx, pytest.mark.alone]

ANNA, BUSY, SILENT, DECLINING, SUPPORT = (
    "+31612345681", "+31612345682", "+31612345683", "+31612345684", "+31612345679",
)  # fmt: skip
ANNA_HZ = 1000
ALL_HZ = (RINGBACK_HZ, VOICEMAIL_HZ, ANNA_HZ, ASSISTANT_HZ, EARLY_HZ)
SWITCH_S = 0.1
"""No switch may cost a caller more of what they hear, but for what those who bring it had to wait for a processor."""


def beginning(play: Scene) -> Begun:
    """Now; from here on the gateway and the PBX bring what is heard."""
    return Begun(play.gateway.child.pid, play.pbx.pid)


def what_was_heard(caller: Call, since: Begun) -> list[Span]:
    """The caller's timeline, printed; packets kept coming, and sound followed on sound."""
    kept_s = since.kept_s
    spans = timeline(caller.media, ALL_HZ, since=since)
    for span in spans:
        name = " + ".join(f"{tone} Hz" for tone in sorted(span.tones)) or "silence"
        print(f"{span.start - since:7.2f} s  {span.seconds:6.2f} s  {name}")
    gap, pause = caller.media.longest_gap(since), longest_break(spans)
    print(f"longest gap between packets {gap * 1000:.0f} ms, between sounds {pause * 1000:.0f} ms")
    print(f"those who bring it had to wait {kept_s * 1000:.0f} ms for a processor")
    assert gap <= SWITCH_S + kept_s
    assert pause <= SWITCH_S + kept_s
    return spans


def in_order(spans: list[Span]) -> list[int]:
    """The tones heard, without the pauses of the ringback between its rings."""
    heard = [tone for tone in order(spans) if tone is not None]
    return [tone for position, tone in enumerate(heard) if position == 0 or heard[position - 1] != tone]


def besides_ringing(spans: list[Span]) -> list[int]:
    """The same without any ringback: ours, or after early media the PBX's own, if it rings long enough to be heard."""
    return [tone for tone in in_order(spans) if tone != RINGBACK_HZ]


def silent_for(spans: list[Span]) -> float:
    """The longest silence that is none between two rings."""
    tones = order(spans)
    between_rings = [
        tones[position - 1 : position + 2] == [RINGBACK_HZ, None, RINGBACK_HZ] for position in range(len(tones))
    ]
    return max(
        (span.seconds for span, ring in zip(spans, between_rings, strict=True) if not span.tones and not ring),
        default=0.0,
    )


def files_with(pbx: Asterisk, **changes: Table) -> Configuration:
    """The usual configuration, with these keys of these destinations changed."""
    files = settings(pbx.net, pbx=pbx)
    for name, keys in changes.items():
        files.destination(name).update(keys)
    return files


async def test_completed(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=ANNA_HZ, manner="ring")
    async with scene(pbx) as play:
        caller, assistant = await play.talk()
        began = beginning(play)
        await asyncio.sleep(0.3)
        assert await play.refer(assistant, ANNA) == 202
        await anna.event("CALL_INCOMING")
        await caller.media.hears(RINGBACK_HZ)
        await asyncio.sleep(0.4)
        await anna.pick_up()
        await caller.media.hears(ANNA_HZ)
        await anna.hears(CALLER_HZ)
        await asyncio.sleep(0.3)
        spans = what_was_heard(caller, began)
        assert order(spans) == [ASSISTANT_HZ, RINGBACK_HZ, ANNA_HZ]
        await hang_up(caller)
        await anna.event("CALL_CLOSED")


async def test_completed_past_early_media_of_the_pbx(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=ANNA_HZ)
    async with scene(pbx, files=files_with(pbx, anna={"extension": "6540"})) as play:
        caller, assistant = await play.talk()
        began = beginning(play)
        await asyncio.sleep(0.3)
        assert await play.refer(assistant, ANNA) == 202
        await caller.media.hears(EARLY_HZ)
        await caller.media.hears(ANNA_HZ)
        await asyncio.sleep(0.3)
        spans = what_was_heard(caller, began)
        assert besides_ringing(spans) == [ASSISTANT_HZ, EARLY_HZ, ANNA_HZ]
        await hang_up(caller)
        await anna.event("CALL_CLOSED")


async def test_early_media_of_the_pbx_reaches_a_platform_that_calls(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=ANNA_HZ)
    async with scene(pbx, files=files_with(pbx, anna={"extension": "6540"})) as play:
        own = f"<sip:+31201234567@{pbx.net.trunk}>"
        call = play.assistant.invite(f"sip:{ANNA}@{pbx.net.gateway}", play.gateway.sip, from_=own, hz=CALLER_HZ)
        assert call.invite
        assert (await call.invite.provisional(183)).body
        await call.media.hears(EARLY_HZ)
        began = beginning(play)
        await call.answered()
        await call.media.hears(ANNA_HZ)
        await asyncio.sleep(0.3)
        assert besides_ringing(what_was_heard(call, began)) == [EARLY_HZ, ANNA_HZ]
        await hang_up(call)
        await anna.event("CALL_CLOSED")


async def test_refused(pbx: Asterisk) -> None:
    """Nobody is logged in: the caller does not even notice that they were to be transferred."""
    async with scene(pbx) as play:
        await play.gateway.queue("support", logged_in=0)
        caller, assistant = await play.talk()
        began = beginning(play)
        assert await play.refer(assistant, SUPPORT) == 480
        await asyncio.sleep(0.7)
        spans = what_was_heard(caller, began)
        assert order(spans) == [ASSISTANT_HZ]
        await assistant.media.hears(CALLER_HZ)
        await hang_up(caller)


async def test_failed_and_back(pbx: Asterisk) -> None:
    async with scene(pbx) as play:
        caller, assistant = await play.talk()
        began = beginning(play)
        await asyncio.sleep(0.3)
        assert await play.refer(assistant, SILENT) == 202
        assert (await assistant.notifies())[-1].sipfrag == 480
        await caller.media.hears(ASSISTANT_HZ)
        await assistant.media.hears(CALLER_HZ)
        await asyncio.sleep(0.3)
        spans = what_was_heard(caller, began)
        assert in_order(spans) == [ASSISTANT_HZ, RINGBACK_HZ, ASSISTANT_HZ]
        assert silent_for(spans) <= 0.3  # the rest of the ringback's pause
        await hang_up(caller)


async def test_overflowed(pbx: Asterisk, phones: Phones) -> None:
    """Declined, then rung out, then answered: one ringback from the first to the last."""
    anna = await phones("6001", hz=ANNA_HZ, manner="ring")
    files = files_with(pbx, declining={"overflow": ["silent", "anna"]}, silent={"ring_timeout_s": 1})
    async with scene(pbx, files=files) as play:
        caller, assistant = await play.talk()
        began = beginning(play)
        await asyncio.sleep(0.3)
        assert await play.refer(assistant, DECLINING) == 202
        await anna.event("CALL_INCOMING")
        await asyncio.sleep(0.2)
        await anna.pick_up()
        await caller.media.hears(ANNA_HZ)
        await asyncio.sleep(0.3)
        spans = what_was_heard(caller, began)
        assert in_order(spans) == [ASSISTANT_HZ, RINGBACK_HZ, ANNA_HZ]
        [ended] = await play.gateway.ended()
        assert [one["reason"] for one in ended["attempts"]] == ["declined", "no-answer", "answered"]
        await hang_up(caller)
        await anna.event("CALL_CLOSED")


async def test_overflow_ends_where_it_is_to_end(pbx: Asterisk, phones: Phones) -> None:
    """The whole hunt may take so long, and not every failure goes on, though somebody is there."""
    await phones("6001", hz=ANNA_HZ)
    files = files_with(
        pbx, silent={"ring_timeout_s": 20, "overflow": ["anna"]}, busy={"overflow": ["anna"], "overflow_on": []}
    )
    files.line["total_ring_s"] = 1.5
    async with scene(pbx, files=files) as play:
        caller, assistant = await play.talk()
        began = beginning(play)
        assert await play.refer(assistant, SILENT) == 202
        assert (await assistant.notifies())[-1].sipfrag == 480
        assert time.monotonic() - began > 1.3
        assert began.took_s < 2.5
        assert await play.refer(assistant, BUSY) == 202
        assert (await assistant.notifies())[-1].sipfrag == 486
        await caller.media.hears(ASSISTANT_HZ)
        await asyncio.sleep(0.3)
        assert in_order(what_was_heard(caller, began))[-1] == ASSISTANT_HZ
        busy, silent = await play.gateway.ended(2)
        assert [one["destination"] for one in (*silent["attempts"], *busy["attempts"])] == ["silent", "busy"]
        await hang_up(caller)


async def test_fallen_back(pbx: Asterisk) -> None:
    """The assistant hangs up after the 202, nobody answers: voicemail takes the caller."""
    async with scene(pbx) as play:
        caller, assistant = await play.talk()
        began = beginning(play)
        await asyncio.sleep(0.3)
        assert await play.refer(assistant, SILENT) == 202
        assert (await assistant.hang_up()).code == 200
        await caller.media.hears(VOICEMAIL_HZ)
        await asyncio.sleep(0.3)
        spans = what_was_heard(caller, began)
        assert in_order(spans) == [ASSISTANT_HZ, RINGBACK_HZ, VOICEMAIL_HZ]
        [ended] = await play.gateway.ended()
        assert (ended["outcome"], ended["destination"]) == ("completed", "voicemail")
        await hang_up(caller)


async def test_an_announcement_and_then_a_person(pbx: Asterisk, phones: Phones) -> None:
    """A phone that picks up at once; whoever is to hear the announcement hears it before it rings."""
    anna = await phones("6001", hz=ANNA_HZ)
    files = files_with(pbx, anna={"announcement": "greeting.wav", "announce": "before-dialling"})
    async with scene(pbx, files=files, sounds={"greeting.wav": EARLY_HZ}) as play:
        caller, assistant = await play.talk()
        began = beginning(play)
        await asyncio.sleep(0.3)
        assert await play.refer(assistant, ANNA) == 202
        await caller.media.hears(ANNA_HZ)
        await asyncio.sleep(0.3)
        spans = what_was_heard(caller, began)
        assert besides_ringing(spans) == [ASSISTANT_HZ, EARLY_HZ, ANNA_HZ]
        announced = next(span for span in spans if span.tones == {EARLY_HZ})
        assert abs(announced.seconds - 1.0) < 0.15 + began.kept_s
        await hang_up(caller)
        await anna.event("CALL_CLOSED")
