# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong with the history's file, or with an event, is the history's trouble alone."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.core.record import Milestone
from gateway.report.history.retention import Keep
from gateway.report.history.state import HistoryState
from gateway.report.history.store import HistoryStore
from gateway.report.history.tables import FILE_NAME
from gateway.report.sinks import history as sink
from gateway.report.store_file import FILE_NAME as JOURNAL
from tests.report.history.made_up import ended
from tests.report.history.recording import files, reporting, settled, stored
from tests.report.reporting import until

pytestmark = pytest.mark.slow

NO_SPACE = sqlite3.OperationalError("database or disk is full")


def full(*_: object) -> None:
    raise NO_SPACE


async def test_a_full_disk_keeps_only_the_history_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[HistoryState] = []
    async with reporting(tmp_path, on_history=states.append) as reporter:
        await settled(reporter)
        with capture_logs() as logs:
            with monkeypatch.context() as disk:
                disk.setattr(HistoryStore, "_apply", full)
                reporter.transfer(Milestone.ENDED, ended(1))
                await until(lambda: not reporter.history.state.writable)
                assert reporter.outbox.writable
                assert [one.transfer for one in await reporter.transfers()] == ["t000001"]
            await settled(reporter)
            await until(lambda: reporter.history.state.writable)
        assert [line["event"] for line in logs if line["event"].startswith("history")] == [
            "history-unwritable",
            "history-writable",
        ]
        assert stored(tmp_path) == ["t000001"]
    assert {state.writable for state in states} == {True, False}


def rubbish(directory: Path) -> None:
    (directory / FILE_NAME).write_bytes(b"this is no database" * 1000)


def torn(directory: Path) -> None:
    with closing(sqlite3.connect(directory / FILE_NAME)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = (directory / FILE_NAME).read_bytes()
    (directory / FILE_NAME).write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))


@pytest.mark.parametrize("damage", [rubbish, torn])
async def test_a_damaged_file_is_put_aside_and_a_new_one_begun(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    async with reporting(tmp_path) as reporter:
        reporter.transfer(Milestone.ENDED, ended(1))
        await settled(reporter)
    damage(tmp_path)
    with capture_logs() as logs:
        async with reporting(tmp_path) as reporter:
            reporter.transfer(Milestone.ENDED, ended(2))
            await settled(reporter)
            await until(lambda: set(stored(tmp_path)) >= {"t000002"})
    assert "history-moved-aside" in [line["event"] for line in logs]
    assert files(tmp_path, "history.db.broken-*")
    assert not files(tmp_path, f"{JOURNAL}.*")


async def test_a_file_that_is_deleted_while_it_is_used_is_written_anew(tmp_path: Path) -> None:
    async with reporting(tmp_path) as reporter:
        reporter.transfer(Milestone.ENDED, ended(1))
        await settled(reporter)
        for file in files(tmp_path):
            file.unlink()
        with capture_logs() as logs:
            reporter.transfer(Milestone.ENDED, ended(2))
            await settled(reporter)
        assert "history-file-gone" in [line["event"] for line in logs]
        assert stored(tmp_path) == ["t000001", "t000002"]


async def test_a_file_of_a_newer_gateway_is_left_as_it_is_and_calls_go_on(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        db.execute("PRAGMA user_version = 99")
    before = (tmp_path / FILE_NAME).read_bytes()
    with capture_logs() as logs:
        async with reporting(tmp_path) as reporter:
            reporter.transfer(Milestone.ENDED, ended(1))
            await until(lambda: "newer gateway" in reporter.history.state.why)
            assert [one.transfer for one in await reporter.transfers()] == ["t000001"]
    assert (tmp_path / FILE_NAME).read_bytes() == before
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["history-unwritable"]
    (tmp_path / FILE_NAME).unlink()
    async with reporting(tmp_path) as reporter:
        await settled(reporter)
        assert stored(tmp_path) == ["t000001"]


async def test_a_directory_where_the_file_should_be_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    async with reporting(tmp_path) as reporter:
        reporter.transfer(Milestone.ENDED, ended(1))
        await until(lambda: not reporter.history.state.writable)
        shutil.rmtree(tmp_path / FILE_NAME)
        await settled(reporter)
        assert stored(tmp_path) == ["t000001"]


async def test_a_disk_that_hangs_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "HANGS_S", 0.01)
    loop = asyncio.get_running_loop()
    released: asyncio.Future[None] = loop.create_future()
    real = HistoryStore._apply

    async def wait() -> None:
        await released

    def hanging(self: HistoryStore, *arguments: Any) -> Any:
        asyncio.run_coroutine_threadsafe(wait(), loop).result()
        return real(self, *arguments)

    async with reporting(tmp_path) as reporter:
        await settled(reporter)
        monkeypatch.setattr(HistoryStore, "_apply", hanging)
        reporter.transfer(Milestone.ENDED, ended(1))
        await until(lambda: reporter.history.state.why == "the disk hangs")
        assert [one.transfer for one in await reporter.transfers()] == ["t000001"]
        released.set_result(None)
        await settled(reporter)
        await until(lambda: reporter.history.state.writable)
        assert stored(tmp_path) == ["t000001"]


async def test_an_event_that_cannot_be_read_is_set_aside_and_tried_again_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = HistoryStore._take

    def choosy(self: HistoryStore, db: Any, event_id: str, event: Any, keep: Keep) -> None:
        if event["subject"] == "t000001":
            raise KeyError("outcome")
        real(self, db, event_id, event, keep)

    async with reporting(tmp_path) as reporter:
        with capture_logs() as logs, monkeypatch.context() as reading:
            reading.setattr(HistoryStore, "_take", choosy)
            for n in range(3):
                reporter.transfer(Milestone.ENDED, ended(n))
            await settled(reporter)
        assert [line["event"] for line in logs if line["log_level"] == "error"] == ["history-event-unreadable"]
        assert stored(tmp_path) == ["t000000", "t000002"]
        assert reporter._journal.backlogs["history"].state.refused == 1
        assert reporter.outbox.refused == 0
        await reporter.resend_refused()
        await until(lambda: reporter._journal.backlogs["history"].state.refused == 0)
        await settled(reporter)
        assert stored(tmp_path) == ["t000000", "t000001", "t000002"]


async def test_a_fault_of_ours_ends_neither_the_history_nor_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a fault")

    async with reporting(tmp_path) as reporter:
        await settled(reporter)
        with capture_logs() as logs, monkeypatch.context() as fault:
            fault.setattr(HistoryStore, "_apply", broken)
            reporter.transfer(Milestone.ENDED, ended(1))
            await until(lambda: not reporter.history.state.writable)
        assert "history-failed" in [line["event"] for line in logs]
        await settled(reporter)
        assert stored(tmp_path) == ["t000001"]
