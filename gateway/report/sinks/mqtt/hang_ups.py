# SPDX-License-Identifier: GPL-2.0-or-later
"""What is not worth keeping, and makes a broker end the connection: left out for a while, so that events arrive."""

import math

from gateway.ports import Clock

MAX_HANG_UPS = 3
SOON_S = 2.0  # a connection that ends so soon after something was sent may have ended because of it
ANSWERED_S = 12.0  # … or so soon where an answer is waited for, which ends the connection when it does not come
LEFT_OUT_S = 300.0


class HangUps:
    """Watches over connections which kind of message was sent last before they end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said: tuple[str, float] | None = None  # the kind, and until when the connection's end is its doing
        self._suspect = ("", 0)
        self._left_out: dict[str, float] = {}  # until when, by kind

    def may_send(self, kind: str, *, awaits_answer: bool = False) -> bool:
        """Whether a message of this kind may be sent now; it counts as sent then."""
        now = self._clock.now().steady
        if now < self._left_out.get(kind, -math.inf):
            return False
        self._said = kind, now + (ANSWERED_S if awaits_answer else SOON_S)
        return True

    def taken(self) -> None:
        """The broker has answered what was sent."""
        self._said = None

    def lost(self, *, events_in_flight: bool) -> str | None:
        """The connection has ended; the kind that is left out from now on, if there is one."""
        said, self._said = self._said, None
        if said is None or events_in_flight or self._clock.now().steady > said[1]:
            return None
        kind, count = self._suspect
        self._suspect = said[0], count + 1 if kind == said[0] else 1
        if self._suspect[1] < MAX_HANG_UPS:
            return None
        self._suspect = ("", 0)
        self._left_out[said[0]] = self._clock.now().steady + LEFT_OUT_S
        return said[0]
