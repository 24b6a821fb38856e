# SPDX-License-Identifier: GPL-2.0-or-later
"""Time for what has an age: a snapshot must not become old, or young again, when somebody sets the machine's clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.core.moment import Moment
    from gateway.ports import Clock

SET = timedelta(seconds=0.1)
"""By how much the two clocks come apart before that counts: less is how any clock is kept right."""


class SteadyClock:
    """Tells moments that differ by the time that has passed, and each of them as the machine's clock has it now."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.now()
        self._set = timedelta(0)  # how far the machine's clock was set since

    def __call__(self) -> datetime:
        """The moment. Compare it with others of this clock only."""
        return self._told(self._clock.now())

    def on_the_wall(self, moment: datetime) -> datetime:
        """A moment of this clock as the machine's clock has it now: for everybody else, who knows that one alone."""
        now = self._clock.now()
        apart = now.wall - self._told(now)
        if abs(apart - self._set) > SET:
            self._set = apart
        return moment + self._set

    def _told(self, moment: Moment) -> datetime:
        return self._began.told_at(moment)
