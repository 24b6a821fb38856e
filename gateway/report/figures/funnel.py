# SPDX-License-Identifier: GPL-2.0-or-later
"""How far transfers came, and how long it took until a person was there, by destination and by day: `/api/figures`.

Made of the history's file beside the running gateway, so what it takes is bounded: it takes a quarter of a processor's
time at most, looks at MOST_ROWS transfers, and one question after the other is answered.
"""

from __future__ import annotations

import heapq
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.core.json_form import timestamp
from gateway.core.outcome import Outcome
from gateway.ports.history import FiguresQuery
from gateway.report.figures.counting import Figures, ZoneOf, percentile
from gateway.report.history.keys import moment_of
from gateway.report.history.questions import HistoryReader, NoHistoryError, Overview
from gateway.report.store_file import StoreError

MOST_ROWS = 200_000
"""Transfers in the span. A report of more is made by `transfer-gateway report`, in a process of its own."""
MOST_GROUPS = 1000
LOOKING_S = 15.0
_ROWS = 200  # in one go
_PIECE = 2000  # numbers that are put in order without a break
_REST = 3.0  # so many times as long as that has taken, nothing is done
_QUARTER_MS = 900_000  # no zone changes its clock but on such a moment


@dataclass(slots=True)
class Funnel:
    """How many of some transfers came how far: each number is one of those before it."""

    figures: Figures = field(default_factory=Figures)
    accepted: int = 0
    rang: int = 0
    answered: int = 0  # by the PBX

    def add(self, row: Overview) -> None:
        """Count one more."""
        self.figures.add(row)
        person = row.human_ms is not None
        answered = person or row.answered_ms is not None
        rang = answered or row.ringing_ms is not None
        self.answered += answered
        self.rang += rang
        self.accepted += rang or row.outcome != Outcome.REFUSED

    @property
    def document(self) -> dict[str, Any]:
        """JSON-able; null where there is nothing to tell."""
        waits = _sorted(self.figures.waits_ms)
        median, most = percentile(waits, 50), percentile(waits, 95)  # to sort what is in order takes no time
        return {
            "asked": self.figures.asked,
            "accepted": self.accepted,
            "rang": self.rang,
            "answered": self.answered,
            "reached": self.figures.reached,
            "lost": self.figures.lost,
            "returned": self.figures.returned,
            "median_s": None if median is None else median / 1000,
            "p95_s": None if most is None else most / 1000,
        }


class Funnels:
    """Takes transfers, and has the funnel of all, of each destination and of each day."""

    def __init__(self, zone_of: ZoneOf) -> None:
        self._zone_of = zone_of
        self._days: dict[tuple[int, str, str], str] = {}
        self.total = Funnel()
        self.destinations: defaultdict[tuple[str, str], Funnel] = defaultdict(Funnel)
        self.days: defaultdict[str, Funnel] = defaultdict(Funnel)

    def add(self, row: Overview) -> None:
        """Count one more."""
        self.total.add(row)
        key = row.number, row.destination
        self.destinations[key if key in self.destinations or len(self.destinations) < MOST_GROUPS else ("", "")].add(
            row
        )
        self.days[self._day(row)].add(row)

    def _day(self, row: Overview) -> str:
        begun = moment_of(row.at)
        key = int(begun.timestamp() * 1000) // _QUARTER_MS, row.number, row.destination
        if (day := self._days.get(key)) is None:
            if len(self._days) > 10 * MOST_GROUPS:
                self._days.clear()
            day = self._days[key] = f"{begun.astimezone(self._zone_of(row.number, row.destination)):%Y-%m-%d}"
        return day

    @property
    def document(self) -> dict[str, Any]:
        """JSON-able: those destinations first that were asked for most, days in their order."""
        reasons = sorted(self.total.figures.reasons.items(), key=lambda each: (-each[1], each[0]))
        ordered = sorted(self.destinations.items(), key=lambda each: (-each[1].figures.asked, each[0]))
        return {
            "total": self.total.document,
            "reasons": [{"outcome": outcome, "reason": reason, "count": count} for (outcome, reason), count in reasons],
            "destinations": [
                {"number": number or None, "destination": destination or None, **funnel.document}
                for (number, destination), funnel in ordered
            ],
            "days": [{"day": day, **funnel.document} for day, funnel in sorted(self.days.items())],
        }


def figures(directory: Path, query: FiguresQuery, zone_of: ZoneOf) -> Mapping[str, Any]:
    """The document of `/api/figures`, from the history in a directory. Raises StoreError."""
    funnels = Funnels(zone_of)
    reader = HistoryReader(directory)
    try:
        count_paced(reader, query, funnels)
    except NoHistoryError:
        pass  # nothing is over yet
    finally:
        reader.close()
    asked = {"since": timestamp(query.since), "until": timestamp(query.until)}
    return {**asked, "number": query.number, "destination": query.destination, **funnels.document}


def _sorted(waits_ms: Sequence[int]) -> list[int]:
    """The same as `sorted`, which would let no other thread go on for tens of milliseconds."""
    pieces = [sorted(waits_ms[at : at + _PIECE]) for at in range(0, len(waits_ms), _PIECE)]
    return list(heapq.merge(*pieces))


def count_paced(reader: HistoryReader, query: FiguresQuery, funnels: Funnels) -> None:
    """Count what is asked for, and rest in between: who reads along holds up the loop. Raises StoreError."""
    begun = at = time.monotonic()
    for place, row in enumerate(reader.overview(query.since, query.until), 1):
        if place > MOST_ROWS:
            raise StoreError(f"there are more than {MOST_ROWS} transfers in that time; ask for less of it")
        if query.number in (None, row.number) and query.destination in (None, row.destination):
            funnels.add(row)
        if place % _ROWS == 0:
            now = time.monotonic()
            if now - begun > LOOKING_S:
                raise StoreError(f"that takes longer than {LOOKING_S:g} s; ask for less")
            time.sleep(_REST * (now - at))
            at = time.monotonic()
