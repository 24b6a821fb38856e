# SPDX-License-Identifier: GPL-2.0-or-later
"""The journal goes on, whatever a disk, a file or one event does to it: what comes afterwards is stored and sent."""

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from structlog.testing import capture_logs

from gateway.clock import LoopClock
from gateway.core.outcome import Outcome
from gateway.core.record import Milestone
from gateway.report import cursors
from gateway.report.reporter import EventReporter
from gateway.report.store import Store
from gateway.report.store_file import FILE_NAME, StoreFile
from tests.report import samples
from tests.report.journals import Outbox, ended, event, ids, opened, running

pytestmark = [pytest.mark.keeps("16.162"), pytest.mark.slow]
T = TypeVar("T")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for pause in ("LOOK_S", "RETRY_S"):
        monkeypatch.setattr(f"gateway.report.journal.{pause}", 0.01)


async def soon(awaited: Awaitable[T]) -> T:
    async with asyncio.timeout(5):
        return await awaited


async def waiting(outbox: Outbox) -> list[str]:
    return ids(await soon(outbox.fetch(0, 10_000)))


async def filled(outbox: Outbox, directory: Path, count: int) -> None:
    """Events up to `count`, all of them in the file itself."""
    for n in range(count):
        outbox.put(event(n, running("a")))
    await outbox.flush()
    with sqlite3.connect(directory / FILE_NAME) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()


def damage(directory: Path, first: int, last: int | None = None) -> None:
    """Overwrite pages of the file."""
    content = bytearray((directory / FILE_NAME).read_bytes())
    end = len(content) if last is None else last
    content[first:end] = b"\xff" * (end - first)
    (directory / FILE_NAME).write_bytes(content)


def failing_at_first(times: int, work: Callable[..., T], error: Exception) -> Callable[..., T]:
    calls = iter(range(times))

    def attempt(*given: Any) -> T:
        for _ in calls:
            raise error
        return work(*given)

    return attempt


NO_SPACE = sqlite3.OperationalError("database or disk is full")


@pytest.mark.parametrize(
    ("where", "what", "error"),
    [
        (StoreFile, "_put_aside", OSError(30, "Read-only file system")),
        (StoreFile, "_connect_to_it", NO_SPACE),
        (cursors, "register", NO_SPACE),
    ],
    ids=["aside", "connect", "register"],
)
@pytest.mark.parametrize("way", ["broken", "deleted"])
async def test_what_fails_while_a_file_is_replaced_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, what: str, error: Exception, way: str
) -> None:
    async with opened(tmp_path) as (outbox, _):
        await filled(outbox, tmp_path, 50)
        monkeypatch.setattr(where, what, failing_at_first(3, getattr(where, what), error))
        if way == "broken":
            damage(tmp_path, 4096)
        else:
            (tmp_path / FILE_NAME).unlink()
        outbox.put(event(99, ended("a")))
        await soon(outbox.flush())
        kept = [] if way == "broken" else [f"event-{n}" for n in range(50)]
        assert await waiting(outbox) == [*kept, "event-99"]
        assert outbox.mqtt.state.writable


async def test_what_cannot_be_read_keeps_nothing_that_comes_later(tmp_path: Path) -> None:
    async with opened(tmp_path) as (outbox, _):
        await filled(outbox, tmp_path, 3000)
        content = (tmp_path / FILE_NAME).read_bytes()
        page = content.find(b'event-7t{"n": 7,') // 4096 * 4096
        damage(tmp_path, page, page + 4096)
        [last] = (await soon(outbox.fetch(2998, 10)))[-1:]
        await waiting(outbox)
        outbox.put(event(9999))
        [new] = await soon(outbox.fetch(0, 10))
        assert new.event_id == "event-9999"
        # By its number it is told from those that were in flight.
        assert new.seq > last.seq


async def test_a_log_file_that_is_deleted_takes_no_event_along(tmp_path: Path) -> None:
    async with opened(tmp_path) as (outbox, _):
        outbox.put(event(0))
        await outbox.flush()
        (tmp_path / f"{FILE_NAME}-wal").unlink()
        outbox.put(event(1))
        await soon(outbox.flush())
        # What a process leaves that is killed now.
        left = tmp_path / "left"
        left.mkdir()
        for part in ("", "-wal"):
            shutil.copy(tmp_path / f"{FILE_NAME}{part}", left)
        async with opened(left) as (after, _):
            assert await waiting(after) == ["event-0", "event-1"]


@pytest.mark.parametrize(
    "odd", [{"payload": "\ud800"}, {"stored_at": None}, {"event_id": object()}], ids=["text", "time", "id"]
)
async def test_an_event_that_cannot_be_stored_is_lost_alone(tmp_path: Path, odd: dict[str, Any]) -> None:
    async with opened(tmp_path) as (outbox, _):
        with capture_logs() as logs:
            for n in range(5):
                outbox.put(event(n))
            outbox.put(replace(event(100), **odd))
            for n in range(5, 10):
                outbox.put(event(n))
            await soon(outbox.flush())
        assert [line["event"] for line in logs] == ["event-lost"]
        assert await waiting(outbox) == [f"event-{n}" for n in range(10)]


async def test_a_full_disk_keeps_no_gateway_from_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.report.reporter.ANSWER_S", 0.05)

    def reporter() -> EventReporter:
        return EventReporter(instance="pbx-1", state_dir=tmp_path, version="1", broker=None, clock=LoopClock())

    before = reporter()
    await before.start()
    before.transfer(Milestone.REQUESTED, samples.requested())
    await before.stop()
    full = reporter()
    with monkeypatch.context() as patched:
        patched.setattr(Store, "apply", failing_at_first(1000, Store.apply, NO_SPACE))
        [interrupted] = await soon(full.start())
        assert not full.outbox.writable
        assert not await soon(full.written())  # no restart that keeps calls, then
    assert interrupted.outcome is Outcome.INTERRUPTED
    await full.stop()
    again = reporter()
    assert await again.start() == []
    [told] = await again.transfers()
    assert told.outcome is Outcome.INTERRUPTED
    await again.stop()
