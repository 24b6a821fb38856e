# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys that people press: taken from one leg, each once, and given to its partner in the way that side wants them.

A side gives them as telephone events (RFC 4733) or as SIP INFO with application/dtmf-relay. What is pressed while
nobody is there to have it, at the switch of a transfer or on hold, waits for whoever comes next.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pjsua2 as pj
import structlog

if TYPE_CHECKING:
    from gateway.core.model import LegId
    from gateway.sip.calls.leg import Leg

log = structlog.get_logger(__name__)

TONE_MS = 100
PAUSE_MS = 60
"""ITU-T Q.24: a receiver wants at least 40 ms of tone and as much of pause; a person presses no faster than this."""
KEYS = frozenset("0123456789*#ABCD")
KEPT = 32
"""As many as a stream of PJMEDIA holds."""
SEGMENTS_MS = (0xFFFF / 48, 0xFFFF / 8)
"""After so long at 48000 and at 8000 Hz a duration is full, and a key that is still held gets another time stamp."""
STAMPS_VARY_MS = 10
ENDED = 2
"""PJMEDIA_STREAM_DTMF_IS_END"""
ECHO_S = 2.0
"""Some send each key in both ways: the second one comes within this time."""


@dataclass(frozen=True, slots=True)
class _Event:
    key: str
    stamp: int  # in milliseconds, shared by all packets of it
    ended: bool

    def goes_on_in(self, later: _Event) -> bool:
        """Whether both are of one press (RFC 4733 §2.5.1.3)."""
        passed = later.stamp - self.stamp
        segment = not self.ended and any(abs(passed - full) < STAMPS_VARY_MS for full in SEGMENTS_MS)
        return later.key == self.key and (passed == 0 or segment)


@dataclass(eq=False, slots=True)
class _Pad:
    leg: Leg
    heard: _Event | None = None  # the newest one
    single: list[tuple[str, int, float]] = field(default_factory=list)  # key, way and time of what came in one way only
    waiting: deque[str] = field(default_factory=deque)  # what it is to be given
    typed: deque[str] = field(default_factory=deque)  # what it gave while it had no partner
    busy: bool = False
    timer: asyncio.TimerHandle | None = None

    def is_echo(self, key: str, method: int, now: float) -> bool:
        """Whether this key is one that came in the other way a moment ago; each of those has one echo at most."""
        self.single = [one for one in self.single if now - one[2] < ECHO_S]
        for one in self.single:
            if one[0] == key and one[1] != method:
                self.single.remove(one)
                return True
        self.single.append((key, method, now))
        return False


class Keypads:
    """The keys of all legs."""

    def __init__(
        self,
        partner: Callable[[LegId], Leg | None],
        wants_info: Callable[[Leg], bool],
        can_take: Callable[[LegId], bool],
        kick: Callable[[], None],
    ) -> None:
        """`wants_info`: whether a leg's side wants SIP INFO; `can_take`: whether it can be given anything now."""
        self._partner = partner
        self._wants_info = wants_info
        self._can_take = can_take
        self._kick = kick
        self._pads: dict[LegId, _Pad] = {}

    def pressed(self, leg: Leg, key: str, method: int, stamp: int, flags: int = 0) -> None:
        """A packet or an INFO tells of a key; all packets of one press have one time stamp (RFC 4733 §2.2)."""
        key = key.upper()
        pad = self._pad(leg)
        now = asyncio.get_running_loop().time()
        if key not in KEYS:
            return
        if method == pj.PJSUA_DTMF_METHOD_RFC2833:
            before, pad.heard = pad.heard, _Event(key, stamp, bool(flags & ENDED))
            if before is not None and before.goes_on_in(pad.heard):
                return
        if pad.is_echo(key, method, now):
            return
        partner = self._partner(leg.id)
        if partner is None:
            _keep(pad.typed, key)
        else:
            self._give(partner, key)

    def joined(self, one: Leg, other: Leg) -> None:
        """Two legs have become partners: what was pressed on the way there is for the new one."""
        self.awaits(one, other)
        self.awaits(other, one)

    def awaits(self, leg: Leg, target: Leg) -> None:
        """A leg waits for a target, which is given what was pressed so far."""
        pad = self._pads.get(leg.id)
        while pad is not None and pad.typed:
            self._give(target, pad.typed.popleft())

    def changed(self, leg: LegId) -> None:
        """The leg's media or direction changed: perhaps it can be given now what waits for it."""
        if pad := self._pads.get(leg):
            self._send(pad)

    def answered(self, leg: LegId, method: str, code: int) -> None:
        """An INFO of ours was answered: the next one may go, and cannot overtake it."""
        pad = self._pads.get(leg)
        if pad is None or method != "INFO" or not pad.busy or pad.timer is not None:
            return
        if code >= 300:
            log.warning("dtmf-refused", leg=leg, peer=pad.leg.peer.name, code=code)
        self._next(pad)

    def forget(self, leg: LegId) -> None:
        """The leg is over."""
        pad = self._pads.pop(leg, None)
        if pad is not None and pad.timer is not None:
            pad.timer.cancel()

    def stop(self) -> None:
        """Give nothing more."""
        for leg in list(self._pads):
            self.forget(leg)

    def _pad(self, leg: Leg) -> _Pad:
        return self._pads.setdefault(leg.id, _Pad(leg))

    def _give(self, leg: Leg, key: str) -> None:
        pad = self._pad(leg)
        _keep(pad.waiting, key)
        self._send(pad)

    def _send(self, pad: _Pad) -> None:
        leg = pad.leg
        if pad.busy or not pad.waiting or leg.over or leg.ending or not self._can_take(leg.id):
            return
        info = self._wants_info(leg)
        if not info and self._sent(pad, pj.PJSUA_DTMF_METHOD_RFC2833):
            pad.timer = asyncio.get_running_loop().call_later((TONE_MS + PAUSE_MS) / 1000, self._next, pad)
        # A side without telephone events in its description (RFC 4733 §2.3) may still know INFO.
        elif not leg.established:
            return
        elif self._sent(pad, pj.PJSUA_DTMF_METHOD_SIP_INFO):
            self._kick()
        else:
            log.warning("dtmf-lost", leg=leg.id, peer=leg.peer.name)
            pad.waiting.popleft()

    def _sent(self, pad: _Pad, method: int) -> bool:
        prm = pj.CallSendDtmfParam()
        prm.method, prm.duration, prm.digits = method, TONE_MS, pad.waiting[0]
        try:
            pad.leg.sendDtmf(prm)
        except pj.Error:
            return False
        pad.waiting.popleft()
        pad.busy = True
        return True

    def _next(self, pad: _Pad) -> None:
        pad.timer, pad.busy = None, False
        self._send(pad)


def _keep(keys: deque[str], key: str) -> None:
    if len(keys) < KEPT:
        keys.append(key)
