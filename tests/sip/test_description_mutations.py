# SPDX-License-Identifier: GPL-2.0-or-later
"""Thousands of descriptions with faults, wherever a description may come; a call beside them keeps its audio."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ, is_up
from tests.support.begun import Begun
from tests.support.mutation import mutated
from tests.support.processes import eventually
from tests.support.sip_message import sdp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.sip.scene import Scene
    from tests.support.peer_call import Call

pytestmark = pytest.mark.sip

SEED = 20261128
CALLS = 4
OFFERS = 300
"""By call; some fifteen seconds where nothing else runs."""
LONGEST_GAP_S = 0.5


@asynccontextmanager
async def undisturbed(scene: Scene) -> AsyncIterator[None]:
    """A call that has nothing to do with what goes on meanwhile; in the end the gateway is the same process."""
    caller, assistant = await scene.bridged("livekit")
    await caller.media.hears(ASSISTANT_HZ)
    await assistant.media.hears(CALLER_HZ)
    since = Begun(scene.gateway.child.pid)
    yield
    assert scene.gateway.child.exit_code is None
    await caller.media.hears(ASSISTANT_HZ)
    await assistant.media.hears(CALLER_HZ)
    for call in (caller, assistant):
        assert call.media.longest_gap(since) < LONGEST_GAP_S + since.kept_s


async def offer_faults(caller: Call, first: int) -> None:
    """Offer one description after the other in mid call; each is answered, and none ends the call."""
    for seed in range(first, first + OFFERS):
        body = mutated(caller.offer(), seed)
        method = "UPDATE" if seed % 3 == 0 else "INVITE"
        answer = await caller.begin(method, body=body, content_type="application/sdp").final()
        assert answer.code in (200, 400, 488, 491, 500), f"seed {seed}: {answer.start} to {body!r}"
        assert is_up(caller), f"seed {seed}: {body!r}"
    # When nothing is wrong with it any more, neither is with the call.
    await eventually(lambda: offered_well(caller), "a good offer accepted")
    await caller.media.hears(ASSISTANT_HZ)


async def offered_well(caller: Call) -> bool:
    """Whether an offer as it should be is accepted; 491 while the other side is still being asked."""
    return (await caller.reinvite()).code == 200


@pytest.mark.keeps("16.4")
@pytest.mark.timeout(180)
async def test_offers_with_faults_in_mid_call(scene: Scene) -> None:
    async with undisturbed(scene):
        callers = [(await scene.bridged())[0] for _ in range(CALLS)]
        await asyncio.gather(*(offer_faults(call, SEED + OFFERS * at) for at, call in enumerate(callers)))


@pytest.mark.keeps("16.4")
async def test_answers_with_faults_in_ack(scene: Scene) -> None:
    async with undisturbed(scene):
        caller, _ = await scene.bridged()
        caller.keeps_ack = True
        for seed in range(SEED, SEED + 200):
            answer = await caller.reinvite(delayed=True)
            if answer.code == 200:
                assert caller.ack
                caller.ack.body = mutated(caller.ack.body, seed)
            assert caller.ack
            caller.peer.send(caller.ack, caller.remote)
            assert is_up(caller), f"seed {seed}"
        caller.keeps_ack = False
        await eventually(lambda: offered_well(caller), "a good offer accepted")
        await caller.media.hears(ASSISTANT_HZ)


@pytest.mark.keeps("16.4")
async def test_answers_with_faults_of_targets(scene: Scene) -> None:
    async with undisturbed(scene):
        for seed in range(SEED, SEED + 30):
            caller, assistant = await scene.bridged()
            target = await scene.referred(assistant)
            assert target.incoming
            target.hz = TARGET_HZ
            target.respond(target.incoming, 183, body=mutated(target.answer_to(target.incoming.body), seed))
            target.respond(target.incoming, 200, body=mutated(target.answer_to(target.incoming.body), seed + 1000))
            outcome = await scene.outcome()
            assert outcome["reason"] in ("answered", "not-acceptable", "pbx-error"), f"seed {seed}: {outcome}"
            assert not [one for one in target.requests if one.method == "CANCEL"], f"seed {seed}"
            assert is_up(caller), f"seed {seed}"
            await caller.hang_up()


@pytest.mark.keeps("16.5")
async def test_first_offers_with_faults(scene: Scene) -> None:
    async with undisturbed(scene):
        platform = await scene.platform()
        for seed in range(SEED, SEED + 150):
            dialled = len(platform.calls)
            caller = scene.call_from_pbx(body=mutated(sdp(scene.pbx.host, 40000), seed))

            async def decided(caller: Call = caller, dialled: int = dialled) -> bool:
                assert caller.invite
                refused = any(response.code >= 200 for response in caller.invite.responses)
                return refused or len(platform.calls) > dialled

            await eventually(decided, f"seed {seed} refused or dialled", every_s=0.01)
            if len(platform.calls) > dialled:  # then there is something to talk with, and the answer is passed on
                await platform.calls[-1].answer(hz=ASSISTANT_HZ)
                await caller.answered()
                await caller.hang_up()
            else:
                assert (await caller.final()).code in (400, 488), f"seed {seed}"
