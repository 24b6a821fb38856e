# SPDX-License-Identifier: GPL-2.0-or-later
"""The journal loses nothing: not by kill -9, a full disk or a slow one."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.report import store
from gateway.report.backlog import BacklogState
from gateway.report.journal import Journal
from tests.report.journals import ended, event, ids, opened, running, transfers


async def over(journal: Journal) -> list[str]:
    return transfers([one for one in await journal.history() if one.change.ended])


async def test_the_metrics_are_told_what_waits(tmp_path: Path) -> None:
    states: list[BacklogState] = []
    async with opened(tmp_path, on_state=states.append) as (outbox, _):
        outbox.put(event(0))
        (stored,) = await outbox.fetch(0, 10)
        assert states[-1] == BacklogState(events=1, oldest_at=1000.0)
        outbox.mqtt.take(stored.seq)
        await outbox.flush()
        assert states[-1] == BacklogState(events=0, oldest_at=None)


async def test_events_come_out_in_the_order_they_went_in_until_they_are_forgotten(tmp_path: Path) -> None:
    async with opened(tmp_path) as (outbox, _):
        for n in range(5):
            outbox.put(event(n))
        first = await outbox.fetch(0, 3)
        assert ids(first) == ["event-0", "event-1", "event-2"]
        assert ids(await outbox.fetch(first[-1].seq, 10)) == ["event-3", "event-4"]
        outbox.mqtt.take(first[1].seq)
        outbox.mqtt.take(first[0].seq)
        assert ids(await outbox.fetch(0, 10)) == ["event-2", "event-3", "event-4"]
        assert outbox.mqtt.state == BacklogState(events=3, oldest_at=1002.0)
    async with opened(tmp_path) as (outbox, _):
        assert ids(await outbox.fetch(0, 10)) == ["event-2", "event-3", "event-4"]
        outbox.put(event(5))
        assert ids(await outbox.fetch(0, 10))[-1] == "event-5"


async def test_it_knows_which_transfers_were_under_way_and_how_the_others_ended(tmp_path: Path) -> None:
    async with opened(tmp_path) as (outbox, remembered):
        assert remembered == []
        outbox.put(event(0, running("a")))
        outbox.put(event(1, running("b")))
        outbox.put(event(2, ended("a")))
        outbox.put(event(3, ended("c", is_completed=False)))
    async with opened(tmp_path) as (outbox, remembered):
        assert transfers(remembered) == ["b"]
        assert await over(outbox) == ["c", "a"]
        outbox.put(event(4, ended("b")))
    async with opened(tmp_path) as (_, remembered):
        assert remembered == []


async def test_a_transfer_has_one_end_only(tmp_path: Path) -> None:
    async with opened(tmp_path) as (outbox, _):
        with capture_logs() as logs:
            outbox.put(event(0, ended("a")))
            outbox.put(event(1, ended("a", is_completed=False)))
            outbox.put(event(2, running("a")))
            assert ids(await outbox.fetch(0, 10)) == ["event-0", "event-2"]
        assert [(line["log_level"], line["transfer"]) for line in logs] == [("error", "a")]
    async with opened(tmp_path) as (_, remembered):
        assert remembered == []


async def test_failures_are_remembered_when_successes_crowd_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "HISTORY_OF_EACH", 3)
    async with opened(tmp_path) as (outbox, _):
        outbox.put(event(0, ended("bad", is_completed=False)))
        for n in range(1, 10):
            outbox.put(event(n, ended(f"good-{n}")))
    async with opened(tmp_path) as (outbox, _):
        assert await over(outbox) == ["good-9", "good-8", "good-7", "bad"]


WRITER = """
import asyncio, json, sys
from pathlib import Path
from gateway.report.journal import Journal
from gateway.report.store import Put, TransferChange

async def main():
    outbox = Journal(Path(sys.argv[1]), {"mqtt": lambda _state: None})
    await outbox.open()
    n = 0
    while True:
        transfer = f"t{n // 2:06}"
        change = TransferChange(transfer, f"{n:09}", ended=n % 2 == 1, completed=True)
        outbox.put(Put(f"event-{n}", "t", json.dumps({"n": n, "transfer": transfer}), n, change))
        n += 1
        if n % 7 == 0:
            await outbox.flush()
            print(n, flush=True)

asyncio.run(main())
"""


def write_until_killed(directory: Path) -> int:
    """Store events in a process of its own and kill it; how many it knew to be stored."""
    command = [sys.executable, "-c", WRITER, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as writer:
        assert writer.stdout is not None
        told = 0
        while told < 210:
            told = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        return int([str(told), *writer.stdout.read().split()][-1])


@pytest.mark.slow
async def test_kill_9_loses_nothing_that_was_stored(tmp_path: Path) -> None:
    told = write_until_killed(tmp_path)
    async with opened(tmp_path) as (outbox, remembered):
        found = ids(await outbox.fetch(0, told + 1000))
        assert found[:told] == [f"event-{n}" for n in range(told)]
        assert found == [f"event-{n}" for n in range(len(found))]
        # Event and transfer are one: whatever was stored last, exactly the transfers without an end are running.
        under_way = [f"t{len(found) // 2:06}"] if len(found) % 2 else []
        assert transfers(remembered) == under_way


async def test_killed_in_the_middle_of_recovery_every_transfer_still_ends_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as (outbox, _):
        for n in range(4):
            outbox.put(event(n, running(f"t{n}")))
    # The first recovery gets half way.
    async with opened(tmp_path) as (outbox, remembered):
        for n, transfer in enumerate(transfers(remembered)[:2]):
            outbox.put(event(10 + n, ended(transfer)))
    async with opened(tmp_path) as (outbox, remembered):
        assert transfers(remembered) == ["t2", "t3"]
        for n, transfer in enumerate(transfers(remembered)):
            outbox.put(event(20 + n, ended(transfer)))
        assert ids(await outbox.fetch(0, 10))[4:] == ["event-10", "event-11", "event-20", "event-21"]
    async with opened(tmp_path) as (_, remembered):
        assert remembered == []


async def test_when_the_disk_is_full_events_wait_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.report.journal.RETRY_S", 0.01)
    states: asyncio.Queue[BacklogState] = asyncio.Queue()
    async with opened(tmp_path, on_state=states.put_nowait) as (outbox, _):
        real_apply = outbox._store.apply

        def full(_writes: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(outbox._store, "apply", full)
        with capture_logs() as logs:
            outbox.put(event(0))
            outbox.put(event(1))
            while (await states.get()) != BacklogState(events=2, oldest_at=None, writable=False, unwritten=2):
                pass
            assert await outbox.mqtt.fetch(0, 10) == []
            monkeypatch.setattr(outbox._store, "apply", real_apply)
            await outbox.flush()
        assert ids(await outbox.fetch(0, 10)) == ["event-0", "event-1"]
        assert [line["log_level"] for line in logs] == ["error", "info"]
        assert logs[0]["why"] == "database or disk is full"


async def test_over_the_limit_the_oldest_go_and_the_log_tells(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with opened(tmp_path, max_events=3) as (outbox, _):
            for n in range(5):
                outbox.put(event(n))
            assert ids(await outbox.fetch(0, 10)) == ["event-2", "event-3", "event-4"]
            assert outbox.mqtt.state.events == 3
    assert logs
    assert all(line["log_level"] == "error" and "dropped" in line for line in logs)


async def test_without_a_broker_the_newest_are_kept_and_nothing_complains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "KEPT_WITHOUT_BROKER", 2)
    with capture_logs() as logs:
        async with opened(tmp_path, idle=("mqtt",)) as (outbox, _):
            for n in range(5):
                outbox.put(event(n))
            assert ids(await outbox.fetch(0, 10)) == ["event-3", "event-4"]
            # They wait for nobody, so no alert may come of them.
            assert outbox.mqtt.state == BacklogState(events=0, oldest_at=None)
    assert logs == []


async def test_storing_never_holds_up_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as (outbox, _):
        written = asyncio.Event()
        loop = asyncio.get_running_loop()
        held: asyncio.Future[None] = loop.create_future()
        real_apply = outbox._store.apply

        def slow(writes: Any) -> None:
            loop.call_soon_threadsafe(written.set)
            asyncio.run_coroutine_threadsafe(_wait(held), loop).result()
            real_apply(writes)

        monkeypatch.setattr(outbox._store, "apply", slow)
        outbox.put(event(0))
        # The disk hangs now; the loop goes on, and takes more.
        await written.wait()
        for n in range(1, 100):
            outbox.put(event(n))
        held.set_result(None)
        assert len(await outbox.fetch(0, 1000)) == 100


async def _wait(future: "asyncio.Future[None]") -> None:
    await future
