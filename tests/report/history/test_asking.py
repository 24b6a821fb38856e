# SPDX-License-Identifier: GPL-2.0-or-later
"""What is under way, what has just ended and what has been over for long are one list."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway.core.json_form import call_document
from gateway.core.outcome import Reason
from gateway.core.record import Milestone
from gateway.ports import HistoryQuery
from gateway.report.history import asking
from gateway.report.history.questions import HistoryReader
from gateway.report.history.store import HistoryStore
from gateway.report.reporter import EventReporter
from gateway.report.store_file import StoreError
from tests.report import samples
from tests.report.history.made_up import ended, over
from tests.report.history.recording import reporting, settled
from tests.report.reporting import until

KEY = {"transfer": "transfer", "call": "call"}


async def page(reporter: EventReporter, what: str = "transfer", **query: Any) -> tuple[list[str], int | None]:
    calls = [call_document(over(n, ended_at=None)) for n in (90, 91)]
    found = await reporter.page(what, HistoryQuery(**query), calls)
    return [document[what] for document in found.documents], found.next


async def pages(reporter: EventReporter, what: str = "transfer", **query: Any) -> list[str]:
    seen, before = await page(reporter, what, **query)
    while before is not None:
        more, before = await page(reporter, what, before=before, **query)
        seen += more
    return seen


@pytest.mark.thorough
async def test_pages_hold_each_once_whatever_is_stored_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with reporting(tmp_path) as reporter:
        for n in range(0, 20, 2):
            reporter.transfer(Milestone.ENDED, ended(n))
        await settled(reporter)
        with monkeypatch.context() as disk:
            disk.setattr(HistoryStore, "_apply", lambda *_: (_ for _ in ()).throw(sqlite3.OperationalError("full")))
            for n in range(1, 20, 4):
                reporter.transfer(Milestone.ENDED, ended(n, Reason.BUSY))
            for n in range(3, 20, 4):
                reporter.transfer(Milestone.REQUESTED, ended(n, outcome=None))
            await until(lambda: not reporter.history.state.writable)
            everything = [f"t{n:06}" for n in reversed(range(20))]
            assert await pages(reporter, limit=3) == everything
            assert await pages(reporter, limit=20) == everything
            assert await pages(reporter, limit=7, reason="busy") == [f"t{n:06}" for n in (17, 13, 9, 5, 1)]
            asked: dict[str, Any] = {"since": samples.after(4), "until": samples.after(8)}
            assert await pages(reporter, limit=2, **asked) == [f"t{n:06}" for n in (7, 6, 5, 4)]
            assert len(await pages(reporter, text="agents FREE")) == 20
            assert await pages(reporter, text="nobody") == []
            assert await pages(reporter, caller="+31209999999") == []
        await settled(reporter)
        assert await pages(reporter, limit=3) == everything


async def test_calls_under_way_stand_among_those_that_are_over(tmp_path: Path) -> None:
    async with reporting(tmp_path) as reporter:
        for n in (1, 2):
            reporter.call_ended(over(n))
        await settled(reporter)
        assert await pages(reporter, "call", limit=1) == ["c000091", "c000090", "c000002", "c000001"]
        assert await pages(reporter, "call", until=samples.after(2)) == ["c000001"]


async def test_where_nothing_was_stored_yet_there_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "history.db").mkdir()
    async with reporting(tmp_path) as reporter:
        (tmp_path / "history.db").rmdir()
        assert await page(reporter, until=samples.START) == ([], None)
        assert await reporter.past_transfer("nobody") is None
        assert await page(reporter, limit=0) == ([], None)


async def test_a_disk_that_hangs_is_told_to_all_who_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ANSWER_S", 0.05)
    loop = asyncio.get_running_loop()
    released: asyncio.Future[None] = loop.create_future()

    async def wait() -> None:
        await released

    def hanging(*_: object, **__: object) -> Any:
        asyncio.run_coroutine_threadsafe(wait(), loop).result()
        return []

    async with reporting(tmp_path) as reporter:
        await settled(reporter)
        with monkeypatch.context() as disk:
            disk.setattr(HistoryReader, "find", hanging)
            told = await asyncio.gather(*(page(reporter) for _ in range(30)), return_exceptions=True)
            assert {str(error) for error in told if isinstance(error, StoreError)} == {
                "the disk hangs",
                "the disk hangs: 16 wait for it",
            }
            assert all(isinstance(error, StoreError) for error in told)
            released.set_result(None)
        await until(lambda: reporter._asking._worker._asked == 0)
        assert await page(reporter) == ([], None)


async def test_a_transfer_is_found_with_the_events_that_told_of_it(tmp_path: Path) -> None:
    async with reporting(tmp_path) as reporter:
        reporter.transfer(Milestone.REQUESTED, samples.requested())
        reporter.transfer(Milestone.ENDED, samples.completed())
        await settled(reporter)
        found = await reporter.past_transfer(samples.ID)
        assert found is not None
        assert [event["type"] for event in found["events"]] == ["transfer.requested.v1", "transfer.ended.v1"]
