# SPDX-License-Identifier: GPL-2.0-or-later
"""What the history stores, once, and what it answers: the same as a list that is looked through."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.json_form import call_document, transfer_document
from gateway.core.outcome import CallEnd, Reason
from gateway.core.record import Attempt, Milestone, TransferRecord
from gateway.ports.history import HistoryQuery
from gateway.report.cursors import StoredEvent
from gateway.report.history import index, looking
from gateway.report.history.keys import first_key, moment_of
from gateway.report.history.questions import Found, HistoryReader, NoHistoryError, Overview
from gateway.report.history.retention import Keep
from gateway.report.history.rows import CALL, TRANSFER, document, pack_record, read_id, stored_id, unpack
from gateway.report.history.store import HistoryStore
from gateway.report.history.tables import FILE_NAME, STEPS, HistoryFile
from gateway.report.migrations import migrate
from gateway.report.store_file import StoreError
from tests.report import samples
from tests.report.history.made_up import call_over, ended, mixed, over, told, whole

KEEP = Keep()


def found(reader: HistoryReader, what: str = TRANSFER, **query: Any) -> list[Found]:
    return reader.find(what, HistoryQuery(**{"limit": 1000} | query))


def ids(rows: list[Found]) -> list[str]:
    return [row.document.get("call") or row.document["transfer"] for row in rows]


def test_a_transfer_is_found_again_with_its_events(store: HistoryStore, reader: HistoryReader) -> None:
    events = whole(samples.completed())
    assert store.apply(events, KEEP) == []
    [row] = found(reader)
    assert row.document == transfer_document(samples.completed())
    assert list(row.document) == list(transfer_document(samples.completed()))
    assert [(event, kind) for event, kind, _ in row.events] == [
        (events[0].event_id, "transfer.requested.v1"),
        (events[1].event_id, "transfer.ended.v1"),
    ]
    assert reader.get(TRANSFER, samples.ID) == row
    assert reader.get(TRANSFER, "01J8ZQ7T9K3M5N7P9R1S3T5V7Z") is None


def test_so_is_a_call(store: HistoryStore, reader: HistoryReader) -> None:
    event = call_over(samples.call())
    store.apply([event], KEEP)
    [row] = found(reader, CALL)
    assert row.document == call_document(samples.call())
    assert [(told_of, kind) for told_of, kind, _ in row.events] == [(event.event_id, "call.ended.v1")]
    assert found(reader) == []


def test_what_comes_again_is_stored_once(store: HistoryStore, reader: HistoryReader) -> None:
    events = [*whole(samples.completed()), call_over(samples.call())]
    for batch in (events[:1], events, events[1:], events[:1]):
        store.apply(batch, KEEP)
    [row] = found(reader)
    assert len(row.events) == 2
    assert len(found(reader, CALL)) == 1
    size = store.size()
    assert (size.transfers, size.calls) == (1, 1)


def test_an_event_after_the_end_goes_to_its_transfer(store: HistoryStore, reader: HistoryReader) -> None:
    late = told(Milestone.RINGING, samples.requested())
    store.apply([*whole(samples.completed()), late, late], KEEP)
    [row] = found(reader)
    assert [kind.split(".")[1] for _, kind, _ in row.events] == ["requested", "ringing", "ended"]
    assert row.document["outcome"] == "completed"


def test_a_second_outcome_changes_nothing(store: HistoryStore, reader: HistoryReader) -> None:
    store.apply(whole(samples.completed()), KEEP)
    store.apply([told(Milestone.ENDED, samples.refused())], KEEP)
    assert [row.document["outcome"] for row in found(reader)] == ["completed"]


@pytest.mark.parametrize(
    "payload",
    ["", "no JSON", "[]", "{}", '{"data": {}}', '{"data": {"transfer": 1, "requested_at": "2026-01-01T00:00:00Z"}}'],
)
def test_what_cannot_be_read_is_refused_and_the_rest_is_stored(
    store: HistoryStore, reader: HistoryReader, payload: str
) -> None:
    bad = StoredEvent(7, "bad", "t", payload)
    refused = store.apply([*whole(ended(1)), bad, *whole(ended(2))], KEEP)
    assert [seq for seq, _ in refused] == [7]
    assert ids(found(reader)) == ["t000002", "t000001"]


def test_what_the_database_will_not_have_is_refused_alone(
    store: HistoryStore, reader: HistoryReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = HistoryStore._insert

    def picky(self: HistoryStore, db: sqlite3.Connection, row: Any, keep: Keep) -> None:
        if row.which == "t000001":
            raise sqlite3.IntegrityError("no")
        real(self, db, row, keep)

    monkeypatch.setattr(HistoryStore, "_insert", picky)
    events = [told(Milestone.ENDED, ended(n)) for n in range(3)]
    assert store.apply(events, KEEP) == [(events[1].seq, "no")]
    assert ids(found(reader)) == ["t000002", "t000000"]


# --- asking

FILTERS: dict[str, tuple[tuple[str, ...], Callable[[TransferRecord, str], bool]]] = {
    "number": (("main-line", "shop", "nowhere"), lambda record, value: record.number == value),
    "destination": (("sales", "desk"), lambda record, value: record.destination == value),
    "outcome": (("completed", "refused", "failed"), lambda record, value: record.outcome == value),
    "reason": (("answered", "busy", "queue-unstaffed"), lambda record, value: record.reason == value),
    "caller": (("+31201112222", "2001", "+310000000"), lambda record, value: record.caller == value),
    "text": (
        ("agent", "AGENTS free", '"2 of 3"', "zoe", '"no agent" vanished', "nothing", "!"),
        lambda record, value: (
            all(
                word.strip('"')
                in f"{' '.join(record.trail)} {record.fault or ''}".replace("ë", "e").replace("à", "a").lower()
                for word in {"AGENTS free": ["agents", "free"], '"no agent" vanished': ["no agent", "vanished"]}.get(
                    value, [value]
                )
            )
            and not (value == "agent" and "no agent" not in record.trail)
        ),
    ),
}


@pytest.mark.thorough
@pytest.mark.parametrize(("few", "passed_over", "read_whole"), [(16, 2000, 1000), (0, 0, 0), (0, 7, 0), (2, 30, 70)])
def test_every_combination_of_filters_finds_what_looking_through_a_list_finds(
    store: HistoryStore, reader: HistoryReader, monkeypatch: pytest.MonkeyPatch, few: int, passed_over: int,
    read_whole: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(looking, "_FEW", few)
    monkeypatch.setattr(index, "_FEW", few)
    monkeypatch.setattr(looking, "_PASSED_OVER", passed_over)
    monkeypatch.setattr(looking, "_READ_WHOLE", read_whole)
    records = mixed(400)
    store.apply([told(Milestone.ENDED, record) for record in records], KEEP)
    whole_list = found(reader)
    assert {row.document["transfer"] for row in whole_list} == {record.transfer for record in records}
    of = {record.transfer: record for record in records}
    order = [of[row.document["transfer"]] for row in whole_list]
    chance = random.Random(few + passed_over)
    tried = 0
    for _ in range(200):
        chosen = {name: chance.choice(FILTERS[name][0]) for name in FILTERS if chance.random() < 0.35}
        times = sorted(chance.choice(records).requested_at for _ in range(2))
        query: dict[str, Any] = {**chosen, **({"since": times[0]} if chance.random() < 0.3 else {})}
        query |= {"until": times[1]} if chance.random() < 0.3 else {}
        wanted = [
            record.transfer
            for record in order
            if all(FILTERS[name][1](record, value) for name, value in chosen.items())
            and first_key(record.requested_at) >= first_key(query.get("since", samples.START))
            and ("until" not in query or first_key(record.requested_at) < first_key(times[1]))
        ]
        assert ids(found(reader, **query)) == wanted, query
        tried += bool(wanted)
    assert tried > 50


def test_pages_tell_each_once_though_more_is_added_meanwhile(store: HistoryStore, reader: HistoryReader) -> None:
    records = mixed(95)
    store.apply([told(Milestone.ENDED, record) for record in records], KEEP)
    seen: list[str] = []
    before = None
    while page := found(reader, limit=10, before=before):
        seen += ids(page)
        before = page[-1].key
        store.apply([told(Milestone.ENDED, ended(100_000 + len(seen)))], KEEP)
    assert len(seen) == 95
    assert set(seen) == {record.transfer for record in records}


def test_no_question_reads_through_a_table_or_sorts(store: HistoryStore, reader: HistoryReader, tmp_path: Path) -> None:
    store.apply([told(Milestone.ENDED, record) for record in mixed(50)], KEEP)
    asked: list[str] = []
    found(reader)
    assert reader._db is not None
    reader._db.set_trace_callback(asked.append)
    for name, (values, _) in FILTERS.items():
        found(reader, **{name: values[0]})
    found(reader, before=first_key(samples.after(10)), since=samples.START)
    assert len(asked) > 20
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        for question in {text for text in asked if "FROM kinds" not in text and text.startswith("SELECT")}:
            plan = " | ".join(str(step[3]) for step in db.execute(f"EXPLAIN QUERY PLAN {question}"))
            assert "SCAN transfers" not in plan, question
            assert "TEMP B-TREE" not in plan, question


def test_the_figures_are_read_without_the_records(store: HistoryStore, reader: HistoryReader) -> None:
    store.apply([told(Milestone.ENDED, record) for record in (samples.completed(), ended(9, Reason.BUSY))], KEEP)
    first, second = reader.overview(samples.START, samples.after(100))
    assert first == Overview(
        first.at, "main-line", "hms", "asterisk", "refer", "sales", "completed", "answered", 1, 200, 4200, 6000, 4300, 0
    )
    assert abs((moment_of(first.at) - samples.START).total_seconds()) < 0.001
    assert (second.outcome, second.reason, second.human_ms) == ("failed", "busy", None)
    assert list(reader.overview(samples.after(50), samples.after(100))) == []


def test_what_a_hunt_rang_is_in_the_figures_until_the_transfer_is_deleted(
    store: HistoryStore, reader: HistoryReader, tmp_path: Path
) -> None:
    attempts = (
        Attempt("desk", "6503", Reason.NO_ANSWER, 480), Attempt("back-office", "", Reason.AGENTS_BUSY),
        Attempt("sales", "6500", Reason.ANSWERED, 200),
    )  # fmt: skip
    hunting = [ended(1, attempts=attempts), ended(2, attempts=attempts[1:]), ended(3, Reason.NO_ANSWER, attempts=())]
    store.apply([told(Milestone.ENDED, record) for record in hunting], KEEP)
    rung = (("desk", "no-answer"), ("sales", "answered"))
    assert [row.hunt for row in reader.overview(samples.START, samples.after(100))] == [rung, (), ()]
    while store.expire(Keep(days=1, failures_days=1), samples.after(9 * 86_400)):
        pass
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        assert db.execute("SELECT count(*) FROM hunts").fetchone() == (0,)


@pytest.mark.thorough
def test_a_question_that_takes_too_long_is_given_up(store: HistoryStore, reader: HistoryReader) -> None:
    store.apply([told(Milestone.ENDED, ended(n)) for n in range(2000)], KEEP)
    with pytest.raises(StoreError, match="ask for less"):
        reader.find(TRANSFER, HistoryQuery(limit=2000, text="sales"), within_s=-1)
    assert len(found(reader, limit=5)) == 5


def test_where_there_is_no_history_yet_it_says_so(reader: HistoryReader) -> None:
    with pytest.raises(StoreError, match=r"there is no .*history\.db"):
        found(reader)


# --- the stored form


@given(st.integers(0, 2**128 - 1))
def test_a_ulid_takes_sixteen_bytes_and_comes_back(number: int) -> None:
    text = read_id(number.to_bytes(16, "big"))
    assert len(text) == 26
    assert stored_id(text) == number.to_bytes(16, "big")


@given(st.text(max_size=30))
def test_any_other_id_comes_back_too(text: str) -> None:
    assert read_id(stored_id(text)) == text


def test_what_a_release_to_come_has_added_does_not_disturb_and_what_an_older_one_lacks_is_null() -> None:
    data, events = unpack(pack_record({"outcome": "completed", "new": 1}, [("e", "t", "x")]))
    assert events == [("e", "t", "x")]
    read = document(TRANSFER, "t1", None, data)
    assert (read["transfer"], read["outcome"], read["trail"]) == ("t1", "completed", None)
    assert "new" not in read


def test_the_stored_form_is_for_ever() -> None:
    # As the first release wrote it. A change of what it is compressed with makes every file unreadable.
    written = bytes.fromhex(FIRST_RELEASE)
    assert unpack(written) == ({"number": "main-line", "trail": ["hours: office is open until 17:30"]}, [])


FIRST_RELEASE = "0143caa4843308d1fe8eadad0500"


def test_a_damaged_record_is_said_to_be_one() -> None:
    packed = pack_record({"a": 1}, [])
    for broken in (packed[:-4], b"\x02" + packed[1:], b"", b"\x01\xff\xff"):
        with pytest.raises(ValueError, match=r"record|Expecting|Unterminated"):
            unpack(broken)


@pytest.mark.keeps("22.70")
def test_a_damaged_record_hides_no_other(store: HistoryStore, reader: HistoryReader, tmp_path: Path) -> None:
    store.apply([call_over(over(n, CallEnd.HUNG_UP)) for n in range(3)], KEEP)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db, db:
        db.execute("UPDATE calls SET record = x'02' WHERE at = (SELECT min(at) FROM calls)")
    assert len(found(reader, CALL)) == 2


def test_a_call_that_was_cut_off_is_a_failure_and_one_that_was_hung_up_is_none(
    store: HistoryStore, reader: HistoryReader, tmp_path: Path
) -> None:
    store.apply([call_over(over(n, reason)) for n, reason in enumerate(CallEnd)], KEEP)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        failed = dict(db.execute("SELECT reason, failed FROM kinds WHERE what = 'call'"))
    assert failed == {reason: int(reason is not CallEnd.HUNG_UP) for reason in CallEnd}
    assert ids(found(reader, CALL, reason="peer-gone")) == [f"c{list(CallEnd).index(CallEnd.PEER_GONE):06}"]


def test_a_field_that_is_no_text_is_stored_as_it_is(store: HistoryStore, reader: HistoryReader) -> None:
    event = told(Milestone.ENDED, samples.completed())
    payload = json.loads(event.payload)
    payload["data"]["sip_code"] = 7
    store.apply([replace(event, payload=json.dumps(payload))], KEEP)
    assert found(reader)[0].document["sip_code"] == 7


@pytest.mark.parametrize("version", range(len(STEPS)))
def test_a_file_that_is_still_being_made_is_no_history_yet(tmp_path: Path, version: int) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as db:
        HistoryFile(tmp_path).prepare(db)
        migrate(db, STEPS[:version])
    reader = HistoryReader(tmp_path)
    with pytest.raises(NoHistoryError, match=f"is of version {version}"):
        found(reader)
    made = HistoryStore(tmp_path)
    made.open()
    made.close()
    assert found(reader) == []
    reader.close()
