# SPDX-License-Identifier: GPL-2.0-or-later
"""What is shown on the terminal: SIP between four parties as a ladder, and between its rungs what else happens.

Several sources tell of one call, each with its own delay, so a line is held back for a moment and sorted by its time.
"""

from __future__ import annotations

import heapq
import itertools
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PARTIES = ("caller", "PBX", "gateway", "assistant")
HOLD_S = 0.15
"""How long a line waits for others that happened before it."""
GAP = 16
LEFT = 11


class Ladder:
    """Lines with a time, shown in the order of their times by `show`."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._start = time.monotonic()
        self._lines: list[tuple[float, int, list[str]]] = []
        self._numbers = itertools.count()

    def begin(self) -> None:
        """A new scene: its time starts, under the names of the parties."""
        self.flush()
        self._start = time.monotonic()
        self._show("    s" + "".join(name.center(GAP) for name in PARTIES).rstrip())

    def message(self, at: float, sender: str, receiver: str, label: str, *notes: str) -> None:
        """A SIP message; `at` is time.monotonic(), notes are what it says beside its name."""
        self._add(at, rung(sender, receiver, label), *(f"{' ' * LEFT}  {note}" for note in notes))

    def tell(self, text: str, at: float | None = None) -> None:
        """Something that somebody does, hears or reports, now or at a time."""
        self._add(time.monotonic() if at is None else at, f"   {text}")

    def advance(self) -> None:
        """Show what is old enough."""
        self._show_until(time.monotonic() - HOLD_S)

    def flush(self) -> None:
        """Show all that is left."""
        self._show_until(float("inf"))

    def _add(self, at: float, *lines: str) -> None:
        heapq.heappush(self._lines, (at, next(self._numbers), list(lines)))

    def _show_until(self, end: float) -> None:
        while self._lines and self._lines[0][0] <= end:
            at, _, (first, *others) = heapq.heappop(self._lines)
            self._show(f"{max(at - self._start, 0):7.3f}{first}")
            for line in others:
                self._show(line)


def rung(sender: str, receiver: str, label: str) -> str:
    """The line of a message between two neighbours: `   |----INVITE---->|               |               |`."""
    start, end = PARTIES.index(sender), PARTIES.index(receiver)
    cells = [" " * (GAP - 1)] * (len(PARTIES) - 1)
    dashes = label.center(GAP - 2, "-")
    cells[min(start, end)] = f"{dashes}>" if start < end else f"<{dashes}"
    return (" " * (LEFT - 7) + "|" + "|".join(cells) + "|").rstrip()
