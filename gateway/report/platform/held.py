# SPDX-License-Identifier: GPL-2.0-or-later
"""What is held of calls of platforms and of ours while they may be joined, found by number and caller; bounded."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from gateway.core.platform_calls import TOLERANCE, MatchedBy, Ours, PlatformCall

if TYPE_CHECKING:
    from gateway.core.record import PlatformCallRecord
    from gateway.ports import Timer

_K = TypeVar("_K")


def id_of(platform: str, call_id: str) -> str:
    """Our id of a platform's call: of another platform it is another one, whatever that calls its calls."""
    return hashlib.sha256(f"{platform}\n{call_id}".encode(errors="replace")).hexdigest()[:32]


@dataclass(slots=True, eq=False)
class Known:
    """A call of a platform."""

    id: str
    call: PlatformCall
    last: PlatformCallRecord | None = None  # as it was last published
    ours: set[str] = field(default_factory=set)  # ids of transfers and calls of ours that fit it
    timer: Timer | None = None
    nameless: bool = False  # its caller is known, and not to us any more
    settled: bool = False


@dataclass(slots=True, eq=False)
class Mine:
    """A transfer or call of ours, and the calls of platforms that it fits, by their ids."""

    ours: Ours
    is_transfer: bool
    fits: dict[str, MatchedBy] = field(default_factory=dict)

    @property
    def order(self) -> tuple[datetime, str]:
        """Oldest first."""
        return self.ours.since, self.ours.id


class PlatformsCalls:
    """The calls of platforms, by number and by the names of their callers."""

    def __init__(self) -> None:
        self._all: dict[str, Known] = {}
        self._of_platform: defaultdict[str, OrderedDict[str, None]] = defaultdict(OrderedDict)
        self._of_number: defaultdict[str, set[str]] = defaultdict(set)
        self._of_name: defaultdict[tuple[str, str], set[str]] = defaultdict(set)

    def __iter__(self) -> Iterator[Known]:
        return iter(list(self._all.values()))

    def get(self, which: str) -> Known | None:
        """The one with this id of ours."""
        return self._all.get(which)

    def add(self, known: Known) -> None:
        """Hold one more."""
        self._all[known.id] = known
        self._of_platform[known.call.platform][known.id] = None
        self._index(known)

    def change(self, known: Known, call: PlatformCall) -> None:
        """More is known of it."""
        self._unindex(known)
        known.call = call
        self._index(known)

    def remove(self, known: Known) -> None:
        """Let go of it."""
        del self._all[known.id]
        del self._of_platform[known.call.platform][known.id]
        if not self._of_platform[known.call.platform]:
            del self._of_platform[known.call.platform]
        self._unindex(known)
        if known.timer is not None:
            known.timer.cancel()

    def beyond(self, platform: str, most: int) -> Known | None:
        """The one of this platform that was heard of first, where there are more than so many."""
        held = self._of_platform[platform]
        return self._all[next(iter(held))] if len(held) > most else None

    def likely(self, ours: Ours) -> list[Known]:
        """Those of the same number and caller, or of any caller where ours is not known; in order of their ids."""
        if not ours.names:
            return [self._all[each] for each in sorted(self._of_number.get(ours.number, ()))]
        found: set[str] = set()
        for name in ours.names:
            found |= self._of_name.get((ours.number, name), set())
        return [self._all[each] for each in sorted(found)]

    def _index(self, known: Known) -> None:
        self._of_number[known.call.number].add(known.id)
        for name in known.call.names:
            self._of_name[known.call.number, name].add(known.id)

    def _unindex(self, known: Known) -> None:
        _discard(self._of_number, known.call.number, known.id)
        for name in known.call.names:
            _discard(self._of_name, (known.call.number, name), known.id)


class OurCalls:
    """Transfers and calls of ours, by number and caller, in the order of time."""

    def __init__(self) -> None:
        self._all: OrderedDict[str, Mine] = OrderedDict()
        self._of: defaultdict[tuple[str, str], list[tuple[datetime, str]]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Mine]:
        return iter(list(self._all.values()))

    def get(self, which: str) -> Mine | None:
        """The one with this id."""
        return self._all.get(which)

    def add(self, mine: Mine) -> None:
        """Hold one more."""
        self._all[mine.ours.id] = mine
        for key in self._keys(mine):
            insort(self._of[key], (mine.ours.until, mine.ours.id))

    def remove(self, mine: Mine) -> None:
        """Let go of it."""
        del self._all[mine.ours.id]
        for key in self._keys(mine):
            entries = self._of[key]
            del entries[bisect_left(entries, (mine.ours.until, mine.ours.id))]
            if not entries:
                del self._of[key]

    def oldest(self) -> Mine:
        """The one that was heard of first."""
        return next(iter(self._all.values()))

    def likely(self, call: PlatformCall) -> list[Mine]:
        """Those of the same number and caller, or of nobody known, that were not over before it began."""
        if call.since is None:
            return []
        found: dict[str, Mine] = {}
        for name in (*call.names, ""):
            entries = self._of.get((call.number, name), [])
            for _, each in entries[bisect_left(entries, (call.since - TOLERANCE, "")) :]:
                found[each] = self._all[each]
        return list(found.values())

    @staticmethod
    def _keys(mine: Mine) -> list[tuple[str, str]]:
        return [(mine.ours.number, name) for name in mine.ours.names or ("",)]


def _discard(of: defaultdict[_K, set[str]], key: _K, which: str) -> None:
    of[key].discard(which)
    if not of[key]:
        del of[key]
