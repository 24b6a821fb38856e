# SPDX-License-Identifier: GPL-2.0-or-later
"""Offers at any time: delayed ones, another codec, another address, in the middle of a transfer too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.mid_call import ASSISTANT_HZ, TARGET_HZ, WAYS, both_hear, conversation, offers, told
from tests.sip.scene import codes

if TYPE_CHECKING:
    from tests.sip.scene import Scene

pytestmark = pytest.mark.sip

PCMU, PCMA = 0, 8


@pytest.mark.keeps("9.5")
async def test_a_transfer_while_our_offer_waits_for_its_answer(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    caller.keeps_ack = True
    await caller.reinvite(delayed=True)
    target = await scene.referred(assistant)
    await target.answer(hz=TARGET_HZ)
    assert codes(await assistant.notifies())[-1] == 200
    assert caller.ack
    caller.peer.send(caller.ack, caller.remote)
    await both_hear(caller, target)
    assert (await scene.outcome())["outcome"] == "completed"


@pytest.mark.keeps("9.5")
async def test_a_hold_that_comes_while_the_other_side_has_an_offer_open(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    caller.keeps_ack = True
    await caller.reinvite(delayed=True)
    await assistant.reinvite(direction="sendonly")
    assert caller.ack
    assert offers(caller) == []
    caller.keeps_ack = False
    caller.peer.send(caller.ack, caller.remote)
    await told(caller, "sendonly")
    await caller.media.hears(ASSISTANT_HZ)


@pytest.mark.keeps("9.6")
async def test_the_target_speaks_another_codec_than_the_caller(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    await caller.reinvite(codecs=("PCMU",))
    target = await scene.referred(assistant)
    await target.answer(hz=TARGET_HZ, codec="PCMA")
    await both_hear(caller, target)
    assert (caller.media.received[-1].payload_type, target.media.received[-1].payload_type) == (PCMU, PCMA)


@pytest.mark.keeps("9.7")
@pytest.mark.parametrize("who", ["caller", "called"])
@pytest.mark.parametrize("way", WAYS)
async def test_one_side_moves_to_another_address(scene: Scene, way: str, who: str) -> None:
    caller, called = await conversation(scene, way)
    moving, other = (caller, called) if who == "caller" else (called, caller)
    await both_hear(caller, called)
    moving.move()
    assert (await moving.reinvite()).code == 200
    await both_hear(caller, called)
    assert offers(other) == []


@pytest.mark.keeps("9.7")
async def test_a_caller_who_moves_while_the_target_rings(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    target = await scene.referred(assistant)
    await target.ring()
    caller.move()
    await caller.reinvite()
    await caller.media.hears(425)
    await target.answer(hz=TARGET_HZ)
    await both_hear(caller, target)
