# SPDX-License-Identifier: GPL-2.0-or-later
"""`max_concurrent` over three gateways: each counts what the others carry, as far as it hears of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.others.gateways import NODES, SOON_S, Gateways
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.support.broker import Broker
    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.broker]

LIMIT = 2
LIMITED = {"max_concurrent": LIMIT, "max_concurrent_shared": True}


async def capacity(others: Gateways, node: str) -> str:
    """What a gateway's gate says now of the capacity for Anna."""
    found = await others.gateways[node].get("/api/explain?number=main-line&target=anna")
    [line] = [line for line in found["trail"] if line.startswith("capacity:")]
    return str(line)


async def says(others: Gateways, node: str, wanted: str) -> None:
    """Wait until it says so."""

    async def does() -> bool:
        return wanted in await capacity(others, node)

    await eventually(does, f"{node} says {wanted!r}", timeout_s=SOON_S)


@pytest.mark.keeps("22.4")
async def test_three_gateways_share_a_limit(own_net: Net, broker: Broker) -> None:
    async with Gateways(own_net, broker, anna=LIMITED) as others:
        for node in NODES:
            await says(others, node, "about 0 of 2 at anna: 0 here, 0 at 2 other gateways")
        first, _, _ = await others.ringing("gw-1")
        await says(others, "gw-2", "about 1 of 2 at anna: 0 here, 1 at 2 other gateways")
        second, _, _ = await others.ringing("gw-2")
        await says(others, "gw-3", "anna has about 2 calls, its limit is 2: 0 here, 2 at 2 other gateways")
        _, assistant = await others.conversation("gw-3")
        assert await others.refer(assistant) == 503
        [refused] = await others.gateways["gw-3"].ended()
        assert refused["reason"] == "at-capacity"
        assert any("about 2 calls" in line for line in refused["trail"])
        # Who is told before promises nothing that is not kept.
        document = await others.gateways["gw-3"].get("/api/availability?number=main-line&destination=anna")
        assert document["destinations"][0]["reason"] == "at-capacity"
        assert (await first.hang_up()).code == 200
        await says(others, "gw-3", "about 1 of 2 at anna: 0 here, 1 at 2 other gateways")
        assert await others.refer(assistant) == 202
        await second.hang_up()


@pytest.mark.keeps("22.5")
async def test_what_a_killed_gateway_carried_counts_no_longer(own_net: Net, broker: Broker) -> None:
    async with Gateways(own_net, broker, anna=LIMITED) as others:
        for _ in range(LIMIT):
            await others.ringing("gw-1")
        await says(others, "gw-2", "anna has about 2 calls")
        await others.gateways["gw-1"].kill()
        await says(others, "gw-2", "about 0 of 2 at anna: 0 here, 0 at 1 other gateway")
        await others.gateways["gw-1"].start()
        await others.together("gw-1")
        await says(others, "gw-2", "about 0 of 2 at anna: 0 here, 0 at 2 other gateways")
