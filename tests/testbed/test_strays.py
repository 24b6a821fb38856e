# SPDX-License-Identifier: GPL-2.0-or-later
"""What is sent on for a scenario that is over is no part of the one after it (RFC 3261 §9.1, §17.1.1.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sip.scene import LINES, Scene, settings
from tests.support.gateway import Gateway
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.support.processes import Net

pytestmark = pytest.mark.sip


async def test_an_invite_for_a_caller_who_has_gone_is_counted_for_nobody(own_net: Net) -> None:
    async with Gateway(settings(own_net, {"main": LINES["main"]})) as gateway:
        await given_up(own_net, gateway)
        async with Scene(own_net, gateway) as scene:
            platform = await scene.platform()
            stray = await platform.until(lambda: next(iter(platform.strays), None), "the INVITE once more")
            assert (stray.method, platform.received("INVITE"), platform.calls) == ("INVITE", [], [])
            _, assistant = await scene.bridged()
            assert [one["Call-ID"] for one in platform.received("INVITE")] == [assistant.call_id] != [stray["Call-ID"]]


async def test_one_that_has_come_is_refused_at_the_end_and_not_sent_again(own_net: Net) -> None:
    async with Gateway(settings(own_net, {"main": LINES["main"]})) as gateway:
        await given_up(own_net, gateway, listens=True)

        async def answered() -> bool:
            dialogs = (await gateway.get("/api/dialogs"))["dialogs"]
            return not any(dialog["invite"] == "CALLING" for dialog in dialogs)

        await eventually(answered, "no INVITE that is sent on")


async def given_up(net: Net, gateway: Gateway, *, listens: bool = False) -> None:
    """A scenario whose caller hangs up while the platform says nothing, if it is there at all."""
    async with Scene(net, gateway) as scene:
        if listens:
            await scene.platform()
        caller = scene.call_from_pbx()

        async def dialled() -> bool:
            return bool((await gateway.get("/api/status"))["sip"]["legs"] == 2)

        await eventually(dialled, "a leg to the platform")
        assert (await caller.cancel()).code == 200
        assert (await caller.final()).code == 487
