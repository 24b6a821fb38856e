# SPDX-License-Identifier: GPL-2.0-or-later
"""Each transfer that ends has a line in the chain, which outlives its row and names no caller."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.core.record import Milestone
from gateway.report.history import chain, tables
from gateway.report.history.chain import GENESIS, Head, Link, head, linked, links
from gateway.report.history.retention import Keep
from gateway.report.history.store import HistoryStore
from gateway.report.history.tables import FILE_NAME
from gateway.report.migrations import migrate
from gateway.report.reporter import EventReporter
from tests.report import samples
from tests.report.history.made_up import call_over, ended, mixed, told, whole
from tests.report.reporting import Standing

pytestmark = pytest.mark.slow


def read(directory: Path) -> list[Link]:
    with closing(sqlite3.connect(directory / FILE_NAME)) as db:
        return list(links(db, 0, 1 << 60))


def test_a_line_holds_what_became_of_the_transfer_and_nobody_s_number(store: HistoryStore, tmp_path: Path) -> None:
    store.apply([*whole(samples.completed()), call_over(samples.call())], Keep())
    [link] = read(tmp_path)
    assert link.text == (
        '{"v":1,"n":1,"transfer":"01J8ZQ7T9K3M5N7P9R1S3T5V7X","number":"main-line","trunk":"hms","pbx":"asterisk",'
        '"entry":"refer","destination":"sales","outcome":"completed","reason":"answered",'
        '"requested_at":"2026-03-02T09:30:00.123Z","decided_at":"2026-03-02T09:30:00.124Z",'
        '"ringing_at":"2026-03-02T09:30:00.323Z","answered_at":"2026-03-02T09:30:04.323Z",'
        '"human_at":"2026-03-02T09:30:06.123Z","ended_at":"2026-03-02T09:30:04.423Z",'
        '"returned_to_transferor":false}'
    )
    assert json.loads(link.text).keys() == chain.KEYS
    assert link.hash == linked(GENESIS, link.text)


def test_each_line_is_linked_to_the_one_before_it(store: HistoryStore, tmp_path: Path) -> None:
    records = mixed(60)
    for begun in range(0, 60, 20):
        store.apply([told(Milestone.ENDED, each) for each in records[begun : begun + 20]], Keep())
    found = read(tmp_path)
    assert [json.loads(link.text)["transfer"] for link in found] == [each.transfer for each in records]
    assert [link.n for link in found] == list(range(1, 61))
    before = GENESIS
    for link in found:
        assert link.hash == linked(before, link.text)
        before = link.hash
    assert store.size().head == Head(60, before)


def test_what_comes_again_has_one_line(store: HistoryStore, tmp_path: Path) -> None:
    for _ in range(3):
        store.apply(whole(ended(1)), Keep())
    assert [link.n for link in read(tmp_path)] == [1]


@pytest.mark.parametrize("callers", ["full", "masked", "hashed"])
def test_lines_are_the_same_however_callers_are_kept(tmp_path: Path, callers: str) -> None:
    made = HistoryStore(tmp_path)
    made.open()
    made.apply([told(Milestone.ENDED, ended(n)) for n in range(3)], Keep(callers=callers))  # type: ignore[arg-type]
    made.close()
    found = read(tmp_path)
    assert [json.loads(link.text)["transfer"] for link in found] == ["t000000", "t000001", "t000002"]
    assert not any(number in link.text for link in found for number in ("31201112222", "hmac:", "…"))


def test_lines_outlive_the_rows_they_tell_of(store: HistoryStore, tmp_path: Path) -> None:
    store.apply([told(Milestone.ENDED, ended(n)) for n in range(30)], Keep())
    before = read(tmp_path)
    while store.expire(Keep(days=1, failures_days=1), samples.START + timedelta(days=40)):
        pass
    assert store.size().transfers == 0
    assert read(tmp_path) == before


def test_only_the_oldest_lines_go_and_the_newest_stays(
    store: HistoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "_AT_ONCE", 7)
    later = samples.START + timedelta(days=chain.KEPT_DAYS)
    # An old one that came late keeps its place: behind one that stays, it stays too.
    times = [samples.after(n) for n in range(20)] + [later, samples.after(30)]
    store.apply([told(Milestone.ENDED, ended(n, at=at)) for n, at in enumerate(times)], Keep())
    while store.expire(Keep(), later + timedelta(days=1)):
        pass
    assert [link.n for link in read(tmp_path)] == [21, 22]
    while store.expire(Keep(), later + timedelta(days=chain.KEPT_DAYS + 1)):
        pass
    assert [link.n for link in read(tmp_path)] == [22]
    store.apply([told(Milestone.ENDED, ended(99))], Keep())
    last, newest = read(tmp_path)
    assert newest.n == 23
    assert newest.hash == linked(last.hash, newest.text)


def test_the_chain_takes_no_more_than_its_share_of_the_file(store: HistoryStore, tmp_path: Path) -> None:
    store.apply([told(Milestone.ENDED, ended(n)) for n in range(50)], Keep())
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as db:
        bound = 20 * chain.LINE_BYTES * chain.SHARE
        assert chain.expire(db, bound, samples.START) == 30
        assert chain.expire(db, bound, samples.START) == 0
    assert [link.n for link in read(tmp_path)] == list(range(31, 51))


def test_a_file_from_before_the_chain_gets_one_for_what_comes(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as db:
        migrate(db, tables.STEPS[:1])
        db.execute("INSERT INTO deleted VALUES ('age', 'transfer', 4), ('age', 'call', 9)")
        db.execute("INSERT INTO kinds VALUES (1, 'transfer', '', '', '', '', '', '', '', 0)")
        db.execute("INSERT INTO transfers VALUES (1, 'old', 1, NULL, 1, 1, 1, 1, 1, 0, '')")
    made = HistoryStore(tmp_path)
    made.open()
    made.apply([told(Milestone.ENDED, ended(1))], Keep())
    made.close()
    assert [link.n for link in read(tmp_path)] == [1]
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        assert db.execute("SELECT transfers FROM chain_begun").fetchall() == [(5,)]


async def test_the_log_and_the_status_tell_the_head(tmp_path: Path) -> None:
    clock = Standing(samples.after(100))
    with capture_logs() as logs:
        reporter = EventReporter(instance="pbx-1", state_dir=tmp_path, version="1", broker=None, clock=clock)
        await reporter.start()
        for n in range(3):
            reporter.transfer(Milestone.ENDED, ended(n))
        await reporter.stop()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        newest = head(db)
    assert newest.n == 3
    told_of = [Head(line["n"], line["hash"]) for line in logs if line["event"] == "chain-head"]
    assert told_of[-1] == newest
    assert reporter.history.document["chain"] == {"n": 3, "hash": newest.hash}
