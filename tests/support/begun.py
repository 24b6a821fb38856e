# SPDX-License-Identifier: GPL-2.0-or-later
"""A moment from which something is heard or seen, and how long whoever brings it was kept from a processor since."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Self


def _kept_s(pids: tuple[int, ...]) -> dict[Path, float]:
    """How long each thread of these processes could have run and had no processor; without those that are gone."""
    found = {}
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with suppress(OSError, ValueError):
                found[thread] = int(thread.read_text().split()[1]) / 1e9
    return found


class Begun(float):
    """A time.monotonic(), as which it is used: now. `pids` bring what is waited for, together with this process."""

    _pids: tuple[int, ...]
    _kept: dict[Path, float]

    def __new__(cls, *pids: int) -> Self:
        begun = super().__new__(cls, time.monotonic())
        begun._pids = (os.getpid(), *pids)
        begun._kept = _kept_s(begun._pids)
        return begun

    @property
    def kept_s(self) -> float:
        """How long all threads of theirs that are there were kept waiting since, together.

        What has a limit by the clock may be late by that much.
        """
        return sum(now - self._kept.get(thread, 0.0) for thread, now in _kept_s(self._pids).items())

    @property
    def took_s(self) -> float:
        """How long it took from then until now, without what they were kept waiting: below 0, if that was more."""
        return time.monotonic() - float(self) - self.kept_s

    def __sub__(self, seconds: float) -> Begun:
        """A moment before, with the same processes; what they had to wait in between does not count."""
        earlier = float.__new__(Begun, float(self) - seconds)
        earlier._pids, earlier._kept = self._pids, self._kept
        return earlier
