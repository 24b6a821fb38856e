# SPDX-License-Identifier: GPL-2.0-or-later
"""What who answers hears before the caller is put through: sound files, and the caller's number spelled."""

import re
from collections.abc import Sequence
from datetime import timedelta

import phonenumbers

from gateway.core.model import Announcement, Destination, Spelling, WhisperWord

GAP_S = 0.1
"""The silence between two sounds of a whisper."""
LONGEST_NUMBER = 20
"""What has more digits is nobody's number: E.164 (§6) has 15 at most, extensions fewer."""
PLUS, PAUSE = "plus", "pause"
SPELLED = (*"0123456789", PLUS, PAUSE)
"""What a number is spelled with: a sound for each."""
_DIGITS = re.compile(r"\+?[0-9]+")
_GROUP = re.compile(r"[0-9]+")


def spelled(number: str, spelling: Spelling) -> Announcement | None:
    """A number as one sound; None where it is no number. `number` is in E.164, or the digits of an extension."""
    if not _DIGITS.fullmatch(number) or len(number) > LONGEST_NUMBER:
        return None
    names = _names(number, spelling.country)
    sounds = [spelling.sounds[name] for name in names]
    length = sum((sound.duration for sound in sounds), timedelta())
    copies = tuple(copy for sound in sounds for copy in sound.copies)
    return Announcement(
        sounds[0].file, length, then=tuple(sound.file for sound in sounds[1:]),
        copies=copies if len(copies) == len(sounds) else (),
    )  # fmt: skip


def whispered(
    destination: Destination, caller: str | None, uploaded: Announcement | None = None
) -> tuple[Announcement, ...]:
    """The sounds of a destination's whisper, in their order, for a caller (None: withheld, or not known).

    `uploaded` is the sound that was uploaded for the transfer.
    """
    sounds = (
        uploaded if part is WhisperWord.UPLOADED else _sound(part, destination, caller) for part in destination.whisper
    )
    return tuple(sound for sound in sounds if sound is not None)


def seconds(sounds: Sequence[Announcement]) -> float:
    """How long they last, one after the other."""
    length = sum((sound.duration for sound in sounds), timedelta())
    return length.total_seconds() + GAP_S * max(0, len(sounds) - 1)


def _sound(part: Announcement | WhisperWord, destination: Destination, caller: str | None) -> Announcement | None:
    if isinstance(part, Announcement):
        return part
    return spelled(caller, destination.spelling) if caller and destination.spelling else None


def _names(number: str, country: str | None) -> list[str]:
    names: list[str] = []
    for group in _groups(number, country):
        names += [PAUSE] * bool(names)
        names += [PLUS if sign == "+" else sign for sign in group]
    return names


def _groups(number: str, country: str | None) -> list[str]:
    """The digits as people dictate them: `+31201234567` is `020`, `123`, `4567` to the Dutch."""
    if not number.startswith("+"):
        return [number]
    try:
        read = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return [number]
    at_home = country is not None and read.country_code == phonenumbers.country_code_for_region(country)
    form = phonenumbers.PhoneNumberFormat
    text = phonenumbers.format_number(read, form.NATIONAL if at_home else form.INTERNATIONAL)
    groups = _GROUP.findall(text)
    if not groups:
        return [number]
    return groups if at_home else [f"+{groups[0]}", *groups[1:]]
