# SPDX-License-Identifier: GPL-2.0-or-later
"""What a caller hears while a target is tried: an announcement, then ringback, until the target itself is to be heard.

A description in a 180 or 183 promises nothing: many a PBX sends one and no sound. So the ringback goes on until audio
of the target really comes in, as RFC 3960 §3.2 has it, and comes back when that falls silent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pjsua2 as pj
import structlog

from gateway.sip.stack.settings import CLOCK_RATE

if TYPE_CHECKING:
    from gateway.core.model import Announcement, LegId

log = structlog.get_logger(__name__)

# ETSI EN 300 001 ringing tone of continental Europe: 425 Hz, 1 s on, 4 s off.
RINGBACK_HZ = 425
RINGBACK_ON_MS = 1000
RINGBACK_OFF_MS = 4000

KEEP_S = 5.0
"""How much longer than its sound a player lives."""
GRACE_S = 0.3
"""How long one who hears no ringback yet waits for the audio of a target that has just announced some."""
QUIET_S = 2.0
"""From when on a target that sends nothing any more has fallen silent."""
OFTEN_S, SELDOM_S = 0.04, 0.2
"""How often to look whether a target sends audio: in the first second of its media, and later."""


class Ringback:
    """What one who waits is to hear. Times are those of the event loop, in seconds."""

    def __init__(self, keep: Callable[[pj.AudioMediaPlayer, float], None]) -> None:
        """`keep` holds a player for so many seconds, whatever becomes of the one who waits."""
        self._keep = keep
        self.target: LegId | None = None
        self.look_at = 0.0  # when to count the target's packets again
        self._announcement: Announcement | None = None
        self._announced_at: float | None = None  # when its end is reached, once it was begun
        self._player: pj.AudioMediaPlayer | None = None
        self._ringback: pj.ToneGenerator | None = None
        self._packets = 0
        self._opened_at: float | None = None
        self._spoke_at: float | None = None

    def turn_to(self, target: LegId | None, announcement: Announcement | None) -> None:
        """Wait for another target from now on; a ringback that is heard goes on."""
        self.target = target
        self._announcement, self._announced_at = announcement, None
        self._packets, self._opened_at, self._spoke_at = 0, None, None
        self.look_at = 0.0

    def listen(self, packets: int, now: float) -> None:
        """The target, whose media is there, has sent so many packets of audio."""
        if self._opened_at is None:
            self._opened_at = now
        if packets > self._packets:
            self._packets, self._spoke_at = packets, now
        self.look_at = now + (SELDOM_S if self._speaks(now) or now > self._opened_at + 1.0 else OFTEN_S)

    def sound(self, now: float) -> pj.AudioMedia | None:
        """What is to be heard now; None: the target."""
        if (player := self._playing(now)) is not None:
            return player
        opens = self._opened_at is not None and self._ringback is None and now < self._opened_at + GRACE_S
        if self._speaks(now) or opens:
            self._ringback = None
            return None
        if self._ringback is None:
            self._ringback = _ringback()
        return self._ringback

    def _speaks(self, now: float) -> bool:
        return self._spoke_at is not None and now < self._spoke_at + QUIET_S

    def _playing(self, now: float) -> pj.AudioMediaPlayer | None:
        if self._announcement is not None and self._announced_at is None:
            # It begins when there is somebody to hear it. That it ends is known beforehand: PJSIP would tell from
            # one of its own threads.
            self._player, self._announced_at = _player(self._announcement), now
            if self._player is not None:
                seconds = self._announcement.duration.total_seconds()
                self._announced_at += seconds
                # PJSIP calls a player back at the end of its file, a moment later and even if it is gone by then.
                self._keep(self._player, seconds + KEEP_S)
        if self._announced_at is None or now >= self._announced_at:
            self._player = None
        return self._player


def _ringback() -> pj.ToneGenerator | None:
    """A generator of its own for each who waits: the first ring is heard at once."""
    generator = pj.ToneGenerator()
    try:
        generator.createToneGenerator(CLOCK_RATE, 1)
    except pj.Error as error:
        log.warning("no-ringback", error=error.reason)
        return None
    tone = pj.ToneDesc()
    tone.freq1, tone.freq2, tone.on_msec, tone.off_msec = RINGBACK_HZ, 0, RINGBACK_ON_MS, RINGBACK_OFF_MS
    tones = pj.ToneDescVector()
    tones.append(tone)
    generator.play(tones, True)
    return generator


def _player(announcement: Announcement) -> pj.AudioMediaPlayer | None:
    player = pj.AudioMediaPlayer()
    try:
        player.createPlayer(announcement.file, pj.PJMEDIA_FILE_NO_LOOP)
    except pj.Error as error:
        log.warning("no-announcement", file=announcement.file, error=error.reason)
        return None
    return player
