# SPDX-License-Identifier: GPL-2.0-or-later
"""Sounds that were uploaded for one transfer each: what is kept, for whom, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.ports import Author, NoRoomError
from gateway.whispers import LIFETIME_S, MOST, TAKEN_S, Whispers
from tests.bench.clock import VirtualClock
from tests.test_config_sounds import wav

ANYBODY = Author("anybody")
SALES = Author("crm", frozenset({"sales-line"}))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 3, 2, 9, 30, tzinfo=UTC))


@pytest.fixture
def whispers(clock: VirtualClock) -> Whispers:
    return Whispers(clock)


def test_one_transfer_has_the_sound_until_it_is_over(whispers: Whispers, clock: VirtualClock) -> None:
    before = open_files()
    sound = wav(rate=16000, seconds=1.5)
    kept = whispers.keep(sound, ANYBODY)
    assert (kept.seconds, kept.expires_at) == (1.5, clock.now().wall + timedelta(seconds=LIFETIME_S))
    taken = whispers.take(kept.whisper, "main-line", "T1")
    assert taken is not None
    assert taken.duration == timedelta(seconds=1.5)
    assert Path(taken.file).read_bytes() == sound
    assert whispers.take(kept.whisper, "main-line", "T2") is None
    clock.advance(LIFETIME_S + 1)
    assert Path(taken.file).read_bytes() == sound  # the transfer lasts
    whispers.release("T2")
    whispers.release("T1")
    whispers.release("T1")
    assert open_files() == before
    assert not Path(taken.file).exists()


def test_what_no_transfer_takes_is_gone_in_time(whispers: Whispers, clock: VirtualClock) -> None:
    before = open_files()
    kept = whispers.keep(wav(), ANYBODY)
    clock.advance(LIFETIME_S + 1)
    assert whispers.take(kept.whisper, "main-line", "T1") is None
    lost = whispers.take(whispers.keep(wav(), ANYBODY).whisper, "main-line", "T2")
    assert lost is not None
    clock.advance(TAKEN_S + 1)  # whatever has become of that
    assert open_files() == before


def test_only_for_numbers_that_who_uploaded_it_may_command(whispers: Whispers) -> None:
    kept = whispers.keep(wav(), SALES)
    assert whispers.take(kept.whisper, "main-line", "T1") is None
    assert whispers.take("", "sales-line", "T1") is None
    assert whispers.take(kept.whisper, "sales-line", "T1") is not None
    whispers.stop()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it ends too soon"),
        (b"ID3" + bytes(100), "does not start with RIFF"),
        (wav(rate=44100), "44100 Hz"),
        (wav(channels=2), "2 channel"),
        (wav(bits=8), "8 bits"),
        (wav(seconds=0), "holds no sound"),
        (wav()[:1000], "cut off"),
        (wav(seconds=31), "30 s are the most"),
    ],
)
def test_what_cannot_be_played_is_not_kept(whispers: Whispers, data: bytes, why: str) -> None:
    before = open_files()
    with pytest.raises(ValueError, match=why):
        whispers.keep(data, ANYBODY)
    assert open_files() == before


def test_no_more_than_so_many(whispers: Whispers) -> None:
    before = open_files()
    names = {whispers.keep(wav(seconds=0.01), ANYBODY).whisper for _ in range(MOST)}
    assert len(names) == MOST
    with pytest.raises(NoRoomError):
        whispers.keep(wav(), ANYBODY)
    whispers.stop()
    assert open_files() == before
