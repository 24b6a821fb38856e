# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls of platforms in the history: a row each with the newest word, which the rows of what belongs to it have too."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.core.model import TransferId
from gateway.core.platform_calls import MatchedBy, Promise
from gateway.core.record import JoinedCall, JoinedTransfer, PlatformCallRecord
from gateway.ports.history import HistoryQuery
from gateway.report.cursors import StoredEvent
from gateway.report.event import platform_call_event
from gateway.report.history.callers import Callers
from gateway.report.history.forgetting import Forgetting
from gateway.report.history.questions import HistoryReader
from gateway.report.history.retention import Keep
from gateway.report.history.rows import CALL, PLATFORM_CALL, TRANSFER
from gateway.report.history.store import HistoryStore
from gateway.report.history.tables import FILE_NAME, STEPS, HistoryFile
from gateway.report.migrations import migrate
from tests.report import samples
from tests.report.history.made_up import call_over, stored, whole

CALLER = "+31201112222"


def told(at: float = 2, **changes: Any) -> StoredEvent:
    return stored(platform_call_event("pbx-1", samples.platform_call(**changes), samples.after(at)))


def found(reader: HistoryReader, what: str = PLATFORM_CALL, **query: Any) -> list[dict[str, Any]]:
    return [row.document for row in reader.find(what, HistoryQuery(**query))]


def test_the_newest_word_is_the_row_whatever_comes_again(store: HistoryStore, reader: HistoryReader) -> None:
    first, second = told(promise=Promise.PENDING, transfers=()), told(95, promise=Promise.BROKEN, transfers=())
    for events in ([first], [second], [first, second], [first]):
        assert store.apply(events, Keep()) == []

    [row] = found(reader)
    assert (row["promise"], row["call_id"], row["caller"]) == ("broken", "call-_+31201112222_kq7x", CALLER)
    assert set(row) == set(PlatformCallRecord.__dataclass_fields__)
    assert found(reader, outcome="pending") == []
    assert len(found(reader, outcome="broken", number="main-line", caller=CALLER)) == 1


def test_what_belongs_to_it_says_so_whichever_is_stored_first(store: HistoryStore, reader: HistoryReader) -> None:
    joined = (JoinedTransfer(transfer=TransferId(samples.ID), matched_by=MatchedBy.CALLER),)
    calls = (JoinedCall(call=samples.call().call, matched_by=MatchedBy.TIME),)
    store.apply([*whole(samples.completed()), call_over(samples.call())], Keep())
    store.apply([told(transfers=joined, calls=calls)], Keep())

    [transfer], [call] = found(reader, TRANSFER), found(reader, CALL)
    assert transfer["platform"] == {
        "platform": "hms",
        "call_id": "call-_+31201112222_kq7x",
        "matched_by": "caller",
        "candidates": 1,
        "status": "ended",
        "ended_reason": "user_hangup",
        "error": None,
        "ended_at": "2026-03-02T09:30:01.123Z",
    }
    assert call["platform"]["matched_by"] == "time"


def test_what_turns_out_to_be_ambiguous_or_another_s_is_taken_back(store: HistoryStore, reader: HistoryReader) -> None:
    store.apply([*whole(samples.completed()), told()], Keep())
    ambiguous = JoinedTransfer(transfer=TransferId(samples.ID), matched_by=MatchedBy.AMBIGUOUS, candidates=2)

    store.apply([told(3, transfers=(ambiguous,))], Keep())
    [transfer] = found(reader, TRANSFER)
    assert transfer["platform"]["call_id"] is None
    assert transfer["platform"]["candidates"] == 2

    store.apply([told(4, transfers=())], Keep())
    [transfer] = found(reader, TRANSFER)
    assert transfer["platform"] is None


@pytest.mark.keeps("19.31")
@pytest.mark.parametrize("form", ["masked", "hashed"])
def test_callers_are_named_as_the_history_names_them(store: HistoryStore, reader: HistoryReader, form: Any) -> None:
    store.apply([*whole(samples.completed()), told()], Keep(callers=form))

    [row], [transfer] = found(reader, caller=CALLER), found(reader, TRANSFER)
    assert "1112222" not in str(row)
    assert "1112222" not in str(transfer)
    assert row["call_id"].startswith("call-_")


def test_rows_that_were_stored_in_full_are_renamed(store: HistoryStore, reader: HistoryReader) -> None:
    store.apply([told()], Keep())
    while store.rename("masked").more:
        pass

    [row] = found(reader)
    assert row["caller"] == "+31…22"
    assert "1112222" not in str(row)


@pytest.mark.keeps("19.31")
def test_a_caller_who_is_forgotten_is_in_no_byte_of_it(
    store: HistoryStore, reader: HistoryReader, tmp_path: Path
) -> None:
    store.apply([*whole(samples.completed()), told()], Keep())
    done = Forgetting()
    while not done.over:
        done = store.forget(Callers(tmp_path).forms(CALLER, alone=True), done)

    assert (done.transfers, done.calls, done.platform_calls) == (1, 0, 1)
    [row], [transfer] = found(reader), found(reader, TRANSFER)
    assert (row["caller"], row["call_id"], row["promise"]) == (None, None, "kept")
    assert transfer["platform"]["call_id"] is None
    assert transfer["platform"]["ended_reason"] == "user_hangup"
    assert b"1112222" not in b"".join(path.read_bytes() for path in tmp_path.glob("history.db*"))


def test_broken_promises_are_kept_as_long_as_failures(store: HistoryStore, reader: HistoryReader) -> None:
    store.apply([told(), told(id="b" * 32, promise=Promise.BROKEN, transfers=())], Keep())
    keep = Keep(days=10, failures_days=100)

    expire(store, keep, samples.after(11 * 86_400))
    assert [row["promise"] for row in found(reader)] == ["broken"]
    expire(store, keep, samples.after(101 * 86_400))
    assert found(reader) == []


def expire(store: HistoryStore, keep: Keep, now: datetime) -> None:
    while store.expire(keep, now):
        pass


def test_an_unreadable_one_is_set_aside(store: HistoryStore) -> None:
    event = told()
    bad = replace(event, payload=event.payload.replace('"reported_at":"2026-03-02T', '"reported_at":"never'))
    bad = replace(bad, payload=bad.payload.replace('"started_at":"2026', '"started_at":"2x'))

    [(seq, why)] = store.apply([bad], Keep())
    assert seq == bad.seq
    assert "ValueError" in why


def test_a_file_of_the_version_before_keeps_its_kinds(tmp_path: Path, reader: HistoryReader) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as db:
        HistoryFile(tmp_path).prepare(db)
        migrate(db, STEPS[:5])
        db.execute("INSERT INTO kinds VALUES (7, 'transfer', 'n', 't', 'p', 'refer', 'd', 'completed', 'answered', 0)")
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as db:
        HistoryFile(tmp_path).prepare(db)
        migrate(db, STEPS)
        assert db.execute("SELECT id, number, reason FROM kinds").fetchall() == [(7, "n", "answered")]
        assert db.execute("PRAGMA foreign_key_list(transfers)").fetchone()[2] == "kinds"
    made = HistoryStore(tmp_path)
    made.open()
    made.apply([told()], Keep())
    made.close()
    assert len(found(reader)) == 1
