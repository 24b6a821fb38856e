# SPDX-License-Identifier: GPL-2.0-or-later
"""Short calls that test a destination for real. They are nobody's: no transfer, no event, no metric comes of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from gateway.core.model import Announcement, AssignedNumber, Destination, LegId, Peer, PeerKind
from gateway.core.outcome import Reason, reason_for_failure
from gateway.ports import Clock, DialOrder, NotSentError, ProbeResult, SipPort, Timer

log = structlog.get_logger(__name__)

PROBE_HEADER = "X-Transfer-Probe"
"""By which a dialplan or a screen pop knows a test call; its value is the destination's id."""
CALLER_NAME = "Transfer test"
HOLD = timedelta(seconds=1)
"""How long an answered call lasts that has nothing to say."""


@dataclass(eq=False, slots=True)
class _Probe:
    number: AssignedNumber
    destination: Destination
    announcement: Announcement | None
    done: Callable[[ProbeResult], object]
    began: float  # by the steady clock
    timer: Timer | None = None
    rang: bool = False
    answered_s: float | None = None  # how long it took


class Probes:
    """The test calls under way."""

    def __init__(self, sip: SipPort, clock: Clock) -> None:
        self._sip = sip
        self._clock = clock
        self._ids = itertools.count(1)
        self._probes: dict[LegId, _Probe] = {}

    def call(
        self,
        number: AssignedNumber,
        destination: Destination,
        announcement: Announcement | None,
        done: Callable[[ProbeResult], object],
    ) -> None:
        """Call a destination, say the announcement to whoever answers, hang up, and tell what came of it."""
        leg = LegId(f"probe-{next(self._ids)}")
        probe = _Probe(number, destination, announcement, done, self._clock.now().steady)
        order = DialOrder(
            leg=leg,
            peer=Peer(number.pbx_of(destination), PeerKind.PBX),
            user=destination.extension,
            caller=number.number,
            caller_name=CALLER_NAME,
            headers=((PROBE_HEADER, destination.id),),
        )
        self._probes[leg] = probe
        try:
            self._sip.dial(order)
        except NotSentError as error:
            del self._probes[leg]
            self._sip.hang_up(leg, 480, Reason.NO_ANSWER)
            done(ProbeResult(reached=False, code=None, text=f"can't be called: {error}", seconds=0.0))
            return
        patience_s = destination.ring_timeout.total_seconds()
        probe.timer = self._clock.after(patience_s, lambda: self._end(leg, None))

    def progress(self, leg: LegId) -> None:
        """A leg rings."""
        if leg in self._probes:
            self._probes[leg].rang = True

    def answered_or_ended(self, leg: LegId, code: int) -> None:
        """A leg was answered (200), or has ended."""
        probe = self._probes.get(leg)
        if probe is None:
            return
        if probe.answered_s is not None or code != 200:
            self._end(leg, 200 if probe.answered_s is not None else code)
            return
        probe.answered_s = self._clock.now().steady - probe.began
        if probe.timer is not None:
            probe.timer.cancel()
        if probe.announcement is None:
            self._sip.silence(leg)
        else:
            self._sip.wait(leg, None, probe.announcement)
        hold = HOLD if probe.announcement is None else probe.announcement.duration
        probe.timer = self._clock.after(hold.total_seconds(), lambda: self._end(leg, 200))

    def _end(self, leg: LegId, code: int | None) -> None:
        """It is over with this final code; None: there was none in time."""
        probe = self._probes.pop(leg, None)
        if probe is None:
            return
        if probe.timer is not None:
            probe.timer.cancel()
        seconds = probe.answered_s if probe.answered_s is not None else self._clock.now().steady - probe.began
        self._sip.hang_up(leg, 480, Reason.NO_ANSWER)
        result = ProbeResult(code == 200, code, _text(code, probe.rang), round(seconds, 3))
        log.info("probed", number=probe.number.id, destination=probe.destination.id, code=code, reached=result.reached)
        probe.done(result)


def _text(code: int | None, rang: bool) -> str:
    match code:
        case 200:
            return "answered"
        case None:
            return "rang, and nobody answered" if rang else "nobody answered"
        case _:
            return f"{reason_for_failure(code)} ({code})"
