# SPDX-License-Identifier: GPL-2.0-or-later
"""What the fuzzer found, played again against a gateway under the sanitizers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fuzz.reports import of_sanitizers
from tests.fuzz.sanitized import environment
from tests.sip.scene import LINES, Scene, settings
from tests.support.gateway import Gateway
from tests.support.rtp import HEADER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.alone, pytest.mark.timeout(1800)]  # the build counts too

START_S = 120.0


@pytest.fixture
async def scene(own_net: Net) -> AsyncIterator[Scene]:
    """A gateway of its own, of which no sanitizer may have anything to say in the end."""
    gateway = Gateway(settings(own_net, {"main": LINES["main"]}), env=environment())
    await gateway.start(START_S)
    try:
        async with Scene(own_net, gateway) as made:
            yield made
        await gateway.child.stop(60)
        assert of_sanitizers(gateway.log) == []
    finally:
        await gateway.__aexit__(None, None, None)


@pytest.mark.keeps("16.121")
async def test_an_answer_to_our_re_invite_follows_the_bye(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    assistant.answers["INVITE"] = None
    await caller.reinvite(direction="sendonly")
    offer = await assistant.wait_request("INVITE")
    assert (await assistant.hang_up()).code == 200
    assistant.respond(offer, 200, body=assistant.answer_to(offer.body))
    await caller.wait_request("BYE")


@pytest.mark.keeps("16.122")
async def test_time_stamps_that_jump_by_half_their_range(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    await assistant.media.hears(700)
    where = caller.media.remote
    assert where
    caller.media.pause()
    for at in range(20):
        stamp = (0x7FFFFFFF, 0x80000001, 0, 0xFFFFFFFF)[at % 4]
        number = (caller.media._sequence + at) & 0xFFFF
        caller.media.transmit(HEADER.pack(0x80, 8, number, stamp, caller.media._ssrc) + bytes(160), where)
    await caller.hang_up()
    await assistant.wait_request("BYE")
