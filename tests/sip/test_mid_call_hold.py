# SPDX-License-Identifier: GPL-2.0-or-later
"""Hold and resume: who is held is told so, whoever holds, and whomever they talk to by then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.mid_call import ASSISTANT_HZ, CALLER_HZ, TARGET_HZ, both_hear, offers, told
from tests.sip.scene import codes
from tests.support.sip_message import direction_of, sdp

if TYPE_CHECKING:
    from tests.sip.scene import Scene

pytestmark = pytest.mark.sip


@pytest.mark.keeps("9.2")
@pytest.mark.parametrize("from_the_start", [True, False])
async def test_a_call_without_a_stream_is_one_without_media(scene: Scene, from_the_start: bool) -> None:
    before = len(scene.gateway.log)
    if from_the_start:
        caller = scene.call_from_pbx(body=sdp(scene.pbx.host, 40000, direction="inactive"))
        assistant = await (await scene.platform()).wait_call()
        await assistant.answer(hz=ASSISTANT_HZ)
        await caller.answered()
    else:
        caller, assistant = await scene.bridged()
        await assistant.reinvite(direction="inactive")
        await told(caller, "inactive")
    await caller.media.hears_nothing()
    target = await scene.referred(assistant)
    await target.answer(hz=TARGET_HZ)
    assert codes(await assistant.notifies())[-1] == 200
    if from_the_start:
        assert (await caller.reinvite()).code == 200
    await both_hear(caller, target)
    told_of = scene.gateway.log[before:]
    assert not [one for one in told_of.splitlines() if "failed" in one or "not-connected" in one or "Traceback" in one]


@pytest.mark.keeps("9.1")
async def test_both_hold_and_resume_one_after_the_other(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    await assistant.reinvite(direction="sendonly")
    await told(caller, "sendonly")
    assert direction_of((await caller.reinvite(direction="sendonly")).body) == "inactive"
    await told(assistant, "sendonly")
    await assistant.reinvite()
    await told(caller, "sendrecv", 2)
    await assistant.media.hears(CALLER_HZ)
    await caller.reinvite()
    await told(assistant, "sendrecv", 2)
    await both_hear(caller, assistant)


@pytest.mark.keeps("9.2")
async def test_a_side_that_listens_only_is_asked_for_nothing(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    await assistant.reinvite(direction="recvonly")
    await told(caller, "recvonly")
    await assistant.media.hears(CALLER_HZ)


@pytest.mark.keeps("9.3")
async def test_a_held_caller_whose_transfer_failed_is_held_again_until_the_transferor_resumes(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    await assistant.reinvite(direction="sendonly")
    await told(caller, "sendonly")
    target = await scene.referred(assistant)
    await told(caller, "sendrecv", 2)
    target.reject(486)
    assert codes(await assistant.notifies())[-1] == 486
    await told(caller, "sendonly", 3)
    await caller.media.hears(ASSISTANT_HZ)  # the music it had before
    await assistant.reinvite()
    await told(caller, "sendrecv", 4)
    await both_hear(caller, assistant)


@pytest.mark.keeps("9.3")
async def test_a_transferor_that_resumes_while_the_target_rings_gets_a_caller_who_is_not_held(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    await assistant.reinvite(direction="inactive")
    await told(caller, "inactive")
    target = await scene.referred(assistant)
    await told(caller, "sendrecv", 2)
    await assistant.reinvite()
    target.reject(486)
    await assistant.notifies()
    await both_hear(caller, assistant)
    assert offers(caller) == ["inactive", "sendrecv"]
