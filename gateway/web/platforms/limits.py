# SPDX-License-Identifier: GPL-2.0-or-later
"""How many requests are let in, and that each signature is good once. All of it is bounded, whoever asks."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Literal

WINDOW_S = 5
"""Over so long requests are counted: what a network has held up for a second comes all at once."""
OF_ONE = 250 * WINDOW_S
"""Requests of one address."""
OF_KNOWN = 300 * WINDOW_S
"""… of all addresses that have proved lately who they are."""
OF_STRANGERS = 50 * WINDOW_S
"""… of all others: they take nothing of what is there for those."""
KNOWN_S = 600.0
MOST_KNOWN = 1000
MOST_SIGNATURES = 100_000
"""More than as many as OF_KNOWN leave behind within the tolerance of 300 s."""


class Rates:
    """Counts requests, window by window."""

    def __init__(self) -> None:
        self._window = -1
        self._of: Counter[str] = Counter()
        self._known = self._strangers = 0
        self._proved: OrderedDict[str, float] = OrderedDict()  # the newest last

    def admit(self, source: str, now: float) -> bool:
        """Whether a request of this address is let in; `now` in seconds of a steady clock."""
        if (window := int(now // WINDOW_S)) != self._window:
            self._window, self._known, self._strangers = window, 0, 0
            self._of.clear()
        known = now - self._proved.get(source, float("-inf")) < KNOWN_S
        if self._of[source] >= OF_ONE or (self._known >= OF_KNOWN if known else self._strangers >= OF_STRANGERS):
            return False
        self._of[source] += 1
        if known:
            self._known += 1
        else:
            self._strangers += 1
        return True

    def proved(self, source: str, now: float) -> None:
        """A request of this address was what it should be."""
        self._proved[source] = now
        self._proved.move_to_end(source)
        if len(self._proved) > MOST_KNOWN:
            self._proved.popitem(last=False)


class Signatures:
    """Those that were good, as long as they would be good again. A full memory takes no further one: it can't know."""

    def __init__(self, tolerance_s: float, most: int = MOST_SIGNATURES) -> None:
        self._tolerance_s = tolerance_s
        self._most = most
        self._seen: dict[int, set[bytes]] = {}  # by the second at which they were signed, which they vouch for
        self._count, self._swept = 0, 0

    def take(self, signature: bytes, sent_at: float, now: float) -> Literal["new", "seen", "full"]:
        """Whether it is seen for the first time: from then on it is "seen". Times are seconds since 1970."""
        self._forget(now)
        seen = self._seen.setdefault(int(sent_at), set())
        if signature in seen:
            return "seen"
        if self._count >= self._most:
            return "full"
        seen.add(signature)
        self._count += 1
        return "new"

    def _forget(self, now: float) -> None:
        if int(now) == self._swept:
            return
        self._swept = int(now)
        for second in [one for one in self._seen if now - one > self._tolerance_s]:
            self._count -= len(self._seen.pop(second))
