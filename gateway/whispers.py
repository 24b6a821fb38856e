# SPDX-License-Identifier: GPL-2.0-or-later
"""Sounds that were uploaded for one transfer each: kept in memory alone, for a while, and gone with the transfer."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

from gateway.config.memory_file import MemoryFile
from gateway.config.sounds import length_of
from gateway.core.model import Announcement
from gateway.ports import KeptWhisper, NoRoomError

if TYPE_CHECKING:
    from gateway.ports import Author, Clock
    from gateway.ports.clock import Timer

LONGEST_S = 30
MOST = 32
"""So many at a time, each of some 1 MB at most."""
LIFETIME_S = 300.0
"""So long a transfer has to name a sound."""
TAKEN_S = 3600.0
"""So long at most one is kept that a transfer has taken, whatever becomes of that."""


@dataclass(eq=False, slots=True)
class _Sound:
    file: MemoryFile
    length: timedelta
    author: Author
    timer: Timer
    transfer: str | None = field(default=None)  # that has taken it


class Whispers:
    """Implements engine.surroundings.Uploads; on the loop's thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sounds: dict[str, _Sound] = {}

    def keep(self, data: bytes, author: Author) -> KeptWhisper:
        """Keep a WAV. Raises ValueError where it cannot be played, and NoRoomError where there are too many."""
        length = length_of(BytesIO(data))
        if length.total_seconds() > LONGEST_S:
            raise ValueError(f"it lasts {length.total_seconds():.0f} s; {LONGEST_S} s are the most")
        if len(self._sounds) >= MOST:
            raise NoRoomError(f"{MOST} sounds are kept already, each until its transfer is over or {LIFETIME_S:g} s")
        # Without a name on any disk: a killed process leaves nothing.
        file = MemoryFile(data, "whisper")
        name = secrets.token_urlsafe(16)
        timer = self._clock.after(LIFETIME_S, partial(self._drop, name))
        self._sounds[name] = _Sound(file, length, author, timer)
        return KeptWhisper(name, length.total_seconds(), self._until(LIFETIME_S))

    def take(self, name: str, number: str, transfer: str) -> Announcement | None:
        """The sound of this name, for this transfer of a call of this number and no other; None: there is none."""
        sound = self._sounds.get(name)
        if sound is None or sound.transfer is not None or not sound.author.may_command(number):
            return None
        sound.transfer = transfer
        sound.timer.cancel()
        sound.timer = self._clock.after(TAKEN_S, partial(self._drop, name))
        return Announcement(sound.file.name, sound.length)

    def release(self, transfer: str) -> None:
        """The transfer is over."""
        for name in [name for name, sound in self._sounds.items() if sound.transfer == transfer]:
            self._drop(name)

    def stop(self) -> None:
        """Keep nothing."""
        for name in list(self._sounds):
            self._drop(name)

    def _drop(self, name: str) -> None:
        sound = self._sounds.pop(name)
        sound.timer.cancel()
        sound.file.close()

    def _until(self, seconds: float) -> datetime:
        return self._clock.now().wall + timedelta(seconds=seconds)
