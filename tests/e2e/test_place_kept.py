# SPDX-License-Identifier: GPL-2.0-or-later
"""A caller's place in a real Asterisk's queue is kept past the assistant's deadline, and taken up by its next REFER."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.scene import ANNA_HZ, ASSISTANT_HZ, CALLER_HZ, RINGBACK_HZ, hang_up, scene
from tests.e2e.test_accepting import SOUNDS, WHISPER, WHISPER_HZ, was_heard
from tests.e2e.test_who_answered import company, known
from tests.sip.scene import codes
from tests.support import tones
from tests.support.asterisk_server import MUSIC_HZ
from tests.support.processes import eventually
from tests.support.timeline import longest_break, order, timeline

if TYPE_CHECKING:
    from tests.conftest import Phones
    from tests.e2e.scene import Scene
    from tests.support.asterisk import Asterisk
    from tests.support.configuration import Configuration

pytestmark = pytest.mark.pbx

SALES: dict[str, Any] = {
    "id": "sales", "number": "+31612345678", "extension": "6598", "queue": "sales", "while_waiting": "assistant",
    "hold_place_s": 120, "whisper": WHISPER,
}  # fmt: skip
DEADLINE_S = 4
MOST_S = 0.1
"""The longest silence that a caller may hear at a switch."""


def waiting(pbx: Asterisk) -> Configuration:
    """Sales have a queue that answers first, with music, and the assistant's platform waits for a few seconds."""
    files = company(pbx, SALES)
    files.profiles["hms"]["deadline_s"] = DEADLINE_S
    return files


async def stage(play: Scene, name: str) -> None:
    """Wait until a transfer is at this stage."""

    async def reached() -> bool:
        return await play.gateway.metric("transfer_gateway_transfers_in_progress", stage=name) == 1

    await eventually(reached, f"a transfer is {name}", timeout_s=30)


@pytest.mark.keeps("21.30")
@pytest.mark.parametrize("meanwhile", [False, True], ids=["before an agent answers", "after an agent has answered"])
async def test_a_second_refer_takes_the_place_up(pbx: Asterisk, phones: Phones, meanwhile: bool) -> None:
    anna = await phones("6001", hz=ANNA_HZ, manner="ring")
    async with scene(pbx, files=waiting(pbx), sounds=SOUNDS) as play:
        await known(play)
        await play.gateway.queue("sales", available=1)
        caller, assistant = await play.talk()
        asked = time.monotonic()
        assert await play.refer(assistant, "+31612345678") == 202
        await anna.event("CALL_INCOMING")
        notifies = await assistant.notifies()
        assert codes(notifies)[-1] == 480
        assert b"\r\nRetry-After: " in notifies[-1].body
        await stage(play, "kept")
        if meanwhile:
            await anna.pick_up()
            await anna.hears(RINGBACK_HZ, timeout_s=15)
        assert await play.refer(assistant, "+31612345678") == 202
        if not meanwhile:
            await stage(play, "answered")
            await anna.pick_up()
        await anna.hears(WHISPER_HZ, timeout_s=15)
        before = len(tones.read_wav(anna.recording))
        await caller.media.hears(ANNA_HZ)
        await anna.hears(CALLER_HZ)
        spans = timeline(caller.media, [MUSIC_HZ, RINGBACK_HZ, WHISPER_HZ, ASSISTANT_HZ, ANNA_HZ], since=asked)
        assert [tone for tone in order(spans) if tone is not None] == [ASSISTANT_HZ, ANNA_HZ]
        assert longest_break(spans) <= MOST_S
        assert not was_heard(anna, ASSISTANT_HZ)
        assert not was_heard(anna, CALLER_HZ, before)
        completed, kept = await play.gateway.ended(2)
        assert (kept["outcome"], kept["reason"]) == ("failed", "place-kept")
        assert (completed["outcome"], completed["answered_by"]) == ("completed", "agent")
        assert kept["call_ids"]["target"] == completed["call_ids"]["target"]
        await hang_up(caller)
        await anna.event("CALL_CLOSED")


@pytest.mark.keeps("21.31")
async def test_whoever_hangs_up_takes_the_caller_out_of_the_queue(pbx: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=ANNA_HZ, manner="ring")
    async with scene(pbx, files=waiting(pbx), sounds=SOUNDS) as play:
        await known(play)
        await play.gateway.queue("sales", available=1)
        caller, assistant = await play.talk()
        assert await play.refer(assistant, "+31612345678") == 202
        await anna.event("CALL_INCOMING")
        await stage(play, "kept")
        await hang_up(caller)
        await anna.event("CALL_CLOSED")
        await play.gateway.queue("sales", callers=0)
        [told] = await play.gateway.ended(1)
        assert told["reason"] == "place-kept"
