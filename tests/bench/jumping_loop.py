# SPDX-License-Identifier: GPL-2.0-or-later
"""An event loop for tests that play both ends: when neither has anything to read, time jumps to the next timer.

What a test waits for costs it nothing, and a busy machine makes no timeout of it. Not for tests with another process or
thread at the far end: the loop does not see that one at work.
"""

from __future__ import annotations

import asyncio
import selectors
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gateway.clock import LoopClock
from gateway.core.moment import Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pytest


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.skipped_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select()
        ready = super().select(0)
        if not ready and timeout > 0:
            self.skipped_s += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """An asyncio loop in whose time nobody waits."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    @property
    def skipped_s(self) -> float:
        """So far ahead of the machine's is its time."""
        return self._jumping.skipped_s

    def time(self) -> float:
        """Seconds, with those that were skipped."""
        return super().time() + self.skipped_s


class JumpingClock(LoopClock):
    """The clock of whatever a test runs in a JumpingLoop."""

    def __init__(self, loop: JumpingLoop) -> None:
        self._loop = loop

    def now(self) -> Moment:
        """See ports.Clock."""
        return Moment(datetime.now(UTC) + timedelta(seconds=self._loop.skipped_s), self._loop.time())


def clock_of_loop() -> LoopClock:
    """The clock that fits the loop that runs."""
    loop = asyncio.get_running_loop()
    return JumpingClock(loop) if isinstance(loop, JumpingLoop) else LoopClock()


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """For the conftest.py of a directory in which a file says on which loop its tests run: `event_loop = JumpingLoop`.

    Not for all tests: where this hook answers, each test's loop is a parameter of its own, with which goes what lives
    on the loop of the session, such as the PBX.
    """
    return {"loop": getattr(getattr(item, "module", None), "event_loop", asyncio.new_event_loop)}
