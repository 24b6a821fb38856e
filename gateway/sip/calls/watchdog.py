# SPDX-License-Identifier: GPL-2.0-or-later
"""Ends calls that are over without anybody having said so: a side that has fallen silent, a call that is too long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import pjsua2 as pj
import structlog

from gateway.core.outcome import CallEnd

if TYPE_CHECKING:
    from gateway.core.model import LegId
    from gateway.sip.calls.leg import Leg

log = structlog.get_logger(__name__)

LOOK_S = 2.0


class Watchdog:
    """Looks after every conversation once in a while."""

    def __init__(
        self,
        conversing: Callable[[], Iterable[Leg]],
        should_be_heard: Callable[[LegId], bool],
        end: Callable[[Leg, CallEnd], None],
    ) -> None:
        """`conversing`: the legs that talk with another; `should_be_heard`: those whose peer nobody holds."""
        self._conversing = conversing
        self._should_be_heard = should_be_heard
        self._end = end
        self._rtp_timeout_s = 0.0
        self._max_call_s = 0.0
        self._heard: dict[LegId, tuple[int, float]] = {}  # packets, and when there were fewer
        self._timer: asyncio.TimerHandle | None = None

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

    def forget(self, leg: LegId) -> None:
        """The leg is over."""
        self._heard.pop(leg, None)

    def _wait(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look, seconds)

    def _look(self, seconds: float) -> None:
        self._wait(seconds)
        now = asyncio.get_running_loop().time()
        for leg in list(self._conversing()):
            if leg.over or leg.ending or not leg.established:
                continue
            if self._max_call_s and now - leg.established_at > self._max_call_s:
                log.warning("call-too-long", leg=leg.id, peer=leg.peer.name, call_id=leg.sip_call_id)
                self._end(leg, CallEnd.TOO_LONG)
            elif self._rtp_timeout_s and self._silent(leg, now) > self._rtp_timeout_s:
                log.warning("rtp-timeout", leg=leg.id, peer=leg.peer.name, call_id=leg.sip_call_id)
                self._end(leg, CallEnd.RTP_TIMEOUT)

    def _silent(self, leg: Leg, now: float) -> float:
        """For how many seconds nothing has come from a peer that ought to send."""
        packets = pj.packets_received(leg.getId())
        before, since = self._heard.get(leg.id, (-1, now))
        if packets != before or not self._should_be_heard(leg.id):
            self._heard[leg.id] = packets, now
            return 0.0
        return now - since
