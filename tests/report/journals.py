# SPDX-License-Identifier: GPL-2.0-or-later
"""A journal with one sink, for the tests of what is stored."""

import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.report.backlog import Backlog, BacklogState
from gateway.report.cursors import StoredEvent
from gateway.report.journal import Journal
from gateway.report.store import Put, Remembered, TransferChange

COUNTER = itertools.count()


class Outbox(Journal):
    """A journal with one sink, and what waits for it."""

    def __init__(
        self, directory: Path, on_state: Callable[[BacklogState], None] = lambda _state: None, **options: Any
    ) -> None:
        super().__init__(directory, {"mqtt": on_state}, **options)
        self.mqtt: Backlog = self.backlogs["mqtt"]

    async def fetch(self, after: int, limit: int) -> list[StoredEvent]:
        """What waits, once all that was put is on disk."""
        await self.flush()
        return await self.mqtt.fetch(after, limit)


@asynccontextmanager
async def opened(directory: Path, **options: Any) -> AsyncIterator[tuple[Outbox, list[Remembered]]]:
    outbox = Outbox(directory, **options)
    remembered = await outbox.open()
    try:
        yield outbox, remembered
    finally:
        await outbox.close()


def event(n: int, change: TransferChange | None = None) -> Put:
    """Event number n."""
    data = {"n": n, "transfer": change.transfer if change else None}
    return Put(event_id=f"event-{n}", topic="t", payload=json.dumps(data), stored_at=1000.0 + n, change=change)


def ids(events: list[StoredEvent]) -> list[str]:
    """The events' ids."""
    return [each.event_id for each in events]


def transfers(remembered: list[Remembered]) -> list[str]:
    """The transfers' ids."""
    return [json.loads(one.payload)["transfer"] for one in remembered]


def running(transfer: str) -> TransferChange:
    """A transfer that is under way."""
    return TransferChange(transfer, moment(), ended=False)


def ended(transfer: str, *, is_completed: bool = True) -> TransferChange:
    """A transfer that is over."""
    return TransferChange(transfer, moment(), ended=True, completed=is_completed)


def moment() -> str:
    """One after the other."""
    return f"2026-03-02T09:30:00.{next(COUNTER):06}Z"
