# SPDX-License-Identifier: GPL-2.0-or-later
"""Tones as proof of who hears whom: made, encoded as G.711, written to files, and found again in what arrived.

Audio is 16-bit mono at 8000 samples a second throughout, in numpy arrays of int16.
"""

from __future__ import annotations

import asyncio
import functools
import struct
import time
from typing import TYPE_CHECKING, TypeAlias

from tests.support.late_numpy import np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

Pcm: TypeAlias = "NDArray[np.int16]"

RATE = 8000
FRAME = 160
"""Samples in a packet of 20 ms."""

PAYLOAD_TYPES = {"PCMU": 0, "PCMA": 8}

# Below this share of the energy a frequency is an overtone or noise, above it somebody sends it: with two tones of
# equal strength mixed, each has half.
SHARE = 0.15
# Mean amplitude of silence with the noise that codecs and comfort noise leave in it.
SILENCE = 60.0


def prepare() -> None:
    """Import numpy and make the tables of both codecs now: the first conversation would stand still for it."""
    for codec in PAYLOAD_TYPES:
        _codes(codec)


def tone(hz: float, seconds: float, amplitude: int = 8000, rate: int = RATE) -> Pcm:
    """A sine of `hz`; it continues without a click when repeated, if hz * seconds is whole."""
    time = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hz * time)).astype(np.int16)


def strength(pcm: Pcm, hz: float) -> float:
    """The share, 0 to 1, of the signal's energy that lies within 20 Hz of `hz`; 0 for silence."""
    if len(pcm) < FRAME or float(np.abs(pcm.astype(np.float64)).mean()) < SILENCE:
        return 0.0
    windowed = pcm.astype(np.float64) * np.hanning(len(pcm))
    power = np.abs(np.fft.rfft(windowed)) ** 2
    frequencies = np.fft.rfftfreq(len(pcm), 1 / RATE)
    # A window of n samples cannot tell frequencies closer than two bins apart.
    width = max(20.0, 2 * RATE / len(pcm))
    near = power[np.abs(frequencies - hz) <= width].sum()
    return float(near / power[1:].sum())


def detect(pcm: Pcm, candidates: Iterable[float]) -> set[float]:
    """Those of the candidate frequencies (Hz, at least 50 apart) that are heard in the signal."""
    return {hz for hz in candidates if strength(pcm, hz) >= SHARE}


def encode(pcm: Pcm, codec: str) -> bytes:
    """G.711 (ITU-T G.711), one byte a sample; `codec` is "PCMU" or "PCMA"."""
    return bytes(_codes(codec)[pcm.view(np.uint16)])


def decode(data: bytes, codec: str) -> Pcm:
    """The reverse of `encode`, within the codec's precision."""
    return _levels(codec)[np.frombuffer(data, np.uint8)]


async def until_gone(listen: Callable[[], Pcm], hz: float, *, timeout_s: float, who: str) -> None:
    """Wait until `listen` returns a signal without this tone in it."""
    start = time.monotonic()
    while strength(listen(), hz) >= SHARE:
        assert time.monotonic() - start < timeout_s, f"{who} still hears {hz} Hz after {timeout_s} s"
        await asyncio.sleep(0.02)


async def until_heard(listen: Callable[[], Pcm], hz: float, *, timeout_s: float, who: str) -> float:
    """Wait until `listen` returns a signal with this tone in it; returns the seconds that took."""
    start = time.monotonic()
    while strength(listen(), hz) < SHARE:
        waited = time.monotonic() - start
        assert waited < timeout_s, f"{who} does not hear {hz} Hz within {timeout_s} s"
        await asyncio.sleep(0.02)
    return time.monotonic() - start


def write_wav(path: Path, pcm: Pcm, rate: int = RATE) -> Path:
    """Write a WAV file that Asterisk and baresip play; returns its path."""
    data = pcm.astype("<i2").tobytes()
    riff = struct.pack("<4sI4s", b"RIFF", 36 + len(data), b"WAVE")
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    path.write_bytes(riff + form + struct.pack("<4sI", b"data", len(data)) + data)
    return path


def read_wav(path: Path) -> Pcm:
    """The samples of a mono 16-bit file of 8000 Hz, also while somebody is still writing it."""
    content = path.read_bytes()
    start = content.find(b"data")
    if start < 0:
        return np.zeros(0, np.int16)
    # The lengths in the header are filled in when the file is closed, so the file's own size counts.
    samples = content[start + 8 :]
    return np.frombuffer(samples[: len(samples) // 2 * 2], "<i2").astype(np.int16)


def _mu_law() -> Pcm:
    code = ~np.arange(256) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _a_law() -> Pcm:
    code = np.arange(256) ^ 0x55
    exponent = (code & 0x70) >> 4
    mantissa = ((code & 0x0F) << 4) + 8
    magnitude = np.where(exponent == 0, mantissa, mantissa + 0x100 << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


@functools.cache
def _levels(codec: str) -> Pcm:
    # The sample value of each code.
    return {"PCMU": _mu_law, "PCMA": _a_law}[codec]()


@functools.cache
def _codes(codec: str) -> NDArray[np.uint8]:
    # For each of the 65536 sample values the code whose level is nearest, indexed by the value as unsigned.
    levels = _levels(codec)
    order = np.argsort(levels, kind="stable")
    ascending = levels[order].astype(np.int32)
    values = np.arange(-32768, 32768)
    middle = (ascending[1:] + ascending[:-1]) / 2
    codes = order[np.searchsorted(middle, values)].astype(np.uint8)
    return np.roll(codes, -32768)
