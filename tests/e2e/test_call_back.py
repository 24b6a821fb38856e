# SPDX-License-Identifier: GPL-2.0-or-later
"""A caller is called back through a real Asterisk: its agent first, then the caller, who hear one another."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.scene import ANNA_HZ, CALLER, CALLER_HZ, RINGBACK_HZ, Scene, hang_up, scene
from tests.e2e.test_accepting import ASKED, SOUNDS, WHISPER_HZ, was_heard
from tests.e2e.test_who_answered import company, known
from tests.support.company import NUMBER
from tests.support.configuration import TOKEN
from tests.support.processes import eventually
from tests.support.timeline import timeline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import Phones
    from tests.support.asterisk import Asterisk
    from tests.support.baresip import Agent
    from tests.support.configuration import Configuration, Table
    from tests.support.peer_call import Call

pytestmark = pytest.mark.pbx

SALES: dict[str, Any] = {"id": "sales", "extension": "6500", "queue": "sales", "callback_prefixes": ["+3120"]}
WAY_OUT = "_+X.,1,Dial(PJSIP/${EXTEN}@provider)"


@pytest.fixture
async def outward(pbx: Asterisk) -> AsyncIterator[Asterisk]:
    """A PBX that lets the gateway call numbers through its provider."""
    await pbx.cli(f"dialplan add extension {WAY_OUT} into transfer-destinations")
    yield pbx
    if pbx.running:
        await pbx.cli("dialplan remove extension _+X.@transfer-destinations")


def calling_back(pbx: Asterisk, **more: Any) -> Configuration:
    return company(pbx, {**SALES, **more})


async def post(play: Scene, path: str, body: Table) -> tuple[int, Table]:
    status, text = await play.gateway.http("POST", path, token=TOKEN, body=body)
    return status, json.loads(text)


async def promised(play: Scene) -> str:
    """A caller has talked to the assistant, while every agent was paused, and is promised to be called back."""
    await known(play)
    await play.gateway.queue("sales", available=1)
    await play.pbx.pause("6001")
    await play.gateway.queue("sales", available=0)
    caller, _ = await play.talk()
    await hang_up(caller)
    status, answer = await post(play, "/api/callbacks", {"caller": CALLER, "destination": "sales"})
    assert (status, answer["transfer"]["outcome"]) == (202, None)
    which: str = answer["transfer"]["transfer"]
    return which


async def rung(play: Scene, anna: Agent, *, accept: bool = True) -> Call:
    """Anna is free now, is rung and takes it; the caller's phone, as it rings."""
    await play.pbx.pause("6001", paused=False)
    await anna.event("CALL_INCOMING", timeout_s=30)
    await anna.pick_up()
    if accept:
        await anna.hears(WHISPER_HZ, timeout_s=15)
        await anna.press("1")
    caller = await play.line.wait_call(timeout_s=30)
    await caller.ring()
    return caller


async def joined(play: Scene, anna: Agent, caller: Call) -> Table:
    await caller.answer(hz=CALLER_HZ)
    await anna.hears(CALLER_HZ, timeout_s=15)
    await caller.media.hears(ANNA_HZ)
    [told] = await play.gateway.ended(1)
    return told


@pytest.mark.keeps("21.21")
@pytest.mark.keeps("21.22")
async def test_the_agent_takes_it_and_then_the_caller_is_called(outward: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=ANNA_HZ, manner="ring")
    async with scene(outward, files=calling_back(outward, **ASKED), sounds=SOUNDS) as play:
        which = await promised(play)
        free_at, begun = datetime.now(UTC), time.monotonic()
        caller = await rung(play, anna)
        assert caller.incoming is not None
        assert CALLER in str(caller.incoming.uri)
        assert NUMBER in caller.incoming["From"]
        await anna.hears(RINGBACK_HZ, timeout_s=15)
        assert not was_heard(anna, CALLER_HZ)
        told = await joined(play, anna, caller)
        assert (told["transfer"], told["entry"], told["caller"]) == (which, "callback", CALLER)
        assert (told["outcome"], told["reason"], told["answered_by"]) == ("completed", "answered", "agent")
        assert (told["caller_calls"], len(told["attempts"])) == (1, 1)
        assert datetime.fromisoformat(told["answered_at"]) > free_at
        assert told["accepted_at"] is not None
        heard = timeline(caller.media, [WHISPER_HZ, ANNA_HZ], since=begun)
        assert not [span for span in heard if WHISPER_HZ in span.tones]
        await hang_up(caller)
        await anna.event("CALL_CLOSED")


@pytest.mark.keeps("21.24")
@pytest.mark.parametrize("calling", [False, True], ids=["while the agent rings", "while the caller rings"])
async def test_it_is_called_off_at_both_ends(outward: Asterisk, phones: Phones, calling: bool) -> None:
    anna = await phones("6001", hz=ANNA_HZ, manner="ring")
    async with scene(outward, files=calling_back(outward)) as play:
        which = await promised(play)
        if calling:
            caller = await rung(play, anna, accept=False)
        else:
            await outward.pause("6001", paused=False)
            await anna.event("CALL_INCOMING", timeout_s=30)
        status, answer = await post(play, f"/api/transfers/{which}/cancel", {})
        assert (status, answer["transfer"]["reason"]) == (200, "cancelled")
        if calling:
            await caller.wait_request("CANCEL")
        await anna.event("CALL_CLOSED")
        assert len(await play.gateway.ended(1)) == 1


@pytest.mark.keeps("21.25")
@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
async def test_a_promise_outlives_the_gateway(outward: Asterisk, phones: Phones, killed: bool) -> None:
    anna = await phones("6001", hz=ANNA_HZ, manner="ring")
    async with scene(outward, files=calling_back(outward)) as play:
        which = await promised(play)
        if killed:
            await play.gateway.kill()
        else:
            assert await play.gateway.stop() == 0
        await play.gateway.start()
        [waits] = await play.gateway.transfers()
        assert (waits["transfer"], waits["outcome"]) == (which, None)
        await known(play)
        told = await joined(play, anna, await rung(play, anna, accept=False))
        assert (told["transfer"], told["outcome"], told["caller_calls"]) == (which, "completed", 1)
        await outward.tidy()
        await anna.event("CALL_CLOSED")


async def _nobody(play: Scene) -> bool:
    return await play.pbx.channels() == 0


@pytest.mark.keeps("21.24")
async def test_a_caller_who_is_not_reached_for_the_last_time_ends_it(outward: Asterisk, phones: Phones) -> None:
    anna = await phones("6001", hz=ANNA_HZ, manner="ring")
    async with scene(outward, files=calling_back(outward, callback_attempts=1)) as play:
        await promised(play)
        caller = await rung(play, anna, accept=False)
        caller.reject(603)
        [told] = await play.gateway.ended(1)
        assert (told["outcome"], told["reason"]) == ("failed", "caller-unreachable")
        assert told["trail"][-1].startswith("call back: the caller was not reached")
        await anna.event("CALL_CLOSED")
        await eventually(lambda: _nobody(play), "nobody is left at the PBX")
