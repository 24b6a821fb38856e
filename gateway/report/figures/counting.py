# SPDX-License-Identifier: GPL-2.0-or-later
"""From transfers to figures: pure, one transfer after the other. Words are defined in docs/operations.md, "Reports".

Of each transfer that reached a person eight bytes are kept, in all and in its group, so that the median and the 95th
percentile are those of all of them and no estimate; of the others nothing but counts.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Literal, NamedTuple, TypeAlias

from gateway.core.outcome import Outcome, Reason
from gateway.report.history.keys import moment_of
from gateway.report.history.questions import Overview

By: TypeAlias = Literal["destination", "hour", "reason"]
ZoneOf: TypeAlias = Callable[[str, str], tzinfo]
"""The zone of the hours of a number's destination, both by their ids; empty where there is none."""

CLOSED = frozenset({Reason.OUTSIDE_HOURS.value, Reason.HOLIDAY.value})
_QUARTER_MS = 900_000  # no zone changes its clock but on such a moment


@dataclass(slots=True)
class Figures:
    """What became of some transfers. `asked` is the sum of `reached`, `unknown` and the four that follow them."""

    asked: int = 0
    reached: int = 0  # a person answered
    unknown: int = 0  # completed, and nothing tells whether a person answered
    refused: int = 0
    lost: int = 0  # the caller hung up first
    failed: int = 0
    interrupted: int = 0
    returned: int = 0  # of all these: the caller was given back to the assistant
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)  # by outcome and reason
    waits_ms: array[int] = field(default_factory=lambda: array("q"))  # from the request to the person's answer

    def add(self, row: Overview) -> None:
        """Count one more."""
        self.asked += 1
        self.returned += bool(row.returned)
        self.reasons[row.outcome, row.reason] += 1
        if row.human_ms is not None:
            self.reached += 1
            self.waits_ms.append(max(0, row.human_ms))  # the clock may have been set
            return
        match row.outcome:
            case Outcome.COMPLETED:
                self.unknown += 1
            case Outcome.REFUSED:
                self.refused += 1
            case Outcome.ABANDONED:
                self.lost += 1
            case Outcome.INTERRUPTED:
                self.interrupted += 1
            case _:
                self.failed += 1

    def within(self, limit_ms: int) -> int:
        """How many reached a person in no more than that."""
        return sum(wait <= limit_ms for wait in self.waits_ms)


def percentile(waits_ms: Iterable[int], percent: int) -> int | None:
    """The smallest of them that so many percent do not exceed (nearest rank); None: there are none."""
    ordered = sorted(waits_ms)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else None


class Group(NamedTuple):
    """Whose figures a line holds; what it is not grouped by is empty."""

    number: str = ""
    destination: str = ""
    hour: str = ""  # of the day, as 14:00
    outcome: str = ""
    reason: str = ""


class Closed(NamedTuple):
    """A destination that is asked for when it is closed."""

    number: str
    destination: str
    asked: int
    hours: Mapping[str, int]  # by the hour of the day


class Unreached(NamedTuple):
    """A destination that was tried while it was open, and never reached anybody."""

    number: str
    destination: str
    asked: int
    reasons: Mapping[str, int]


class Rung(NamedTuple):
    """A destination, and what came of it each time that it was rung, also where a hunt went on from there."""

    number: str
    destination: str
    rung: int
    no_answer: int
    reached: int  # a person answered there
    reasons: Mapping[str, int]


class Counting:
    """Takes transfers, and has the figures of all of them and of each group."""

    def __init__(self, zone_of: ZoneOf, by: By | None = None) -> None:
        self._zone_of = zone_of
        self._by = by
        self._hours: dict[tuple[int, str, str], str] = {}
        self.total = Figures()
        self._groups: defaultdict[Group, Figures] = defaultdict(Figures)
        self._destinations: defaultdict[tuple[str, str], _Destination] = defaultdict(_Destination)

    def add(self, row: Overview) -> None:
        """Count one more."""
        self.total.add(row)
        match self._by:
            case "destination":
                self._groups[Group(number=row.number, destination=row.destination)].add(row)
            case "hour":
                self._groups[Group(hour=self._hour(row))].add(row)
            case "reason":
                self._groups[Group(outcome=row.outcome, reason=row.reason)].add(row)
        if row.hunt:
            last = len(row.hunt) - 1
            for place, (destination, reason) in enumerate(row.hunt):
                self._destinations[row.number, destination].ring(row, reason, answered=place == last)
        elif row.destination:
            self._destinations[row.number, row.destination].add(row, self._hour)

    @property
    def groups(self) -> list[tuple[Group, Figures]]:
        """In the order of the hour, or of who was asked for most."""
        if self._by == "hour":
            return sorted(self._groups.items(), key=lambda each: each[0])
        return sorted(self._groups.items(), key=lambda each: (-each[1].asked, each[0]))

    @property
    def closed(self) -> list[Closed]:
        """Who is asked for when nobody is there, those first that are asked for most."""
        found = [
            Closed(number, destination, one.closed.total(), dict(sorted(one.closed.items())))
            for (number, destination), one in self._destinations.items()
            if one.closed
        ]
        return sorted(found, key=lambda each: (-each.asked, each.number, each.destination))

    @property
    def unreached(self) -> list[Unreached]:
        """Whom nobody reached."""
        found = [
            Unreached(number, destination, one.open.total(), dict(one.open.most_common()))
            for (number, destination), one in self._destinations.items()
            if one.open and not one.may_have_reached
        ]
        return sorted(found, key=lambda each: (-each.asked, each.number, each.destination))

    @property
    def rung(self) -> list[Rung]:
        """Who was rung, those first that were most often; a hunt counts for each that it rang."""
        found = [
            Rung(number, destination, one.rung.total(), one.rung[Reason.NO_ANSWER], one.reached,
                 dict(one.rung.most_common()))
            for (number, destination), one in self._destinations.items()
            if one.rung
        ]  # fmt: skip
        return sorted(found, key=lambda each: (-each.rung, each.number, each.destination))

    def _hour(self, row: Overview) -> str:
        begun = moment_of(row.at)
        key = int(begun.timestamp() * 1000) // _QUARTER_MS, row.number, row.destination
        if (hour := self._hours.get(key)) is None:
            hour = self._hours[key] = hour_of(begun, self._zone_of(row.number, row.destination))
        return hour


@dataclass(slots=True)
class _Destination:
    closed: Counter[str] = field(default_factory=Counter)  # by hour
    open: Counter[str] = field(default_factory=Counter)  # by reason
    rung: Counter[str] = field(default_factory=Counter)  # by reason
    reached: int = 0
    may_have_reached: bool = False

    def add(self, row: Overview, hour: Callable[[Overview], str]) -> None:
        """It was asked for, and rung where the gate let that pass."""
        if row.reason in CLOSED:
            self.closed[hour(row)] += 1
        elif row.outcome == Outcome.REFUSED:
            self.open[row.reason] += 1
        else:
            self.ring(row, row.reason, answered=True)

    def ring(self, row: Overview, reason: str, *, answered: bool) -> None:
        """It was rung; `answered`: what came of the transfer came of it there."""
        self.open[reason] += 1
        self.rung[reason] += 1
        if answered:
            self.reached += row.human_ms is not None
            self.may_have_reached |= row.human_ms is not None or row.outcome == Outcome.COMPLETED


def hour_of(moment: datetime, zone: tzinfo) -> str:
    """The hour of the day by the clock on the wall there."""
    return f"{moment.astimezone(zone).hour:02}:00"
