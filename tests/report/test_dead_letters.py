# SPDX-License-Identifier: GPL-2.0-or-later
"""Each sink has its own place in the journal, and dead letters of its own; what nobody needs any more is gone."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.report import cursors, store
from gateway.report.backlog import Backlog, BacklogState
from gateway.report.journal import Journal
from gateway.report.store import TransferChange
from gateway.report.store_file import FILE_NAME
from tests.report.journals import event, ids, opened


def stored(directory: Path) -> list[str]:
    """Every event that is in the file."""
    with closing(sqlite3.connect(directory / FILE_NAME)) as db:
        return [name for (name,) in db.execute("SELECT id FROM journal ORDER BY seq")]


def exceptions(directory: Path) -> int:
    """How much is told of single events beside the cursors."""
    with closing(sqlite3.connect(directory / FILE_NAME)) as db:
        (count,) = db.execute("SELECT count(*) FROM apart").fetchone()
        return int(count)


def letters(directory: Path) -> list[tuple[str, str]]:
    """The dead letters as operations.md has them looked up."""
    with closing(sqlite3.connect(directory / FILE_NAME)) as db:
        return list(db.execute("SELECT id, why FROM refused ORDER BY seq"))


def running(transfer: str, at: int) -> TransferChange:
    return TransferChange(transfer, f"2026-{at:04}", ended=False)


def ended(transfer: str, at: int) -> TransferChange:
    return TransferChange(transfer, f"2026-{at:04}", ended=True, completed=True)


async def test_what_is_set_aside_comes_back_in_its_old_place(tmp_path: Path) -> None:
    async with opened(tmp_path) as (outbox, _):
        for number in range(4):
            outbox.put(event(number))
        first, second, _, _ = await outbox.fetch(0, 10)
        outbox.mqtt.refuse(first.seq, "too large")
        outbox.mqtt.refuse(second.seq, "hung up", ends_connection=True)
        assert ids(await outbox.fetch(0, 10)) == ["event-2", "event-3"]
        assert (outbox.mqtt.state.events, outbox.mqtt.state.refused) == (2, 2)
    async with opened(tmp_path) as (outbox, _):
        assert (outbox.mqtt.state.events, outbox.mqtt.state.refused) == (2, 2)
        assert outbox.mqtt.state.refused_because in {"too large", "hung up"}
        await outbox.mqtt.resend()
        assert ids(await outbox.fetch(0, 10)) == ["event-0", "event-2", "event-3"]
        await outbox.mqtt.resend(everything=True)
        assert ids(await outbox.fetch(0, 10)) == [f"event-{number}" for number in range(4)]
        state = outbox.mqtt.state
        assert (state.events, state.refused, state.refused_because) == (4, 0, "")


async def test_the_newest_refused_events_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cursors, "MAX_REFUSED", 3)
    async with opened(tmp_path) as (outbox, _):
        for number in range(5):
            outbox.put(event(number))
        with capture_logs() as logs:
            for each in await outbox.fetch(0, 10):
                outbox.mqtt.refuse(each.seq, "no")
            await outbox.flush()
        assert outbox.mqtt.state.refused == 3
        assert {line["event"] for line in logs} == {"refused-events-dropped"}
        assert sum(line["dropped"] for line in logs) == 2
    assert [name for name, _ in letters(tmp_path)] == ["event-2", "event-3", "event-4"]
    assert stored(tmp_path) == ["event-2", "event-3", "event-4"]


@pytest.mark.keeps("16.96")
async def test_an_event_that_is_refused_again_is_still_there(tmp_path: Path) -> None:
    async with opened(tmp_path) as (outbox, _):
        outbox.put(event(0))
        for why in ("one", "two", "three"):
            (waiting,) = await outbox.fetch(0, 10)
            outbox.mqtt.refuse(waiting.seq, why)
            await outbox.flush()
            assert letters(tmp_path) == [("event-0", why)]
            outbox.put(event(1))
            for other in await outbox.fetch(0, 10):
                outbox.mqtt.take(other.seq)
            await outbox.mqtt.resend()
        (waiting,) = await outbox.fetch(0, 10)
        outbox.mqtt.take(waiting.seq)
        await outbox.flush()
        assert (outbox.mqtt.state.events, outbox.mqtt.state.refused) == (0, 0)
    assert stored(tmp_path) == []
    assert exceptions(tmp_path) == 0


@pytest.mark.keeps("16.96")
async def test_what_is_acknowledged_out_of_order_is_not_sent_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as (outbox, _):
        for number in range(6):
            outbox.put(event(number))
        waiting = await outbox.fetch(0, 10)
        for number in (5, 1, 3, 1):
            outbox.mqtt.take(waiting[number].seq)
        await outbox.flush()
    async with opened(tmp_path) as (outbox, _):
        assert ids(await outbox.fetch(0, 10)) == ["event-0", "event-2", "event-4"]
        assert outbox.mqtt.state.events == 3
        for each in await outbox.fetch(0, 10):
            outbox.mqtt.take(each.seq)
        await outbox.flush()
        assert outbox.mqtt.state.events == 0
        # The number of an event that is gone is never given to another.
        outbox.put(event(6))
        (last,) = await outbox.fetch(waiting[-1].seq, 10)
        assert last.event_id == "event-6"
    assert exceptions(tmp_path) == 0


@pytest.mark.keeps("16.96")
async def test_of_a_transfer_that_is_remembered_the_newest_event_stays_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "HISTORY_OF_EACH", 2)
    async with opened(tmp_path) as (outbox, _):
        number = 0
        for transfer in range(4):
            for change in (running, running, ended):
                outbox.put(event(number, change(f"t{transfer}", transfer)))
                number += 1
        outbox.put(event(number, running("t4", 4)))
        outbox.put(event(number + 1))
        for each in await outbox.fetch(0, 100):
            outbox.mqtt.take(each.seq)
        await outbox.flush()
        assert [(one.change.transfer, one.change.ended) for one in await outbox.history()] == [
            ("t4", False),
            ("t3", True),
            ("t2", True),
        ]
        assert [one.change.transfer for one in await outbox.history(limit=2)] == ["t4", "t3"]
        assert [one.change.transfer for one in await outbox.history(transfer="t2")] == ["t2"]
        assert await outbox.history(transfer="t1") == []
        assert stored(tmp_path) == ["event-8", "event-11", "event-12"]
        outbox.put(event(20, running("t4", 4)))
        await outbox.flush()
        assert stored(tmp_path) == ["event-8", "event-11", "event-20"]


@pytest.mark.keeps("16.96")
async def test_what_the_disk_has_not_taken_yet_is_in_the_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_writes: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async with opened(tmp_path) as (outbox, _):
        outbox.put(event(0, running("t0", 0)))
        outbox.put(event(1, ended("t1", 1)))
        await outbox.flush()
        monkeypatch.setattr(outbox._store, "apply", full)
        outbox.put(event(2, ended("t0", 0)))
        outbox.put(event(3, running("t2", 2)))
        outbox.put(event(4, running("t1", 1)))
        seen = [(one.change.transfer, one.change.ended) for one in await outbox.history()]
        assert seen == [("t2", False), ("t1", True), ("t0", True)]
        assert [one.change.ended for one in await outbox.history(transfer="t0")] == [True]
        assert len(await outbox.history(limit=1)) == 1
        monkeypatch.undo()


def two_sinks(directory: Path) -> tuple[Journal, Backlog, Backlog]:
    journal = Journal(directory, dict.fromkeys(("mqtt", "other"), lambda _state: None), max_events=6)
    return journal, journal.backlogs["mqtt"], journal.backlogs["other"]


@pytest.mark.keeps("16.96")
async def test_each_sink_goes_through_the_journal_at_its_own_pace(tmp_path: Path) -> None:
    async with opened(tmp_path) as (outbox, _):
        outbox.put(event(0))
    journal, mqtt, other = two_sinks(tmp_path)
    await journal.open()
    for number in range(1, 5):
        journal.put(event(number))
    # A new one begins with what happens from then on.
    assert ids(await mqtt.fetch(0, 10)) == [f"event-{number}" for number in range(5)]
    assert ids(await other.fetch(0, 10)) == [f"event-{number}" for number in range(1, 5)]
    for each in (await mqtt.fetch(0, 10))[:4]:
        mqtt.take(each.seq)
    first, second, *_ = await other.fetch(0, 10)
    other.refuse(first.seq, "no")
    other.take(second.seq)
    await journal.flush()
    assert (mqtt.state.events, mqtt.state.refused) == (1, 0)
    assert (other.state.events, other.state.refused, other.state.refused_because) == (2, 1, "no")
    assert stored(tmp_path) == ["event-1", "event-3", "event-4"]
    await journal.close()
    journal, mqtt, other = two_sinks(tmp_path)
    await journal.open()
    await mqtt.resend(everything=True)
    assert ids(await mqtt.fetch(0, 10)) == ["event-4"]
    await other.resend()
    assert ids(await other.fetch(0, 10)) == ["event-1", "event-3", "event-4"]
    # One that takes nothing loses its oldest, and nothing of the others'.
    for number in range(5, 11):
        journal.put(event(number))
        for each in await mqtt.fetch(0, 10):
            mqtt.take(each.seq)
    await journal.flush()
    assert (mqtt.state.events, other.state.events) == (0, 6)
    assert stored(tmp_path) == ids(await other.fetch(0, 10)) == [f"event-{number}" for number in range(5, 11)]
    await journal.close()


@pytest.mark.keeps("16.96")
async def test_a_sink_comes_and_goes_while_the_journal_is_open(tmp_path: Path) -> None:
    async with opened(tmp_path) as (outbox, _):
        outbox.put(event(0))
        await outbox.flush()
        states: list[BacklogState] = []
        other = outbox.enlist("other", states.append)
        outbox.put(event(1))
        outbox.put(event(2))
        await outbox.flush()
        first, _second = await other.fetch(0, 10)
        assert (first.event_id, other.state.events, states[-1].events) == ("event-1", 2, 2)
        other.refuse(first.seq, "no")
        for each in await outbox.fetch(0, 10):
            outbox.mqtt.take(each.seq)
        await outbox.flush()
        assert stored(tmp_path) == ["event-1", "event-2"]
        # One that comes back before anything else was written has lost nothing.
        outbox.discharge("other")
        other = outbox.enlist("other", states.append)
        await outbox.flush()
        assert (other.state.events, other.state.refused) == (1, 1)
        with capture_logs() as logs:
            outbox.discharge("other")
            outbox.put(event(3))
            await outbox.flush()
        assert [(line["event"], line["given_up"]) for line in logs] == [("sink-gone", 2)]
        assert stored(tmp_path) == ["event-3"]
        assert outbox.mqtt.state.events == 1


@pytest.mark.keeps("16.96")
async def test_nothing_is_kept_for_a_sink_that_is_no_longer_configured(tmp_path: Path) -> None:
    journal, mqtt, other = two_sinks(tmp_path)
    await journal.open()
    for number in range(4):
        journal.put(event(number))
    one, two, *_ = await other.fetch(0, 10)
    other.refuse(one.seq, "no")
    mqtt.take(one.seq)
    mqtt.take(two.seq)
    await journal.close()
    async with opened(tmp_path) as (outbox, _):
        assert ids(await outbox.fetch(0, 10)) == stored(tmp_path) == ["event-2", "event-3"]
