# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys of a telephone as tones in its audio (ITU-T Q.23)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support import tones
from tests.support.late_numpy import np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Audio = NDArray[np.float64]

LOW, HIGH = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
KEYS = "123A456B789C*0#D"
FULL = 22_380
"""The amplitude of a sine of 0 dBm0 (ITU-T G.711)."""


def key(name: str, ms: float, *, dbm0: float = -10, off: float = 0, twist_db: float = 0, phase: float = 0) -> Audio:
    """A key of so many milliseconds; `off`: the share by which both its tones are too high; `twist_db`: high to low."""
    row, column = divmod(KEYS.index(name), 4)
    time = np.arange(round(tones.RATE * ms / 1000)) / tones.RATE
    low, high = (
        np.sin(2 * np.pi * hz * (1 + off) * time + phase) * FULL * 10 ** ((dbm0 + more) / 20)
        for hz, more in ((LOW[row], -max(twist_db, 0)), (HIGH[column], min(twist_db, 0)))
    )
    both: Audio = low + high
    return both


def silence(ms: float) -> Audio:
    """Nothing."""
    return np.zeros(round(tones.RATE * ms / 1000))


def pcm(*parts: Audio) -> tones.Pcm:
    """One after the other, as samples."""
    found: tones.Pcm = np.clip(np.concatenate(parts), -32768, 32767).astype(np.int16)
    return found
