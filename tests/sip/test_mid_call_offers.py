# SPDX-License-Identifier: GPL-2.0-or-later
"""Offers at any time: delayed ones, another codec, another address, in the middle of a transfer too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.mid_call import ASSISTANT_HZ, TARGET_HZ, both_hear, offers, told

if TYPE_CHECKING:
    from tests.sip.scene import Scene

pytestmark = pytest.mark.sip

PCMU, PCMA = 0, 8


@pytest.mark.keeps("9.5")
async def test_a_hold_that_comes_while_the_other_side_has_an_offer_open(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    await caller.asks()
    await assistant.reinvite(direction="sendonly")
    assert offers(caller) == []
    await caller.acks()
    await told(caller, "sendonly")
    await caller.media.hears(ASSISTANT_HZ)


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
