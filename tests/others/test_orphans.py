# SPDX-License-Identifier: GPL-2.0-or-later
"""Of a gateway that is killed, the ends of its transfers are told once: by itself, or by another; whatever comes first.

A real broker and three real gateways. Whoever listens at the broker hears each end once, the histories and the metrics
of the three together have it once, and who has told it is one of them.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.others.gateways import NODES, SOON_S, Gateways
from tests.support.processes import eventually, free_port
from tests.support.relay import Relay, Route
from tests.support.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.support.broker import Broker
    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.broker]

ENDED = "transfer.ended.v1"
LONG_S, SHORT_S = 3600.0, 1.0
METRIC = "transfer_gateway_transfers_total"


async def under_way(others: Gateways, heard: Subscriber, count: int = 2) -> set[str]:
    """Have transfers of gw-1 ring that the others know of; their ids. The last may not be on its own disk yet."""
    for _ in range(count):
        await others.ringing("gw-1")

    def told(messages: list[Any]) -> bool:
        ringing = {event["subject"] for event in heard.events("transfer.ringing.v1")}
        # The newest event of each is the one that the others have.
        kept = {one.topic for one in messages if one.topic.startswith("transfer-gateway/gw-1/open/")}
        rings = {one.topic for one in messages if one.topic in kept and b"transfer.ringing" in one.payload}
        return len(ringing) == len(rings) == count

    await heard.until(told, SOON_S)
    return {event["subject"] for event in heard.events("transfer.ringing.v1")}


async def all_told(heard: Subscriber, transfers: Collection[str]) -> list[dict[str, Any]]:
    """Wait until the ends of these are heard of; all ends that there are."""
    await heard.until(lambda _: {event["subject"] for event in heard.events(ENDED)} >= set(transfers), SOON_S)
    return heard.events(ENDED)


async def forgotten(heard: Subscriber) -> None:
    """Wait until the broker retains nothing of an open transfer any more."""

    def empty(messages: list[Any]) -> bool:
        newest = {one.topic: one.payload for one in messages if "/open/" in one.topic}
        return not any(newest.values())

    await heard.until(empty, SOON_S)


async def counted(others: Gateways, transfers: Collection[str]) -> dict[str, str]:
    """By whom each end is in the history, where each is in one alone; the metrics count the same."""
    owners: dict[str, str] = {}
    for node, gateway in others.gateways.items():
        if gateway.child.exit_code is not None:
            continue
        for transfer in await gateway.transfers():
            if transfer["transfer"] in transfers and transfer["outcome"] is not None:
                assert owners.setdefault(transfer["transfer"], node) == node
        told = [one for one, owner in owners.items() if owner == node]
        assert await gateway.metric(METRIC, outcome="interrupted") == len(told)
    return owners


def told_once(ends: list[dict[str, Any]], transfers: Collection[str], by: Collection[str | None]) -> None:
    """Each ended once, as gw-1's own, and `by` are those who may have told it (None: itself)."""
    assert sorted(event["subject"] for event in ends) == sorted(transfers)
    for event in ends:
        assert event["source"] == "/transfer-gateway/gw-1"
        assert event["data"]["outcome"] == "interrupted"
        assert event["data"]["told_by"] in by


@pytest.mark.keeps("22.6")
async def test_one_that_comes_back_in_time_tells_by_itself(own_net: Net, broker: Broker) -> None:
    async with (
        Subscriber(broker, "transfer-gateway/#") as heard,
        Gateways(own_net, broker, cluster={"orphan_after_s": LONG_S}) as others,
    ):
        transfers = await under_way(others, heard)
        await others.gateways["gw-1"].kill()
        await others.gateways["gw-1"].start()
        told_once(await all_told(heard, transfers), transfers, [None])
        await forgotten(heard)
        assert await counted(others, transfers) == dict.fromkeys(transfers, "gw-1")


@pytest.mark.keeps("22.7")
async def test_of_one_that_does_not_come_back_another_tells_and_it_tells_nothing_later(
    own_net: Net, broker: Broker
) -> None:
    async with (
        Subscriber(broker, "transfer-gateway/#") as heard,
        Gateways(own_net, broker, cluster={"orphan_after_s": SHORT_S}) as others,
    ):
        transfers = await under_way(others, heard)
        await others.gateways["gw-1"].kill()
        told_once(await all_told(heard, transfers), transfers, ["gw-2"])  # the first by name of those that are there
        await forgotten(heard)
        owners = await counted(others, transfers)
        assert owners == dict.fromkeys(transfers, "gw-2")
        await others.gateways["gw-1"].start()
        await others.together("gw-1")

        async def let_go() -> bool:
            log = others.gateways["gw-1"].log
            held = re.search(r"interrupted-transfers-held transfers=(\d+)", log)
            # Of one that was asked for in its last moment its disk knows nothing, and the broker nothing any more.
            return log.count("told-by-another") == (int(held[1]) if held else 0)

        await eventually(let_go, "it has let go of them", timeout_s=SOON_S)
        # A further transfer of its own comes after whatever it had to tell.
        _, assistant = await others.conversation("gw-1")
        assert await others.refer(assistant, "+31699999999") == 404
        ends = await all_told(heard, [(await others.gateways["gw-1"].ended())[0]["transfer"]])
        assert sorted(event["subject"] for event in ends if event["subject"] in transfers) == sorted(transfers)
        assert await counted(others, transfers) == owners


@pytest.mark.keeps("22.8")
@pytest.mark.parametrize("head_start_s", [0.0, 0.5, 1.0])
async def test_back_at_the_same_moment_one_of_them_tells(own_net: Net, broker: Broker, head_start_s: float) -> None:
    async with (
        Subscriber(broker, "transfer-gateway/#") as heard,
        Gateways(own_net, broker, cluster={"orphan_after_s": SHORT_S}) as others,
    ):
        transfers = await under_way(others, heard, 4)
        await others.gateways["gw-1"].kill()
        await asyncio.sleep(head_start_s)  # whatever that comes to on this machine: each order is a good one
        await others.gateways["gw-1"].start()
        await others.together("gw-1")
        told_once(await all_told(heard, transfers), transfers, [None, "gw-2", "gw-3"])
        await forgotten(heard)
        print("told by", {event["data"]["told_by"] for event in heard.events(ENDED)})
        assert set(await counted(others, transfers)) == transfers
        assert len(heard.events(ENDED)) == len(transfers)


@pytest.mark.keeps("22.9")
async def test_of_one_that_the_broker_alone_does_not_see_nobody_tells(own_net: Net, broker: Broker) -> None:
    place = ("127.0.0.1", free_port())
    route = Route(place, (broker.host, broker.port), "127.0.0.1")
    async with Subscriber(broker, "transfer-gateway/#") as heard:
        async with Relay([route]):
            others = Gateways(own_net, broker, cluster={"orphan_after_s": SHORT_S}, brokers={"gw-1": place})
            await others.__aenter__()
            await others.ringing("gw-1")
            caller, assistant, anna = await others.ringing("gw-1")
            await heard.until(lambda _: len(heard.events("transfer.ringing.v1")) == 2, SOON_S)
        try:
            # Its connection is cut. The others see its will, and that it answers.
            for node in NODES[1:]:
                gateway = others.gateways[node]

                async def lives(log: Any = gateway) -> bool:
                    return "lost-gateway-lives" in log.log

                await eventually(lives, f"{node} finds it alive", timeout_s=SOON_S)
            await anna.answer()
            await assistant.wait_request("BYE", 30)
            assert (await caller.hang_up()).code == 200
            assert heard.events(ENDED) == []
            async with Relay([route]):
                [ended] = await all_told(heard, [(await others.gateways["gw-1"].ended())[0]["transfer"]])
                assert (ended["data"]["outcome"], ended["data"]["told_by"]) == ("completed", None)
        finally:
            await others.aclose()


@pytest.mark.keeps("22.10")
async def test_a_broker_that_restarts_meanwhile_changes_nothing(own_net: Net, broker: Broker) -> None:
    async with (
        Subscriber(broker, "transfer-gateway/#", client_id="consumer") as heard,
        Gateways(own_net, broker, cluster={"orphan_after_s": 5.0}) as others,
    ):
        transfers = await under_way(others, heard)
        await others.gateways["gw-1"].kill()
        gone = '"state":"offline"'
        await heard.until(lambda messages: any(gone in one.payload.decode() for one in messages), SOON_S)
        await broker.stop()
        await broker.start()
        await heard.connected(2, SOON_S)
        ends = await all_told(heard, transfers)
        told_once(list({event["id"]: event for event in ends}.values()), transfers, ["gw-2", "gw-3"])
        assert set(await counted(others, transfers)) == transfers
