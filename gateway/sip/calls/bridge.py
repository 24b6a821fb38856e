# SPDX-License-Identifier: GPL-2.0-or-later
"""PJMEDIA as the path that audio takes: packets of two with one codec are relayed, the others' audio is mixed.

Who is relayed, relaying.py says; the rest is about the conference bridge, which decodes every leg and mixes it for its
partner. What each leg is to hear is carried out whenever its partner or a port changes: an answer, a re-INVITE or a
change of codec makes PJSIP build a new port for the same leg. A leg hears one source at a time, or silence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pjsua2 as pj
import structlog

from gateway.sip.calls.relaying import Relays
from gateway.sip.calls.ringback import OFTEN_S, Ringback
from gateway.sip.calls.sounds import BridgeSounds
from gateway.sip.calls.stream_counts import total
from gateway.sip.calls.tone_keys import ToneKeys
from gateway.sip.calls.whisper import Whisper

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.core.media_way import Decision
    from gateway.core.model import Announcement, LegId
    from gateway.core.record import LegMedia
    from gateway.ports import Clock, Timer
    from gateway.sip.calls.leg import Leg
    from gateway.sip.calls.pairs import Changed, Pairs

log = structlog.get_logger(__name__)

KEY_S = 0.26
"""For so long a leg that is sent a key is not relayed: the key and its last packets, and two ticks of the clock."""


class Bridge:
    """Implements media_path.MediaPath."""

    reads_descriptions = False  # PJMEDIA's sockets are where they say, unless audio goes past them

    def __init__(
        self, pairs: Pairs, leg_of: Callable[[LegId | None], Leg | None], clock: Clock, bridge_hz: int
    ) -> None:
        """`leg_of` finds a leg by its id while it lasts; PJMEDIA's bridge was made for `bridge_hz`."""
        self._pairs = pairs
        self._leg_of = leg_of
        self._clock = clock
        self._ports: dict[LegId, pj.AudioMedia] = {}
        self._heard: dict[LegId, pj.AudioMedia] = {}  # what is connected to a leg's port
        self._sounds = BridgeSounds(clock, bridge_hz)
        self._ringbacks: dict[LegId, Ringback[pj.AudioMedia]] = {}  # of those who wait
        self._whispers: dict[LegId, Whisper[pj.AudioMedia]] = {}  # to those who have answered
        self._tones = ToneKeys(clock)
        self._next_look: Timer | None = None
        self._relays = Relays(pairs, leg_of, clock)
        self._sending: dict[LegId, Timer] = {}  # keys, to whom

    def stop(self) -> None:
        """See media_path.MediaPath."""
        if self._next_look is not None:
            self._next_look.cancel()
        for timer in self._sending.values():
            timer.cancel()
        for whisper in self._whispers.values():
            whisper.stop()
        for table in (self._ports, self._ringbacks, self._whispers, self._heard, self._sending):
            table.clear()
        self._relays.stop()
        self._tones.stop()
        self._sounds.stop()

    def configure(self, config: Config) -> None:
        """See media_path.MediaPath."""
        self._relays.configure(config)
        direct = any(profile.media == "direct" for profile in (*config.trunks.values(), *config.pbxs.values()))
        self.reads_descriptions = direct or type(self).reads_descriptions

    def tell_misplaced(self, misplaced: Callable[[LegId], None]) -> None:
        """See media_path.MediaPath."""
        self._relays.direct.tell(misplaced)

    def tell(self, changed: Callable[[LegId, Decision | None, Decision | None], None]) -> None:
        """See media_path.MediaPath."""
        self._relays.tell(changed)

    # --- descriptions

    def sent(self, leg: LegId, description: str, *, answers: bool) -> str:
        """See media_path.MediaPath."""
        return self._relays.direct.sent(leg, description, answers=answers)

    def received(self, leg: LegId, description: str, *, answers: bool) -> str:
        """See media_path.MediaPath."""
        self._relays.direct.received(leg, description)
        return description

    def is_misplaced(self, leg: LegId) -> bool:
        """See media_path.MediaPath."""
        return self._relays.direct.is_misplaced(leg)

    def offering_again(self, leg: LegId) -> None:
        """See media_path.MediaPath."""
        self._relays.direct.offering(leg)

    def declined(self, leg: LegId, code: int) -> None:
        """See media_path.MediaPath."""
        self._relays.direct.declined(leg, code)
        self._carry_out(leg, self._pairs.partner(leg))

    def goes_past(self, leg: LegId) -> bool:
        """See media_path.MediaPath."""
        return self._relays.direct.goes_past(leg)

    def offering(self, leg: LegId, beside: Leg | None) -> None:
        """See media_path.MediaPath: what `beside` speaks comes first; anything else has to be transcoded."""
        pj.prefer_in_next_offer(_codecs(beside))

    def answering(self, leg: Leg, beside: Leg | None) -> None:
        """See media_path.MediaPath: what `beside` speaks comes first, if the leg has offered that."""
        if wanted := _codecs(beside):
            pj.prefer_in_answer(leg.number, wanted)

    def negotiated(self, leg: Leg) -> None:
        """See media_path.MediaPath: the leg has a (new) port."""
        port = leg.audio
        if port is None:
            return
        self._ports[leg.id] = port
        self._relays.direct.negotiated(leg.id)
        self._heard.pop(leg.id, None)  # went away with the old port
        self._tones.negotiated(leg.id, port)
        other = self._pairs.partner(leg.id)
        if other is not None and (ringback := self._ringbacks.get(other)):
            ringback.listen(0, self._clock.now().steady)
        self._carry_out(leg.id, other)

    def stopped(self, leg: LegId) -> None:
        """See media_path.MediaPath."""
        self._ports.pop(leg, None)
        self._heard.pop(leg, None)
        self._relays.settle(leg)
        self._carry_out(self._pairs.partner(leg))

    def has_media(self, leg: LegId) -> bool:
        """See media_path.MediaPath."""
        return leg in self._ports

    # --- what has come

    def packets(self, leg: LegId | None) -> int:
        """See media_path.MediaPath."""
        found = self._leg_of(leg)
        counting = found.counting if found is not None else None
        return counting.received if counting is not None else 0

    def activity(self, leg: LegId) -> int:
        """See media_path.MediaPath."""
        found = self._leg_of(leg)
        return pj.packets_received(found.number) if found is not None else -1

    def counted(self, leg: Leg) -> LegMedia | None:
        """See media_path.MediaPath."""
        return total(leg.counted)

    def decided(self, leg: LegId) -> Decision | None:
        """See media_path.MediaPath."""
        return self._relays.decided(leg)

    # --- who hears whom

    def changed(self, legs: Changed) -> None:
        """See media_path.MediaPath."""
        for leg in legs:
            if not self._pairs.waits(leg):
                self._ringbacks.pop(leg, None)
            self._stop_whisper(leg)
        self._carry_out(*legs)

    def wait(self, leg: LegId, announcement: Announcement | None, legs: Changed) -> None:
        """See media_path.MediaPath."""
        self._stop_whisper(leg)
        ringback = self._ringbacks.get(leg)
        if ringback is None:
            ringback = self._ringbacks[leg] = Ringback(self._sounds)
        ringback.turn_to(announcement)
        self._carry_out(*(other for other in legs if other != leg))
        # Not yet: the next command of the same turn may be for another target, or for an announcement before this one.
        if self._next_look is not None:
            self._next_look.cancel()
        self._next_look = self._clock.after(0, self._look)

    def whisper(self, leg: LegId, sounds: Sequence[Announcement], legs: Changed) -> None:
        """See media_path.MediaPath."""
        self._stop_whisper(leg)
        if sounds:
            self._whispers[leg] = Whisper(sounds, self._sounds, self._clock, partial(self._carry_out, leg))
        self._carry_out(*legs)

    def tell_tones(self, pressed: Callable[[LegId, str], None]) -> None:
        """See media_path.MediaPath."""
        self._tones.tell(pressed)

    def listen_for_tones(self, leg: LegId, keys: str) -> None:
        """See media_path.MediaPath."""
        self._tones.listen(leg, keys, self._ports.get(leg))

    def _stop_whisper(self, leg: LegId) -> None:
        self._tones.forget(leg)
        if (whisper := self._whispers.pop(leg, None)) is not None:
            whisper.stop()

    def keys_follow(self, leg: LegId) -> None:
        """See media_path.MediaPath."""
        if (timer := self._sending.pop(leg, None)) is not None:
            timer.cancel()
        self._sending[leg] = self._clock.after(KEY_S, partial(self._keys_sent, leg))
        self._relays.send_keys(leg, begin=True)
        self._carry_out(leg, self._pairs.partner(leg))

    def _keys_sent(self, leg: LegId) -> None:
        self._sending.pop(leg, None)
        self._relays.send_keys(leg, begin=False)
        self._carry_out(leg, self._pairs.partner(leg))

    def forget(self, leg: LegId) -> None:
        """See media_path.MediaPath."""
        if (timer := self._sending.pop(leg, None)) is not None:
            timer.cancel()
        self._relays.forget(leg)
        self._ringbacks.pop(leg, None)
        self._stop_whisper(leg)
        self._ports.pop(leg, None)
        self._heard.pop(leg, None)

    def _carry_out(self, *legs: LegId | None) -> None:
        for leg in legs:
            sink = self._ports.get(leg) if leg else None
            if leg is None or sink is None:
                continue
            before = self._heard.pop(leg, None)
            now = None if self._relays.settle(leg) else self._source(leg)
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
        if leg in self._whispers:
            return self._whispers[leg].sound()
        ringback = self._ringbacks.get(leg)
        sound = ringback.sound(self._clock.now().steady) if ringback else None
        if sound is not None:
            return sound
        other = self._pairs.partner(leg)
        return self._ports.get(other) if other else None

    def _look(self) -> None:
        """See what those who wait are to hear now."""
        now = self._clock.now().steady
        for leg, ringback in self._ringbacks.items():
            if leg not in self._ports:
                continue
            target = self._pairs.partner(leg)
            if target in self._ports and now >= ringback.look_at:
                ringback.listen(self.packets(target), now)
            self._carry_out(leg)
        self._next_look = self._clock.after(OFTEN_S, self._look) if self._ringbacks else None


def _codecs(leg: Leg | None) -> list[str]:
    """What a leg speaks, or would."""
    return list(pj.codecs_of(leg.number)) if leg is not None and not leg.over else []


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
