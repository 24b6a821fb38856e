# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows that were stored in full name callers as `[history] callers` says, some time after that was changed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.core.record import Milestone
from gateway.ports import HistoryQuery
from gateway.report.history import naming
from gateway.report.history.callers import Callers
from gateway.report.history.chain import links
from gateway.report.history.questions import Found, HistoryReader
from gateway.report.history.retention import Keep
from gateway.report.history.rows import CALL, TRANSFER
from gateway.report.history.store import HistoryStore
from gateway.report.history.tables import FILE_NAME
from gateway.report.sinks import history as sink
from tests.report import samples
from tests.report.history.made_up import call_over, ended, over, told
from tests.report.history.recording import reporting, settled
from tests.report.history.test_forget import EVE, NAMED, texts
from tests.report.history.test_forget import naming as occurrences
from tests.report.reporting import until

pytestmark = pytest.mark.slow

COUNT = 25
FULL, MASKED, HASHED = Keep(), Keep(callers="masked"), Keep(callers="hashed")


@pytest.fixture(autouse=True)
def some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "AT_ONCE", 7)
    monkeypatch.setattr(sink, "RENAME_EVERY_S", 0)


def transfers(first: int, keep: Keep, store: HistoryStore) -> None:
    """Store some, of Eve, and one who withholds their number."""
    records = [
        replace(ended(first + n), caller=EVE, trail=NAMED, requested_target=EVE, context={"X-Name": "Eve"})
        for n in range(COUNT)
    ]
    records.append(replace(ended(first + COUNT), caller=None, context={"X-Name": "Eve"}))
    assert store.apply([told(Milestone.ENDED, record) for record in records], keep) == []


def calls(keep: Keep, store: HistoryStore) -> None:
    made = [replace(over(n), caller=EVE, call_ids={"trunk": f"{EVE}@trunk"}) for n in range(COUNT)]
    assert store.apply([call_over(one) for one in made], keep) == []


def rename(store: HistoryStore, keep: Keep, most: int = 1000) -> int:
    """Do it, `most` parts of it at the most; how many rows it was."""
    rows = 0
    for _ in range(most):
        done = store.rename(keep.callers)
        rows += done.rows
        if not done.more:
            break
    return rows


def all_of(directory: Path, what: str = TRANSFER) -> list[Found]:
    reader = HistoryReader(directory)
    found = reader.find(what, HistoryQuery(limit=1000))
    reader.close()
    return found


def chain(directory: Path) -> list[str]:
    with closing(sqlite3.connect(directory / FILE_NAME)) as db:
        return [link.hash for link in links(db, 0, 1000)]


@pytest.mark.parametrize("keep", [MASKED, HASHED])
def test_what_was_stored_in_full_is_as_if_it_had_been_stored_so(
    store: HistoryStore, tmp_path: Path, keep: Keep
) -> None:
    transfers(0, FULL, store)
    calls(FULL, store)
    before, hashes = all_of(tmp_path), chain(tmp_path)
    assert store.size().in_full == 0  # nobody wants it otherwise
    assert rename(store, keep) == 2 * COUNT + 1
    as_new = tmp_path / "new"
    other = HistoryStore(as_new)
    (as_new).mkdir()
    (as_new / "history.key").write_bytes((tmp_path / "history.key").read_bytes() if keep is HASHED else b"")
    other.open()
    transfers(0, keep, other)
    calls(keep, other)
    other.close()
    for what in (TRANSFER, CALL):
        assert [each.document for each in all_of(tmp_path, what)] == [each.document for each in all_of(as_new, what)]
    assert [each.events for each in all_of(tmp_path)] == [each.events for each in before]
    assert chain(tmp_path) == hashes
    reader = HistoryReader(tmp_path)
    assert len(reader.find(TRANSFER, HistoryQuery(caller=EVE, limit=100))) == COUNT
    assert reader.find(TRANSFER, HistoryQuery(text=EVE)) == []
    assert len(reader.find(TRANSFER, HistoryQuery(text="called before", limit=100))) == COUNT
    reader.close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as db:
        db.execute("INSERT INTO trails (trails) VALUES ('integrity-check')")
    for file in tmp_path.glob("history.db*"):
        assert occurrences(iter([file.read_bytes().decode("latin-1")]), EVE) == 0
    assert rename(store, keep) == 0


def test_it_goes_on_where_it_was_after_a_restart(store: HistoryStore, tmp_path: Path) -> None:
    transfers(0, FULL, store)
    assert rename(store, MASKED, most=2) == 14
    assert store.size().in_full == COUNT + 1 - 14
    store.close()
    store.open()
    assert store.size().in_full == COUNT + 1 - 14
    assert rename(store, MASKED) == COUNT + 1 - 14
    assert store.size().in_full == 0


def test_what_is_stored_in_full_meanwhile_is_found_too(store: HistoryStore, tmp_path: Path) -> None:
    transfers(0, MASKED, store)
    transfers(100, FULL, store)  # somebody has changed their mind, and changes it again
    transfers(200, HASHED, store)
    assert rename(store, HASHED) == COUNT + 1
    shown = dict.fromkeys(("+31…77", Callers(tmp_path).kept(EVE, "hashed"), None), 0)
    for each in all_of(tmp_path):
        shown[each.document["caller"]] += 1
        assert each.document["context"] == {}
    # Of a mask no hash can be made.
    assert list(shown.values()) == [COUNT, 2 * COUNT, 3]


def test_back_to_full_changes_nothing_that_is_stored(store: HistoryStore, tmp_path: Path) -> None:
    transfers(0, FULL, store)
    rename(store, MASKED, most=1)
    before = [each.document for each in all_of(tmp_path)]
    assert rename(store, FULL) == 0
    assert store.size().in_full == 0
    assert [each.document for each in all_of(tmp_path)] == before
    assert rename(store, MASKED) == COUNT + 1 - 7


def test_a_record_that_is_damaged_keeps_nothing_else_in_full(store: HistoryStore, tmp_path: Path) -> None:
    transfers(0, FULL, store)
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as db:
        db.execute(
            "UPDATE transfers SET record = x'02' WHERE at = (SELECT max(at) FROM transfers WHERE caller = ?)", (EVE,)
        )
        assert rename(store, MASKED) == COUNT + 1
        assert {caller for (caller,) in db.execute("SELECT caller FROM transfers")} == {"+31…77", None}
        assert db.execute("SELECT count(*) FROM transfers WHERE record = x'02'").fetchone() == (1,)


async def test_a_reload_has_it_done_in_the_background_and_told(tmp_path: Path) -> None:
    def numbers(reporter: Any) -> Any:
        return reporter.history.document["in_full"]

    with capture_logs() as logs:
        async with reporting(tmp_path) as reporter:
            for n in range(COUNT):
                reporter.transfer(Milestone.ENDED, replace(ended(n), caller=EVE, trail=NAMED))
            reporter.call_ended(replace(samples.call(), caller=EVE))
            await settled(reporter)
            assert numbers(reporter) == 0
            reporter.history.configure(HASHED)
            await until(lambda: any(line["event"] == "history-renamed" for line in logs))
            assert numbers(reporter) == 0
            await reporter._tidy(HASHED)
            assert occurrences(texts(tmp_path), EVE) == 0
    told_of = [line for line in logs if line["event"].startswith("history-renam")]
    assert [(line["event"], line["callers"]) for line in told_of] == [
        ("history-renaming", "hashed"), ("history-renamed", "hashed"),
    ]  # fmt: skip
    assert 0 < told_of[0]["rows"] <= told_of[1]["rows"] == COUNT + 1


async def test_so_has_a_start_with_another_setting(tmp_path: Path) -> None:
    async with reporting(tmp_path) as reporter:
        for n in range(COUNT):
            reporter.transfer(Milestone.ENDED, replace(ended(n), caller=EVE, trail=NAMED))
        await settled(reporter)
    with capture_logs() as logs:
        async with reporting(tmp_path, keep=MASKED) as reporter:
            await until(lambda: any(line["event"] == "history-renamed" for line in logs))
    assert {each.document["caller"] for each in all_of(tmp_path)} == {"+31…77"}
    # There is nothing left to be done at the next one.
    with capture_logs() as logs:
        async with reporting(tmp_path, keep=MASKED) as reporter:
            reporter.transfer(Milestone.ENDED, replace(ended(90), caller=EVE))
            await settled(reporter)
    assert [line for line in logs if line["event"].startswith("history-renam")] == []
