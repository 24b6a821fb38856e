# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway that is back, without the rest of it: what it tells of transfers that it has left."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from gateway.background import BackgroundTasks
from gateway.clock import LoopClock
from gateway.report.peers.claims import Claims
from gateway.report.peers.line import PeerLine
from gateway.report.peers.open_transfers import OpenTransfers
from gateway.report.peers.orphans import Orphans
from gateway.report.peers.statuses import Statuses
from gateway.report.sinks.mqtt.broker import Broker as Address
from tests.report import samples

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from gateway.core.record import TransferRecord
    from gateway.report.peers.line import Heard


class Back:
    """A gateway that was lost with transfers under way, and is back: its line to a broker, and what it tells."""

    def __init__(self, name: str, host: str, port: int, transfers: Sequence[str]) -> None:
        self._transfers = transfers
        self.told: list[str] = []
        self.gone = 0
        self.settled = asyncio.Event()
        clock = LoopClock()
        self.line = PeerLine(Address(name, host, port), clock, ["status", "orphans/+"], self.heard)
        claims = Claims(self.line, name, clock)
        self.orphans = Orphans(
            self.line, claims, Statuses(clock), OpenTransfers(self.line, clock), self, instance=name, after_s=60,
            lives=self.lives, on_told=lambda _record: None, clock=clock,
        )  # fmt: skip
        self.orphans.hold([samples.requested(transfer) for transfer in transfers])

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """It is at the broker, or tries."""
        tasks = BackgroundTasks()
        tasks.begin("peers", self.line.run())
        tasks.begin("interrupted", self.orphans.settle())
        try:
            yield
        finally:
            await tasks.stop()

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
        if self.gone == len(self._transfers):
            self.settled.set()

    async def knows(self, _transfer: str) -> bool:
        return True
