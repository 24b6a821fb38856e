# SPDX-License-Identifier: GPL-2.0-or-later
"""`final_notify = "on-human"`: a queue that answers at once is not a person, and the final NOTIFY waits for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.pbx.fake_ami import FakeAmi, caller
from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, codes, is_up
from tests.support.company import NUMBER, settings
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.processes import Net, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.sip

PBX_PORT = 5070
MUSIC_HZ, AGENT_HZ = 1200, 1700
SALES = "<sip:+31612345678@gw.example>"


@pytest.fixture
async def ami() -> AsyncIterator[FakeAmi]:
    """A manager interface that knows the queue sales with two idle members."""
    async with FakeAmi() as opened:
        yield opened


@pytest.fixture
async def gateway(own_net: Net, ami: FakeAmi) -> AsyncIterator[Gateway]:
    """A gateway that knows the queue, for a platform that wants to be told of a person."""
    files = settings(own_net, pbx_uri=f"sip:{own_net.pbx}:{PBX_PORT}")
    files.follow("asterisk", ami.port, ami.secret)
    files.profiles["hms"]["final_notify"] = "on-human"
    async with Gateway(files) as started:

        async def known() -> bool:
            told = await started.get("/api/explain?target=%2B31612345678&number=main-line")
            return any("2 of 2" in line for line in told["trail"])

        await eventually(known, "the gateway knows that both agents are free")
        yield started
        await started.idle()


@pytest.mark.keeps("3.16")
async def test_on_human(own_net: Net, ami: FakeAmi, gateway: Gateway) -> None:
    async with Peer(own_net.pbx, PBX_PORT, user="pbx") as pbx, Peer(own_net.trunk) as platform:
        leg = pbx.invite(f"sip:{NUMBER}@{gateway.sip[0]}", gateway.sip, hz=CALLER_HZ)
        assistant = await platform.wait_call()
        await assistant.answer(hz=ASSISTANT_HZ)
        await leg.answered()
        assert (await assistant.refer(SALES)).code == 202
        queue = await pbx.wait_call()
        assert queue.incoming
        ami.call_ids["PJSIP/gw-1"] = queue.incoming["Call-ID"]
        await queue.answer(hz=MUSIC_HZ)
        ami.send(caller("QueueCallerJoin", "1", Count="1"))
        # The queue has answered and plays music: the caller hears that, and the transferor is told of nobody yet.
        await leg.media.hears(MUSIC_HZ)
        await ami.asked("Getvar")
        assert set(codes(platform.received("NOTIFY"))) <= {100, 180}
        assert is_up(assistant)
        [waiting] = await gateway.transfers()
        assert waiting["answered_at"]
        assert waiting["human_at"] is None
        assert waiting["outcome"] is None

        queue.media.hz = AGENT_HZ
        ami.send(caller("QueueCallerLeave", "1", Count="0"), caller("AgentConnect", "1", Interface="PJSIP/6001"))
        assert codes(await assistant.notifies())[-1] == 200
        await assistant.wait_request("BYE")
        await leg.media.hears(AGENT_HZ)
        [ended] = await gateway.ended()
        assert (ended["outcome"], ended["final_notify"]) == ("completed", "on-human")
        assert ended["human_at"] > ended["answered_at"]
        await leg.hang_up()
        await queue.wait_request("BYE")
