# SPDX-License-Identifier: GPL-2.0-or-later
"""A file of counters that a process writes and another reads while it runs."""

from __future__ import annotations

import mmap
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 4096
"""Of the file, in bytes; a counter has eight."""


class Counter(IntEnum):
    """Where each stands. The first three are counted by ends/counting.c."""

    OTHER_ALLOCATIONS = 0
    PYTHON_ALLOCATIONS = 1
    PJSIP_ALLOCATIONS = 2
    CALLS_TO_PJSUA2 = 3
    CALLS_FROM_PJSUA2 = 4
    SQL_STATEMENTS = 5


class Counters:
    """The counters of a file, which is made if it is not there."""

    def __init__(self, file: Path) -> None:
        with file.open("a+b") as opened:
            opened.truncate(SIZE)
            self._map = mmap.mmap(opened.fileno(), SIZE)
        self._values = memoryview(self._map).cast("q")

    def add(self, counter: Counter, more: int = 1) -> None:
        """Count; of two threads that do so at once, one may get lost."""
        self._values[counter] += more

    def read(self) -> dict[Counter, int]:
        """All of them, as they are now."""
        return {counter: self._values[counter] for counter in Counter}
