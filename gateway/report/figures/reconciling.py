# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the history, the outbox and the metrics tell of the same transfers; whatever differs is an error.

The outbox is read before the history: what it says the history has taken is in there by then. The metrics are read
before and after both, since transfers end meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from gateway.core.json_form import timestamp
from gateway.report import cursors
from gateway.report.history.keys import KEY_BITS, first_key
from gateway.report.history.questions import HistoryReader
from gateway.report.history.rows import stored_id
from gateway.report.migrations import STEPS
from gateway.report.store_file import FILE_NAME as OUTBOX
from gateway.report.store_file import StoreError

_HISTORY = "history"  # the sink's place in the outbox
_NAMED = 3  # transfers in a difference


@dataclass(frozen=True, slots=True)
class Counters:
    """What a running gateway has counted since its start, by outcome."""

    since: datetime
    ended: Mapping[str, int]
    waiting: int  # events for the history, counted after `ended`
    complete: bool  # no reload since the start: that takes away the counters of what is no longer configured


@dataclass(frozen=True, slots=True)
class _Outbox:
    waiting: Mapping[str, int]  # events by sink
    refused: int  # by the history
    taken: Mapping[str, bool]  # transfers that have ended and that the history has taken; whether completed


def read_counters(metrics: str, status: Mapping[str, Any]) -> Counters:
    """From `/metrics`, and `/api/status` asked afterwards. Raises KeyError, TypeError or ValueError."""
    ended: Counter[str] = Counter()
    loaded_at = 0.0
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            match sample.name:
                case "transfer_gateway_transfers_total":
                    ended[sample.labels["outcome"]] += int(sample.value)
                case "transfer_gateway_config_last_reload_success_timestamp_seconds":
                    loaded_at = sample.value
    started_at = datetime.fromisoformat(status["started_at"])
    complete = int(loaded_at) == int(started_at.timestamp())
    since = datetime.fromtimestamp(loaded_at, started_at.tzinfo) if complete else started_at
    return Counters(since, ended, int(status[_HISTORY]["waiting"]), complete)


def reconcile(directory: Path, counters: Callable[[], Counters | None]) -> dict[str, Any]:
    """What was compared, null where there was nothing to compare with, and the differences in words.

    `counters` reads those of the running gateway; None: none answers. Raises StoreError.
    """
    outbox = _read_outbox(directory / OUTBOX)  # first: see the module
    before = counters()
    differences: list[str] = []
    stored: Counter[str] = Counter()
    with closing(HistoryReader(directory)) as reader:
        try:
            db = reader.snapshot()
            differences += _within_history(db)
            if outbox is not None:
                differences += _with_outbox(db, outbox)
            if before is not None:
                stored = _stored_since(db, before.since)
        except sqlite3.Error as error:
            raise StoreError(str(error)) from error
    after = None if before is None else counters()
    if before is not None:
        differences += _less_than(stored, before)
    if before is not None and after is not None and after.complete and after.since == before.since:
        differences += _more_than(stored, after)
    return {
        "outbox": outbox and {"waiting": dict(outbox.waiting), "remembered": len(outbox.taken)},
        "metrics": before
        and {"since": timestamp(before.since), "ended": sum(before.ended.values()), "stored": stored.total()},
        "differences": differences,
    }


def _stored_since(db: sqlite3.Connection, since: datetime) -> Counter[str]:
    """What ended since then, by outcome; the chain has it whatever was deleted."""
    chosen = "SELECT outcome, count(*) FROM chain JOIN kinds ON kinds.id = kind"
    chosen += " WHERE at_ms + coalesce(ended_ms, 0) >= ? GROUP BY outcome"
    return Counter(dict(db.execute(chosen, (first_key(since) >> KEY_BITS,)).fetchall()))


def _less_than(stored: Counter[str], before: Counters) -> Iterator[str]:
    missing = {outcome: count - stored[outcome] for outcome, count in before.ended.items() if count > stored[outcome]}
    if sum(missing.values()) > before.waiting:
        told = ", ".join(f"{outcome}: {before.ended[outcome]}, not {stored[outcome]}" for outcome in sorted(missing))
        told += f"; {before.waiting} events wait for it"
        yield f"the metrics count more since the start than the history has ({told})"


def _more_than(stored: Counter[str], after: Counters) -> Iterator[str]:
    more = {outcome: count for outcome, count in stored.items() if count > after.ended.get(outcome, 0)}
    if more:
        told = ", ".join(
            f"{outcome}: {after.ended.get(outcome, 0)}, not {count}" for outcome, count in sorted(more.items())
        )
        yield f"the metrics count less since the start than the history has ({told})"


def _within_history(db: sqlite3.Connection) -> Iterator[str]:
    """Each transfer has its line in the chain, and is there or was deleted by the history's limits."""
    (rows,) = db.execute("SELECT count(*) FROM transfers").fetchone()
    (gone,) = db.execute(
        "SELECT coalesce(sum(count), 0) FROM deleted WHERE what = 'transfer' AND why IN ('age', 'size')"
    ).fetchone()
    (before,) = db.execute("SELECT transfers FROM chain_begun").fetchone()
    lines, newest, oldest = db.execute(
        "SELECT count(*), coalesce(max(n), 0), coalesce(min(n), 1) FROM chain"
    ).fetchone()
    if rows + gone != before + newest:
        yield (
            f"the history has {rows} transfers and has deleted {gone}, and its chain has {newest} lines after"
            f" {before} transfers from before it: {rows + gone - before - newest:+}"
        )
    if lines != newest - oldest + 1:
        yield f"the chain has {lines} lines from {oldest} to {newest}"


def _with_outbox(db: sqlite3.Connection, outbox: _Outbox) -> Iterator[str]:
    """What the outbox remembers and the history has taken is there, with the same outcome."""
    if outbox.refused:
        yield f"{outbox.refused} events could not be stored in the history (history-event-unreadable in the log)"
    found: dict[str, bool] = {}
    chosen = "SELECT outcome = 'completed' FROM transfers JOIN kinds ON kinds.id = kind WHERE transfers.id = ?"
    for transfer in outbox.taken:
        row = db.execute(chosen, (stored_id(transfer),)).fetchone()
        if row is not None:
            found[transfer] = bool(row[0])
    left = {stored_id(transfer): transfer for transfer in outbox.taken if transfer not in found}
    if left:  # deleted by their age; their lines are there
        chosen = "SELECT chain.id, outcome = 'completed' FROM chain JOIN kinds ON kinds.id = kind"
        found |= {left[which]: bool(done) for which, done in db.execute(chosen) if which in left}
    missing = sorted(transfer for transfer in outbox.taken if transfer not in found)
    if missing:
        yield f"{len(missing)} transfers that the outbox remembers are not in the history: {_named(missing)}"
    other = sorted(transfer for transfer, done in found.items() if done != outbox.taken[transfer])
    if other:
        yield f"{len(other)} transfers have another outcome in the history than in the outbox: {_named(other)}"


def _named(transfers: list[str]) -> str:
    return ", ".join(transfers[:_NAMED]) + (" …" if len(transfers) > _NAMED else "")


def _read_outbox(path: Path) -> _Outbox | None:
    """None: there is none."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
            db.execute("BEGIN")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version != len(STEPS):
                raise StoreError(f"{path} is of version {version}; this release reads {len(STEPS)}")
            sinks = [name for (name,) in db.execute("SELECT name FROM sinks ORDER BY name")]
            if _HISTORY not in sinks:
                return _Outbox({}, 0, {})
            standings = {sink: cursors.standing(db, sink) for sink in sinks}
            taken = db.execute(
                "SELECT transfer, state = 'completed' FROM transfers WHERE state <> 'running'"
                " AND seq <= (SELECT cursor FROM sinks WHERE name = :sink)"
                " AND seq NOT IN (SELECT seq FROM apart WHERE sink = :sink AND state <> 'taken')",
                {"sink": _HISTORY},
            )
            waiting = {sink: standing.waiting for sink, standing in standings.items()}
            return _Outbox(waiting, standings[_HISTORY].refused, {which: bool(done) for which, done in taken})
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error
