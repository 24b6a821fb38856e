# SPDX-License-Identifier: GPL-2.0-or-later
"""`report --proof`: a month's lines of the chain, with the figures that laws on customer service ask for.

A text file: `proof` and a JSON object; for each line of the chain its hash, a space and the line; `end` and a JSON
object. It begins with the last line before the month's first one, and ends with the first after its last one, where
there are such: so it shows that none was cut off at either side. Its figures are those of its lines, and of no others.
"""

from __future__ import annotations

import json
import re
import sqlite3
from array import array
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.core.json_form import timestamp
from gateway.core.outcome import Outcome
from gateway.report.figures.counting import CLOSED, percentile
from gateway.report.history import chain
from gateway.report.history.questions import HistoryReader
from gateway.report.store_file import StoreError

__all__ = ["StoreError", "proof"]

FORM = 1
WITHIN_S = 180
PERCENT = 95
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
YEARS = range(1971, 9000)
_COUNTED = "SELECT outcome, reason, human_ms FROM chain JOIN kinds ON kinds.id = kind"


def month_span(month: str, zone: tzinfo) -> tuple[datetime, datetime]:
    """When a month such as 2026-11 begins and ends there. Raises ValueError."""
    parts = _MONTH.fullmatch(month)
    if parts is None or int(parts[1]) not in YEARS:
        raise ValueError(f"{month} is no month such as 2026-11")
    begun = datetime(int(parts[1]), int(parts[2]), 1, tzinfo=zone)
    until = begun.replace(year=begun.year + begun.month // 12, month=begun.month % 12 + 1)
    return begun.astimezone(UTC), until.astimezone(UTC)


@dataclass(slots=True)
class ProofFigures:
    """Of the transfers that were asked for in a month: see docs/operations.md, "Reports" and "Proof"."""

    asked: int = 0
    closed: int = 0  # refused as outside the hours
    reached: int = 0
    unknown: int = 0
    within: int = 0
    waits_ms: array[int] = field(default_factory=lambda: array("q"))

    def add(self, line: Mapping[str, Any]) -> None:
        """Count a line of the chain."""
        wait_ms = None
        if line["human_at"] is not None:
            waited = datetime.fromisoformat(line["human_at"]) - datetime.fromisoformat(line["requested_at"])
            wait_ms = round(waited.total_seconds() * 1000)
        self.count(line["outcome"], line["reason"], wait_ms)

    def count(self, outcome: str | None, reason: str | None, wait_ms: int | None) -> None:
        """Count one, of whom a person answered after so many milliseconds; None: nothing tells that one did."""
        self.asked += 1
        self.closed += reason in CLOSED
        if wait_ms is None:
            self.unknown += outcome == Outcome.COMPLETED
            return
        wait_ms = max(0, wait_ms)
        self.reached += 1
        self.within += wait_ms <= WITHIN_S * 1000
        self.waits_ms.append(wait_ms)

    def document(self) -> dict[str, Any]:
        """As it stands in the file."""
        waits = sorted(self.waits_ms)
        median, p95 = percentile(waits, 50), percentile(waits, 95)
        return {
            "asked": self.asked,
            "asked_when_closed": self.closed,
            "reached": self.reached,
            "unknown": self.unknown,
            "reached_within_180s": self.within,
            "median_s": None if median is None else median / 1000,
            "p95_s": None if p95 is None else p95 / 1000,
            "of_all": self._share(self.asked),
            "of_all_but_when_closed": self._share(self.asked - self.closed),
        }

    def _share(self, asked: int) -> dict[str, Any]:
        """How many percent reached a person in time: at least, and at most if all that is unknown had."""
        if not asked:
            return {"asked": 0, "least_percent": None, "most_percent": None, "met": None}
        least, most = 100 * self.within, 100 * (self.within + self.unknown)
        met = True if least >= PERCENT * asked else False if most < PERCENT * asked else None
        # Rounded down: 94.99 is no 95.
        return {
            "asked": asked,
            "least_percent": least * 10 // asked / 10,
            "most_percent": most * 10 // asked / 10,
            "met": met,
        }


def proof(directory: Path, month: str, zone: tzinfo, *, instance: str, now: datetime) -> Iterator[str]:
    """The lines of the file. Raises StoreError, before the first of them where there is nothing to prove."""
    since, until = month_span(month, zone)
    reader = HistoryReader(directory)
    with closing(reader):
        try:
            db = reader.snapshot()
            yield from _file(db, month, zone, since, until, {"instance": instance, "made_at": timestamp(now)})
        except sqlite3.Error as error:
            raise StoreError(str(error)) from error


def _file(
    db: sqlite3.Connection, month: str, zone: tzinfo, since: datetime, until: datetime, made: Mapping[str, Any]
) -> Iterator[str]:
    span = _ms(since), _ms(until)
    chosen = "SELECT min(n), max(n) FROM chain WHERE at_ms >= ? AND at_ms < ?"
    first, last = db.execute(chosen, span).fetchone()
    if first is None:
        raise StoreError(f"the chain has no transfer of {month}")
    oldest, newest = db.execute("SELECT min(n), max(n) FROM chain").fetchone()
    if first == oldest > 1:
        raise StoreError(f"the chain no longer has the beginning of {month}: its oldest line is {oldest}")
    start, stop = max(first - 1, oldest), min(last + 1, newest)
    before = chain.GENESIS if start == 1 else next((link.hash for link in chain.links(db, start - 1, start - 1)), None)
    figures = ProofFigures()
    # From the columns that the lines are made of, which takes a twentieth of the time that the lines take.
    for counted in db.execute(f"{_COUNTED} WHERE n BETWEEN ? AND ? AND at_ms >= ? AND at_ms < ?", (start, stop, *span)):
        figures.count(*counted)
    head = chain.head(db)
    header = {
        "form": FORM, "month": month, "zone": str(zone) if isinstance(zone, ZoneInfo) else "UTC", **made,
        "since": timestamp(since), "until": timestamp(until), "first": start, "before": before,
        "figures": figures.document(),
    }  # fmt: skip
    yield f"proof {json.dumps(header)}"
    for link in chain.links(db, start, stop):
        yield f"{link.hash} {link.text}"
    yield f"end {json.dumps({'last': stop, 'head': head._asdict()})}"


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
