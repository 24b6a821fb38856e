# SPDX-License-Identifier: GPL-2.0-or-later
"""An agent who leaves is known to have left at once, and nobody is sent to an empty queue."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.scene import ANNA_HZ, hang_up, scene
from tests.support.end import both_hear
from tests.support.processes import eventually, kept_waiting_s

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.conftest import Phones
    from tests.e2e.scene import Scene
    from tests.support.ami import Ami
    from tests.support.asterisk import Asterisk
    from tests.support.baresip import Agent

pytestmark = pytest.mark.pbx

SALES = "+31612345678"
ROUNDS = 20
PAUSED = ("QueueMemberPause", "Paused", "1")
UNAVAILABLE = ("QueueMemberStatus", "Status", "5")


async def left(play: Scene, ami: Ami, leave: Callable[[], Awaitable[None]], sign: tuple[str, str, str]) -> float:
    """Have an agent leave; seconds from the PBX's event, as it reaches us, to the gateway's snapshot saying so.

    Without the time for which the gateway, or this process, could not run for want of a processor.
    `sign` is that event: its name, a field, and the field's value.
    """
    snapshot = asyncio.create_task(gone(play))
    seen, pid = len(ami.events), play.gateway.child.pid
    await leave()
    event, field, value = sign
    await ami.event(event, after=seen, timeout_s=10, **{"Queue": "sales", field: value})
    told, kept = time.monotonic(), kept_waiting_s(pid)
    return max(0.0, await snapshot - told - (kept_waiting_s(pid) - kept))


async def gone(play: Scene) -> float:
    """When the snapshot first has nobody in it who could serve; time.monotonic()."""

    async def unstaffed() -> bool:
        [sales] = [one for one in (await play.gateway.get("/api/queues"))["queues"] if one["queue"] == "sales"]
        return bool(sales["known"] and sales["logged_in"] == sales["paused"])

    await eventually(unstaffed, "the gateway has noticed", timeout_s=15, every_s=0)
    return time.monotonic()


async def test_a_queue_whose_agent_pauses_is_refused_from_the_pbx_s_event_on(pbx: Asterisk, phones: Phones) -> None:
    await phones("6001", hz=ANNA_HZ)
    async with scene(pbx) as play, pbx.ami() as ami:
        await play.gateway.queue("sales", available=1)
        caller, assistant = await play.talk()
        delays = []
        for _ in range(ROUNDS):
            # Two connections of the PBX are told one after the other, so ours may know of it a moment before.
            delays.append(await left(play, ami, lambda: pbx.pause("6001"), PAUSED))
            refused = await assistant.refer(f"<sip:{SALES}@{play.gateway.sip[0]}>")
            assert (refused.code, refused["Reason"]) == (480, 'SIP;cause=480;text="queue-unstaffed"')
            await pbx.pause("6001", paused=False)
            await play.gateway.queue("sales", available=1)
        await both_hear(caller, assistant)
        middle, longest = statistics.median(delays), max(delays)
        print(f"from the PBX's event to the snapshot: median {middle * 1000:.1f} ms, longest {longest * 1000:.1f} ms")
        assert middle < 0.05

        # The agent is back, and so the queue is: nothing of the refusals sticks.
        assert await play.refer(assistant, SALES) == 202
        await caller.media.hears(ANNA_HZ)
        refusals = {(one["outcome"], one["reason"]) for one in (await play.gateway.ended(ROUNDS + 1))[1:]}
        assert refusals == {("refused", "queue-unstaffed")}
        await hang_up(caller)


@pytest.mark.parametrize("manner", ["unregisters", "is killed"])
async def test_a_queue_whose_agent_vanishes_is_refused(pbx: Asterisk, phones: Phones, manner: str) -> None:
    anna: Agent = await phones("6001", hz=ANNA_HZ)
    async with scene(pbx) as play, pbx.ami() as ami:
        await play.gateway.queue("sales", available=1)
        caller, assistant = await play.talk()
        leave = anna.stop if manner == "unregisters" else anna.kill
        delay = await left(play, ami, leave, UNAVAILABLE)
        print(f"agent {manner}: from the PBX's event to the snapshot {delay * 1000:.1f} ms")
        assert delay < 0.1
        assert await play.refer(assistant, SALES) == 480
        [ended] = await play.gateway.ended()
        assert (ended["outcome"], ended["reason"]) == ("refused", "queue-unstaffed")
        assert ended["trail"][-1] == "queue sales: no agent is logged in"
        await both_hear(caller, assistant)

        await anna.start()
        await play.gateway.queue("sales", available=1)
        assert await play.refer(assistant, SALES) == 202
        await anna.hears(caller.hz or 0)
        await hang_up(caller)
