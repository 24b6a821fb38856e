# SPDX-License-Identifier: GPL-2.0-or-later
"""A report, made from the history's file."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.core.json_form import timestamp
from gateway.core.outcome import Reason
from gateway.core.platform_calls import Promise
from gateway.ports.history import HistoryQuery
from gateway.report.figures.counting import By, Counting, ZoneOf
from gateway.report.figures.document import report_document, training_document
from gateway.report.history.questions import HistoryReader
from gateway.report.history.rows import PLATFORM_CALL, TRANSFER
from gateway.report.store_file import StoreError

__all__ = ["StoreError", "Wanted", "report"]

MOST_TARGETS = 10_000  # different ones: a hostile peer may ask for anything
MOST_CALLS = 1000  # that are listed
_OTHERS = ("", "(others)")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a report is to tell of."""

    since: datetime
    until: datetime
    number: str | None = None  # its id
    by: By | None = None


def report(directory: Path, wanted: Wanted, zone_of: ZoneOf) -> dict[str, Any]:
    """The report of what was asked for at `since` or after, and before `until`. Raises StoreError."""
    reader = HistoryReader(directory)
    try:
        counting = Counting(zone_of, wanted.by)
        for row in reader.overview(wanted.since, wanted.until):
            if wanted.number is None or row.number == wanted.number:
                counting.add(row)
        training = training_document(counting, _no_destination(reader, wanted), _never_came(reader, wanted))
    finally:
        reader.close()
    return {
        "since": timestamp(wanted.since),
        "until": timestamp(wanted.until),
        "number": wanted.number,
        **report_document(counting, wanted.by, training),
    }


def _never_came(reader: HistoryReader, wanted: Wanted) -> Sequence[dict[str, Any]]:
    """Calls of platforms whose promised transfer was never asked for, the newest first."""
    query = HistoryQuery(since=wanted.since, until=wanted.until, number=wanted.number, outcome=Promise.BROKEN)
    rows = itertools.islice(reader.walk(PLATFORM_CALL, query), MOST_CALLS)
    shown = ("number", "platform", "ended_at", "promised_by", "ended_reason", "call_id")
    return [{name: row.document[name] for name in shown} for row in rows]


def _no_destination(reader: HistoryReader, wanted: Wanted) -> Sequence[dict[str, Any]]:
    """What was asked for and is no destination, most often first."""
    reason = Reason.UNKNOWN_DESTINATION
    query = HistoryQuery(since=wanted.since, until=wanted.until, number=wanted.number, reason=reason)
    found: Counter[tuple[str, str]] = Counter()
    for row in reader.walk(TRANSFER, query):
        key = row.document["number"] or "", row.document["requested_target"] or ""
        found[key if key in found or len(found) < MOST_TARGETS else _OTHERS] += 1
    ordered = sorted(found.items(), key=lambda each: (-each[1], each[0]))
    return [{"number": number or None, "target": target, "count": count} for (number, target), count in ordered]
