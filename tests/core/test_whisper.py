# SPDX-License-Identifier: GPL-2.0-or-later
"""What who answers hears: sound files, and the caller's number spelled."""

from datetime import timedelta

import pytest

from gateway.core.model import Announcement, Destination, Spelling, WhisperWord
from gateway.core.whisper import GAP_S, SPELLED, seconds, spelled, whispered

DIGIT = timedelta(seconds=0.5)
SOUNDS = {name: Announcement(f"/{name}.wav", DIGIT) for name in SPELLED}
DUTCH = Spelling(SOUNDS, "NL")
CALL, PRESS = (Announcement(f"/{name}.wav", timedelta(seconds=2)) for name in ("call", "press"))
SALES = Destination("sales", "6500", whisper=(CALL, WhisperWord.CALLER_NUMBER, PRESS), spelling=DUTCH)


def words(number: str, country: str | None = "NL") -> str:
    """What is heard: a sign for each sound, a blank for a pause."""
    sound = spelled(number, Spelling(SOUNDS, country))
    if sound is None:
        return ""
    files = (sound.file, *sound.then)
    assert sound.duration == DIGIT * len(files)
    names = [file.removeprefix("/").removesuffix(".wav") for file in files]
    return "".join({"pause": " ", "plus": "+"}.get(name, name) for name in names)


@pytest.mark.parametrize(
    ("number", "country", "heard"),
    [
        ("+31201234567", "NL", "020 123 4567"),  # as it is dialled there
        ("+31201234567", "DE", "+31 20 123 4567"),
        ("+31201234567", None, "+31 20 123 4567"),
        ("+31612345678", "NL", "06 12345678"),
        ("+12125550123", "NL", "+1 212 555 0123"),
        ("+999123456789", "NL", "+999123456789"),  # of no country
        ("6001", "NL", "6001"),
        ("12345678901234567890", "NL", "12345678901234567890"),
    ],
)
def test_a_number_is_spelled_as_people_dictate_it(number: str, country: str | None, heard: str) -> None:
    assert words(number, country) == heard


@pytest.mark.parametrize("caller", ["anna", "", "+", "60 01", "6001x", "123456789012345678901", "٣٤", "+31²01234567"])
def test_what_is_no_number_is_not_spelled(caller: str) -> None:
    assert words(caller) == ""


def test_the_number_stands_where_the_configuration_has_it() -> None:
    sounds = whispered(SALES, "6001")
    assert [sound.file for sound in sounds] == ["/call.wav", "/6.wav", "/press.wav"]
    assert sounds[1].then == ("/0.wav", "/0.wav", "/1.wav")
    assert seconds(sounds) == pytest.approx(2 + 2 + 2 + 2 * GAP_S)


@pytest.mark.parametrize("caller", [None, "anonymous"])
def test_of_who_is_not_known_nothing_is_spelled(caller: str | None) -> None:
    assert whispered(SALES, caller) == (CALL, PRESS)
    alone = Destination("sales", "6500", whisper=(WhisperWord.CALLER_NUMBER,), spelling=DUTCH)
    assert whispered(alone, caller) == ()
    assert seconds(()) == 0
    assert alone.holds_back
