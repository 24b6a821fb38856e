# SPDX-License-Identifier: GPL-2.0-or-later
"""What a caller hears while a target is tried: an announcement, then ringback, until the target itself is to be heard.

A description in a 180 or 183 promises nothing: many a PBX sends one and no sound. So the ringback goes on until audio
of the target really comes in, as RFC 3960 §3.2 has it, and comes back when that falls silent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from gateway.core.model import Announcement

Sound = TypeVar("Sound")
Sound_co = TypeVar("Sound_co", covariant=True)

GRACE_S = 0.3
"""How long one who hears no ringback yet waits for the audio of a target that has just announced some."""
QUIET_S = 2.0
"""From when on a target that sends nothing any more has fallen silent."""
OFTEN_S, SELDOM_S = 0.04, 0.2
"""How often to look whether a target sends audio: in the first second of its media, and later."""


class Sounds(Protocol[Sound_co]):
    """Makes what can be heard; None: it cannot be made, and that was told."""

    def announcement(self, announcement: Announcement) -> Sound_co | None:
        """An announcement, from its beginning and once."""

    def ringback(self) -> Sound_co | None:
        """A ringback that begins with its tone."""


class Ringback(Generic[Sound]):
    """What one who waits is to hear. Times are steady seconds."""

    def __init__(self, sounds: Sounds[Sound]) -> None:
        self._sounds = sounds
        self.look_at = 0.0  # when to count the target's packets again
        self._announcement: Announcement | None = None
        self._announced_at: float | None = None  # when its end is reached, once it was begun
        self._player: Sound | None = None
        self._ringback: Sound | None = None
        self._packets = 0
        self._opened_at: float | None = None
        self._spoke_at: float | None = None

    def turn_to(self, announcement: Announcement | None) -> None:
        """Wait for another target from now on; a ringback that is heard goes on."""
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

    def sound(self, now: float) -> Sound | None:
        """What is to be heard now; None: the target."""
        if (player := self._playing(now)) is not None:
            return player
        opens = self._opened_at is not None and self._ringback is None and now < self._opened_at + GRACE_S
        if self._speaks(now) or opens:
            self._ringback = None
            return None
        if self._ringback is None:
            self._ringback = self._sounds.ringback()
        return self._ringback

    def _speaks(self, now: float) -> bool:
        return self._spoke_at is not None and now < self._spoke_at + QUIET_S

    def _playing(self, now: float) -> Sound | None:
        if self._announcement is not None and self._announced_at is None:
            # It begins when there is somebody to hear it. That it ends is known beforehand: PJSIP would tell from
            # one of its own threads.
            self._player, self._announced_at = self._sounds.announcement(self._announcement), now
            if self._player is not None:
                self._announced_at += self._announcement.duration.total_seconds()
        if self._announced_at is None or now >= self._announced_at:
            self._player = None
        return self._player
