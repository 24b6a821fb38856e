# SPDX-License-Identifier: GPL-2.0-or-later
"""Time for what has an age: a snapshot must not become old, or young again, when somebody sets the machine's clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SET = timedelta(seconds=0.1)
"""By how much the two clocks come apart before that counts: less is how any clock is kept right."""


def _since_boot() -> float:
    # Unlike the monotonic clock it goes on while the machine sleeps, and a snapshot ages then too.
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SteadyClock:
    """Tells moments that differ by the time that has passed, and each of them as the machine's clock has it now."""

    def __init__(
        self, wall: Callable[[], datetime] = lambda: datetime.now(UTC), steady: Callable[[], float] = _since_boot
    ) -> None:
        """`wall` is the machine's clock, aware; `steady` counts seconds and is never set."""
        self._wall = wall
        self._steady = steady
        self._began, self._began_at = wall(), steady()
        self._set = timedelta(0)  # how far the machine's clock was set since

    def __call__(self) -> datetime:
        """The moment. Compare it with others of this clock only."""
        return self._began + timedelta(seconds=self._steady() - self._began_at)

    def on_the_wall(self, moment: datetime) -> datetime:
        """A moment of this clock as the machine's clock has it now: for everybody else, who knows that one alone."""
        apart = self._wall() - self()
        if abs(apart - self._set) > SET:
            self._set = apart
        return moment + self._set
