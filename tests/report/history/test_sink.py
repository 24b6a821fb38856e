# SPDX-License-Identifier: GPL-2.0-or-later
"""The history as a sink of the journal: nothing is lost or stored twice, and its trouble is nobody else's."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from gateway.clock import LoopClock
from gateway.core.outcome import Reason
from gateway.core.record import Milestone
from gateway.ports.history import HistoryQuery
from gateway.report.history.questions import HistoryReader
from gateway.report.history.retention import Keep
from gateway.report.history.rows import CALL, TRANSFER
from gateway.report.history.store import HistoryStore
from gateway.report.history.tables import HistoryFile
from gateway.report.store_file import StoreError
from tests.report import samples
from tests.report.history.made_up import ended
from tests.report.history.recording import files, reporting, settled, stored
from tests.report.reporting import until

pytestmark = pytest.mark.slow


async def test_what_ends_is_in_the_history_with_its_events(tmp_path: Path) -> None:
    async with reporting(tmp_path) as reporter:
        reporter.transfer(Milestone.REQUESTED, samples.requested())
        reporter.transfer(Milestone.ENDED, samples.completed())
        reporter.call_ended(samples.call())
        await settled(reporter)
        with closing(HistoryReader(tmp_path)) as reader:
            [row] = reader.find(TRANSFER, HistoryQuery())
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
from tests.report.written import written

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
            await written(reporter)
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
    with closing(HistoryReader(tmp_path)) as reader:
        rows = reader.find(TRANSFER, HistoryQuery(limit=100_000))
    for row in rows:
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
