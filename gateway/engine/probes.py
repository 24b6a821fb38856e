# SPDX-License-Identifier: GPL-2.0-or-later
"""Short calls that test a destination for real. They are nobody's: no transfer, no event, no metric comes of them."""

import asyncio
import itertools
from datetime import timedelta

import structlog

from gateway.core.model import Announcement, AssignedNumber, Destination, LegId, Peer, PeerKind
from gateway.core.outcome import Reason, reason_for_failure
from gateway.ports import DialOrder, ProbeResult, SipPort

log = structlog.get_logger(__name__)

PROBE_HEADER = "X-Transfer-Probe"
"""By which a dialplan or a screen pop knows a test call; its value is the destination's id."""
CALLER_NAME = "Transfer test"
HOLD = timedelta(seconds=1)
"""How long an answered call lasts that has nothing to say."""


class Probes:
    """The test calls under way."""

    def __init__(self, sip: SipPort) -> None:
        self._sip = sip
        self._ids = itertools.count(1)
        self._codes: dict[LegId, asyncio.Future[int]] = {}
        self._rang: set[LegId] = set()

    async def call(
        self, number: AssignedNumber, destination: Destination, announcement: Announcement | None
    ) -> ProbeResult:
        """Call a destination, say the announcement to whoever answers, and hang up."""
        loop = asyncio.get_running_loop()
        leg = LegId(f"probe-{next(self._ids)}")
        self._codes[leg] = loop.create_future()
        started = loop.time()
        order = DialOrder(
            leg=leg,
            peer=Peer(number.pbx, PeerKind.PBX),
            user=destination.extension,
            caller=number.number,
            caller_name=CALLER_NAME,
            headers=((PROBE_HEADER, destination.id),),
        )
        try:
            code = await self._dial(order, destination.ring_timeout)
            seconds = loop.time() - started
            if code == 200:
                await self._speak(leg, announcement)
        except OSError as error:
            return ProbeResult(reached=False, code=None, text=f"can't be called: {error}", seconds=0.0)
        finally:
            self._sip.hang_up(leg, 480, Reason.NO_ANSWER)
            rang = leg in self._rang
            self._rang.discard(leg)
            del self._codes[leg]
        result = ProbeResult(code == 200, code, _text(code, rang), round(seconds, 3))
        log.info("probed", number=number.id, destination=destination.id, code=code, reached=result.reached)
        return result

    def progress(self, leg: LegId) -> None:
        """A leg rings."""
        if leg in self._codes:
            self._rang.add(leg)

    def settled(self, leg: LegId, code: int) -> None:
        """A leg was answered (200), or has ended."""
        waiting = self._codes.get(leg)
        if waiting is not None and not waiting.done():
            waiting.set_result(code)

    async def _dial(self, order: DialOrder, patience: timedelta) -> int | None:
        """The final code; None: there was none in time."""
        self._sip.dial(order)
        try:
            return await asyncio.wait_for(self._codes[order.leg], patience.total_seconds())
        except TimeoutError:
            return None

    async def _speak(self, leg: LegId, announcement: Announcement | None) -> None:
        if announcement is None:
            self._sip.part(leg)
        else:
            self._sip.wait(leg, None, announcement)
        await asyncio.sleep((HOLD if announcement is None else announcement.duration).total_seconds())


def _text(code: int | None, rang: bool) -> str:
    match code:
        case 200:
            return "answered"
        case None:
            return "rang, and nobody answered" if rang else "nobody answered"
        case _:
            return f"{reason_for_failure(code)} ({code})"
