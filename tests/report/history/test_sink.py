# SPDX-License-Identifier: GPL-2.0-or-later
"""The history as a sink of the journal: nothing is lost or stored twice, and its trouble is nobody else's."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.clock import LoopClock
from gateway.core.outcome import Reason
from gateway.core.record import Milestone
from gateway.ports.history import HistoryQuery
from gateway.report.history.questions import HistoryReader
from gateway.report.history.retention import Keep
from gateway.report.history.rows import CALL, TRANSFER
from gateway.report.history.state import HistoryState
from gateway.report.history.store import HistoryStore
from gateway.report.history.tables import FILE_NAME, HistoryFile
from gateway.report.reporter import EventReporter
from gateway.report.sinks import history as sink
from gateway.report.store_file import FILE_NAME as JOURNAL
from gateway.report.store_file import StoreError
from tests.report import samples
from tests.report.history.made_up import ended
from tests.report.reporting import Standing, until


def files(directory: Path, pattern: str = "history.db*") -> list[Path]:
    return list(directory.glob(pattern))


NO_SPACE = sqlite3.OperationalError("database or disk is full")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "RETRY_S", 0.01)


@asynccontextmanager
async def reporting(directory: Path, **options: Any) -> AsyncIterator[EventReporter]:
    options = {"clock": Standing(samples.after(100)), "broker": None, **options}
    reporter = EventReporter(instance="pbx-1", state_dir=directory, version="1", **options)
    await reporter.start()
    try:
        yield reporter
    finally:
        await reporter.stop()


async def settled(reporter: EventReporter) -> None:
    """Wait until the history has all that was reported."""
    async with asyncio.timeout(10):
        await reporter._journal.flush()
        await reporter._journal.backlogs["history"].empty.wait()


def stored(directory: Path, what: str = TRANSFER) -> list[str]:
    """What the history holds, oldest first."""
    reader = HistoryReader(directory)
    rows = reader.find(what, HistoryQuery(limit=100_000))
    reader.close()
    return [row.document.get("call") or row.document["transfer"] for row in reversed(rows)]


async def test_what_ends_is_in_the_history_with_its_events(tmp_path: Path) -> None:
    async with reporting(tmp_path) as reporter:
        reporter.transfer(Milestone.REQUESTED, samples.requested())
        reporter.transfer(Milestone.ENDED, samples.completed())
        reporter.call_ended(samples.call())
        await settled(reporter)
        [row] = HistoryReader(tmp_path).find(TRANSFER, HistoryQuery())
        assert [kind for _, kind, _ in row.events] == ["transfer.requested.v1", "transfer.ended.v1"]
        assert stored(tmp_path, CALL) == [samples.call().call]
        assert {file.stat().st_mode & 0o777 for file in files(tmp_path)} == {0o600}


async def test_at_the_end_what_waits_is_taken(tmp_path: Path) -> None:
    async with reporting(tmp_path) as reporter:
        for n in range(250):
            reporter.transfer(Milestone.ENDED, ended(n))
    assert stored(tmp_path) == [f"t{n:06}" for n in range(250)]


WRITER = """
import asyncio, sys
from pathlib import Path
import structlog
from gateway.core.record import Milestone
from gateway.report.reporter import EventReporter
from tests.report import samples
from tests.report.history.made_up import ended
from tests.report.reporting import Standing

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

async def main():
    clock = Standing(samples.after(100))
    reporter = EventReporter(instance="p", state_dir=Path(sys.argv[1]), version="1", broker=None, clock=clock)
    await reporter.start()
    n = 0
    while True:
        reporter.transfer(Milestone.REQUESTED, ended(n))
        reporter.transfer(Milestone.ENDED, ended(n))
        n += 1
        if n % 7 == 0:
            await reporter._journal.flush()
            print(n, flush=True)

asyncio.run(main())
"""


def write_until_killed(directory: Path, wanted: int) -> int:
    """Report transfers in a process of its own and kill it; how many it knew to be in the journal."""
    command = [sys.executable, "-c", WRITER, str(directory)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True
    ) as writer:
        assert writer.stdout is not None
        told = 0
        while told < wanted:
            told = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        return told


@pytest.mark.thorough
async def test_kill_9_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    # The second and the third begin anew, with transfers that are there already, and are killed further on.
    told = max(write_until_killed(tmp_path, wanted) for wanted in (140, 280, 420))
    async with reporting(tmp_path) as reporter:
        await settled(reporter)
    transfers = stored(tmp_path)
    assert transfers == [f"t{n:06}" for n in range(len(transfers))]
    assert len(transfers) >= told
    for row in HistoryReader(tmp_path).find(TRANSFER, HistoryQuery(limit=100_000)):
        assert len({event for event, _, _ in row.events}) == len(row.events) >= 2


async def test_a_history_that_is_new_begins_with_what_the_journal_remembers(tmp_path: Path) -> None:
    async with reporting(tmp_path) as reporter:
        reporter.transfer(Milestone.REQUESTED, samples.requested("runs"))
        for n in range(3):
            reporter.transfer(Milestone.ENDED, ended(n))
    for file in files(tmp_path):
        file.unlink()
    async with reporting(tmp_path) as reporter:
        await settled(reporter)
        assert sorted(stored(tmp_path)) == ["runs", "t000000", "t000001", "t000002"]


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


async def test_what_is_too_old_goes_at_the_start_and_when_less_is_to_be_kept(tmp_path: Path) -> None:
    clock = LoopClock()  # by which the samples are months old
    async with reporting(tmp_path, clock=clock, keep=Keep(days=36_500, failures_days=36_500)) as reporter:
        reporter.transfer(Milestone.ENDED, ended(1))
        reporter.transfer(Milestone.ENDED, ended(2, Reason.BUSY))
        await settled(reporter)
        reporter.history.configure(Keep(days=1, failures_days=36_500))
        await until(lambda: stored(tmp_path) == ["t000002"])
    async with reporting(tmp_path, clock=clock, keep=Keep(days=1, failures_days=1)) as reporter:
        await until(lambda: stored(tmp_path) == [])
        gone = {"transfers": 0, "deleted": {"age": 2, "size": 0}}
        await until(lambda: gone.items() <= reporter.history.document.items())


async def test_another_gateways_history_is_not_touched(tmp_path: Path) -> None:
    other = HistoryFile(tmp_path)
    other.open()
    async with reporting(tmp_path) as reporter:
        reporter.transfer(Milestone.ENDED, ended(1))
        await until(lambda: "held by another process" in reporter.history.state.why)
        other.close()
        await settled(reporter)
    assert stored(tmp_path) == ["t000001"]


def test_a_store_that_is_closed_says_so(tmp_path: Path) -> None:
    with pytest.raises((sqlite3.Error, StoreError)):
        HistoryStore(tmp_path).size()
