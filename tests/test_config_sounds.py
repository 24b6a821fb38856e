# SPDX-License-Identifier: GPL-2.0-or-later
# ruff: noqa: E501 - the tables below read best with a mistake a line
"""Announcements, and how far a hunt goes, as a configuration names them."""

import errno
import os
import struct
import wave
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.config import ConfigError, load
from gateway.config.differences import differences
from gateway.config.memory_file import MemoryFile
from gateway.config.shown import configuration_document
from gateway.config.sounds import read_sound, spelling
from gateway.core.model import Announcement, WhisperWord
from gateway.core.outcome import Reason
from gateway.core.sentence import LOCALES
from gateway.core.whisper import SPELLED
from tests.config_directory import MAIN, write

KEY = "gateway.toml: numbers[main-line].destinations[sales]"
SALES = 'id = "sales"'


def wav(*, rate: int = 8000, channels: int = 1, bits: int = 16, seconds: float = 0.5, coding: int = 1) -> bytes:
    data = bytes(round(rate * seconds) * channels * bits // 8)
    width = channels * bits // 8
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, coding, channels, rate, rate * width, width, bits)
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + len(data), b"WAVE") + form + struct.pack("<4sI", b"data", len(data)) + data
    )


def with_sales(directory: Path, *lines: str) -> Path:
    assert SALES in MAIN
    return write(directory, MAIN.replace(SALES, "\n".join((SALES, *lines)), 1))


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize(("announce", "before"), [("while-dialling", False), ("before-dialling", True)])
def test_an_announcement_beside_the_configuration(tmp_path: Path, rate: int, announce: str, before: bool) -> None:
    (tmp_path / "sales.wav").write_bytes(wav(rate=rate, seconds=1.25))
    config = load(with_sales(tmp_path, 'announcement = "sales.wav"', f'announce = "{announce}"'))
    wanted = Announcement(str(tmp_path / "sales.wav"), timedelta(seconds=1.25), before)
    assert config.numbers[0].destinations["sales"].announcement == wanted


def test_what_is_played_is_in_memory_once_for_all_who_name_it(tmp_path: Path) -> None:
    for name, rate in (("sales.wav", 8000), ("same.wav", 8000), ("other.wav", 16000)):
        (tmp_path / name).write_bytes(wav(rate=rate))
    first, same, other = (read_sound(tmp_path / name).announced() for name in ("sales.wav", "same.wav", "other.wav"))
    for name in ("sales.wav", "same.wav", "other.wav"):
        (tmp_path / name).unlink()
    assert Path(first.played[0]).read_bytes() == wav(rate=8000)
    assert first.played == same.played != other.played
    [copy] = other.copies
    assert isinstance(copy, MemoryFile)
    closing = copy.close
    assert closing.alive
    del copy, other
    assert not closing.alive


def test_without_a_descriptor_the_file_itself_is_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more(*_: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    (tmp_path / "sales.wav").write_bytes(wav(seconds=1.375))
    monkeypatch.setattr(os, "memfd_create", no_more)
    assert read_sound(tmp_path / "sales.wav").announced().played == (str(tmp_path / "sales.wav"),)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "there is no file {path}"),
        (b"", "{path} can't be played: it ends too soon; a WAV file with 16-bit PCM, one channel, 8000 or 16000 Hz is needed"),
        (b"ID3" + bytes(100), "{path} can't be played: file does not start with RIFF id; a WAV"),
        (wav(coding=7), "{path} can't be played: unknown format: 7; a WAV"),
        (wav(rate=44100), "{path} has 16 bits, 1 channel(s), 44100 Hz; a WAV"),
        (wav(channels=2), "{path} has 16 bits, 2 channel(s), 8000 Hz; a WAV"),
        (wav(bits=8), "{path} has 8 bits, 1 channel(s), 8000 Hz; a WAV"),
        (wav(seconds=0), "{path} holds no sound"),
        (wav()[:19] + b"\x01" + wav()[20:], "{path} can't be played: it ends too soon; a WAV"),
        (wav()[:1000], "{path} is cut off: it ends before its header says"),
        (wav(seconds=121), "{path} lasts 121 s; 120 s are the most"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_played_is_found_at_the_start(tmp_path: Path, content: bytes | None, told: str) -> None:
    path = tmp_path / "sales.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(with_sales(tmp_path, 'announcement = "sales.wav"'))
    [mistake] = caught.value.mistakes
    assert str(mistake).startswith(f"{KEY}.announcement: {told.format(path=path)}")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('announce = "before-dialling"', ": announce needs an announcement"),
        ('accept = "1"', ": accept needs a whisper with a sound of its own: nobody would know that a key is to be pressed, or which one"),
        ('decline = "2"', ": decline needs accept"),
        ('decline = "2"\naccept_timeout_s = 5', ": decline and accept_timeout_s need accept"),
        ('accept = "12"', '.accept: must be one key of a telephone, such as "1"; is "12"'),
        ('overflow_on = ["busy", "answered"]', ".overflow_on[2]: must be 'busy', 'no-answer', 'declined' or 'unreachable'"),
    ],
)  # fmt: skip
def test_a_mistake_in_how_a_hunt_goes_on(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(with_sales(tmp_path, line))
    assert [str(mistake).partition(", is ")[0] for mistake in caught.value.mistakes] == [KEY + told]


def test_how_far_a_hunt_goes(tmp_path: Path) -> None:
    directory = with_sales(tmp_path, 'overflow_on = ["busy"]')
    text = (directory / "gateway.toml").read_text()
    (directory / "gateway.toml").write_text(text.replace('id = "main-line"', 'id = "main-line"\ntotal_ring_s = 45', 1))
    [number] = load(directory).numbers
    assert number.total_ring == timedelta(seconds=45)
    sales, *others = number.destinations.values()
    assert sales.overflow_on == {Reason.BUSY}
    failures = (Reason.NO_ANSWER, Reason.PBX_ERROR, Reason.ADDRESS_INCOMPLETE, Reason.NOT_ACCEPTABLE)
    assert all(other.goes_on_after(reason) for other in others for reason in failures)
    assert sales.goes_on_after(Reason.BUSY)
    assert not any(sales.goes_on_after(reason) for reason in failures)


def test_a_whisper_and_the_key_that_takes_the_call(tmp_path: Path) -> None:
    (tmp_path / "sales.wav").write_bytes(wav(seconds=1.25))
    lines = ('whisper = "sales.wav"', 'accept = "1"', 'decline = "*"', "accept_timeout_s = 7.5")
    sales = load(with_sales(tmp_path, *lines)).numbers[0].destinations["sales"]
    assert sales.whisper == (Announcement(str(tmp_path / "sales.wav"), timedelta(seconds=1.25)),)
    assert (sales.accept, sales.decline, sales.accept_timeout) == ("1", "*", timedelta(seconds=7.5))
    assert sales.holds_back
    same = with_sales(tmp_path, *lines[:2], 'decline = "1"')
    with pytest.raises(ConfigError, match="accept and decline are the same key"):
        load(same)


def test_a_whisper_of_several_parts(tmp_path: Path) -> None:
    for name in ("call.wav", "press.wav"):
        (tmp_path / name).write_bytes(wav(rate=16000))
    text = 'whisper = ["call.wav", "caller-number", "press.wav"]'
    call, press = (Announcement(str(tmp_path / name), timedelta(seconds=0.5)) for name in ("call.wav", "press.wav"))
    for line, language in (("", "en"), ('whisper_locale = "nl"', "nl")):
        sales = load(with_sales(tmp_path, text, 'accept = "1"', line)).numbers[0].destinations["sales"]
        assert sales.whisper == (call, WhisperWord.CALLER_NUMBER, press)
        assert sales.spelling is not None
        assert sales.spelling.country == "NL"
        assert set(sales.spelling.sounds) == set(SPELLED)
        one = Path(sales.spelling.sounds["1"].file)
        assert one.is_absolute()
        assert one.parent.name == language


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("whisper = []", ".whisper: must be a sound or a list of 1 to 8; has 0"),
        ('whisper = ["caller-number", "caller-number"]', '.whisper: "caller-number" stands in it twice'),
        ('whisper = "caller-number"\naccept = "1"', ": accept needs a whisper with a sound of its own: nobody would know that a key is to be pressed, or which one"),
        ('whisper = ["caller-number", "none.wav"]', ".whisper: there is no file {path}"),
        ('whisper_locale = "nl"', ': whisper_locale needs a whisper with "caller-number", which is spelled in it'),
        ('whisper = "caller-number"\nwhisper_locale = "xx"', '.whisper_locale: must be one of en, nl'),
    ],
)  # fmt: skip
def test_a_mistake_in_a_whisper(tmp_path: Path, lines: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(with_sales(tmp_path, lines))
    [mistake] = caught.value.mistakes
    assert str(mistake).startswith(KEY + told.format(path=tmp_path / "none.wav")), mistake


@pytest.mark.parametrize("language", LOCALES)
def test_the_sounds_of_digits_are_short_and_all_there(language: str) -> None:
    sounds = spelling(language, None).sounds
    lasts = {name: sound.duration.total_seconds() for name, sound in sounds.items()}
    assert all(0.2 < seconds < 0.8 for seconds in lasts.values()), lasts
    with wave.open(sounds["1"].file) as file:
        assert file.getframerate() == 8000


def test_a_part_of_a_whisper_whose_sound_changes_is_a_difference(tmp_path: Path) -> None:
    (tmp_path / "call.wav").write_bytes(wav())
    before = load(with_sales(tmp_path, 'whisper = ["call.wav", "caller-number"]')).values
    (tmp_path / "call.wav").write_bytes(wav(seconds=1))
    found = load(tmp_path)
    assert differences(before, found.values) == ("numbers[main-line].destinations[sales].whisper",)
    shown = {key["key"]: key["value"] for key in configuration_document(found)["keys"]}
    assert shown["numbers[main-line].destinations[sales].whisper"] == ["call.wav", "caller-number"]
