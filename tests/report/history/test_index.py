# SPDX-License-Identifier: GPL-2.0-or-later
"""The index of words knows the kinds too, and a file of the release before gets such an index."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.core.outcome import Reason
from gateway.core.record import Attempt, Milestone
from gateway.ports.history import HistoryQuery
from gateway.report.history import index, looking
from gateway.report.history.questions import HistoryReader
from gateway.report.history.retention import Keep
from gateway.report.history.rows import CALL, TRANSFER, trail_text, unpack
from gateway.report.history.store import HistoryStore
from gateway.report.history.tables import FILE_NAME, STEPS
from gateway.report.migrations import migrate
from tests.report import samples
from tests.report.history.made_up import call_over, ended, told, whole

pytestmark = pytest.mark.slow

KEEP = Keep()
MANY = 1500
BUSY = 3
LINE = "capacity: 1 of 500 calls"
CALLER = "+31201112222"


def fill(directory: Path) -> None:
    """The oldest were busy, all others answered, and all have the same words and the same caller."""
    store = HistoryStore(directory)
    store.open()
    records = [ended(n, Reason.BUSY if n < BUSY else Reason.ANSWERED, trail=(LINE,)) for n in range(MANY)]
    records = [replace(record, caller=CALLER) for record in records]
    store.apply([told(Milestone.ENDED, record) for record in records], KEEP)
    store.close()


def steps_of(reader: HistoryReader, **query: Any) -> tuple[int, int]:
    """How many rows were found, and how many instructions SQLite's machine has carried out for that."""
    reader.find(TRANSFER, HistoryQuery(limit=1))
    assert reader._db is not None
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    reader._db.set_progress_handler(count, 1)
    found = reader.find(TRANSFER, HistoryQuery(**query))
    return len(found), steps


@pytest.mark.parametrize("few", [16, 0])
def test_a_rare_kind_among_common_words_is_found_without_passing_over_what_has_the_words(
    tmp_path: Path, reader: HistoryReader, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(index, "_FEW", few)
    fill(tmp_path)
    for filters in ({"reason": "busy"}, {"outcome": "failed", "destination": "sales"}):
        found, steps = steps_of(reader, text="capacity calls", **filters)
        assert found == BUSY
        assert steps < MANY


def test_a_kind_that_there_is_not_is_looked_for_nowhere(tmp_path: Path, reader: HistoryReader) -> None:
    fill(tmp_path)
    found, steps = steps_of(reader, text="capacity", outcome="completed", reason="busy")
    assert (found, steps < 100) == (0, True)


@pytest.mark.parametrize("read_whole", [10, 10_000])
def test_words_of_a_caller_are_found_by_whichever_is_rarer(
    tmp_path: Path, reader: HistoryReader, monkeypatch: pytest.MonkeyPatch, read_whole: int
) -> None:
    monkeypatch.setattr(looking, "_READ_WHOLE", read_whole)
    fill(tmp_path)
    store = HistoryStore(tmp_path)
    store.open()
    store.apply([told(Milestone.ENDED, replace(ended(MANY), caller="+31209999999", trail=("Zebra là",)))], KEEP)
    store.close()
    of_few: dict[str, Any] = {"caller": "+31209999999"}
    for text, caller, count in (
        ("capacity", CALLER, 50), ("zebra la", "+31209999999", 1), ("zebra", CALLER, 0), ("capacity", "+310", 0),
    ):  # fmt: skip
        assert len(reader.find(TRANSFER, HistoryQuery(text=text, caller=caller))) == count
    assert reader.find(TRANSFER, HistoryQuery(text="zebra", reason="busy", **of_few)) == []
    assert len(reader.find(TRANSFER, HistoryQuery(text="zebra", reason="answered", **of_few))) == 1


def of_version_2(directory: Path) -> None:
    """Make the file what the release before would have made of it."""
    new, old = directory / FILE_NAME, directory / "old.db"
    with closing(sqlite3.connect(old, isolation_level=None)) as db:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        migrate(db, STEPS[:2])
        db.execute("ATTACH ? AS new", (str(new),))
        for table in ("kinds", "transfers", "calls", "milestones", "deleted", "chain"):
            db.execute(f"INSERT INTO main.{table} SELECT * FROM new.{table}")  # noqa: S608 -- names of ours
        for at, record in db.execute("SELECT at, record FROM main.transfers").fetchall():
            try:
                text = trail_text(unpack(record)[0])
            except ValueError:
                continue
            db.execute("INSERT INTO main.trails (rowid, trail) VALUES (?, ?)", (at, text))
    old.replace(new)


def test_a_file_of_version_2_is_read_as_before_and_forgets_as_before(tmp_path: Path, reader: HistoryReader) -> None:
    store = HistoryStore(tmp_path)
    store.open()
    attempts = (Attempt("desk", "6503", Reason.NO_ANSWER, 480), Attempt("sales", "6500", Reason.ANSWERED, 200))
    store.apply([*whole(replace(samples.completed(), attempts=attempts)), call_over(samples.call())], KEEP)
    store.apply([told(Milestone.ENDED, ended(n, Reason.BUSY, trail=(LINE,), caller=CALLER)) for n in (7, 8)], KEEP)
    store.close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as db:
        db.execute(
            "UPDATE transfers SET record = x'02' WHERE caller = ? AND at = (SELECT max(at) FROM transfers)", (CALLER,)
        )
    of_version_2(tmp_path)
    with capture_logs() as logs:
        store.open()
    assert [(line["version"], line["to"]) for line in logs if line["event"] == "history-upgrade"] == [(2, len(STEPS))]
    try:
        [row] = reader.find(TRANSFER, HistoryQuery(text="capacity", reason="busy", outcome="failed"))
        assert row.document["transfer"] == "t000007"
        [row] = reader.find(TRANSFER, HistoryQuery(text="hours", reason="answered"))
        assert len(row.events) == 2
        first, *others = reader.overview(samples.START, samples.after(100))
        assert first.hunt == (("desk", "no-answer"), ("sales", "answered"))
        assert [other.hunt for other in others] == [(), ()]
        assert reader.find(TRANSFER, HistoryQuery(text="capacity", reason="answered")) == []
        assert len(reader.find(CALL, HistoryQuery(caller=samples.call().caller))) == 1
        while store.expire(Keep(days=1, failures_days=1), samples.after(400 * 86_400)):
            pass
        assert reader.find(TRANSFER, HistoryQuery()) == []
        with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as db:
            assert db.execute("SELECT count(*) FROM trails WHERE trails MATCH 'capacity OR kind : k1'").fetchone() == (
                0,
            )
    finally:
        store.close()
    with capture_logs() as logs:
        store.open()
    store.close()
    assert logs == []
