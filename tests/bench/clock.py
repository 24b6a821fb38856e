# SPDX-License-Identifier: GPL-2.0-or-later
"""A clock that stands still until a test lets time pass."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gateway.core.moment import Moment

if TYPE_CHECKING:
    from collections.abc import Callable


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

    @property
    def waiting(self) -> int:
        """How many timers run."""
        return sum(1 for due in self._due if due.act is not None)
