# SPDX-License-Identifier: GPL-2.0-or-later
"""The gateway is killed and started again while calls go on, with `recover_calls`: who talks then talks on.

What was written down when it was killed is read before the next one begins. Each of those calls is taken up, or told of
as over; over only where one of its sides had gone by itself. Every other time the next one is killed as well, as soon
as it is ready: calls are being taken up then.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from typing import TYPE_CHECKING

from tests.support.kept_rows import kept_rows
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.soak.world import World

EVERY_S, LEAST = 120.0, 3
"""How often it is killed, and how often at least in a run that is shorter."""
WRITTEN_S = 0.5
"""What was said so long before a kill need not be on disk: what 20 ms have brought is written at once, by a disk that
others use too (decision 0049)."""
PATIENCE_S = 30.0
"""Taking up is over after 8 s, but for what a busy machine adds."""
RECOVERED = "transfer_gateway_calls_recovered_total"
_LOST = re.compile(r"call-not-recovered\b.*?\bcall=(\S+)")


class Kills:
    """`play` it beside all else; `faults` are there afterwards."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.faults: list[str] = []
        self._times: list[float] = []
        self._kept: dict[str, tuple[str, ...]] = {}  # the Call-IDs of each call that was written down at a kill
        self._transferred: set[str] = set()
        self._taken_up = self._over = 0
        self._ready_s: list[float] = []
        self._lost: set[str] = set()

    async def play(self, seconds: float) -> None:
        """So that it is killed a few times within so many seconds."""
        every_s = min(EVERY_S, seconds / (LEAST + 1))
        for twice in itertools.cycle((False, True)):
            await asyncio.sleep(every_s)
            calls = await self._kill()
            if twice:
                calls = await self._kill()
            await self._look(calls)

    async def back(self) -> None:
        """Have it run, whatever was done to it when `play` was broken off."""
        gateway = self._world.gateway
        if gateway.child.exit_code is not None:
            await gateway.start()

    async def _kill(self) -> int:
        """Kill and start it; how many calls the one that is killed has written down."""
        gateway = self._world.gateway
        self._times.append(time.monotonic())
        await gateway.kill()
        rows = self._written_down()
        begun = time.monotonic()
        await gateway.start()
        self._ready_s.append(time.monotonic() - begun)
        return len(rows)

    def _written_down(self) -> list[str]:
        rows = kept_rows(self._world.gateway)
        for row in rows:
            self._kept[row["call"]] = tuple(leg["dialog"]["call_id"] for leg in row["legs"])
            if row["destination"] is not None:
                self._transferred.add(row["call"])
        return [row["call"] for row in rows]

    async def _look(self, calls: int) -> None:
        """What has become of the calls that the last one had written down."""

        async def is_over() -> bool:
            self._counts = await self._world.gateway.counts(RECOVERED, "result")
            return sum(self._counts.values()) >= calls

        try:
            await eventually(is_over, "calls are taken up, or over", timeout_s=PATIENCE_S, every_s=0.1)
        except AssertionError:
            self.faults.append(f"{calls} calls to take up, and there were {self._counts}")
        self._taken_up += self._counts.get("recovered", 0)
        self._over += self._counts.get("lost", 0)
        lost = set(_LOST.findall(self._world.gateway.log)) - self._lost
        self._lost |= lost
        for call in lost:
            legs = self._kept.get(call, ())
            if legs and all(any(one.stays(leg) for one in self._world.stations) for leg in legs):
                self.faults.append(f"call {call} is over after a kill, and neither side had gone: {legs}")

    # --- at the end

    def may_be_unwritten(self, told_at: Iterable[float]) -> bool:
        """Whether any of this was said so shortly before a kill that it was perhaps never on disk."""
        return any(0 <= killed - at < WRITTEN_S for at in told_at for killed in self._times)

    def compare(self) -> list[str]:
        """What is wrong with the ends of calls that were up at a kill."""
        ends = self._world.call_ends
        wrong = {call: ends[call] for call in self._transferred if ends[call] != 1}
        if not self._kept:
            self.faults.append("no call was up at any kill")
        return [*self.faults, *(f"the end of call {call}, up at a kill, was told {count} times"
                                for call, count in wrong.items())]  # fmt: skip

    def lines(self) -> list[str]:
        """What to tell of it."""
        if not self._times:
            return []
        times, ready_s, calls = len(self._times), max(self._ready_s, default=0.0), len(self._kept)
        return [
            f"killed {times} times, ready again after {ready_s:.1f} s at most; {calls} calls talked at a kill",
            f"as the last process of each time tells: {self._taken_up} taken up, {self._over} over",
        ]
