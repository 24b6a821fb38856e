# SPDX-License-Identifier: GPL-2.0-or-later
"""Does something at once, and again when it is wanted again, but not more often than so."""

from collections.abc import Callable

from gateway.ports import Clock, Timer

REST = 5
"""Work that takes long is done less often: it gets a sixth of the time at most."""


class Pace:
    """Call it as often as you like; `work` is done at most every `every_s` seconds, the last time never lost."""

    def __init__(self, clock: Clock, every_s: float, work: Callable[[], None]) -> None:
        self._clock = clock
        self._every_s = every_s
        self._work = work
        self._next_at = float("-inf")
        self._timer: Timer | None = None

    def __call__(self) -> None:
        """Do it now, or as soon as it is due."""
        if self._timer is not None:
            return
        left = self._next_at - self._clock.now().steady
        if left <= 0:
            self._do()
        else:
            self._timer = self._clock.after(left, self._do)

    def cancel(self) -> None:
        """Forget what is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _do(self) -> None:
        self._timer = None
        begun = self._clock.now().steady
        self._work()
        now = self._clock.now().steady
        self._next_at = now + max(self._every_s, REST * (now - begun))
