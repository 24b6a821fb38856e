# SPDX-License-Identifier: GPL-2.0-or-later
"""A journal whose rows have mistakes, as a disk may give them back: what can be read is told, and nothing stops."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from gateway.core.model import Entry
from gateway.core.record import Milestone
from gateway.ports.history import HistoryQuery
from gateway.report.history.rows import CALL, PLATFORM_CALL, TRANSFER
from gateway.report.reporter import EventReporter
from gateway.report.store_file import FILE_NAME
from tests.fuzz.damage import garbled
from tests.fuzz.mutator import Mutator
from tests.report import samples
from tests.report.reporting import Standing, until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.keeps("22.70")

CALLER = "+31201112222"
RUNNING = [f"01A{number}" for number in range(4)]
OVER = ["01C", "01D"]
JOURNALS = 60
TOLD = {"transfer-event-unfit", "platform-event-unfit"}
"""What a record cannot be is told all the same, and said to be unfit with what is wrong about it."""


def reporter_on(directory: Path) -> EventReporter:
    reporter = EventReporter(
        instance="pbx-1", state_dir=directory, version="1", broker=None, clock=Standing(samples.after(100))
    )
    reporter.platform.configure(active=True, own=())
    return reporter


async def left_by_an_earlier_one(directory: Path) -> Path:
    """Transfers under way and over, one that was promised, a call and a platform's call."""
    reporter = reporter_on(directory)
    await reporter.start()
    for transfer in RUNNING:
        reporter.transfer(Milestone.REQUESTED, samples.requested(transfer))
    promised = replace(samples.requested("01B"), entry=Entry.CALLBACK, expires_at=samples.after(1000))
    reporter.transfer(Milestone.REQUESTED, promised)
    reporter.transfer(Milestone.ENDED, samples.completed("01C"))
    reporter.transfer(Milestone.ENDED, samples.refused("01D"))
    reporter.call_ended(samples.call())
    reporter._platform_call(samples.platform_call())
    assert await reporter.written()
    await reporter.stop(0)
    return directory / FILE_NAME


def change(file: Path, mutator: Mutator) -> set[str]:
    """Garble some rows; the transfers whose rows are as they were."""
    whole = set()
    with closing(sqlite3.connect(file)) as db, db:
        chosen = "SELECT seq, payload, transfer FROM journal LEFT JOIN transfers USING (seq)"
        for seq, payload, transfer in db.execute(chosen).fetchall():
            if mutator.may(0.5):
                db.execute("UPDATE journal SET payload = ? WHERE seq = ?", (garbled(payload, mutator), seq))
            elif transfer is not None:
                whole.add(transfer)
    return whole


async def known(reporter: EventReporter) -> dict[str, str | None]:
    """The outcome of each transfer that the API lists."""
    page = await reporter.page(TRANSFER, HistoryQuery(limit=100), ())
    return {document["transfer"]: document["outcome"] for document in page.documents}


async def play(directory: Path, whole: set[str]) -> None:
    """A start on these rows, its answers, and a caller who is to be forgotten."""
    reporter = reporter_on(directory)
    ended = [record.transfer for record in await reporter.start()]
    try:
        assert len(set(ended)) == len(ended)
        assert set(ended) >= whole.intersection(RUNNING)
        await until(lambda: reporter.history.state.size is not None)
        outcomes = await known(reporter)
        assert {which: outcomes[which] for which in whole.intersection(RUNNING)} == dict.fromkeys(
            whole.intersection(RUNNING), "interrupted"
        )
        assert outcomes.keys() >= whole.intersection(OVER)
        await reporter.transfers()
        for what in (CALL, PLATFORM_CALL):
            await reporter.page(what, HistoryQuery(limit=100), ())
        await reporter.forget(CALLER)
    finally:
        await reporter.stop()
    with closing(sqlite3.connect(directory / FILE_NAME)) as db:
        named = db.execute("SELECT count(*) FROM journal WHERE instr(payload, ?)", (CALLER[1:],)).fetchone()
    assert named == (0,)


@pytest.mark.slow
async def test_whatever_rows_say_what_can_be_read_is_told(tmp_path: Path) -> None:
    left = await left_by_an_earlier_one(tmp_path / "before")
    for seed in range(JOURNALS):
        directory = tmp_path / str(seed)
        directory.mkdir()
        shutil.copy(left, directory)
        whole = change(directory / FILE_NAME, Mutator(seed))
        logs: list[Any]
        with capture_logs() as logs:
            try:
                async with asyncio.timeout(20):
                    await play(directory, whole)
            except BaseException as failure:
                failure.add_note(f"seed {seed}, {directory}, {logs}")
                raise
        assert not [line for line in logs if line.get("exc_info") and line["event"] not in TOLD], seed
        shutil.rmtree(directory)
