# SPDX-License-Identifier: GPL-2.0-or-later
"""What in a stream of audio is a key (ITU-T Q.23, Q.24), and what is speech, noise or another tone."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import TYPE_CHECKING

import pjsua2 as pj
import pytest

import gateway.config
from tests.support import tones
from tests.support.key_tones import FULL, KEYS, key, pcm, silence
from tests.support.late_numpy import np

if TYPE_CHECKING:
    from tests.support.key_tones import Audio

DIGITS = Path(gateway.config.__file__).with_name("digits")


def noise(seconds: float, dbm0: float, seed: int = 1) -> Audio:
    """White noise of that power."""
    amplitude = FULL / np.sqrt(2) * 10 ** (dbm0 / 20)
    return np.random.default_rng(seed).normal(0, amplitude, round(seconds * tones.RATE))


def heard(*parts: Audio) -> str:
    """The keys in this audio, as it comes through G.711."""
    return pj.keys_in(tones.decode(tones.encode(pcm(silence(13), *parts), "PCMA"), "PCMA").tolist())


@pytest.mark.keeps("21.36")
@pytest.mark.parametrize("name", KEYS)
def test_each_key_is_understood_as_q24_wants_it(name: str) -> None:
    for phase in (0.0, 0.7, 1.9):
        assert heard(key(name, 40, phase=phase)) == name
        assert heard(key(name, 60, phase=phase, dbm0=-33)) == name
        assert heard(key(name, 60, phase=phase, dbm0=-6)) == name
    for off in (-0.015, 0.015):
        assert heard(key(name, 60, off=off)) == name
    for twist_db in (-7, 3.5):
        assert heard(key(name, 60, twist_db=twist_db)) == name
    tone = key(name, 100)
    assert heard(tone + noise(0.1, -26)) == name  # which is 16 dB below the weaker tone


@pytest.mark.keeps("21.36")
def test_one_after_the_other_and_one_that_is_held() -> None:
    for on, off in ((40, 40), (100, 60), (65, 200)):
        assert heard(*(part for name in KEYS for part in (key(name, on), silence(off)))) == KEYS
    assert heard(key("5", 3000)) == "5"
    assert heard(key("5", 3000), silence(100), key("5", 100)) == "55"
    assert heard(key("5", 60), silence(8), key("5", 60)) == "5"  # a packet was lost in it


@pytest.mark.keeps("21.37")
@pytest.mark.parametrize("name", KEYS)
def test_what_is_too_short_too_far_off_or_too_uneven_is_no_key(name: str) -> None:
    for phase in (0.0, 0.7, 1.9):
        assert heard(key(name, 23, phase=phase)) == ""
    for off in (-0.035, 0.035):
        assert heard(key(name, 100, off=off)) == ""
    for twist_db in (-13, 8):
        assert heard(key(name, 100, twist_db=twist_db)) == ""
    assert heard(key(name, 100, dbm0=-45)) == ""


@pytest.mark.keeps("21.37")
@pytest.mark.parametrize("hz", [(350, 440), (425,), (440, 480), (480, 620), (697,), (1336,), (941, 770), (1400, 2060)])
def test_other_tones_are_no_key(hz: tuple[int, ...]) -> None:
    assert heard(sum((tones.tone(one, 1.0).astype(np.float64) for one in hz), np.zeros(tones.RATE))) == ""


@pytest.mark.keeps("21.37")
def test_noise_is_no_key() -> None:
    assert heard(*(noise(5, dbm0, seed) for seed, dbm0 in enumerate((-50, -30, -20, -10, -6)))) == ""


@pytest.mark.keeps("21.37")
def test_speech_is_no_key() -> None:
    """Digits spoken in two languages, by higher and lower voices."""
    words = []
    for path in sorted(DIGITS.glob("*/*.wav")):
        with wave.open(str(path)) as file:
            words.append(np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float64))
    speech = np.concatenate(words)
    for pitch in np.linspace(0.6, 1.6, 21):
        at = np.arange(0, len(speech) - 1, pitch)
        assert heard(np.interp(at, np.arange(len(speech)), speech)) == "", pitch
