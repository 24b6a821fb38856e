# SPDX-License-Identifier: GPL-2.0-or-later
"""The clock of the running gateway: the machine's time, and the timers of the event loop."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from gateway.core.moment import Moment


class LoopClock:
    """Implements ports.Clock."""

    def now(self) -> Moment:
        """See ports.Clock."""
        # Unlike the loop's own time it goes on while the machine sleeps: what has an age then ages too.
        return Moment(datetime.now(UTC), time.clock_gettime(time.CLOCK_BOOTTIME))

    def after(self, seconds: float, act: Callable[[], object]) -> asyncio.TimerHandle:
        """See ports.Clock."""
        return asyncio.get_running_loop().call_later(seconds, act)
