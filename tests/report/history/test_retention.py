# SPDX-License-Identifier: GPL-2.0-or-later
"""What is too old, or too much, goes, is counted, and leaves nothing behind in the file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.core.outcome import CallEnd, Reason
from gateway.core.record import Milestone
from gateway.ports.history import HistoryQuery
from gateway.report.history import retention
from gateway.report.history.questions import HistoryReader
from gateway.report.history.retention import Keep
from gateway.report.history.rows import CALL, TRANSFER
from gateway.report.history.store import HistoryStore
from gateway.report.history.tables import FILE_NAME
from tests.report import samples
from tests.report.history.made_up import call_over, ended, over, told

DAY = 86_400
KEEP = Keep(days=90, failures_days=365)


def expire(store: HistoryStore, keep: Keep, days: float) -> None:
    """Let so many days pass since the start."""
    while store.expire(keep, samples.START + timedelta(days=days)):
        pass


def left(directory: Path, what: str = TRANSFER, **query: Any) -> set[str]:
    reader = HistoryReader(directory)
    rows = reader.find(what, HistoryQuery(**{"limit": 100_000} | query))
    reader.close()
    return {row.document.get("call") or row.document["transfer"] for row in rows}


def test_failures_outlive_successes_and_both_go_when_their_time_is_over(store: HistoryStore, tmp_path: Path) -> None:
    events = [told(Milestone.ENDED, ended(day, reason, at=samples.after(day * DAY + n)))
              for n, reason in enumerate((Reason.ANSWERED, Reason.BUSY, Reason.QUEUE_UNSTAFFED))
              for day in (3 * n, 200 + 3 * n)]  # fmt: skip
    events += [call_over(over(1)), call_over(over(2, CallEnd.PEER_GONE))]
    store.apply(events, KEEP)
    expire(store, KEEP, 89.9)
    assert len(left(tmp_path)) == 6
    expire(store, KEEP, 90.1)
    assert left(tmp_path) == {"t000003", "t000006", "t000200", "t000203", "t000206"}
    assert left(tmp_path, CALL) == {"c000002"}
    expire(store, KEEP, 290.1)
    assert left(tmp_path) == {"t000003", "t000006", "t000203", "t000206"}
    expire(store, KEEP, 368.1)
    assert left(tmp_path) == {"t000006", "t000203", "t000206"}
    assert left(tmp_path, CALL) == set()
    assert store.size().deleted == {"age": 5, "size": 0}


def test_what_went_is_found_neither_by_its_words_nor_in_the_bytes_of_the_file(
    store: HistoryStore, tmp_path: Path
) -> None:
    marked = ended(1, caller="+31699988877", trail=("xylophone solo",))
    store.apply([told(Milestone.ENDED, marked), told(Milestone.ENDED, ended(2, at=samples.after(50 * DAY)))], KEEP)
    assert left(tmp_path, text="xylophone") == {"t000001"}
    expire(store, KEEP, 100)
    assert left(tmp_path, text="xylophone") == set()
    assert left(tmp_path) == {"t000002"}
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as db:
        db.execute("INSERT INTO trails (trails) VALUES ('integrity-check')")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"+31699988877" not in (tmp_path / FILE_NAME).read_bytes()


def test_milestones_of_what_never_ended_go_too(store: HistoryStore, tmp_path: Path) -> None:
    store.apply([told(Milestone.REQUESTED, samples.requested())], KEEP)
    expire(store, KEEP, 366)
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as db:
        assert db.execute("SELECT count(*) FROM milestones").fetchone() == (0,)


@pytest.mark.thorough
def test_what_does_not_fit_goes_oldest_first_and_the_file_becomes_smaller(
    store: HistoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 100)
    # Two thirds of them completed.
    records = [ended(n, Reason.BUSY if n % 3 == 0 else Reason.ANSWERED) for n in range(3000)]
    store.apply([told(Milestone.ENDED, record) for record in records], KEEP)
    before = store.size().bytes
    small = replace(KEEP, max_bytes=before // 3)
    expire(store, small, 1)
    size = store.size()
    assert size.bytes <= before // 3
    assert size.deleted == {"age": 0, "size": 3000 - size.transfers}
    kept = {int(transfer[1:]) for transfer in left(tmp_path)}
    failures = {n for n in kept if n % 3 == 0}
    # Of each the newest are left, and the flood of successes has not taken the failures away.
    for those, step in ((failures, 3), (kept - failures, 1)):
        assert 3000 - min(those) < 3 * len(those) + 3 * step
    assert abs(len(failures) - len(kept - failures)) <= 100
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("INSERT INTO trails (trails) VALUES ('integrity-check')")
    assert (tmp_path / FILE_NAME).stat().st_size < before * 0.6


def test_what_fits_stays(store: HistoryStore, tmp_path: Path) -> None:
    store.apply([told(Milestone.ENDED, ended(n)) for n in range(100)], KEEP)
    expire(store, KEEP, 1)
    assert len(left(tmp_path)) == 100
    assert store.size().deleted == {"age": 0, "size": 0}


def test_the_count_of_what_went_outlives_a_restart(store: HistoryStore, tmp_path: Path) -> None:
    store.apply([told(Milestone.ENDED, ended(1))], KEEP)
    expire(store, KEEP, 91)
    store.close()
    again = HistoryStore(tmp_path)
    again.open()
    assert again.size().deleted == {"age": 1, "size": 0}
    again.close()
