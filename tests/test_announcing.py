# SPDX-License-Identifier: GPL-2.0-or-later
"""Availability is published when it becomes another one, and not while it stays."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from structlog.testing import capture_logs

from gateway.announcing import AT_LEAST_EVERY_S, AvailabilityNotices
from gateway.core.availability import Document
from gateway.core.gate import Situation
from gateway.core.model import Destination, Load
from gateway.core.routing import Routes
from tests.bench.clock import VirtualClock
from tests.core.gates import NOW, SALES, line, pbx, queue

LIMITED = Destination("limited", "6002", max_concurrent=1)


class World:
    """A number, its PBX, and what was published of it."""

    def __init__(self) -> None:
        self.clock = VirtualClock(NOW)
        self.number = line(SALES, LIMITED)
        self.numbers = [self.number]
        self.queue = queue()
        self.load = Load()
        self.silent_s = 0.0
        self.asked = 0
        self.published: list[tuple[str, Document]] = []
        self.notices = AvailabilityNotices(self._config, self._situation, self._publish, self.clock)

    def _config(self) -> Any:
        return SimpleNamespace(numbers=self.numbers, routes=Routes(self.numbers))

    def _situation(self) -> Situation:
        self.asked += 1
        now = self.clock.now().wall
        state = pbx(self.queue, proven_at=now - timedelta(seconds=self.silent_s))
        return Situation(now, self.load, {"asterisk": state})

    def _publish(self, number: str, document: Document) -> None:
        self.published.append((number, document))

    async def told(self, seconds: float = 1.0) -> list[list[tuple[str, bool]]]:
        """After a while: whether each destination is available, for each document that was published meanwhile."""
        self.published.clear()
        self.clock.advance(seconds)
        await self.notices.look()
        found: Any = [document["destinations"] for _, document in self.published]
        return [[(one["destination"], one["available"]) for one in each] for each in found]


async def turns(world: World) -> None:
    """Let it look a few times."""
    for _ in range(10):
        world.clock.advance(1.0)
        await asyncio.sleep(0)


async def test_it_is_told_once_and_again_when_it_changes() -> None:
    world = World()
    assert await world.told() == [[("sales", True), ("limited", True)]]
    assert await world.told() == []
    assert await world.told(AT_LEAST_EVERY_S) == []  # looked at, and the same
    world.queue = replace(world.queue, available=0)
    assert await world.told() == [[("sales", False), ("limited", True)]]
    world.load = Load(per_destination={"limited": 1})
    assert await world.told() == [[("sales", False), ("limited", False)]]
    world.load = Load(per_destination={"limited": 1}, draining=True)
    world.queue = replace(world.queue, available=2)
    assert await world.told() == [[("sales", False), ("limited", False)]]


async def test_a_pbx_that_falls_silent_is_told_of() -> None:
    world = World()
    await world.told()
    world.silent_s = 60
    await world.told()
    [(_, document)] = world.published
    pbx_told: Any = document["pbx"]
    assert (pbx_told["known"], pbx_told["age_s"]) == (False, 60.0)


async def test_hours_change_by_time_alone() -> None:
    world = World()
    await world.told()
    assert await world.told(6 * 3600) == [[("sales", False), ("limited", True)]]  # past half past five


async def test_a_number_that_is_taken_out_has_no_destinations_left() -> None:
    world = World()
    await world.told()
    world.numbers = []
    assert await world.told() == [[]]
    assert [number for number, _ in world.published] == ["main-line"]
    assert await world.told() == []


async def test_a_fault_of_ours_does_not_silence_it() -> None:
    world = World()
    whole = world.number
    broken = replace(whole)
    object.__setattr__(broken, "destinations", None)
    world.numbers = [broken]
    with capture_logs() as logs:
        running = asyncio.create_task(world.notices.run())
        await turns(world)
        assert {each["event"] for each in logs} == {"availability-failed"}
        world.numbers = [whole]
        await turns(world)
        running.cancel()
        await asyncio.wait([running])
    assert [number for number, _ in world.published] == ["main-line"]
