# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfers that are offered at some rate for some seconds, beside calls that last and a trunk that asks for little.

async with CrowdedSystem(net) as system:
    offered = await offer(system, net, per_second=400, seconds=10)
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.compare import jobs, process
from tests.compare.figures import percentile
from tests.compare.media import SETTLED_S, lasting
from tests.overload.crowd import GREEDY, QUIET, TALKING, sides
from tests.support.company import DESTINATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.compare.media import Lasting
    from tests.overload.crowd import CrowdedSystem, Side
    from tests.support.processes import Net
    from tests.support.sipp import Result

ANNA = str(DESTINATIONS["anna"]["number"])
QUIET_PER_SECOND = 2
TALKERS = 20
TALKERS_RAMP_S = 1.0
MARGIN_S = 2.0
"""The calls that last are listened to from before the first call until so long after the last."""
PATIENCE_S = 45.0
"""For what is still under way when the last caller should have gone, and for transactions, which last 32 s."""
TOO_LATE_MS = 10_000.0
"""The ends may be as late as they like: it is told, beside what they lost."""
LOOKED_EVERY_S = 0.5


@dataclass(frozen=True)
class Asked:
    """What became of the calls of some pairs."""

    asked: int
    refused: int
    """Answered with 503."""
    failed: int
    """Callers whose call did not go as it should to its end, among them those who had no answer."""
    promised: int
    """Transfers that were answered with 202."""
    completed: int
    """… and of which the platform was told that they have worked."""
    unsuccessful: int
    """… and of which it was told that they have not."""
    to_202_ms: list[float]
    """From REFER to 202, the shortest first."""
    setups_ms: list[float]
    """From a caller's INVITE to its 200, the shortest first."""

    @property
    def untold(self) -> int:
        """Transfers that were promised and of whose end nobody was told."""
        return self.promised - self.completed - self.unsuccessful


@dataclass(frozen=True)
class Offered:
    """What became of all of it, and what it took."""

    seconds: float
    greedy: Asked
    quiet: Asked
    talking: Lasting
    outcomes: dict[str, int]
    """How many transfers have ended how, as the gateway counts them."""
    cpu_s: float
    """Of all the gateway's threads, until nothing was left."""
    peak_mb: float
    """Resident, at most."""
    waiting: int
    """Events that waited for the broker, at most."""
    journal_mb: float
    """What journal and history have grown by on disk."""
    was_idle: bool

    @property
    def goodput(self) -> float:
        """Transfers a second that have worked."""
        return self.greedy.completed / self.seconds

    @property
    def ended(self) -> int:
        """Transfers that were promised and have an outcome."""
        return sum(count for outcome, count in self.outcomes.items() if outcome != "refused")


class _Watch:
    """Looks at the gateway while calls come."""

    def __init__(self, system: CrowdedSystem) -> None:
        self._system = system
        self.peak_mb, self.waiting = 0.0, 0

    async def __aenter__(self) -> _Watch:
        self._task = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _look(self) -> None:
        while True:
            self.peak_mb = max(self.peak_mb, process.memory_mb(self._system.pid))
            with suppress(OSError, AssertionError):
                self.waiting = max(self.waiting, await self._system.waiting())
            await asyncio.sleep(LOOKED_EVERY_S)


async def offer(
    system: CrowdedSystem, net: Net, *, per_second: float, seconds: float, trunks: int = 1, talkers: int = TALKERS
) -> Offered:
    """Have so many transfers a second asked for, by the callers of one or two trunks together."""
    by_name = sides(net)
    greedy = [by_name[name] for name in GREEDY[:trunks]]
    before, began_mb = await system.outcomes(), system.journal_mb()
    used = process.cpu_s(system.pid)
    async with _Watch(system) as watch:
        talking = asyncio.create_task(
            lasting(
                system, by_name[TALKING], calls=talkers, seconds=seconds + 2 * MARGIN_S, sound=True,
                too_late_ms=TOO_LATE_MS, number=by_name[TALKING].number,
            )
        )  # fmt: skip
        try:
            await asyncio.sleep(TALKERS_RAMP_S + SETTLED_S + MARGIN_S)
            calling = [_asked(system, side, per_second / trunks, seconds) for side in greedy]
            *many, quiet = await asyncio.gather(*calling, _asked(system, by_name[QUIET], QUIET_PER_SECOND, seconds))
            heard = await talking
        finally:
            talking.cancel()
        was_idle = await system.idle(PATIENCE_S)
    after = await system.outcomes()
    return Offered(
        seconds=seconds,
        greedy=_together(many),
        quiet=quiet,
        talking=heard,
        outcomes={outcome: count - before.get(outcome, 0) for outcome, count in after.items()},
        cpu_s=process.cpu_s(system.pid) - used,
        peak_mb=watch.peak_mb,
        waiting=watch.waiting,
        journal_mb=system.journal_mb() - began_mb,
        was_idle=was_idle,
    )


async def _asked(system: CrowdedSystem, side: Side, per_second: float, seconds: float) -> Asked:
    """The calls of one pair, from its first one until the last has ended."""
    count = int(per_second * seconds)
    async with AsyncExitStack() as stack:
        ends = await stack.enter_async_context(jobs.TransferEnds(side, system, ANNA))
        calling = await stack.enter_async_context(
            jobs.callers(system, side, per_second, count, seconds + PATIENCE_S, number=side.number)
        )
        called = await calling.finished()
        setups = calling.response_times("setup")
        await system.idle(PATIENCE_S)
        told = await ends.told()
    return _as_told(count, called, told, setups)


def _as_told(count: int, called: Result, told: dict[str, Any], setups_ms: list[float]) -> Asked:
    return Asked(
        asked=count,
        refused=called.counters["refused"],
        failed=called.failed,
        promised=told["accepted"],
        completed=told["completed"],
        unsuccessful=told["failed"],
        to_202_ms=sorted(value / 1000 for value in told["to_202_us"]),
        setups_ms=setups_ms,
    )


def _together(parts: Sequence[Asked]) -> Asked:
    return Asked(
        asked=sum(one.asked for one in parts),
        refused=sum(one.refused for one in parts),
        failed=sum(one.failed for one in parts),
        promised=sum(one.promised for one in parts),
        completed=sum(one.completed for one in parts),
        unsuccessful=sum(one.unsuccessful for one in parts),
        to_202_ms=sorted(value for one in parts for value in one.to_202_ms),
        setups_ms=sorted(value for one in parts for value in one.setups_ms),
    )


def columns(offered: Offered) -> list[str]:
    """A row of the table; the names of its columns are COLUMNS."""
    greedy, quiet, talking = offered.greedy, offered.quiet, offered.talking
    refusals = max(0, greedy.refused)
    return [
        f"{offered.goodput:.1f}",
        str(refusals),
        str(greedy.failed),
        _of(percentile(greedy.setups_ms, 0.99)),
        f"{_of(percentile(greedy.to_202_ms, 0.5))} / {_of(percentile(greedy.to_202_ms, 0.99))}",
        f"{greedy.promised + quiet.promised} / {offered.ended} / {greedy.untold + quiet.untold}",
        f"{quiet.completed} of {quiet.asked}",
        f"{talking.lost * 100:.2f}% / {_of(percentile(talking.delays_ms, 0.99))} / {_of(talking.delays_ms[-1])}",
        f"{offered.cpu_s:.1f}",
        f"{offered.peak_mb:.0f} / {offered.journal_mb:.1f}",
        str(offered.waiting),
    ]


COLUMNS = [
    "completed a second", "refused", "failed", "taken after, p99 ms", "REFER → 202, p50 / p99 ms",
    "promised / ended / untold", "quiet trunk's", "sound: lost / p99 / most ms", "CPU s", "memory / journal MB",
    "events waiting",
]  # fmt: skip


def _of(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
