# SPDX-License-Identifier: GPL-2.0-or-later
"""Sound files that a configuration names, checked before a caller would have to miss them."""

import wave
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, ValidationInfo

from gateway.config.fields import found_file
from gateway.core.system_error import in_words

RATES = (8000, 16000)
LONGEST_S = 120
_NEEDED = "a WAV file with 16-bit PCM, one channel, 8000 or 16000 Hz is needed"


@dataclass(frozen=True, slots=True)
class Sound:
    """A file that can be played."""

    path: Path
    duration: timedelta


def _sound(name: object, info: ValidationInfo) -> Sound:
    path = found_file(name, info)
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate, frames = file.getparams()[:4]
            complete = len(file.readframes(frames)) == frames * channels * width
    except (wave.Error, EOFError, OSError) as error:
        why = in_words(error) if str(error) else "it ends too soon"
        raise ValueError(f"{path} can't be played: {why}; {_NEEDED}") from None
    if (channels, width) != (1, 2) or rate not in RATES:
        raise ValueError(f"{path} has {width * 8} bits, {channels} channel(s), {rate} Hz; {_NEEDED}")
    if not frames or not complete:
        raise ValueError(f"{path} {'holds no sound' if not frames else 'is cut off: it ends before its header says'}")
    if frames > LONGEST_S * rate:
        raise ValueError(f"{path} lasts {frames / rate:.0f} s; {LONGEST_S} s are the most")
    return Sound(path, timedelta(seconds=frames / rate))


SoundFile = Annotated[Sound, BeforeValidator(_sound, json_schema_input_type=str)]
