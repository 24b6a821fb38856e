# SPDX-License-Identifier: GPL-2.0-or-later
"""A webhook's receiver is away, comes back and goes, and the gateway is killed in between: every event arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.report.webhook.server import SECRET, Server
from tests.sip.scene import Scene, settings
from tests.support.configuration import TOKEN
from tests.support.gateway import Gateway

if TYPE_CHECKING:
    from tests.support.processes import Net

pytestmark = pytest.mark.sip

EACH_TIME = 15


async def refusals(net: Net, gateway: Gateway, number: int) -> list[str]:
    """Have transfers refused, each of which is two events; their ids."""
    told = []
    async with Scene(net, gateway) as scene:
        await scene.bridged()
        [call] = (await gateway.get("/api/calls"))["calls"]
        body = {"type": "transfer", "destination": "closed"}
        for _ in range(number):
            assert (await gateway.http("POST", f"/api/calls/{call['call']}/transfer", token=TOKEN, body=body))[0] == 409
        told = [one["transfer"] for one in (await gateway.get(f"/api/transfers?limit={number}"))["transfers"]]
    return told[::-1]


def first_told(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Each event once, by when it came first: its transfer and its type."""
    by_id = {event["id"]: event for event in reversed(events)}
    order = {event["id"]: place for place, event in reversed(list(enumerate(events)))}
    return [(by_id[name]["subject"], by_id[name]["type"]) for name in sorted(by_id, key=order.__getitem__)]


@pytest.mark.keeps("16.192")
async def test_every_event_reaches_a_receiver_that_was_away_while_the_gateway_was_killed(own_net: Net) -> None:
    files = settings(own_net)
    files.secrets["crm.secret"] = SECRET
    async with Server() as server:
        port = server.port
    files.main["webhooks"] = [{"id": "crm", "url": server.url, "secret_file": "crm.secret"}]
    async with Gateway(files) as gateway:
        told = await refusals(own_net, gateway, EACH_TIME)
        await gateway.kill()
        await gateway.start()
        told += await refusals(own_net, gateway, EACH_TIME)
        assert (await gateway.get("/api/status"))["webhooks"]["crm"]["events"] == 2 * len(told)
        async with Server(port=port) as first:
            # It is killed while it sends what had waited.
            await first.until(lambda it: len(it.taken) >= EACH_TIME)
            await gateway.kill()
        await gateway.start()
        told += await refusals(own_net, gateway, EACH_TIME)
        async with Server(port=port) as second:
            await second.until(lambda it: (told[-1], "transfer.ended.v1") in first_told(it.taken))
            came = first_told(first.taken + second.taken)
        assert len(told) == len(set(told)) == 3 * EACH_TIME
        assert came == [(name, f"transfer.{what}.v1") for name in told for what in ("requested", "ended")]
