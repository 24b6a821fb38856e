# SPDX-License-Identifier: GPL-2.0-or-later
"""Who hears whom: the only place that knows how two legs are joined.

What each leg is to hear is kept as a wish, and carried out whenever a wish or a port changes: an answer, a re-INVITE or
a change of codec makes PJSIP build a new port for the same leg. A leg hears one source at a time, or silence.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

import pjsua2 as pj
import structlog

from gateway.sip.calls.ringback import OFTEN_S, Ringback

if TYPE_CHECKING:
    from gateway.core.model import Announcement, LegId

log = structlog.get_logger(__name__)


class Media:
    """The conference bridge, seen as pairs of legs. One of a pair may still wait, and hear something else meanwhile."""

    def __init__(self, packets: Callable[[LegId], int]) -> None:
        """`packets` tells how many packets of audio a leg has brought."""
        self._packets = packets
        self._ports: dict[LegId, pj.AudioMedia] = {}
        self._partners: dict[LegId, LegId] = {}
        self._waiting: dict[LegId, Ringback] = {}
        self._heard: dict[LegId, pj.AudioMedia] = {}  # what is connected to a leg's port
        self._players: dict[int, pj.AudioMediaPlayer] = {}  # by a running number
        self._numbers = itertools.count()
        self._next_look: asyncio.Handle | None = None

    def stop(self) -> None:
        """Let go of every port; before PJSIP ends."""
        if self._next_look is not None:
            self._next_look.cancel()
        for table in (self._ports, self._partners, self._waiting, self._heard):
            table.clear()
        self._players.clear()

    # --- what legs bring

    def media_started(self, leg: LegId, port: pj.AudioMedia) -> None:
        """The leg has a (new) port: carry out what it is to hear, and who is to hear it."""
        self._ports[leg] = port
        self._heard.pop(leg, None)  # went away with the old port
        other = self._partners.get(leg)
        if other is not None and (waiting := self._waiting.get(other)):
            waiting.listen(0, asyncio.get_running_loop().time())
        self._carry_out(leg, other)

    def media_stopped(self, leg: LegId) -> None:
        """The leg's port is gone; its wishes stay for the next one."""
        self._ports.pop(leg, None)
        self._heard.pop(leg, None)
        self._carry_out(self._partners.get(leg))

    def forget(self, leg: LegId) -> None:
        """The leg is over."""
        self.part(leg)
        self._ports.pop(leg, None)

    def has_port(self, leg: LegId) -> bool:
        """Whether the leg has media."""
        return leg in self._ports

    # --- wishes

    def join(self, one: LegId, other: LegId) -> None:
        """Let two legs hear each other and nobody else."""
        self._waiting.pop(one, None)
        self._waiting.pop(other, None)
        self._carry_out(*self._pair(one, other))

    def wait(self, leg: LegId, target: LegId | None, announcement: Announcement | None) -> None:
        """Let a leg hear an announcement, then ringback, until there is something to hear of the target.

        The target hears the leg: it may be asked for digits before the answer.
        """
        waiting = self._waiting.get(leg)
        if waiting is None:
            waiting = self._waiting[leg] = Ringback(self._keep)
        waiting.turn_to(target, announcement)
        others = self._pair(leg, target) if target else (self._leave(leg),)
        self._carry_out(*(other for other in others if other != leg))
        # Not yet: the next command of the same turn may be for another target, or for an announcement before this one.
        if self._next_look is not None:
            self._next_look.cancel()
        self._next_look = asyncio.get_running_loop().call_soon(self._look)

    def part(self, leg: LegId) -> None:
        """Take a leg out of whatever it hears and is heard in."""
        self._waiting.pop(leg, None)
        self._carry_out(leg, self._leave(leg))

    def waits(self, leg: LegId) -> bool:
        """Whether the leg waits for a target."""
        return leg in self._waiting

    @property
    def pairs(self) -> int:
        """How many pairs of legs are joined."""
        return len(self._partners) // 2

    # --- carrying them out

    def _leave(self, leg: LegId) -> LegId | None:
        other = self._partners.pop(leg, None)
        if other is not None:
            del self._partners[other]
        return other

    def _pair(self, one: LegId, other: LegId) -> tuple[LegId | None, ...]:
        """Make partners of two legs; all those for whom that changes something."""
        former = self._leave(one), self._leave(other)
        self._partners[one], self._partners[other] = other, one
        return (*former, one, other)

    def _carry_out(self, *legs: LegId | None) -> None:
        for leg in legs:
            sink = self._ports.get(leg) if leg else None
            if leg is None or sink is None:
                continue
            before, now = self._heard.pop(leg, None), self._source(leg)
            if now is not None:
                self._heard[leg] = now
            if now is before:
                continue
            # Both wait for the bridge's next tick: the one follows on the other without a gap and without a mixture.
            if before is not None:
                _stop(before, sink)
            if now is not None and not _start(now, sink):
                del self._heard[leg]  # to be tried again

    def _source(self, leg: LegId) -> pj.AudioMedia | None:
        waiting = self._waiting.get(leg)
        sound = waiting.sound(asyncio.get_running_loop().time()) if waiting else None
        if sound is not None:
            return sound
        other = self._partners.get(leg)
        return self._ports.get(other) if other else None

    def _keep(self, player: pj.AudioMediaPlayer, seconds: float) -> None:
        number = next(self._numbers)
        self._players[number] = player
        asyncio.get_running_loop().call_later(seconds, self._players.pop, number, None)

    def _look(self) -> None:
        """See what those who wait are to hear now."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for leg, waiting in self._waiting.items():
            if leg not in self._ports:
                continue
            if waiting.target in self._ports and now >= waiting.look_at:
                waiting.listen(self._packets(waiting.target), now)
            self._carry_out(leg)
        self._next_look = loop.call_later(OFTEN_S, self._look) if self._waiting else None


def _start(source: pj.AudioMedia, sink: pj.AudioMedia) -> bool:
    try:
        source.startTransmit(sink)
    except pj.Error as error:  # one of the two went away with its stream
        log.warning("not-connected", why=error.info())
        return False
    return True


def _stop(source: pj.AudioMedia, sink: pj.AudioMedia) -> None:
    try:
        source.stopTransmit(sink)
    except pj.Error:  # the port went away with its stream, and its connections with it
        return
