# SPDX-License-Identifier: GPL-2.0-or-later
"""Ends calls that are over without anybody having said so: a side that has fallen silent, a call that is too long."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import structlog

from gateway.core.outcome import CallEnd

if TYPE_CHECKING:
    from gateway.core.model import LegId
    from gateway.ports import Clock, Timer
    from gateway.sip.calls.leg_control import LegControl
    from gateway.sip.calls.pairs import Pairs

log = structlog.get_logger(__name__)

LOOK_S = 2.0


class Watchdog:
    """Looks after every conversation once in a while."""

    def __init__(
        self,
        pairs: Pairs,
        leg_of: Callable[[LegId], LegControl | None],
        activity: Callable[[LegId], int],
        should_be_heard: Callable[[LegId], bool],
        clock: Clock,
        end: Callable[[LegId, CallEnd], None],
    ) -> None:
        """`activity` is media_path's; `should_be_heard` tells of a leg whether nobody holds its peer."""
        self._pairs = pairs
        self._leg_of = leg_of
        self._clock = clock
        self._activity = activity
        self._should_be_heard = should_be_heard
        self._end = end
        self._rtp_timeout_s = 0.0
        self._max_call_s = 0.0
        self._heard: dict[LegId, tuple[int, float]] = {}  # packets, and when there were fewer
        self._timer: Timer | None = None

    def configure(self, rtp_timeout_s: float, max_call_s: float) -> None:
        """Take the limits (0: none) and begin to look."""
        self._rtp_timeout_s, self._max_call_s = rtp_timeout_s, max_call_s
        self.stop()
        limits = [limit for limit in (rtp_timeout_s, max_call_s) if limit]
        if limits:
            self._wait(min(LOOK_S, min(limits) / 4))

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def silent_s(self, leg: LegId) -> float | None:
        """For how many seconds nothing has come from a leg, to `LOOK_S`; None: nobody looks after it."""
        packets, since = self._heard.get(leg, (-1, 0.0))
        if packets < 0 or not self._should_be_heard(leg):
            return None
        return 0.0 if self._activity(leg) != packets else self._clock.now().steady - since

    def forget(self, leg: LegId) -> None:
        """The leg is over."""
        self._heard.pop(leg, None)

    def _wait(self, seconds: float) -> None:
        self._timer = self._clock.after(seconds, partial(self._look, seconds))

    def _look(self, seconds: float) -> None:
        self._wait(seconds)
        now = self._clock.now().steady
        for leg in self._conversing():
            if leg.over or leg.ending:
                continue
            if self._max_call_s and now - leg.established_at > self._max_call_s:
                log.warning("call-too-long", leg=leg.id, peer=leg.peer.name, call_id=leg.sip_call_id)
                self._end(leg.id, CallEnd.TOO_LONG)
            elif self._rtp_timeout_s and self._silent(leg, now) > self._rtp_timeout_s:
                log.warning("rtp-timeout", leg=leg.id, peer=leg.peer.name, call_id=leg.sip_call_id)
                self._end(leg.id, CallEnd.RTP_TIMEOUT)

    def _conversing(self) -> list[LegControl]:
        """Those who talk, where both have answered."""
        legs = [self._leg_of(leg) for leg in self._pairs.talking]
        there = {leg.id: leg for leg in legs if leg is not None and leg.established}
        return [leg for leg in there.values() if self._pairs.talks_with(leg.id) in there]

    def _silent(self, leg: LegControl, now: float) -> float:
        """For how many seconds nothing has come from a peer that ought to send."""
        packets = self._activity(leg.id)
        before, since = self._heard.get(leg.id, (-1, now))
        if packets != before or not self._should_be_heard(leg.id):
            self._heard[leg.id] = packets, now
            return 0.0
        return now - since
