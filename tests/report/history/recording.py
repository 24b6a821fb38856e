# SPDX-License-Identifier: GPL-2.0-or-later
"""A reporter with a history, and what that holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.ports.history import HistoryQuery
from gateway.report.history.questions import HistoryReader
from gateway.report.history.rows import TRANSFER
from gateway.report.reporter import EventReporter
from tests.report import samples
from tests.report.reporting import Standing
from tests.report.written import written


def files(directory: Path, pattern: str = "history.db*") -> list[Path]:
    return list(directory.glob(pattern))


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
        await written(reporter)
        await reporter._journal.backlogs["history"].empty.wait()


def stored(directory: Path, what: str = TRANSFER) -> list[str]:
    """What the history holds, oldest first."""
    reader = HistoryReader(directory)
    rows = reader.find(what, HistoryQuery(limit=100_000))
    reader.close()
    return [row.document.get("call") or row.document["transfer"] for row in reversed(rows)]
