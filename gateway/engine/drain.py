# SPDX-License-Identifier: GPL-2.0-or-later
"""The wait for the last call to end, before the gateway stops."""

from collections.abc import Callable

from gateway.ports import Clock, Timer


class Drain:
    """Counts calls; once begun, it is over with the last of them, or when patience is."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._over: Callable[[bool], object] | None = None
        self._timer: Timer | None = None
        self.begun = False
        self.calls = 0

    def begin(self, patience_s: float, over: Callable[[bool], object]) -> None:
        """Wait; `over` is told, once, whether the last call ended in time."""
        self.begun = True
        self._over = over
        self._timer = self._clock.after(patience_s, lambda: self._end(in_time=False))
        self._look()

    def count(self, calls: int) -> None:
        """So many calls are under way now."""
        self.calls = calls
        self._look()

    def _look(self) -> None:
        if self.begun and self.calls == 0:
            self._end(in_time=True)

    def _end(self, *, in_time: bool) -> None:
        over, self._over = self._over, None
        if self._timer is not None:
            self._timer.cancel()
        if over is not None:
            over(in_time)
