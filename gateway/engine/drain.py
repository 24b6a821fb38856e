# SPDX-License-Identifier: GPL-2.0-or-later
"""The wait for the last call to end, or to be one that the next process takes up, before the gateway stops."""

from collections.abc import Callable

from gateway.ports import Clock, Timer


class Drain:
    """Counts calls; once begun, it is over with the last of them that it waits for, or when patience is."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._over: Callable[[bool], object] | None = None
        self._awaited: Callable[[], int] | None = None
        self._timer: Timer | None = None
        self.begun = False
        self.calls = 0

    @property
    def leaves_calls(self) -> bool:
        """Whether the next process takes up calls of this one."""
        return self._awaited is not None

    def begin(
        self, patience_s: float, over: Callable[[bool], object], awaited: Callable[[], int] | None = None
    ) -> None:
        """Wait; `over` is told, once, whether the last call ended in time.

        `awaited` tells how many calls are to be waited for, where others are left to the next process; else all are.
        """
        self.begun = True
        self._over = over
        self._awaited = awaited
        self._timer = self._clock.after(patience_s, lambda: self._end(in_time=False))
        self.look()

    def leave_none(self) -> None:
        """Nobody goes on: wait for all calls."""
        self._awaited = None

    def count(self, calls: int) -> None:
        """So many calls are under way now."""
        self.calls = calls
        self.look()

    def look(self) -> None:
        """A call may have become one that is not waited for."""
        if self._over is not None and (self.calls if self._awaited is None else self._awaited()) == 0:
            self._end(in_time=True)

    def _end(self, *, in_time: bool) -> None:
        over, self._over = self._over, None
        if self._timer is not None:
            self._timer.cancel()
        if over is not None:
            over(in_time)
