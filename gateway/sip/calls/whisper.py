# SPDX-License-Identifier: GPL-2.0-or-later
"""What a leg that has answered hears before it has a partner: sounds, one after the other."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic

from gateway.core.whisper import GAP_S
from gateway.sip.calls.ringback import Sound

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.core.model import Announcement
    from gateway.ports import Clock, Timer
    from gateway.sip.calls.ringback import Sounds


class Whisper(Generic[Sound]):
    """The sounds for one leg."""

    def __init__(
        self, announcements: Sequence[Announcement], sounds: Sounds[Sound], clock: Clock, changed: Callable[[], None]
    ) -> None:
        """`changed` is called whenever another sound is to be heard."""
        self._left = deque(announcements)
        self._sounds = sounds
        self._clock = clock
        self._changed = changed
        self._player: Sound | None = None
        self._timer: Timer | None = None

    def sound(self) -> Sound | None:
        """What is to be heard now; it begins when this is first asked for, by somebody who can hear it."""
        if self._timer is None and self._left:
            self._play()
        return self._player

    def stop(self) -> None:
        """Nobody hears it any more."""
        self._left.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _play(self) -> None:
        announcement = self._left.popleft()
        self._player = self._sounds.announcement(announcement)
        if self._left:  # the last one is followed by silence, which its player gives
            self._timer = self._clock.after(announcement.duration.total_seconds() + GAP_S, self._next)

    def _next(self) -> None:
        self._play()
        self._changed()
