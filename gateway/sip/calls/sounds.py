# SPDX-License-Identifier: GPL-2.0-or-later
"""What the conference bridge can play: announcements, and ringback."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING

import pjsua2 as pj
import structlog

if TYPE_CHECKING:
    from gateway.core.model import Announcement
    from gateway.ports import Clock

log = structlog.get_logger(__name__)

# ETSI EN 300 001 ringing tone of continental Europe: 425 Hz, 1 s on, 4 s off.
RINGBACK_HZ = 425
RINGBACK_ON_MS = 1000
RINGBACK_OFF_MS = 4000

KEEP_S = 5.0
"""How much longer than its sound a player lives."""


class BridgeSounds:
    """Makes them, and keeps each player for as long as PJSIP may call it back."""

    def __init__(self, clock: Clock, rate: int) -> None:
        """`rate`: samples a second of the bridge."""
        self._rate = rate
        self._clock = clock
        self._players: dict[int, pj.AudioMediaPlayer] = {}  # by a running number
        self._numbers = itertools.count()

    def stop(self) -> None:
        """Let go of every player; before PJSIP ends."""
        self._players.clear()

    def announcement(self, announcement: Announcement) -> pj.AudioMedia | None:
        """See ringback.Sounds."""
        player = pj.AudioMediaPlayer()
        try:
            played = announcement.played
            if len(played) > 1:
                files = pj.StringVector()
                for file in played:
                    files.append(file)
                player.createPlaylist(files, "", pj.PJMEDIA_FILE_NO_LOOP)
            else:
                player.createPlayer(played[0], pj.PJMEDIA_FILE_NO_LOOP)
        except pj.Error as error:
            log.warning("no-announcement", file=announcement.file, error=error.reason)
            return None
        # PJSIP calls a player back at the end of its file, a moment later and even if it is gone by then.
        number = next(self._numbers)
        self._players[number] = player
        seconds = announcement.duration.total_seconds() + KEEP_S
        self._clock.after(seconds, partial(self._players.pop, number, None))
        return player

    def ringback(self) -> pj.AudioMedia | None:
        """See ringback.Sounds; a generator of its own for each who waits: the first ring is heard at once."""
        generator = pj.ToneGenerator()
        try:
            generator.createToneGenerator(self._rate, 1)
        except pj.Error as error:
            log.warning("no-ringback", error=error.reason)
            return None
        tone = pj.ToneDesc()
        tone.freq1, tone.freq2, tone.on_msec, tone.off_msec = RINGBACK_HZ, 0, RINGBACK_ON_MS, RINGBACK_OFF_MS
        tones = pj.ToneDescVector()
        tones.append(tone)
        generator.play(tones, True)
        return generator
