# SPDX-License-Identifier: GPL-2.0-or-later
"""Sound files that a configuration names, checked before a caller would have to miss them."""

import contextlib
import wave
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Annotated, BinaryIO

from pydantic import BeforeValidator, InstanceOf, ValidationInfo

from gateway.config.fields import found_file
from gateway.config.memory_file import MemoryFile, shared
from gateway.core.model import Announcement, Spelling, WhisperWord
from gateway.core.system_error import in_words
from gateway.core.whisper import SPELLED

RATES = (8000, 16000)
WIDTH = 2
"""Bytes of a sample."""
LONGEST_S = 120
DIGITS = Path(__file__).with_name("digits")
WORDS = frozenset(WhisperWord)
_NEEDED = "a WAV file with 16-bit PCM, one channel, 8000 or 16000 Hz is needed"


@dataclass(frozen=True, slots=True)
class Sound:
    """A file that can be played."""

    path: Path
    duration: timedelta
    copy: InstanceOf[MemoryFile] | None = field(default=None, compare=False)
    """What is played; None: the file itself, for want of descriptors."""

    def announced(self, *, before: bool = False) -> Announcement:
        """As it is played; `before`: to its end, before anything is dialled."""
        copies = () if self.copy is None else (self.copy,)
        return Announcement(str(self.path), self.duration, before=before, copies=copies)


def _sound(name: object, info: ValidationInfo) -> Sound:
    return read_sound(found_file(name, info))


def read_sound(path: Path) -> Sound:
    """A sound file, read to its end. Raises ValueError where it is none that can be played."""
    try:
        with path.open("rb") as file:
            rate, samples = _read(file)
    except OSError as error:
        raise ValueError(f"{path} can't be played: {in_words(error)}; {_NEEDED}") from None
    except ValueError as error:
        raise ValueError(f"{path} {error}") from None
    length = _length(rate, samples)
    if length.total_seconds() > LONGEST_S:
        raise ValueError(f"{path} lasts {length.total_seconds():.0f} s; {LONGEST_S} s are the most")
    return Sound(path, length, _copy(rate, samples))


def _copy(rate: int, samples: bytes) -> MemoryFile | None:
    written = BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(WIDTH)
        file.setframerate(rate)
        file.writeframes(samples)
    with contextlib.suppress(OSError):
        return shared(written.getvalue(), "sound")
    return None


def length_of(sound: BinaryIO) -> timedelta:
    """How long a WAV lasts that can be played. Raises ValueError where it is none."""
    return _length(*_read(sound))


def _length(rate: int, samples: bytes) -> timedelta:
    return timedelta(seconds=len(samples) / WIDTH / rate)


def _read(sound: BinaryIO) -> tuple[int, bytes]:
    """How many samples a second, and the samples."""
    try:
        with wave.open(sound, "rb") as file:
            channels, width, rate, frames = file.getparams()[:4]
            samples = file.readframes(frames)
            complete = len(samples) == frames * channels * width
    except (wave.Error, EOFError, RuntimeError) as error:  # the last: a part that is longer than the file
        why = str(error) or "it ends too soon"
        raise ValueError(f"can't be played: {why}; {_NEEDED}") from None
    if (channels, width) != (1, WIDTH) or rate not in RATES:
        raise ValueError(f"has {width * 8} bits, {channels} channel(s), {rate} Hz; {_NEEDED}")
    if not frames or not complete:
        raise ValueError("holds no sound" if not frames else "is cut off: it ends before its header says")
    return rate, samples


MOST_PARTS = 8
WhisperPart = Sound | WhisperWord


def _whisper(value: object, info: ValidationInfo) -> tuple[WhisperPart, ...]:
    names = value if isinstance(value, list | tuple) else [value]
    if not 0 < len(names) <= MOST_PARTS:
        raise ValueError(f"must be a sound or a list of 1 to {MOST_PARTS}; has {len(names)}")
    twice = next((name for name in names if isinstance(name, str) and name in WORDS and names.count(name) > 1), None)
    if twice:
        raise ValueError(f'"{twice}" stands in it twice')
    return tuple(WhisperWord(name) if isinstance(name, str) and name in WORDS else _sound(name, info) for name in names)


def spelling(language: str, country: str | None) -> Spelling:
    """How a number is spelled in a language, by the sounds that come with the gateway. Reads the disk once."""
    return Spelling(_spoken(language), country)


@cache
def _spoken(language: str) -> dict[str, Announcement]:
    paths = {name: DIGITS / language / f"{name}.wav" for name in SPELLED}
    read = {name: read_sound(path) for name, path in paths.items()}
    return {name: sound.announced() for name, sound in read.items()}


SoundFile = Annotated[Sound, BeforeValidator(_sound, json_schema_input_type=str)]
WhisperParts = Annotated[tuple[WhisperPart, ...], BeforeValidator(_whisper, json_schema_input_type=str | list[str])]
