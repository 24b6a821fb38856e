# SPDX-License-Identifier: GPL-2.0-or-later
"""Who hears whom: the only place that knows how two legs are joined.

What each leg is to hear is kept as a wish and carried out whenever its media (re)starts: an answer, a re-INVITE or a
codec change makes PJSIP build a new port for the same leg.
"""

import pjsua2 as pj

from gateway.core.model import LegId
from gateway.sip.settings import CLOCK_RATE

# ETSI EN 300 001 ringing tone of continental Europe: 425 Hz, 1 s on, 4 s off.
RINGBACK_HZ = 425
RINGBACK_ON_MS = 1000
RINGBACK_OFF_MS = 4000


class Media:
    """The conference bridge, seen as pairs of legs and legs that hear ringback."""

    def __init__(self) -> None:
        self._ports: dict[LegId, pj.AudioMedia] = {}
        self._joined: dict[LegId, LegId] = {}
        self._ringing: dict[LegId, pj.ToneGenerator] = {}

    def stop(self) -> None:
        """Let go of every port; before PJSIP ends."""
        self._ports.clear()
        self._joined.clear()
        self._ringing.clear()

    def media_started(self, leg: LegId, port: pj.AudioMedia) -> None:
        """The leg has a (new) port: carry out what it is to hear."""
        self._ports[leg] = port
        other = self._joined.get(leg)
        if other is not None:
            self._connect(leg, other)
        elif leg in self._ringing:
            self._play_ringback(leg)

    def media_stopped(self, leg: LegId) -> None:
        """The leg's port is gone; its wishes stay for the next one."""
        self._ports.pop(leg, None)

    def forget(self, leg: LegId) -> None:
        """The leg is over."""
        self.part(leg)
        self._ports.pop(leg, None)

    def join(self, one: LegId, other: LegId) -> None:
        """Let two legs hear each other and nobody else."""
        if self._joined.get(one) == other:
            return
        self.part(one)
        self.part(other)
        self._joined[one], self._joined[other] = other, one
        self._connect(one, other)

    def ring(self, leg: LegId) -> None:
        """Let a leg hear nothing but ringback."""
        self.part(leg)
        self._ringing[leg] = _ringback()
        self._play_ringback(leg)

    def part(self, leg: LegId) -> None:
        """Take a leg out of whatever it hears and is heard in."""
        port = self._ports.get(leg)
        tone = self._ringing.pop(leg, None)
        if tone is not None and port is not None:
            _stop(tone, port)
        other = self._joined.pop(leg, None)
        if other is not None:
            self._joined.pop(other, None)
            far = self._ports.get(other)
            if port is not None and far is not None:
                _stop(port, far)
                _stop(far, port)

    @property
    def pairs(self) -> int:
        """How many pairs of legs are joined."""
        return len(self._joined) // 2

    def _connect(self, one: LegId, other: LegId) -> None:
        near, far = self._ports.get(one), self._ports.get(other)
        if near is not None and far is not None:
            near.startTransmit(far)
            far.startTransmit(near)

    def _play_ringback(self, leg: LegId) -> None:
        port = self._ports.get(leg)
        if port is not None:
            self._ringing[leg].startTransmit(port)


def _ringback() -> pj.ToneGenerator:
    """A generator of its own for each who waits: the first ring is heard at once."""
    generator = pj.ToneGenerator()
    generator.createToneGenerator(CLOCK_RATE, 1)
    tone = pj.ToneDesc()
    tone.freq1, tone.freq2, tone.on_msec, tone.off_msec = RINGBACK_HZ, 0, RINGBACK_ON_MS, RINGBACK_OFF_MS
    tones = pj.ToneDescVector()
    tones.append(tone)
    generator.play(tones, True)
    return generator


def _stop(source: pj.AudioMedia, sink: pj.AudioMedia) -> None:
    try:
        source.stopTransmit(sink)
    except pj.Error:  # the port went away with its stream, and its connections with it
        return
