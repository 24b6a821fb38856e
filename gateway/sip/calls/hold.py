# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is on hold: what the peer of each leg wants to send and to hear, told to whoever is at the other end of it.

A direction is offered anew (RFC 3264 §8.4) whenever it differs from what the leg's peer was told last: because its
partner's peer has held or resumed, or because it has another partner. The transferor's music passes as it comes. So is
where the peer is to send its audio, if the path that it takes wants that elsewhere.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog

from gateway.sip.calls.leg_control import Direction

if TYPE_CHECKING:
    from gateway.core.model import LegId
    from gateway.ports import Clock, Timer
    from gateway.sip.calls.leg_control import LegControl
    from gateway.sip.calls.media_path import MediaPath
    from gateway.sip.calls.pairs import Pairs

log = structlog.get_logger(__name__)

BUSY_S = 0.25
"""Another transaction of the dialog is still under way on our own side."""
ATTEMPTS = 20
REQUEST_PENDING = 491
NOT_FINAL = frozenset({401, 407, 422})
"""PJSIP asks again by itself, with credentials or with a longer session."""


@dataclass(eq=False, slots=True)
class _Side:
    leg: LegControl
    peer: Direction = Direction.BOTH  # what its peer does of its own accord
    told: Direction = Direction.BOTH  # what its peer takes us to do
    agreed: Direction = Direction.BOTH  # our direction as negotiated
    asked: Direction | None = None  # in a re-INVITE on its way
    attempts: int = 0
    timer: Timer | None = None


class Holds:
    """Keeps what every leg's peer is told in step with what its partner's peer wants."""

    def __init__(self, pairs: Pairs, media: MediaPath, clock: Clock, kick: Callable[[], None]) -> None:
        """`kick` is called after a request was sent."""
        self._pairs = pairs
        self._media = media
        self._clock = clock
        self._kick = kick
        self._sides: dict[LegId, _Side] = {}

    def hears_us(self, leg: LegId) -> bool:
        """Whether the peer of this leg listens."""
        side = self._sides.get(leg)
        return side is None or Direction.HEARS in side.peer

    def should_be_heard(self, leg: LegId) -> bool:
        """Whether the peer of this leg is expected to send: who holds may play music, or nothing."""
        side = self._sides.get(leg)
        return side is None or side.agreed == Direction.BOTH

    # --- what happens

    def established(self, leg: LegControl) -> None:
        """The dialog is there: from now on it can be offered another direction."""
        self._side(leg)
        self._soon(leg.id)

    def exchanged(self, leg: LegControl) -> None:
        """An offer and its answer have settled the leg's media, whoever made them."""
        found = leg.exchange
        if found is None:
            return
        side = self._side(leg)
        offered = side.agreed if side.asked is None else side.asked
        # What an answer leaves out says something of the peer only where it was offered (RFC 3264 §6.1).
        side.peer = found.theirs | (side.peer & ~offered.mirrored) if found.answered else found.theirs
        side.agreed = found.ours
        if (partner := self._pairs.talks_with(leg.id)) is not None:
            self._soon(partner)
        self._soon(leg.id)

    def joined(self, one: LegControl, other: LegControl) -> None:
        """Two legs have become partners."""
        for leg in (one, other):
            self._side(leg)
            self._soon(leg.id)

    def waiting(self, leg: LegControl) -> None:
        """The leg waits for a target: nobody holds it."""
        self._side(leg)
        self._soon(leg.id)

    def misplaced(self, leg: LegId) -> None:
        """The leg's peer is to send its audio somewhere else."""
        self._soon(leg)

    def answered(self, leg: LegControl, method: str, code: int) -> None:
        """A request of ours in the leg's dialog was answered."""
        side = self._sides.get(leg.id)
        if side is None or side.asked is None or method != "INVITE" or code in NOT_FINAL:
            return
        asked, side.asked = side.asked, None
        if code == REQUEST_PENDING:
            # RFC 3261 §14.1: whoever made the dialog gives way to the other.
            low, high = (0, 200) if leg.incoming else (210, 400)
            self._again(side, random.randint(low, high) / 100)  # noqa: S311 - nobody guards a secret with it
            return
        if code >= 300:
            if asked != side.told:
                log.warning("hold-refused", leg=leg.id, peer=leg.peer.name, direction=asked.name, code=code)
            self._media.declined(leg.id, code)
        side.told = asked
        side.attempts = 0
        self._soon(leg.id)

    def forget(self, leg: LegId) -> None:
        """The leg is over."""
        side = self._sides.pop(leg, None)
        if side is not None and side.timer is not None:
            side.timer.cancel()

    def stop(self) -> None:
        """Ask for nothing more."""
        for leg in list(self._sides):
            self.forget(leg)

    # --- what follows from it

    def _side(self, leg: LegControl) -> _Side:
        return self._sides.setdefault(leg.id, _Side(leg))

    def _wanted(self, side: _Side) -> Direction:
        if self._pairs.waits(side.leg.id):
            return Direction.BOTH
        other = self._pairs.talks_with(side.leg.id)
        partner = self._sides.get(other) if other is not None else None
        # We pass on what the partner's peer sends, and hear for it: its direction is ours here.
        return side.told if partner is None else partner.peer

    def _soon(self, leg: LegId) -> None:
        # After what PJSIP is in the middle of, and once for all that happens in one step of a transfer.
        side = self._sides.get(leg)
        if side is not None and side.timer is None:
            side.timer = self._clock.after(0, partial(self._reconcile, side))

    def _again(self, side: _Side, delay_s: float) -> None:
        side.attempts += 1
        if side.attempts > ATTEMPTS:
            log.warning("hold-given-up", leg=side.leg.id, peer=side.leg.peer.name)
            side.told, side.attempts = self._wanted(side), 0
            self._media.declined(side.leg.id, REQUEST_PENDING)
            return
        if side.timer is not None:
            side.timer.cancel()
        side.timer = self._clock.after(delay_s, partial(self._reconcile, side))

    def _reconcile(self, side: _Side) -> None:
        side.timer = None
        leg = side.leg
        wanted = self._wanted(side)
        if leg.over or leg.ending or not leg.established or side.asked is not None:
            return
        if wanted == side.told and not self._media.is_misplaced(leg.id):
            return
        side.asked = wanted
        self._media.offering_again(leg.id)
        if leg.offer(wanted):
            self._kick()
        else:
            side.asked = None
            self._again(side, BUSY_S)
