# SPDX-License-Identifier: GPL-2.0-or-later
"""A clock that stands still until a test lets time pass."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gateway.core.moment import Moment

if TYPE_CHECKING:
    from collections.abc import Callable


TURNS = 12
"""So many turns of the loop at most from a timer to what a coroutine does when it has been cancelled by it."""


@dataclass(order=True)
class _Due:
    at: float
    number: int
    act: Callable[[], object] | None = field(compare=False)

    def cancel(self) -> None:
        """See ports.Timer."""
        self.act = None


class VirtualClock:
    """Implements ports.Clock."""

    def __init__(self, begin: datetime) -> None:
        self._begin = begin
        self._due: list[_Due] = []
        self._numbers = itertools.count()
        self._steady = 0.0
        self.set_by = timedelta()  # by how much somebody has set the wall clock

    def now(self) -> Moment:
        """See ports.Clock."""
        return Moment(self._begin + self.set_by + timedelta(seconds=self._steady), self._steady)

    def after(self, seconds: float, act: Callable[[], object]) -> _Due:
        """See ports.Clock."""
        due = _Due(self._steady + max(seconds, 0.0), next(self._numbers), act)
        heapq.heappush(self._due, due)
        return due

    def advance(self, seconds: float) -> None:
        """Let time pass; whatever falls due meanwhile happens at its moment."""
        until = self._steady + seconds
        while self._due and self._due[0].at <= until:
            due = heapq.heappop(self._due)
            self._steady = max(self._steady, due.at)
            if due.act is not None:
                due.act()
        self._steady = until

    async def run(self, seconds: float) -> None:
        """Let time pass, and after each moment that is due have coroutines that wait for it go on."""
        until = self._steady + seconds
        await _turns()
        while (at := self._next) is not None and at <= until:
            self.advance(max(at - self._steady, 0.0))
            await _turns()
        self.advance(max(until - self._steady, 0.0))

    async def until(self, holds: Callable[[], bool], within_s: float = 60.0) -> None:
        """Let time pass until something holds. Raises TimeoutError when it does not within so many seconds."""
        latest = self._steady + within_s
        await _turns()
        while not holds():
            at = self._next
            if at is None or at > latest:
                raise TimeoutError(f"not within {within_s} s")
            self.advance(max(at - self._steady, 0.0))
            await _turns()

    @property
    def _next(self) -> float | None:
        return min((due.at for due in self._due if due.act is not None), default=None)

    def due(self) -> list[tuple[float, Callable[[], object]]]:
        """The timers that run: in how many seconds each is due, and what it does, in the order in which they are."""
        return [(due.at - self._steady, due.act) for due in sorted(self._due) if due.act is not None]

    @property
    def waiting(self) -> int:
        """How many timers run."""
        return sum(1 for due in self._due if due.act is not None)


async def _turns() -> None:
    """Have whoever is ready go on, and whoever that wakes."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
