# SPDX-License-Identifier: GPL-2.0-or-later
"""Claims to more transfers than a broker queues for one reader, with a real broker: none of them is told once more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import aiomqtt
import pytest

from gateway.clock import LoopClock
from gateway.core.json_form import timestamp
from gateway.report.peers.claims import Claims
from gateway.report.peers.documents import ClaimData
from gateway.report.peers.line import PeerLine
from gateway.report.peers.open_transfers import OpenTransfers
from gateway.report.peers.orphans import Orphans
from gateway.report.peers.statuses import Statuses
from gateway.report.sinks.mqtt.broker import Broker as Address
from tests.bench import BEGIN
from tests.report import samples

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.core.record import TransferRecord
    from gateway.report.peers.line import Heard
    from tests.support.broker import Broker

pytestmark = pytest.mark.broker

LOST = ("gw-1", "gw-2", "gw-3")
TRANSFERS = [f"01HZX2Q7J8E9RT5VWXYZ{number:06d}" for number in range(400)]


class Back:
    """A gateway that was lost with many transfers, of which another has told by now, and is back."""

    def __init__(self, broker: Broker, name: str) -> None:
        self.told: list[str] = []
        self.gone = 0
        self.settled = asyncio.Event()
        clock = LoopClock()
        self.line = PeerLine(Address(name, broker.host, broker.port), clock, ["status", "orphans/+"], self.heard)
        claims = Claims(self.line, name, clock)
        self.orphans = Orphans(
            self.line, claims, Statuses(clock), OpenTransfers(self.line, clock), self, instance=name, after_s=60,
            lives=self.lives, on_told=lambda _record: None, clock=clock,
        )  # fmt: skip
        self.orphans.hold([samples.requested(transfer) for transfer in TRANSFERS])

    def heard(self, message: Heard) -> None:
        self.orphans.heard(message)

    async def lives(self, _node: str) -> bool:
        return False

    async def interrupted(
        self, record: TransferRecord, lost: str | None = None, at: datetime | None = None
    ) -> TransferRecord | None:
        del lost, at
        self.told.append(record.transfer)
        self._count()
        return None

    async def let_go(self, _transfer: str) -> None:
        self._count()

    def _count(self) -> None:
        self.gone += 1
        if self.gone == len(TRANSFERS):
            self.settled.set()

    async def knows(self, _transfer: str) -> bool:
        return True


@pytest.mark.keeps("22.64")
async def test_of_many_lost_gateways_none_tells_what_another_has_told(broker: Broker) -> None:
    body = ClaimData(by="gw-4", mark="of its run", told=True, at=timestamp(BEGIN)).model_dump_json()
    async with aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5) as teller:
        for transfer in TRANSFERS:
            topics = [f"transfer-gateway/{node}/orphans/{transfer}" for node in LOST]
            await asyncio.gather(*(teller.publish(topic, body, qos=1, retain=True) for topic in topics))
    gateways = [Back(broker, name) for name in LOST]
    work = [each for one in gateways for each in (one.line.run(), one.orphans.settle())]
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        async with asyncio.timeout(90):
            await asyncio.gather(*(one.settled.wait() for one in gateways))
        assert [len(one.told) for one in gateways] == [0, 0, 0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(cast("list[asyncio.Future[None]]", tasks))
