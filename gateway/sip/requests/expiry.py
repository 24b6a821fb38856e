# SPDX-License-Identifier: GPL-2.0-or-later
"""How long an INVITE may wait for its final response: its Expires header (RFC 3261 §13.3.1, §20.19)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from gateway.core.model import LegId
    from gateway.ports import Clock, Timer
    from gateway.sip.calls.leg import Leg

log = structlog.get_logger(__name__)

LONGEST_S = 24 * 3600
"""What is said to wait for longer is not timed: no call rings for a day."""


def expires_s(values: Sequence[str]) -> int | None:
    """The seconds that Expires names; None: it names none that matter."""
    text = values[0].strip() if values else ""
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None
    return seconds if seconds is not None and seconds <= LONGEST_S else None


class Expiries:
    """Ends invitations whose time is over before they are answered."""

    def __init__(self, clock: Clock, kick: Callable[[], None]) -> None:
        self._clock = clock
        self._kick = kick
        self._timers: dict[LegId, Timer] = {}

    def watch(self, leg: Leg, seconds: int | None) -> None:
        """A call came in; `seconds` is None where its INVITE sets no limit."""
        if seconds is not None:
            self._timers[leg.id] = self._clock.after(seconds, partial(self._over, leg))

    def forget(self, leg: LegId) -> None:
        """The leg is established, or over."""
        if timer := self._timers.pop(leg, None):
            timer.cancel()

    def stop(self) -> None:
        """Time nothing more."""
        for leg in list(self._timers):
            self.forget(leg)

    def _over(self, leg: Leg) -> None:
        self._timers.pop(leg.id, None)
        log.info("invitation-expired", leg=leg.id, peer=leg.peer.name, call_id=leg.sip_call_id)
        leg.expire()
        self._kick()
