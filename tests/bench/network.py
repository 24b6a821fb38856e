# SPDX-License-Identifier: GPL-2.0-or-later
"""A network in virtual time that loses, delays, repeats and reorders datagrams, and SIP's transactions over it.

Which datagram meets which fate comes from a seed, so that a run can be played again. The gateway leaves loss to PJSIP,
and never sees a repetition; what it sees of a bad network is that something comes late, crosses with something of its
own, or that nobody has answered for 64 * T1. `Request` does what PJSIP does about that (RFC 3261 §17, §13.3.1.4).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.bench.clock import VirtualClock

T1, T2 = 0.5, 4.0
GIVES_UP_S = 64 * T1
"""Timers B, F and H."""
TIMED_OUT = 408


class Network:
    """Carries datagrams, or not."""

    def __init__(self, clock: VirtualClock, random: Random, *, loss: float, repeats: float, delay_s: float) -> None:
        """`loss` and `repeats` are probabilities; a datagram takes up to `delay_s`, and one may overtake another."""
        self.clock = clock
        self._random = random
        self._loss = loss
        self._repeats = repeats
        self._delay_s = delay_s
        self._down_until = 0.0
        self.lost = 0
        self.carried = 0

    def fail(self, seconds: float) -> None:
        """Carry nothing at all for so long."""
        self._down_until = self.clock.now().steady + seconds

    def carry(self, deliver: Callable[[], object]) -> None:
        """A datagram is sent: `deliver` is called for each time that it arrives."""
        if self.clock.now().steady < self._down_until or self._random.random() < self._loss:
            self.lost += 1
            return
        for _ in range(2 if self._random.random() < self._repeats else 1):
            self.carried += 1
            self.clock.after(self._random.uniform(0.0, self._delay_s), deliver)


class Request:
    """A request and its responses: at the other end it arrives once, and its sender hears one final response."""

    def __init__(
        self,
        network: Network,
        arrives: Callable[[Request], object],
        answered: Callable[[int], object],
        *,
        invite: bool = False,
    ) -> None:
        """Send it. `answered` is told each response that is new, and 408 when none came."""
        self._network = network
        self._arrives = arrives
        self._answered = answered
        self._invite = invite
        self._arrived = False
        self.heard = 0  # the last response that has reached the sender
        self.responded = 0  # the last one that was sent
        self.acknowledged: Callable[[bool], object] = lambda _ever: None  # told once whether an ACK has come
        self._acknowledged = False
        self._send(T1)
        network.clock.after(GIVES_UP_S, self._give_up)

    # --- at its sender's

    @property
    def _waits(self) -> bool:
        return self.heard == 0 if self._invite else self.heard < 200

    def _send(self, again_s: float) -> None:
        if self._waits:
            self._network.carry(self._arrive)
            self._network.clock.after(again_s, partial(self._send, self._next(again_s)))

    def _next(self, again_s: float) -> float:
        return 2 * again_s if self._invite else min(2 * again_s, T2)

    def _give_up(self) -> None:
        if self._waits:
            self.heard = TIMED_OUT
            self._answered(TIMED_OUT)

    def _hear(self, code: int) -> None:
        if code >= 200 and self._invite:
            self._network.carry(self._acknowledge)
        if self.heard < 200 and code > self.heard:
            self.heard = code
            self._answered(code)

    # --- at the other end

    def _arrive(self) -> None:
        if not self._arrived:
            self._arrived = True
            if self._invite:
                self.respond(100)
            self._arrives(self)
        elif self.responded:
            self._network.carry(partial(self._hear, self.responded))

    def respond(self, code: int) -> None:
        """Send a response; a final one to an INVITE again and again until it is acknowledged."""
        if self.responded >= 200:
            return
        self.responded = code
        if code >= 200 and self._invite:
            self._again(T1)
            self._network.clock.after(GIVES_UP_S, self._unacknowledged)
        else:
            self._network.carry(partial(self._hear, code))

    def _again(self, again_s: float) -> None:
        if not self._acknowledged:
            self._network.carry(partial(self._hear, self.responded))
            self._network.clock.after(again_s, partial(self._again, min(2 * again_s, T2)))

    def _acknowledge(self) -> None:
        if not self._acknowledged:
            self._acknowledged = True
            self.acknowledged(True)

    def _unacknowledged(self) -> None:
        if not self._acknowledged:
            self._acknowledged = True
            self.acknowledged(False)
