# SPDX-License-Identifier: GPL-2.0-or-later
"""The time, and what is to happen later: whoever decides by time asks for both here, and never the event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from gateway.core.moment import Moment


class Timer(Protocol):
    """Something that is to happen later."""

    def cancel(self) -> None:
        """It is not to happen any more; nothing happens when it did, or was cancelled already."""


class Clock(Protocol):
    """Tells the time, and calls back when some of it has passed."""

    def now(self) -> Moment:
        """This moment."""

    def after(self, seconds: float, act: Callable[[], object]) -> Timer:
        """Call `act` once so many seconds have passed, never within this call."""


@asynccontextmanager
async def time_limit(clock: Clock, seconds: float | None) -> AsyncIterator[None]:
    """As asyncio.timeout, by a clock of ours: TimeoutError after so many seconds within; None: never."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as limit:
        timer = clock.after(seconds, lambda: limit.reschedule(loop.time())) if seconds is not None else None
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()


async def sleep(clock: Clock, seconds: float) -> None:
    """As asyncio.sleep, by a clock of ours."""
    over = asyncio.Event()
    timer = clock.after(seconds, over.set)
    try:
        await over.wait()
    finally:
        timer.cancel()
