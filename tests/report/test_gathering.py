# SPDX-License-Identifier: GPL-2.0-or-later
"""What comes in short order goes into one transaction, and nobody is told of an event before that is on disk."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.report import journal
from gateway.report.cursors import Taken
from gateway.report.store import Store, Write
from tests.report.journals import Outbox, event, ids, opened


@pytest.fixture
def _gathers_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "GATHER_S", 60.0)


def counted(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many writes each transaction has, from now on."""
    found: list[int] = []
    real_apply = outbox._store.apply

    def apply(writes: Sequence[Write]) -> None:
        found.append(len(writes))
        real_apply(writes)

    monkeypatch.setattr(outbox._store, "apply", apply)
    return found


@pytest.mark.usefixtures("_gathers_long")
async def test_what_comes_in_short_order_is_one_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as (outbox, _):
        transactions = counted(outbox, monkeypatch)
        outbox.put(event(0))
        await outbox.flush()
        for n in range(1, 10):
            outbox.put(event(n))
            # A sink that asks is answered at once, and does not have each event written by itself.
            assert ids(await outbox.mqtt.fetch(0, 100)) == ["event-0"]
        await outbox.flush()
        assert transactions == [1, 9]
        assert ids(await outbox.mqtt.fetch(0, 100)) == [f"event-{n}" for n in range(10)]


async def test_what_comes_after_a_while_is_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "GATHER_S", 0.0)
    async with opened(tmp_path) as (outbox, _):
        for n in range(3):
            outbox.mqtt.stored.clear()
            outbox.put(event(n))
            await outbox.mqtt.stored.wait()  # which nobody has asked for
            assert len(await outbox.mqtt.fetch(0, 100)) == n + 1


@pytest.mark.usefixtures("_gathers_long")
async def test_a_sink_is_not_given_again_what_it_has_taken_or_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as (outbox, _):
        for n in range(4):
            outbox.put(event(n))
        first, second, third, _ = await outbox.fetch(0, 100)
        outbox.mqtt.take(first.seq)
        outbox.mqtt.take(third.seq)
        assert ids(await outbox.mqtt.fetch(0, 100)) == ["event-1", "event-3"]
        outbox.mqtt.refuse(second.seq, "no")
        assert ids(await outbox.mqtt.fetch(0, 100)) == ["event-3"]


async def test_a_sink_is_told_of_what_is_new_to_it_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as (outbox, _):
        outbox.put(event(0))
        (stored,) = await outbox.fetch(0, 100)
        outbox.mqtt.stored.clear()
        outbox.mqtt.take(stored.seq)
        await outbox.flush()
        assert outbox.mqtt.state.events == 0
        assert not outbox.mqtt.stored.is_set()


async def test_closing_writes_what_was_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "GATHER_S", 60.0)
    async with opened(tmp_path) as (outbox, _):
        await outbox.flush()
        outbox.put(event(0))
        await asyncio.sleep(0)
    async with opened(tmp_path) as (outbox, _):
        assert ids(await outbox.fetch(0, 100)) == ["event-0"]


def test_events_taken_in_a_row_cost_no_more_than_one(tmp_path: Path) -> None:
    store = Store(tmp_path, ("mqtt",), max_events=1000)
    store.open()
    statements: list[str] = []
    store.db.set_trace_callback(statements.append)

    def cost(seqs: Sequence[int]) -> int:
        store.apply([event(n) for n in seqs])
        statements.clear()
        taken: list[Any] = [Taken("mqtt", seq) for seq in seqs]
        store.apply(taken)
        assert store.standing["mqtt"].waiting == 0
        # What the triggers do is a comment.
        return len([statement for statement in statements if not statement.startswith("--")])

    assert cost([1]) == cost(range(2, 202))
    store.close()


def test_an_event_that_waits_for_long_makes_none_behind_it_dearer(tmp_path: Path) -> None:
    store = Store(tmp_path, ("mqtt",), max_events=10_000)
    store.open()
    store.apply([event(0)])
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    def cost(first: int, last: int) -> int:
        nonlocal steps
        store.apply([event(n) for n in range(first, last + 1)])
        taken: list[Any] = [Taken("mqtt", seq) for seq in range(first, last + 1)]
        store.apply(taken[:-1])
        steps = 0
        store.db.set_progress_handler(count, 1)  # called at each instruction of SQLite's machine
        store.apply(taken[-1:])
        store.db.set_progress_handler(None, 1)
        return steps

    few = cost(2, 101)
    assert cost(102, 1100) < 2 * few
    assert [waiting.seq for waiting in store.fetch("mqtt", 0, 10)] == [1]
    store.close()
