# SPDX-License-Identifier: GPL-2.0-or-later
"""Claims to more transfers than a broker queues for one reader, with a real broker: none of them is told once more."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import aiomqtt
import pytest

from gateway.core.json_form import timestamp
from gateway.report.peers.documents import ClaimData
from tests.bench import BEGIN
from tests.report.peers.back import Back

if TYPE_CHECKING:
    from tests.support.broker import Broker

pytestmark = pytest.mark.broker

LOST = ("gw-1", "gw-2", "gw-3")
TRANSFERS = [f"01HZX2Q7J8E9RT5VWXYZ{number:06d}" for number in range(400)]


@pytest.mark.keeps("22.64")
async def test_of_many_lost_gateways_none_tells_what_another_has_told(broker: Broker) -> None:
    body = ClaimData(by="gw-4", mark="of its run", told=True, at=timestamp(BEGIN)).model_dump_json()
    topics = [f"transfer-gateway/{node}/orphans/{transfer}" for node in LOST for transfer in TRANSFERS]
    async with aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5) as teller:
        teller.pending_calls_threshold = len(topics)
        for some in range(0, len(topics), 100):
            publishes = (teller.publish(topic, body, qos=1, retain=True) for topic in topics[some : some + 100])
            await asyncio.gather(*publishes)
    gateways = [Back(name, broker.host, broker.port, TRANSFERS) for name in LOST]
    async with contextlib.AsyncExitStack() as stack:
        for gateway in gateways:
            await stack.enter_async_context(gateway.running())
        async with asyncio.timeout(90):
            await asyncio.gather(*(gateway.settled.wait() for gateway in gateways))
    assert [len(gateway.told) for gateway in gateways] == [0, 0, 0]
