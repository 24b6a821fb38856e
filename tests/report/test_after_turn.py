# SPDX-License-Identifier: GPL-2.0-or-later
"""Nobody's answer waits for a report."""

import asyncio
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.core.record import Milestone
from gateway.report.after_turn import PATIENCE_S, AfterTurn
from tests.report import samples
from tests.report.history.recording import reporting


@pytest.mark.keeps("18.2")
async def test_work_is_done_after_the_turn_and_in_its_order() -> None:
    later, done = AfterTurn(), list[str]()
    asyncio.get_running_loop().call_soon(done.append, "what came before")
    for name in ("first", "second"):
        later.put(partial(done.append, name))
    done.append("this turn")
    await asyncio.sleep(0)
    assert done == ["this turn", "what came before", "first", "second"]


async def test_what_is_done_at_once_is_not_done_again() -> None:
    later, done = AfterTurn(), list[str]()
    later.put(partial(done.append, "first"))
    later.do()
    later.put(partial(done.append, "second"))
    assert done == ["first"]
    await asyncio.sleep(0)
    assert done == ["first", "second"]


@pytest.mark.keeps("18.13")
async def test_work_waits_while_answers_do_and_not_for_ever() -> None:
    later, done, busy = AfterTurn(), list[str](), True
    later.gives_way = lambda: busy
    later.put(partial(done.append, "first"))
    for _ in range(3):
        await asyncio.sleep(0)
        later.put(partial(done.append, "next"))
    assert done == []
    busy = False
    await asyncio.sleep(0)
    assert done == ["first", "next", "next", "next"]
    busy, is_done = True, asyncio.Event()
    later.put(is_done.set)
    async with asyncio.timeout(50 * PATIENCE_S):  # a busy machine takes its time
        await is_done.wait()


@pytest.mark.keeps("18.2")
async def test_a_transfer_is_reported_after_the_turn_that_it_happened_in(tmp_path: Path) -> None:
    async with reporting(tmp_path) as reporter:
        with capture_logs() as logs:
            reporter.transfer(Milestone.ENDED, samples.completed())
            assert logs == []
            await asyncio.sleep(0)
            assert [line["event"] for line in logs] == ["transfer-ended"]
