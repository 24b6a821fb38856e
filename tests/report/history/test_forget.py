# SPDX-License-Identifier: GPL-2.0-or-later
"""A caller who is forgotten is in nothing that is stored any more; what became of their transfers still counts."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest

from gateway.core.record import Milestone
from gateway.ports import HistoryQuery
from gateway.report.erasing import Erased, forget_offline
from gateway.report.history import forgetting
from gateway.report.history.callers import Callers
from gateway.report.history.questions import HistoryReader
from gateway.report.history.retention import Keep
from gateway.report.history.rows import TRANSFER, unpack
from gateway.report.history.store import HistoryStore
from gateway.report.journal import Journal
from gateway.report.reporter import EventReporter
from gateway.report.sinks.history import HistorySink
from gateway.report.sinks.mqtt.broker import Broker
from gateway.report.store import Store
from gateway.report.store_file import StoreError
from tests.report import samples
from tests.report.history.made_up import ended, over
from tests.report.history.recording import reporting, settled
from tests.report.reporting import until
from tests.report.written import written
from tests.support.processes import free_port

pytestmark = pytest.mark.slow

EVE, BOB = "+31699988877", "+31688877766"
LONGER = "0316999888770"  # another number, in which Eve's stands
NAMED = ("caller: +31699988877 has called before", f"order {LONGER}")


def told_of(caller: str, first: int) -> list[Any]:
    """Three transfers: one that is under way, two that are over."""
    trail = tuple(line.replace(EVE, caller) for line in NAMED)
    made = [replace(ended(first + n), caller=caller, trail=trail) for n in range(3)]
    return [
        (Milestone.REQUESTED, replace(made[0], outcome=None)),
        (Milestone.ENDED, made[1]),
        (Milestone.ENDED, replace(made[2], requested_target=caller, context={"X-Caller": caller})),
    ]


def report(reporter: EventReporter) -> None:
    for milestone, record in (*told_of(EVE, 0), *told_of(BOB, 10)):
        reporter.transfer(milestone, record)
    reporter.call_ended(replace(samples.call(), caller=EVE, call_ids={"trunk": f"{EVE}@trunk", "pbx": None}))


def entries(directory: Path) -> Iterator[str]:
    """What can be asked of what is stored, in the clear."""
    with closing(sqlite3.connect(directory / "outbox.db")) as db:
        yield from (payload for (payload,) in db.execute("SELECT payload FROM journal"))
    with closing(sqlite3.connect(directory / "history.db")) as db:
        for table in ("transfers", "calls"):
            for caller, record in db.execute(f"SELECT caller, record FROM {table}"):  # noqa: S608
                yield f"{caller} {json.dumps(unpack(record))}"


def texts(directory: Path) -> Iterator[str]:
    """Everything that is stored: some of it twice, in a file and in its log, or no more in use."""
    yield from entries(directory)
    for file in directory.glob("*.db*"):
        yield file.read_bytes().decode("latin-1")


def naming(stored: Iterator[str], caller: str) -> int:
    """How often a caller's number is in it, not counted where it is part of a longer one."""
    digits = caller.removeprefix("+")
    # Without its 0, which the index of words leaves out where the word before it begins with one, too.
    return sum(text.replace(LONGER[1:], "").count(digits) for text in stored)


@pytest.fixture
def broker() -> Broker:
    """One that is not there: events wait for it."""
    return Broker(instance="pbx-1", host="127.0.0.1", port=free_port())


async def test_nothing_that_is_stored_names_them_any_more_and_nobody_else_is_touched(
    tmp_path: Path, broker: Broker
) -> None:
    async with reporting(tmp_path, broker=broker) as reporter:
        report(reporter)
        await settled(reporter)
        others = naming(entries(tmp_path), BOB)
        assert naming(texts(tmp_path), EVE) > 10
        found, aside = await reporter.forget(EVE)
        assert found == Erased(transfers=2, calls=1, events=4, refused=0)
        assert aside == []
        assert naming(texts(tmp_path), EVE) == 0
        assert naming(entries(tmp_path), BOB) == others
        # Once more: there is nothing left of them.
        assert (await reporter.forget(EVE))[0] == Erased()
        reader = HistoryReader(tmp_path)
        rows = {row.document["transfer"]: row.document for row in reader.find(TRANSFER, HistoryQuery())}
        assert set(rows) == {"t000001", "t000002", "t000011", "t000012"}
        of_eve = rows["t000002"]
        assert (of_eve["outcome"], of_eve["destination"], of_eve["human_at"]) == (
            "completed", "sales", rows["t000002"]["human_at"],
        )  # fmt: skip
        assert (of_eve["caller"], of_eve["context"], of_eve["requested_target"]) == (None, {}, "[erased]")
        assert of_eve["call_ids"] == {"transferor": None, "transferee": None, "target": None}
        assert of_eve["trail"] == ["caller: [erased] has called before", NAMED[1]]
        assert reader.find(TRANSFER, HistoryQuery(text=EVE)) == []
        assert len(reader.find(TRANSFER, HistoryQuery(text=BOB))) == 2
        reader.close()
        with closing(sqlite3.connect(tmp_path / "history.db", isolation_level=None)) as db:
            db.execute("INSERT INTO trails (trails) VALUES ('integrity-check')")
        # The events still go out, each with its own id.
        waiting = [json.loads(event.payload) for event in await reporter._backlog.fetch(0, 100)]
        assert len({event["id"] for event in waiting}) == len(waiting) == 7
        assert [event["data"]["caller"] for event in waiting] == [None, None, None, BOB, BOB, BOB, None]


async def test_dead_letters_are_reached_too(tmp_path: Path, broker: Broker) -> None:
    async with reporting(tmp_path, broker=broker) as reporter:
        report(reporter)
        await settled(reporter)
        for event in await reporter._backlog.fetch(0, 2):
            reporter._backlog.refuse(event.seq, "Not authorized")
        await written(reporter)
        found, _ = await reporter.forget(EVE)
        assert (found.events, found.refused) == (2, 2)
        assert naming(texts(tmp_path), EVE) == 0


async def test_so_is_what_the_disk_has_not_taken_yet(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.report.journal.RETRY_S", 0.01)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async with reporting(tmp_path, broker=broker) as reporter:
        await settled(reporter)
        with monkeypatch.context() as disk:
            disk.setattr(Store, "apply", full)
            report(reporter)
            await until(lambda: reporter.outbox.unwritten == 7)
            found, _ = await reporter.forget(EVE)
            assert found.events == 4
        await settled(reporter)
    assert naming(texts(tmp_path), EVE) == 0
    assert naming(entries(tmp_path), BOB) > 0


async def test_what_is_on_its_way_into_the_history_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    begun = asyncio.Event()
    released: asyncio.Future[None] = loop.create_future()
    real = HistoryStore._apply

    async def wait() -> None:
        begun.set()
        await released

    def slow(self: HistoryStore, *arguments: Any) -> Any:
        asyncio.run_coroutine_threadsafe(wait(), loop).result()
        return real(self, *arguments)

    async with reporting(tmp_path) as reporter:
        await settled(reporter)
        monkeypatch.setattr(HistoryStore, "_apply", slow)
        report(reporter)
        await begun.wait()
        forgetting = asyncio.create_task(reporter.forget(EVE))
        await written(reporter)
        released.set_result(None)
        await forgetting
        await settled(reporter)
    assert naming(texts(tmp_path), EVE) == 0


async def test_a_hash_is_erased_and_a_mask_that_others_share_is_not(tmp_path: Path) -> None:
    async with reporting(tmp_path, keep=Keep(callers="hashed")) as reporter:
        report(reporter)
        await settled(reporter)
        assert (await reporter.forget(EVE))[0].transfers == 2
        hashed = Callers(tmp_path).kept(EVE, "hashed")
        assert not any(hashed in text for text in texts(tmp_path) if hashed)
        reporter.history.configure(Keep(callers="masked"))
        reporter.transfer(Milestone.ENDED, replace(ended(50), caller=EVE))
        await settled(reporter)
        assert (await reporter.forget(EVE))[0].transfers == 0
    with closing(HistoryReader(tmp_path)) as reader:
        [row] = reader.find(TRANSFER, HistoryQuery(since=samples.after(40)))
    assert row.document["caller"] == "+31…77"


async def test_files_that_were_put_aside_are_named(tmp_path: Path) -> None:
    for name in ("outbox.db.broken-20260101T000000Z", "history.db.replaced-20260101T000000Z", "history.db.new"):
        (tmp_path / name).write_bytes(b"")
    async with reporting(tmp_path) as reporter:
        _, aside = await reporter.forget(EVE)
    assert aside == ["history.db.replaced-20260101T000000Z", "outbox.db.broken-20260101T000000Z"]


async def test_a_disk_that_refuses_is_told_and_asking_again_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Any:
        raise sqlite3.OperationalError("database or disk is full")

    async with reporting(tmp_path) as reporter:
        report(reporter)
        await settled(reporter)
        with monkeypatch.context() as disk:
            disk.setattr(HistoryStore, "forget", full)
            with pytest.raises(StoreError, match="full"):
                await reporter.forget(EVE)
        await reporter.forget(EVE)
    assert naming(texts(tmp_path), EVE) == 0


async def test_a_number_that_stands_with_another_caller_is_found_and_counted(tmp_path: Path) -> None:
    elsewhere: list[dict[str, Any]] = [
        {"requested_target": EVE},
        {"context": {"X-Callback": EVE.removeprefix("+"), "X-Order": LONGER}},
        {"trail": (f"target: {EVE} is nobody's",)},
        {"call_ids": {"transferor": f"{EVE}@trunk", "transferee": None, "target": None}},
        {"caller": None, "context": {"X-Callback": EVE}},
        {"context": {"X-Order": LONGER}},
    ]
    async with reporting(tmp_path) as reporter:
        report(reporter)
        for n, changes in enumerate(elsewhere, start=20):
            reporter.transfer(Milestone.ENDED, replace(ended(n), **{"caller": BOB, **changes}))
        reporter.call_ended(replace(over(7), caller=BOB, call_ids={"trunk": f"{EVE}@trunk", "pbx": None}))
        await settled(reporter)
        found, _ = await reporter.forget(EVE)
        assert (found.transfers, found.calls, found.others) == (2 + 5, 2, 6)
        assert found.document["history_others"] == 6
        assert naming(texts(tmp_path), EVE) == 0
        reader = HistoryReader(tmp_path)
        rows = reader.find(TRANSFER, HistoryQuery(since=samples.after(20)))
        reader.close()
        assert [row.document["caller"] for row in rows] == [BOB, None, BOB, BOB, BOB, BOB]
        assert rows[4].document["context"] == {"X-Callback": "[erased]", "X-Order": LONGER}
        assert (await reporter.forget(EVE))[0] == Erased()


async def test_rows_are_read_some_at_a_time_and_events_come_in_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "AT_ONCE", 2)
    loop, real = asyncio.get_running_loop(), HistoryStore.forget
    released: asyncio.Future[None] = loop.create_future()
    parts = 0

    async def wait() -> None:
        await released

    def slow(self: HistoryStore, forms: Any, done: Any) -> Any:
        nonlocal parts
        parts += 1
        asyncio.run_coroutine_threadsafe(wait(), loop).result()
        return real(self, forms, done)

    async with reporting(tmp_path) as reporter:
        report(reporter)
        await settled(reporter)
        monkeypatch.setattr(HistoryStore, "forget", slow)
        forgetting_her = asyncio.create_task(reporter.forget(EVE))
        await until(lambda: parts > 0)
        takes = AsyncMock()  # or the disk would be said to hang when that has waited for some seconds
        with monkeypatch.context() as taking:
            taking.setattr(HistorySink, "_take_some", takes)
            reporter.transfer(Milestone.ENDED, replace(ended(50), caller=BOB))
            await written(reporter)
            for _ in range(10):
                await asyncio.sleep(0)
            takes.assert_not_called()
        released.set_result(None)
        found, _ = await forgetting_her
        assert (found.transfers, found.calls) == (2, 1)
        assert parts > 5
        await settled(reporter)
        with closing(HistoryReader(tmp_path)) as reader:
            assert reader.get(TRANSFER, "t000050")


async def test_without_a_gateway_it_is_done_on_the_files(tmp_path: Path) -> None:
    async with reporting(tmp_path) as reporter:
        report(reporter)
        await settled(reporter)
        with pytest.raises(StoreError, match="held by another process"):
            forget_offline(tmp_path, EVE)
    assert forget_offline(tmp_path, EVE) == Erased(transfers=2, calls=1, events=4)
    assert naming(texts(tmp_path), EVE) == 0
    async with reporting(tmp_path) as reporter:
        await settled(reporter)
        assert len(await reporter.transfers()) == 6


HOLDER = """
import sys
from pathlib import Path
from gateway.report.history.store import HistoryStore
from gateway.report.store_file import StoreFile
held = [{"history": HistoryStore, "outbox": StoreFile}[name](Path(sys.argv[1])) for name in sys.argv[2:]]
for one in held:
    one.open()
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def holding(directory: Path, *files: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds these files as a gateway that runs does; it is killed."""
    command = [sys.executable, "-c", HOLDER, str(directory), *files]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == "held\n"
            yield holder
        finally:
            holder.kill()


@pytest.mark.thorough
@pytest.mark.parametrize("files", [("history",), ("outbox",), ("history", "outbox")])
async def test_files_that_another_process_holds_are_left_as_they_are_until_it_has_ended(
    tmp_path: Path, files: tuple[str, ...]
) -> None:
    async with reporting(tmp_path) as reporter:
        report(reporter)
        await settled(reporter)
    before = list(texts(tmp_path))
    with holding(tmp_path, *files) as holder:
        with pytest.raises(StoreError, match=r"\.lock is held by another process"):
            forget_offline(tmp_path, EVE)
        assert naming(iter(before), EVE) == naming(texts(tmp_path), EVE)
        holder.kill()  # it has crashed: the lock goes with it, and its log (WAL) is left
        holder.wait()
        assert forget_offline(tmp_path, EVE) == Erased(transfers=2, calls=1, events=4)
    assert naming(texts(tmp_path), EVE) == 0


def test_where_there_are_no_files_none_are_made(tmp_path: Path) -> None:
    assert forget_offline(tmp_path, EVE) == Erased()
    assert list(tmp_path.iterdir()) == []


async def test_an_event_that_is_none_keeps_nothing_from_being_erased(tmp_path: Path) -> None:
    async with reporting(tmp_path) as reporter:
        report(reporter)
        await settled(reporter)
    with closing(sqlite3.connect(tmp_path / "outbox.db", isolation_level=None)) as db:
        db.execute("INSERT INTO journal (id, topic, payload, stored_at) VALUES ('x', 't', ?, 0)", (f"[{EVE}",))
    assert forget_offline(tmp_path, EVE).events >= 4


async def test_the_journal_tells_where_it_cannot(tmp_path: Path) -> None:
    journal = Journal(tmp_path, {"mqtt": lambda _state: None})
    await journal.open()

    def broken(*_: object) -> Any:
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(StoreError, match="disk I/O error"):
        await journal.change(broken)
    await journal.close()
