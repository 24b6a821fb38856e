# SPDX-License-Identifier: GPL-2.0-or-later
"""The time, and what is to happen later: the engine asks for both here, and never the event loop."""

from collections.abc import Callable
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
