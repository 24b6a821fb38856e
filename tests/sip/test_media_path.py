# SPDX-License-Identifier: GPL-2.0-or-later
"""Another way for audio stands in for the bridge, and nothing but the bridge has to know of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway.clock import LoopClock
from gateway.config import load
from gateway.core.model import LegId
from gateway.engine import Engine
from gateway.sip.agent import SipAgent
from tests.bench.bench import Witness
from tests.bench.chance import Chance
from tests.sip.relay_path import RelayPath, place
from tests.sip.scene import ANNA, ASSISTANT_HZ, CALLER_HZ, LINES, PBX_PORT, TARGET_HZ, make_gateway
from tests.support.peer import Peer
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.processes import Net

pytestmark = [pytest.mark.sip]


@pytest.fixture
async def relayed(bed_net: Net) -> AsyncIterator[RelayPath]:
    """A user agent and an engine, in this process, whose audio a relay carries."""
    witness: Any = Witness(Chance(), [])
    config, clock = load(make_gateway(bed_net).directory), LoopClock()
    engine = Engine(config, witness, witness, clock)
    made: list[RelayPath] = []

    def relay(*parts: Any) -> RelayPath:
        made.append(RelayPath(*parts))
        return made[0]

    agent = SipAgent(config, engine, clock, relay)
    engine.attach(agent)
    agent.start()
    try:
        yield made[0]
    finally:
        await agent.stop()


@pytest.mark.keeps("8.27")
async def test_a_relay_stands_in_for_the_bridge(bed_net: Net, relayed: RelayPath) -> None:
    async with (
        Peer(bed_net.pbx, PBX_PORT, user="pbx") as pbx,
        Peer(bed_net.host(LINES["main"].host), 5060) as platform,
    ):
        number = f"sip:{LINES['main'].number}@{bed_net.gateway}"
        caller = pbx.invite(number, (bed_net.gateway, 5060), hz=CALLER_HZ)
        assistant = await platform.wait_call()
        await assistant.answer(hz=ASSISTANT_HZ)
        await caller.answered()
        await caller.media.hears(ASSISTANT_HZ)
        await assistant.media.hears(CALLER_HZ)
        assert assistant.incoming is not None
        assert place(assistant.incoming.body.decode()) == relayed.sockets[LegId("out-1")].getsockname()

        assert (await assistant.refer(ANNA)).code == 202
        target = await pbx.wait_call()
        await target.answer(hz=TARGET_HZ)
        await caller.media.hears(TARGET_HZ)
        await target.media.hears(CALLER_HZ)
        assert relayed.asked[:4] == [
            ("in-1", "received offer"),
            ("in-1", "sent answer"),
            ("out-1", "sent offer"),
            ("out-1", "received answer"),
        ]
        await target.hang_up()
        await caller.wait_request("BYE")
        await eventually(relayed.is_idle, "the relay has let go of every leg")
