# SPDX-License-Identifier: GPL-2.0-or-later
"""The journal's file may be damaged, deleted, replaced or another gateway's: what it held is sent, or kept aside."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.report.backlog import BacklogState
from gateway.report.store_file import FILE_NAME, StoreError
from tests.report.journals import Outbox, ended, event, ids, opened, running, transfers


def content(path: str) -> bytes:
    return Path(path).read_bytes()


def modes(directory: Path) -> set[int]:
    return {file.stat().st_mode & 0o777 for file in directory.glob("outbox.db*")}


@pytest.mark.parametrize("rubbish", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_broken_file_is_moved_aside_and_the_start_goes_on(tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(rubbish)
    with capture_logs() as logs:
        async with opened(tmp_path) as (outbox, remembered):
            assert remembered == []
            outbox.put(event(1))
            assert ids(await outbox.fetch(0, 10)) == ["event-1"]
    assert [line["log_level"] for line in logs] == ["error"]
    assert content(logs[0]["moved_to"]) == rubbish


async def test_a_file_that_breaks_while_it_is_used_is_moved_aside_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as (outbox, _):
        for n in range(50):
            outbox.put(event(n, running("a")))
        await outbox.flush()
        with sqlite3.connect(tmp_path / FILE_NAME) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        other.close()
        file = tmp_path / FILE_NAME
        file.write_bytes(file.read_bytes()[:4096] + b"\xff" * (file.stat().st_size - 4096))
        with capture_logs() as logs:
            outbox.put(event(99, ended("a")))
            assert ids(await outbox.fetch(0, 10)) == ["event-99"]
        assert logs[0]["event"] == "outbox-moved-aside"


def take_away(directory: Path) -> None:
    for file in directory.glob("outbox*"):
        file.unlink()
    directory.rmdir()


@pytest.mark.keeps("16.94")
@pytest.mark.parametrize("parts", [["outbox.db"], ["outbox.db", "outbox.db-wal", "outbox.db-shm"]], ids=len)
async def test_a_file_that_is_deleted_while_it_is_used_is_written_anew(tmp_path: Path, parts: list[str]) -> None:
    async with opened(tmp_path) as (outbox, _):
        outbox.put(event(0, running("a")))
        await outbox.flush()
        for part in parts:
            (tmp_path / part).unlink()
        with capture_logs() as logs:
            outbox.put(event(1, ended("b")))
            await outbox.flush()
        assert [line["event"] for line in logs] == ["outbox-file-gone", "outbox-file-restored"]
        outbox.put(event(2))
        assert ids(await outbox.fetch(0, 10)) == ["event-0", "event-1", "event-2"]
        assert modes(tmp_path) == {0o600}
    async with opened(tmp_path) as (outbox, remembered):
        assert ids(await outbox.fetch(0, 10)) == ["event-0", "event-1", "event-2"]
        assert transfers(remembered) == ["a"]


@pytest.mark.keeps("16.94")
async def test_a_file_that_is_gone_is_noticed_though_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.report.journal.LOOK_S", 0.01)
    monkeypatch.setattr("gateway.report.journal.RETRY_S", 0.01)
    states: asyncio.Queue[BacklogState] = asyncio.Queue()
    directory = tmp_path / "state"
    async with opened(directory, on_state=states.put_nowait) as (outbox, _):
        outbox.put(event(0))
        await outbox.flush()
        take_away(directory)
        # In its place is what can be no directory.
        directory.write_text("")
        async with asyncio.timeout(5):
            while (await states.get()).writable:
                pass
        outbox.put(event(1))
        async with asyncio.timeout(5):
            while (await states.get()).unwritten != 1:
                pass
        directory.unlink()
        await outbox.flush()
        assert outbox.mqtt.state == BacklogState(events=2, oldest_at=1000.0)
    async with opened(directory) as (outbox, _):
        assert ids(await outbox.fetch(0, 10)) == ["event-0", "event-1"]


def put_aside(directory: Path) -> list[bytes]:
    return [file.read_bytes() for file in directory.glob("outbox.db.replaced-*Z")]


async def test_a_file_that_is_put_in_its_place_is_kept_aside(tmp_path: Path) -> None:
    async with opened(tmp_path) as (outbox, _):
        outbox.put(event(0))
        await outbox.flush()
        (tmp_path / "other").write_text("another one")
        (tmp_path / "other").replace(tmp_path / FILE_NAME)
        outbox.put(event(1))
        assert ids(await outbox.fetch(0, 10)) == ["event-0", "event-1"]
        assert put_aside(tmp_path) == [b"another one"]


async def test_two_gateways_cannot_share_a_directory(tmp_path: Path) -> None:
    async with opened(tmp_path):
        with pytest.raises(StoreError, match="state_dir of its own"):
            async with opened(tmp_path):
                pytest.fail("the second one was let in")
    async with opened(tmp_path):
        pass


async def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        await Outbox(tmp_path / "file").open()


async def test_only_the_gateway_may_read_the_numbers_in_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as (outbox, _):
        outbox.put(event(0))
        await outbox.flush()
        assert modes(tmp_path) == {0o600}
