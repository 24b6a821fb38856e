# SPDX-License-Identifier: GPL-2.0-or-later
"""A reporter at work with a broker, and what arrives there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from gateway.clock import LoopClock
from gateway.core.moment import Moment
from gateway.core.record import Milestone
from gateway.report.reporter import EventReporter
from gateway.report.sinks.mqtt.broker import Broker as Address
from tests.report import samples
from tests.report.listener import Received

BASE = "transfer-gateway/pbx-1"


class Listening(Protocol):
    """A broker of whatever make."""

    host: str
    port: int


def address(broker: Listening, **options: Any) -> Address:
    """Where the gateway finds it."""
    return Address(instance="pbx-1", host=broker.host, port=broker.port, **options)


class Standing(LoopClock):
    """A wall clock that stands at one moment; timers run."""

    def __init__(self, wall: datetime) -> None:
        self._wall = wall

    def now(self) -> Moment:
        return Moment(self._wall, super().now().steady)


class Connection:
    """Follows whether the reporter is connected."""

    def __init__(self) -> None:
        self.up = asyncio.Event()
        self.down = asyncio.Event()

    def __call__(self, up: bool) -> None:
        (self.up if up else self.down).set()
        (self.down if up else self.up).clear()


@asynccontextmanager
async def reporting(
    directory: Path, broker: Address, **options: Any
) -> AsyncIterator[tuple[EventReporter, Connection]]:
    """A reporter that runs."""
    connection = Connection()
    options = {"clock": LoopClock(), "on_connected": connection, **options}
    reporter = EventReporter(instance="pbx-1", state_dir=directory, version="1.2.3", broker=broker, **options)
    await reporter.start()
    try:
        yield reporter, connection
    finally:
        await reporter.stop()


def events(received: list[Received]) -> list[dict[str, Any]]:
    """The events in the order they arrived, each once: what a consumer that de-duplicates by id sees."""
    by_id: dict[str, dict[str, Any]] = {}
    for message in received:
        if message.topic.startswith(f"{BASE}/transfers/"):
            by_id.setdefault(message.body["id"], message.body)
    return list(by_id.values())


def have(count: int) -> Callable[[list[Received]], bool]:
    """Whether so many events have arrived."""
    return lambda received: len(events(received)) >= count


def refuse(reporter: EventReporter, first: int, last: int) -> list[str]:
    """Report transfers that were refused; returns their ids."""
    transfers = [f"t{n:05}" for n in range(first, last)]
    for transfer in transfers:
        reporter.transfer(Milestone.ENDED, samples.refused(transfer))
    return transfers


def subjects(received: list[Received]) -> list[str]:
    """The transfers that were told of, in order."""
    return [event["subject"] for event in events(received)]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what nobody tells of. Raises TimeoutError."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 -- a log tells nobody that it grew
            await asyncio.sleep(0.01)
