# SPDX-License-Identifier: GPL-2.0-or-later
"""Answers to requests of ours that come when their session is over, as when a BYE crosses a re-INVITE."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import LINES, Scene, settings
from tests.support.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.peer_call import Call
    from tests.support.processes import Net

pytestmark = pytest.mark.sip

FILLED = {"GLIBC_TUNABLES": "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0"}
"""Have the C library write over what is freed (mallopt(3)): whoever reads it all the same does not find what it was."""


@pytest.fixture
async def scene(own_net: Net) -> AsyncIterator[Scene]:
    """A gateway of its own, in which nothing outlives its being freed."""
    async with (
        Gateway(settings(own_net, {"main": LINES["main"]}), env=FILLED) as gateway,
        Scene(own_net, gateway) as made,
    ):
        yield made


async def asked_anew(scene: Scene) -> tuple[Call, Call]:
    """A caller on hold, and the assistant who has not answered the re-INVITE that told them of it."""
    caller, assistant = await scene.bridged()
    assistant.answers["INVITE"] = None
    await caller.reinvite(direction="sendonly")
    await assistant.wait_request("INVITE")
    return caller, assistant


@pytest.mark.keeps("16.121")
@pytest.mark.parametrize("code", [200, 183])
async def test_an_answer_to_our_re_invite_follows_the_bye(scene: Scene, code: int) -> None:
    caller, assistant = await asked_anew(scene)
    offer = await assistant.wait_request("INVITE")
    assert (await assistant.hang_up()).code == 200
    assistant.respond(offer, code, body=assistant.answer_to(offer.body))
    await caller.wait_request("BYE")
    assert "description-unusable" not in scene.gateway.log
    again, _ = await scene.bridged()
    assert (await again.hang_up()).code == 200


@pytest.mark.keeps("16.121")
async def test_an_answer_to_our_re_invite_follows_our_bye(scene: Scene) -> None:
    caller, assistant = await asked_anew(scene)
    offer = await assistant.wait_request("INVITE")
    await caller.hang_up()
    await assistant.wait_request("BYE")
    assistant.respond(offer, 200, body=assistant.answer_to(offer.body))
    assert "description-unusable" not in scene.gateway.log
    again, _ = await scene.bridged()
    assert (await again.hang_up()).code == 200
