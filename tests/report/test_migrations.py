# SPDX-License-Identifier: GPL-2.0-or-later
"""A journal of the release before goes on with all that waits in it; one of a release to come is left as it is."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.core.json_form import transfer_document
from gateway.core.record import TransferRecord
from gateway.report import migrations
from gateway.report.reporter import EventReporter
from gateway.report.store_file import FILE_NAME, StoreError, StoreFile
from tests.report import samples
from tests.report.journals import event, ids, opened
from tests.report.reporting import Standing

# As the gateway of version 1 made its file, word by word.
VERSION_1 = """
CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, topic TEXT NOT NULL,
                                   payload TEXT NOT NULL, stored_at REAL NOT NULL);
CREATE TABLE running (transfer TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE ended (seq INTEGER PRIMARY KEY AUTOINCREMENT, transfer TEXT NOT NULL UNIQUE,
                                  completed INTEGER NOT NULL, document TEXT NOT NULL);
CREATE INDEX ended_by_outcome ON ended (completed, seq);
PRAGMA user_version = 1;
"""
REFUSED = """
CREATE TABLE refused (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, topic TEXT NOT NULL,
                                    payload TEXT NOT NULL, stored_at REAL NOT NULL, refused_at REAL NOT NULL,
                                    why TEXT NOT NULL, ends_connection INTEGER NOT NULL);
INSERT INTO refused VALUES (4, 'event-4', 'transfers/main-line', '{"n": 4}', 1004.0, 1.5, 'Not authorized', 0);
INSERT INTO refused VALUES (7, 'event-7', 'transfers/main-line', '{"n": 7}', 1007.0, 2.5, 'it hangs up', 1);
"""
# Seven events, of which the first three and the fifth were acknowledged.
WAITING = """
INSERT INTO events (seq, id, topic, payload, stored_at)
    VALUES (7, 'gone', '', '', 0), (6, 'event-6', 'transfers/main-line', '{"n": 6}', 1006.0);
DELETE FROM events WHERE seq = 7;
"""


def document(record: TransferRecord) -> str:
    return json.dumps(transfer_document(record))


def old_file(directory: Path, *scripts: str) -> None:
    ended = [("done", True, document(samples.completed("done"))), ("no", False, document(samples.refused("no")))]
    running = [("one", document(samples.requested("one"))), ("two", document(samples.requested("two")))]
    with closing(sqlite3.connect(directory / FILE_NAME)) as db:
        db.executescript("".join((VERSION_1, *scripts)))
        db.executemany("INSERT INTO ended (transfer, completed, document) VALUES (?, ?, ?)", ended)
        db.executemany("INSERT INTO running VALUES (?, ?)", running)
        db.commit()


def version(directory: Path) -> Any:
    with closing(sqlite3.connect(directory / FILE_NAME)) as db:
        return db.execute("PRAGMA user_version").fetchone()[0]


def files(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


@pytest.mark.keeps("16.95")
async def test_what_waited_in_a_file_of_version_1_waits_in_its_old_order(tmp_path: Path) -> None:
    old_file(tmp_path, REFUSED, WAITING)
    async with opened(tmp_path) as (outbox, _):
        (waiting,) = await outbox.fetch(0, 10)
        assert (waiting.event_id, waiting.topic, waiting.payload) == ("event-6", "transfers/main-line", '{"n": 6}')
        state = outbox.mqtt.state
        assert (state.events, state.oldest_at, state.refused, state.refused_because) == (1, 1006.0, 2, "it hangs up")
        await outbox.mqtt.resend()
        assert ids(await outbox.fetch(0, 10)) == ["event-4", "event-6"]
        await outbox.mqtt.resend(everything=True)
        outbox.put(event(8))
        stored = await outbox.fetch(0, 10)
        assert ids(stored) == ["event-4", "event-6", "event-7", "event-8"]
        assert stored[-1].seq == 8
        for each in stored:
            outbox.mqtt.take(each.seq)
        await outbox.flush()
        assert outbox.mqtt.state.events == 0
    assert version(tmp_path) == len(migrations.STEPS)
    assert files(tmp_path) == {"outbox.db", "outbox.lock"}


@pytest.mark.parametrize("scripts", [(), (WAITING,), (REFUSED,)], ids=["neither", "without refused", "without events"])
async def test_a_file_of_version_1_in_which_something_is_missing(tmp_path: Path, scripts: tuple[str, ...]) -> None:
    old_file(tmp_path, *scripts)
    async with opened(tmp_path) as (outbox, _):
        await outbox.mqtt.resend(everything=True)
        outbox.put(event(9))
        before = {(): [], (WAITING,): ["event-6"], (REFUSED,): ["event-4", "event-7"]}[scripts]
        assert ids(await outbox.fetch(0, 10)) == [*before, "event-9"]


async def reporter_on(directory: Path) -> tuple[EventReporter, list[TransferRecord]]:
    reporter = EventReporter(
        instance="pbx-1", state_dir=directory, version="1", broker=None, clock=Standing(samples.after(100))
    )
    return reporter, await reporter.start()


@pytest.mark.keeps("16.95")
async def test_transfers_of_a_file_of_version_1_are_remembered_and_those_under_way_end_once(tmp_path: Path) -> None:
    old_file(tmp_path, REFUSED, WAITING)
    reporter, interrupted = await reporter_on(tmp_path)
    assert [record.transfer for record in interrupted] == ["one", "two"]
    known = {str(record.transfer): record for record in await reporter.transfers()}
    assert {name: str(record.outcome) for name, record in known.items()} == {
        "done": "completed", "no": "refused", "one": "interrupted", "two": "interrupted",
    }  # fmt: skip
    assert document(known["done"]) == document(samples.completed("done"))
    await reporter.stop()
    reporter, interrupted = await reporter_on(tmp_path)
    assert interrupted == []
    await reporter.stop()


async def test_a_document_that_is_none_keeps_no_other(tmp_path: Path) -> None:
    old_file(tmp_path, REFUSED, WAITING, "INSERT INTO running VALUES ('odd', '{'), ('odder', '[]');")
    with capture_logs() as logs:
        reporter, interrupted = await reporter_on(tmp_path)
    assert [record.transfer for record in interrupted] == ["one", "two"]
    assert [line["transfer"] for line in logs if line["log_level"] == "error"] == ["odder"]
    await reporter.stop()


@pytest.mark.keeps("16.95")
async def test_a_step_that_fails_half_way_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_file(tmp_path, REFUSED, WAITING)
    first, journal = migrations.STEPS
    monkeypatch.setattr(StoreFile, "steps", (first, "\n".join((journal, "INSERT INTO nowhere VALUES (1);"))))
    with pytest.raises(StoreError, match="nowhere"):
        async with opened(tmp_path):
            pytest.fail("it was opened")
    assert version(tmp_path) == 1
    monkeypatch.undo()
    async with opened(tmp_path) as (outbox, _):
        assert ids(await outbox.fetch(0, 10)) == ["event-6"]


@pytest.mark.keeps("16.95")
async def test_a_newer_file_is_no_reason_to_throw_away_what_waits_in_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as (outbox, _):
        outbox.put(event(1))
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        db.execute("PRAGMA user_version = 99")
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(StoreError, match=r"outbox\.db: the file is of version 99, made by a newer gateway"):
        async with opened(tmp_path):
            pytest.fail("it was opened")
    assert (tmp_path / FILE_NAME).read_bytes() == before
    assert files(tmp_path) == {"outbox.db", "outbox.lock"}
    # Whoever installs the newer one again has all of it.
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        db.execute(f"PRAGMA user_version = {len(migrations.STEPS)}")
    async with opened(tmp_path) as (outbox, _):
        assert ids(await outbox.fetch(0, 10)) == ["event-1"]
