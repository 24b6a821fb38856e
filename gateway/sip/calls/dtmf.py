# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys that people press: taken from one leg, each once, and given to its partner in the way that side wants them.

A side gives them as telephone events (RFC 4733) or as SIP INFO with application/dtmf-relay. What is pressed while
nobody is there to have it, at the switch of a transfer or on hold, waits for whoever comes next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import structlog

from gateway.sip.calls.leg_control import KeyWay

if TYPE_CHECKING:
    from gateway.core.model import LegId
    from gateway.ports import Clock, Timer
    from gateway.sip.calls.leg_control import KeyPress, LegControl
    from gateway.sip.calls.pairs import Pairs

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
PAUSE = "w"
"""Half a second in which nothing is given, as in the dial strings of phones and PBXs; no person can press it."""
LONG_PAUSE_S = 0.5
HELD_S = 1.0
"""When a key that is still held, or whose last packets are lost, counts as pressed."""
ECHO_S = 2.0
"""Some send each key in both ways: the second one comes within this time."""


def _goes_on(before: KeyPress, later: KeyPress) -> bool:
    """Whether both are of one press (RFC 4733 §2.5.1.3)."""
    passed = later.stamp - before.stamp
    segment = not before.ended and any(abs(passed - full) < STAMPS_VARY_MS for full in SEGMENTS_MS)
    return later.key == before.key and (passed == 0 or segment)


@dataclass(eq=False, slots=True)
class _Pad:
    leg: LegControl
    heard: KeyPress | None = None  # the newest event
    single: list[tuple[str, KeyWay, float]] = field(default_factory=list)  # what came in one way only, and when
    waiting: deque[str] = field(default_factory=deque)  # what it is to be given
    typed: deque[str] = field(default_factory=deque)  # what it gave while it had no partner
    busy: bool = False
    timer: Timer | None = None
    held: str | None = None  # the key that it gives the gateway
    holding: Timer | None = None

    def is_echo(self, key: str, way: KeyWay, now: float) -> bool:
        """Whether this key is one that came in the other way a moment ago; each of those has one echo at most."""
        self.single = [one for one in self.single if now - one[2] < ECHO_S]
        for one in self.single:
            if one[0] == key and one[1] is not way:
                self.single.remove(one)
                return True
        self.single.append((key, way, now))
        return False


class Keypads:
    """The keys of all legs."""

    def __init__(
        self,
        pairs: Pairs,
        leg_of: Callable[[LegId], LegControl | None],
        wants_info: Callable[[LegControl], bool],
        can_take: Callable[[LegId], bool],
        clock: Clock,
        kick: Callable[[], None],
        follow: Callable[[LegId], None] = lambda _leg: None,
        chosen: Callable[[LegId, str], None] = lambda _leg, _key: None,
    ) -> None:
        """`wants_info`: whether a leg's side wants SIP INFO; `can_take`: whether it can be given anything now.

        `follow` is told of a leg that is about to be given events, `chosen` of each key of one that is asked for some.
        """
        self._chosen = chosen
        self._asked: set[LegId] = set()
        self._follow = follow
        self._pairs = pairs
        self._leg_of = leg_of
        self._wants_info = wants_info
        self._can_take = can_take
        self._clock = clock
        self._kick = kick
        self._pads: dict[LegId, _Pad] = {}

    def pressed(self, leg: LegControl, press: KeyPress) -> None:
        """A key was pressed, or still is."""
        press = replace(press, key=press.key.upper())
        key = press.key
        pad = self._pad(leg)
        if key not in KEYS:
            return
        if press.way is KeyWay.EVENT:
            before, pad.heard = pad.heard, press
            if before is not None and _goes_on(before, press):
                if press.ended:
                    self._released(pad)
                return
        if pad.is_echo(key, press.way, self._clock.now().steady) or press.relayed:
            return
        if leg.id in self._asked:
            self._choose(pad, press)
            return
        other = self._pairs.gives_keys_to(leg.id)
        partner = self._leg_of(other) if other is not None else None
        if partner is None:
            _keep(pad.typed, key)
        else:
            self._give(partner, key)

    def _choose(self, pad: _Pad, press: KeyPress) -> None:
        """A key is for the gateway, once it is released: as long as a phone sends events it sends no audio."""
        self._released(pad)
        pad.held = press.key
        if press.way is KeyWay.EVENT and not press.ended:
            pad.holding = self._clock.after(HELD_S, partial(self._released, pad))
        else:
            self._released(pad)

    def _released(self, pad: _Pad) -> None:
        key, pad.held = pad.held, None
        if pad.holding is not None:
            pad.holding.cancel()
            pad.holding = None
        if key is not None and pad.leg.id in self._asked:
            self._chosen(pad.leg.id, key)

    def press(self, leg: LegControl, keys: str) -> None:
        """Give a leg keys that the gateway itself presses, and pauses between them; they wait as others do."""
        for key in keys:
            self._give(leg, key)

    def asks(self, leg: LegControl) -> None:
        """The keys of a leg are for the gateway from now on, until it is joined; those that it has given already too.

        They are told of in the order in which they came, as long as any is asked for.
        """
        self._asked.add(leg.id)
        pad = self._pads.get(leg.id)
        while pad is not None and pad.typed and leg.id in self._asked:
            self._chosen(leg.id, pad.typed.popleft())

    def joined(self, one: LegControl, other: LegControl) -> None:
        """Two legs have become partners: what was pressed on the way there is for the new one."""
        self._asked -= {one.id, other.id}
        self.awaits(one, other)
        self.awaits(other, one)

    def awaits(self, leg: LegControl, target: LegControl) -> None:
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
        self._asked.discard(leg)
        pad = self._pads.pop(leg, None)
        for timer in (pad.timer, pad.holding) if pad is not None else ():
            if timer is not None:
                timer.cancel()

    def stop(self) -> None:
        """Give nothing more."""
        for leg in list(self._pads):
            self.forget(leg)

    def _pad(self, leg: LegControl) -> _Pad:
        return self._pads.setdefault(leg.id, _Pad(leg))

    def _give(self, leg: LegControl, key: str) -> None:
        pad = self._pad(leg)
        _keep(pad.waiting, key)
        self._send(pad)

    def _send(self, pad: _Pad) -> None:
        leg = pad.leg
        if pad.busy or not pad.waiting or leg.over or leg.ending or not self._can_take(leg.id):
            return
        if pad.waiting[0] == PAUSE:
            pad.waiting.popleft()
            pad.busy = True
            pad.timer = self._clock.after(LONG_PAUSE_S, partial(self._next, pad))
            return
        info = self._wants_info(leg)
        if not info and self._sent(pad, KeyWay.EVENT):
            pad.timer = self._clock.after((TONE_MS + PAUSE_MS) / 1000, partial(self._next, pad))
        # A side without telephone events in its description (RFC 4733 §2.3) may still know INFO.
        elif not leg.established:
            return
        elif self._sent(pad, KeyWay.INFO):
            self._kick()
        else:
            log.warning("dtmf-lost", leg=leg.id, peer=leg.peer.name)
            pad.waiting.popleft()

    def _sent(self, pad: _Pad, way: KeyWay) -> bool:
        if way is KeyWay.EVENT:
            self._follow(pad.leg.id)
        if not pad.leg.press(pad.waiting[0], way, TONE_MS):
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
