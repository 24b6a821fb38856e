# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is with whom: the one table of it, which media, hold, keys and watchdog ask.

A leg has one partner at most, and is that one's partner too. Two partners talk, or one of them waits for the other: a
caller for the target that is tried. One who waits may have no partner, between one target and the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.core.model import LegId

Changed = tuple["LegId", ...]
"""The legs that a change concerns: those that have lost a partner first, then those that it was asked for."""


class Pairs:
    """The pairs of legs; whatever changes one returns whom it concerns."""

    def __init__(self) -> None:
        self._partners: dict[LegId, LegId] = {}
        self._waiting: set[LegId] = set()

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self._partners) // 2

    # --- changes

    def join(self, one: LegId, other: LegId) -> Changed:
        """Two legs talk with each other and with nobody else."""
        self._waiting -= {one, other}
        return self._pair(one, other)

    def wait(self, leg: LegId, target: LegId | None = None) -> Changed:
        """A leg waits for a target, None: for one that is not there yet."""
        self._waiting.add(leg)
        return self._pair(leg, target) if target is not None else (*self._leave(leg), leg)

    def unpair(self, leg: LegId) -> Changed:
        """A leg has no partner, and waits for none; it may be over."""
        self._waiting.discard(leg)
        return (*self._leave(leg), leg)

    def clear(self) -> None:
        """Nobody is with anybody."""
        self._partners.clear()
        self._waiting.clear()

    # --- questions

    def partner(self, leg: LegId) -> LegId | None:
        """Who is heard by a leg, or will be: whom it talks with, waits for, or is awaited by."""
        return self._partners.get(leg)

    def waits(self, leg: LegId) -> bool:
        """Whether a leg waits for a target."""
        return leg in self._waiting

    def talks_with(self, leg: LegId) -> LegId | None:
        """The partner of a leg, where neither waits for the other."""
        other = self._partners.get(leg)
        return other if other is not None and self._waiting.isdisjoint((leg, other)) else None

    def gives_keys_to(self, leg: LegId) -> LegId | None:
        """Who is given the keys of a leg: a target those of the caller who waits for it, but not the other way."""
        other = self._partners.get(leg)
        return other if other not in self._waiting else None

    @property
    def talking(self) -> list[LegId]:
        """All that talk with another."""
        return [leg for leg in self._partners if self.talks_with(leg) is not None]

    def _leave(self, leg: LegId) -> Changed:
        other = self._partners.pop(leg, None)
        if other is None:
            return ()
        del self._partners[other]
        return (other,)

    def _pair(self, one: LegId, other: LegId) -> Changed:
        former = (*self._leave(one), *self._leave(other))
        self._partners[one], self._partners[other] = other, one
        return (*former, one, other)
