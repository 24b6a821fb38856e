# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that are over without anybody having said so: one side silent, too long a call, no answer."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.sip import scene as scenes
from tests.sip.mid_call import WAYS, both_hear, conversation, told
from tests.support.begun import Begun
from tests.support.gateway import Gateway
from tests.support.processes import Net

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.sip.scene import Scene

pytestmark = pytest.mark.sip

RTP_TIMEOUT_S, MAX_CALL_S, ANSWER_TIMEOUT_S = 1.0, 4.0, 1.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def strict(own_net: Net) -> AsyncIterator[Gateway]:
    """A gateway that waits for nobody."""
    files = scenes.settings(own_net, gateway=own_net.host(40))
    files.sip |= {"rtp_timeout_s": RTP_TIMEOUT_S, "max_call_s": MAX_CALL_S, "answer_timeout_s": ANSWER_TIMEOUT_S}
    async with Gateway(files) as gateway:
        yield gateway


@pytest.fixture
async def hasty(own_net: Net, strict: Gateway) -> AsyncIterator[Scene]:
    async with scenes.Scene(own_net, strict) as opened:
        yield opened


async def ended(scene: Scene, reason: str) -> None:
    """The newest conversation has ended for this reason."""
    await scene.gateway.idle()
    assert f"reason={reason}" in scene.gateway.log.split("call-ended")[-1].partition("\n")[0]
    assert await scene.gateway.metric("transfer_gateway_calls_ended_total", reason=reason) >= 1


# --- nothing is heard of one side


@pytest.mark.keeps("9.14")
@pytest.mark.parametrize("who", ["caller", "called"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_side_that_has_fallen_silent_ends_the_call(hasty: Scene, way: str, who: str) -> None:
    caller, called = await conversation(hasty, way)
    await both_hear(caller, called)
    dead, alive = (caller, called) if who == "caller" else (called, caller)
    dead.answers["BYE"] = None  # it is gone altogether
    dead.media.pause()
    begun = Begun(hasty.gateway.child.pid)
    await alive.wait_request("BYE")
    assert time.monotonic() - begun > RTP_TIMEOUT_S * 0.9
    assert begun.took_s < RTP_TIMEOUT_S + 1
    bye = await dead.wait_request("BYE")
    dead.respond(bye, 200)
    assert "rtp-timeout" in hasty.gateway.log
    await ended(hasty, "rtp-timeout")


@pytest.mark.keeps("9.14")
async def test_a_side_on_hold_may_be_silent(hasty: Scene) -> None:
    caller, assistant = await hasty.bridged()
    await assistant.reinvite(direction="sendonly")
    await told(caller, "sendonly")
    assistant.media.pause()  # no music
    await asyncio.sleep(RTP_TIMEOUT_S * 1.6)  # the passing of time is what is looked at here
    assert not caller.peer.received("BYE")
    await assistant.reinvite()
    await told(caller, "sendrecv", 2)
    await both_hear(caller, assistant)


@pytest.mark.keeps("9.14")
async def test_a_call_ends_when_it_has_lasted_long_enough(hasty: Scene) -> None:
    caller, assistant = await hasty.bridged()
    begun = Begun(hasty.gateway.child.pid)
    await caller.wait_request("BYE")
    await assistant.wait_request("BYE")
    assert time.monotonic() - begun > MAX_CALL_S - 0.2
    assert begun.took_s < MAX_CALL_S + 1.5
    assert "call-too-long" in hasty.gateway.log
    await ended(hasty, "too-long")


# --- nobody answers (timer C, RFC 3261 §16.8)


@pytest.mark.keeps("9.15")
@pytest.mark.parametrize("code", [100, 180])
async def test_a_trunk_that_never_answers_is_given_up(hasty: Scene, code: int) -> None:
    platform = await hasty.platform()  # which is there for the first INVITE: the time runs from that
    caller = hasty.call_from_pbx()
    assistant = await platform.wait_call()
    await assistant.ring(code)
    begun = Begun(hasty.gateway.child.pid)
    await assistant.wait_request("CANCEL")
    assert time.monotonic() - begun > ANSWER_TIMEOUT_S * 0.9
    assert begun.took_s < ANSWER_TIMEOUT_S + 1
    assert (await caller.final()).code == 408
    assert "call-unanswered" in hasty.gateway.log
    await hasty.gateway.idle()


@pytest.mark.keeps("9.15")
async def test_a_trunk_that_goes_on_ringing_is_waited_for(hasty: Scene) -> None:
    platform = await hasty.platform()  # which is there for the first INVITE: the time runs from that
    caller = hasty.call_from_pbx()
    assistant = await platform.wait_call()
    for code in (180, 183, 180):
        await assistant.ring(code)
        await asyncio.sleep(ANSWER_TIMEOUT_S * 0.6)  # the passing of time is what is looked at here
    assert not assistant.peer.received("CANCEL")
    await assistant.answer(hz=scenes.ASSISTANT_HZ)
    await caller.answered()


@pytest.mark.keeps("9.15")
async def test_a_caller_who_rings_at_a_target_has_the_target_s_time(hasty: Scene) -> None:
    platform = await hasty.platform()
    caller = platform.invite(hasty.uri("+31612345681"), hasty.remote, hz=scenes.CALLER_HZ)
    target = await hasty.target()
    await target.ring()
    await asyncio.sleep(ANSWER_TIMEOUT_S * 1.6)  # the passing of time is what is looked at here
    await target.answer(hz=scenes.TARGET_HZ)
    await caller.answered()
