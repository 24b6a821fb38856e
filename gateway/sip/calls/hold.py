# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is on hold: what the peer of each leg wants to send and to hear, told to whoever is at the other end of it.

A direction is offered anew (RFC 3264 §8.4) whenever it differs from what the leg's peer was told last: because its
partner's peer has held or resumed, or because it has another partner. The transferor's music passes as it comes.
"""

from __future__ import annotations

import asyncio
import enum
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pjsua2 as pj
import structlog

if TYPE_CHECKING:
    from gateway.core.model import LegId
    from gateway.sip.calls.leg import Leg

log = structlog.get_logger(__name__)

BUSY_S = 0.25
"""Another transaction of the dialog is still under way on our own side."""
ATTEMPTS = 20
REQUEST_PENDING = 491
NOT_FINAL = frozenset({401, 407, 422})
"""PJSIP asks again by itself, with credentials or with a longer session."""


class Direction(enum.IntFlag):
    """What one end of a stream does; the values are PJMEDIA's."""

    NONE = 0
    SENDS = 1
    HEARS = 2
    BOTH = 3

    @property
    def mirrored(self) -> Direction:
        """The other end's direction: it hears what this one sends."""
        return {Direction.SENDS: Direction.HEARS, Direction.HEARS: Direction.SENDS}.get(self, self)


@dataclass(eq=False, slots=True)
class _Side:
    leg: Leg
    peer: Direction = Direction.BOTH  # what its peer does of its own accord
    told: Direction = Direction.BOTH  # what its peer takes us to do
    agreed: Direction = Direction.BOTH  # our direction as negotiated
    asked: Direction | None = None  # in a re-INVITE on its way
    partner: LegId | None = None
    waits: bool = False  # for a target, and hears ringback
    attempts: int = 0
    timer: asyncio.TimerHandle | None = None


class Holds:
    """Keeps what every leg's peer is told in step with what its partner's peer wants."""

    def __init__(self, kick: Callable[[], None]) -> None:
        """`kick` is called after a request was sent."""
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

    def established(self, leg: Leg) -> None:
        """The dialog is there: from now on it can be offered another direction."""
        self._side(leg)
        pj.watch_call(leg.getId())
        self._soon(leg.id)

    def exchanged(self, leg: Leg) -> None:
        """An offer and its answer have settled the leg's media, whoever made them."""
        found = pj.exchange_of(leg.getId())
        if len(found) == 0:
            return
        side = self._side(leg)
        answered, ours, theirs = bool(found[0]), Direction(found[1]), Direction(found[2])
        offered = side.agreed if side.asked is None else side.asked
        # What an answer leaves out says something of the peer only where it was offered (RFC 3264 §6.1).
        side.peer = theirs | (side.peer & ~offered.mirrored) if answered else theirs
        side.agreed = ours
        if side.partner is not None:
            self._soon(side.partner)
        self._soon(leg.id)

    def joined(self, one: Leg, other: Leg) -> None:
        """Two legs have become partners."""
        sides = self._side(one), self._side(other)
        for side in sides:
            self._part(side)
        for side, partner in zip(sides, (other, one), strict=True):
            side.partner = partner.id
            self._soon(side.leg.id)

    def waiting(self, leg: Leg) -> None:
        """The leg waits for a target: nobody holds it."""
        side = self._side(leg)
        self._part(side)
        side.waits = True
        self._soon(leg.id)

    def parted(self, leg: Leg) -> None:
        """The leg has no partner for the moment; its peer is told nothing new."""
        self._part(self._side(leg))

    def answered(self, leg: Leg, method: str, code: int) -> None:
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
            log.warning("hold-refused", leg=leg.id, peer=leg.peer.name, direction=asked.name, code=code)
        side.told = asked
        side.attempts = 0
        self._soon(leg.id)

    def forget(self, leg: LegId) -> None:
        """The leg is over."""
        side = self._sides.pop(leg, None)
        if side is None:
            return
        if side.timer is not None:
            side.timer.cancel()
        self._part(side)

    def stop(self) -> None:
        """Ask for nothing more."""
        for leg in list(self._sides):
            self.forget(leg)

    # --- what follows from it

    def _side(self, leg: Leg) -> _Side:
        return self._sides.setdefault(leg.id, _Side(leg))

    def _part(self, side: _Side) -> None:
        partner = self._sides.get(side.partner) if side.partner is not None else None
        side.partner, side.waits = None, False
        if partner is not None and partner.partner == side.leg.id:
            partner.partner = None

    def _wanted(self, side: _Side) -> Direction:
        if side.waits:
            return Direction.BOTH
        partner = self._sides.get(side.partner) if side.partner is not None else None
        # We pass on what the partner's peer sends, and hear for it: its direction is ours here.
        return side.told if partner is None else partner.peer

    def _soon(self, leg: LegId) -> None:
        # After what PJSIP is in the middle of, and once for all that happens in one step of a transfer.
        side = self._sides.get(leg)
        if side is not None and side.timer is None:
            side.timer = asyncio.get_running_loop().call_later(0, self._reconcile, side)

    def _again(self, side: _Side, delay_s: float) -> None:
        side.attempts += 1
        if side.attempts > ATTEMPTS:
            log.warning("hold-given-up", leg=side.leg.id, peer=side.leg.peer.name)
            side.told, side.attempts = self._wanted(side), 0
            return
        if side.timer is not None:
            side.timer.cancel()
        side.timer = asyncio.get_running_loop().call_later(delay_s, self._reconcile, side)

    def _reconcile(self, side: _Side) -> None:
        side.timer = None
        leg = side.leg
        wanted = self._wanted(side)
        if leg.over or leg.ending or not leg.established or side.asked is not None or wanted == side.told:
            return
        prm = pj.CallOpParam()
        prm.opt.audioCount, prm.opt.videoCount, prm.opt.textCount = 1, 0, 0
        prm.opt.flag = pj.PJSUA_CALL_SET_MEDIA_DIR
        directions = pj.IntVector()
        directions.append(int(wanted))
        prm.opt.mediaDir = directions
        side.asked = wanted
        try:
            leg.reinvite(prm)
        except pj.Error:
            side.asked = None
            self._again(side, BUSY_S)
            return
        self._kick()
