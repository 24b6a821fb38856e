# SPDX-License-Identifier: GPL-2.0-or-later
"""Another way for audio stands in for the bridge, and nothing but the bridge has to know of it."""

from __future__ import annotations

import re
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.sip.other_paths import place
from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, LINES, TARGET_HZ, Scene, settings
from tests.support.gateway import Gateway
from tests.support.processes import Child

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.peer_call import Call
    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.asyncio(loop_scope="session")]

RTP_PORTS = range(20000, 30000)
"""Of the gateway itself, as no socket gets that is bound to any port."""


class OtherGateway(Gateway):
    """A gateway whose audio takes another path, by its name in other_paths; empty: the usual one."""

    path = ""

    async def start(self, timeout_s: float = 60.0) -> None:
        """See Gateway."""
        if not self.path:
            await super().start(timeout_s)
            return
        command = [sys.executable, "-m", "tests.sip.other_paths", self.path, str(self.directory)]
        self._child = Child("gateway", command, self.directory / "gateway.log", env=self.env)
        await self.child.ready(self._is_ready, timeout_s)


@asynccontextmanager
async def talking(net: Net, path: str) -> AsyncIterator[tuple[Scene, Call, Call]]:
    """A caller who talks with the assistant, by the path of this name."""
    gateway = OtherGateway(settings(net, {"main": LINES["main"]}))
    gateway.path = path
    async with gateway, Scene(net, gateway) as scene:
        caller, assistant = await scene.bridged()
        await caller.media.hears(ASSISTANT_HZ)
        await assistant.media.hears(CALLER_HZ)
        yield scene, caller, assistant


def offer_to(callee: Call) -> str:
    """The description that somebody was called with."""
    assert callee.incoming is not None
    return callee.incoming.body.decode()


def asked(gateway: Gateway) -> list[str]:
    """What the relay was shown, and of which leg."""
    return [" ".join(found) for found in re.findall(r"asked .*?leg=(\S+) what=(\S+)", gateway.log)]


@pytest.mark.keeps("8.27")
async def test_a_relay_stands_in_for_the_bridge(own_net: Net) -> None:
    async with talking(own_net, "relay") as (scene, caller, assistant):
        assert place(offer_to(assistant))[1] not in RTP_PORTS
        whole = ["in-1 received-offer", "in-1 sent-answer", "out-1 sent-offer", "out-1 received-answer"]
        assert asked(scene.gateway) == whole

        assert (await assistant.reinvite(direction="sendonly")).code == 200
        assert asked(scene.gateway)[4:6] == ["out-1 received-offer", "out-1 sent-answer"]
        assert (await assistant.reinvite()).code == 200

        assert (await assistant.refer("<sip:+31612345681@gw.example>")).code == 202
        target = await scene.target()
        await target.answer(hz=TARGET_HZ)
        await caller.media.hears(TARGET_HZ)
        await target.media.hears(CALLER_HZ)


@pytest.mark.keeps("8.27")
async def test_what_passes_through_is_sent_as_it_was(own_net: Net) -> None:
    offers = []
    for path in ("", "shown"):
        async with talking(own_net, path) as (_, _, assistant):
            offers.append(re.sub(r"(?m)^o=.*|^(m=audio |a=rtcp:)\d+|^a=ssrc:.*", "", offer_to(assistant)))
    assert offers[0] == offers[1]


@pytest.mark.keeps("8.27")
async def test_a_path_that_returns_no_description_changes_nothing(own_net: Net) -> None:
    async with talking(own_net, "garbled") as (scene, _, assistant):
        assert place(offer_to(assistant))[1] in RTP_PORTS
        assert scene.gateway.log.count("it returned none that fits") >= 4
