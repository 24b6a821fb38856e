# SPDX-License-Identifier: GPL-2.0-or-later
"""The broker dies, or the gateway does: every event arrives all the same, in order, and each transfer ends once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.scene import ANNA_HZ, hang_up, scene
from tests.support.company import settings
from tests.support.end import both_hear
from tests.support.processes import eventually
from tests.support.subscriber import Subscriber

if TYPE_CHECKING:
    from tests.conftest import Phones
    from tests.e2e.scene import Scene
    from tests.support.asterisk import Asterisk
    from tests.support.broker import Broker
    from tests.support.peer_call import Call

pytestmark = [pytest.mark.pbx, pytest.mark.broker]

ANNA, BUSY, SILENT, NOBODY_S = "+31612345681", "+31612345682", "+31612345683", "+31699999999"
OUTAGE_S = 30  # by then the gateway has long begun to try less and less often
TOPICS = "transfer-gateway/test/transfers/#"
REQUESTED, ACCEPTED, RINGING, CONNECTED, ENDED = (
    f"transfer.{name}.v1" for name in ("requested", "accepted", "ringing", "connected", "ended")
)


def once(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events as a consumer has them who drops those whose id they have had."""
    first: dict[str, dict[str, Any]] = {}
    for event in events:
        first.setdefault(event["id"], event)
    return list(first.values())


def by_transfer(events: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The types of the events of each transfer, in the order in which they first came."""
    courses: dict[str, list[str]] = {}
    for event in once(events):
        courses.setdefault(event["subject"], []).append(event["type"])
    return courses


async def heard_of(heard: Subscriber, ends: int) -> None:
    """Wait until the ends of so many transfers are heard of."""

    async def enough() -> bool:
        return len({event["subject"] for event in heard.events(ENDED)}) >= ends

    # Not after every message: to read them all each time would keep the next from arriving.
    await eventually(enough, f"{ends} transfers have ended", timeout_s=40, every_s=0.2)


async def transfers_until(play: Scene, assistant: Call, stop: asyncio.Event) -> Counter[int]:
    """Have transfers asked for, one after the other, that are refused or fail; the codes that became of them."""
    codes: Counter[int] = Counter()
    while not stop.is_set():
        codes[await play.refer(assistant, NOBODY_S)] += 1
        assert await play.refer(assistant, BUSY) == 202
        codes[(await assistant.notifies())[-1].sipfrag] += 1
        # So few that those of a whole outage fit into what a broker keeps for one consumer, a thousand by default.
        await asyncio.sleep(0.4)
    return codes


@pytest.mark.timeout(120)
async def test_a_broker_s_death_loses_no_event(pbx: Asterisk, broker: Broker) -> None:
    async with Subscriber(broker, TOPICS, client_id="consumer") as heard, scene(pbx, broker=broker) as play:
        caller, assistant = await play.talk(past_pbx=True)
        stop = asyncio.Event()
        transfers = asyncio.create_task(transfers_until(play, assistant, stop))
        await heard.until(lambda messages: len(messages) >= 20)
        await broker.kill()
        down = time.monotonic()

        async def unsent() -> bool:
            return await play.gateway.metric("transfer_gateway_outbox_events") > 0

        await eventually(unsent, "events wait in the outbox")
        assert await play.gateway.metric("transfer_gateway_mqtt_connected") == 0
        await asyncio.sleep(OUTAGE_S - (time.monotonic() - down))
        waiting = await play.gateway.metric("transfer_gateway_outbox_events")
        await broker.start()
        back = time.monotonic()
        before = len(heard.messages)
        await heard.until(lambda messages: len(messages) > before + waiting, timeout_s=40)
        arrived = time.monotonic()
        stop.set()
        codes = await transfers
        asked = codes.total()
        await heard_of(heard, asked)

        events = heard.events()
        print(
            f"broker away for {OUTAGE_S} s: {waiting:.0f} events waited, all there {arrived - back:.1f} s after its "
            f"return, {len(events) - len(once(events))} of {len(events)} came twice"
        )
        assert waiting > OUTAGE_S
        courses = Counter(map(tuple, by_transfer(events).values()))
        assert courses == {(REQUESTED, ENDED): codes[404], (REQUESTED, ACCEPTED, ENDED): codes[486]}
        times = [event["time"] for event in once(events)]
        assert times == sorted(times)

        async def all_sent() -> bool:
            return await play.gateway.metric("transfer_gateway_outbox_events") == 0

        await eventually(all_sent, "every event is acknowledged")
        await both_hear(caller, assistant)
        await hang_up(caller)


async def test_a_gateway_that_crashes_owes_nobody_an_event(pbx: Asterisk, phones: Phones, broker: Broker) -> None:
    await phones("6001", hz=ANNA_HZ)
    files = settings(pbx.net, pbx=pbx, broker=broker)
    files.destination("silent")["ring_timeout_s"] = 60
    async with Subscriber(broker, TOPICS, client_id="consumer") as heard, scene(pbx, files=files) as play:
        calls = [await play.talk(past_pbx=True) for _ in range(3)]
        (_, refused), (with_anna, completed), (_, ringing) = calls
        await broker.kill()
        assert await play.refer(refused, NOBODY_S) == 404
        assert await play.refer(completed, ANNA) == 202
        assert (await completed.notifies())[-1].sipfrag == 200
        await with_anna.media.hears(ANNA_HZ)
        assert await play.refer(ringing, SILENT) == 202
        await play.gateway.until(lambda one: one["ringing_at"] and one["destination"] == "silent")

        async def stored() -> bool:
            return bool((await play.gateway.get("/api/status"))["outbox"]["events"] == 10)

        await eventually(stored, "all ten events are stored")
        await play.gateway.kill()
        await broker.start()
        await play.gateway.start()
        await heard_of(heard, 3)
        courses = list(by_transfer(heard.events()).values())
        assert courses == [
            [REQUESTED, ENDED],
            [REQUESTED, ACCEPTED, RINGING, CONNECTED, ENDED],
            [REQUESTED, ACCEPTED, RINGING, ENDED],
        ]
        outcomes = [(one["data"]["outcome"], one["data"]["reason"]) for one in heard.events(ENDED)]
        assert outcomes == [
            ("refused", "unknown-destination"), ("completed", "answered"), ("interrupted", "gateway-stopped"),
        ]  # fmt: skip
        assert await play.gateway.metric("transfer_gateway_transfers_total", outcome="interrupted") == 1
        assert [one["outcome"] for one in await play.gateway.ended(3)] == ["interrupted", "completed", "refused"]

        # Those it forgot learn it when they speak to it, and the assistant's next caller is served as ever.
        for caller, assistant in calls:
            assert (await caller.hang_up()).code == 481
            assert (await assistant.hang_up()).code == 481
        await pbx.tidy()
        caller, assistant = await play.talk(past_pbx=True)
        assert await play.refer(assistant, ANNA) == 202
        await caller.media.hears(ANNA_HZ)
        await hang_up(caller)
