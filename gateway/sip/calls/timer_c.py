# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a call to an assistant may go unanswered (timer C, RFC 3261 §16.6 item 11, §16.8).

A trunk that has said 180 and then says nothing, beside a caller whose CANCEL was lost, would leave two legs for ever.
A target of a transfer has a limit of its own, which the transfer keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import structlog

from gateway.core.model import PeerKind

if TYPE_CHECKING:
    from gateway.core.model import LegId
    from gateway.ports import Clock, Timer
    from gateway.sip.calls.leg_control import LegControl

log = structlog.get_logger(__name__)

LOOK_S = 2.0


class TimerC:
    """Looks once in a while after the calls to trunks that no one has answered yet."""

    def __init__(self, legs: Iterable[LegControl], clock: Clock, give_up: Callable[[LegId], None]) -> None:
        """`legs`: all there are, each time; `give_up` ends one."""
        self._legs = legs
        self._clock = clock
        self._give_up = give_up
        self._limit_s = 0.0
        self._timer: Timer | None = None

    def configure(self, limit_s: float) -> None:
        """Take the limit and begin to look; it holds for calls under way too."""
        self._limit_s = limit_s
        self.stop()
        self._wait()

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self._timer = self._clock.after(min(LOOK_S, self._limit_s / 4), self._look)

    def _look(self) -> None:
        self._wait()
        now = self._clock.now().steady
        for leg in self._legs:
            if leg.incoming or leg.established or leg.over or leg.ending or leg.peer.kind is not PeerKind.TRUNK:
                continue
            if now - leg.progressed_at > self._limit_s:
                log.warning("call-unanswered", leg=leg.id, peer=leg.peer.name, call_id=leg.sip_call_id)
                self._give_up(leg.id)
