# SPDX-License-Identifier: GPL-2.0-or-later
"""What the journal remembers is no older than the history, and names callers as it does; what waits is not touched."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import LoopClock
from gateway.core.outcome import Reason
from gateway.core.record import Milestone
from gateway.report.history.callers import Callers
from gateway.report.history.retention import Keep
from gateway.report.sinks.mqtt.broker import Broker
from tests.report import samples
from tests.report.history.made_up import ended
from tests.report.history.recording import reporting, settled
from tests.report.history.test_forget import BOB, EVE, broker, report
from tests.report.reporting import until

pytestmark = pytest.mark.slow

__all__ = ["broker"]  # a fixture


def callers(directory: Path) -> list[str | None]:
    """Of every event in the journal, oldest first."""
    with closing(sqlite3.connect(directory / "outbox.db")) as db:
        payloads = [json.loads(payload) for (payload,) in db.execute("SELECT payload FROM journal ORDER BY seq")]
    return [payload["data"]["caller"] for payload in payloads]


@pytest.mark.parametrize("form", ["masked", "hashed"])
async def test_who_called_is_named_as_in_the_history_once_nobody_waits_for_it(tmp_path: Path, form: Any) -> None:
    async with reporting(tmp_path, keep=Keep(callers=form)) as reporter:
        report(reporter)
        await settled(reporter)
        eve, bob = (Callers(tmp_path).kept(caller, form) for caller in (EVE, BOB))
        # Any other setting has it looked again, at once.
        reporter.history.configure(Keep(callers=form, days=89))
        # Those under way go on as they are: the first of each three.
        await until(lambda: callers(tmp_path) == [EVE, eve, eve, BOB, bob, bob, eve])
        of = {str(record.transfer): record for record in await reporter.transfers()}
        assert (of["t000002"].caller, of["t000002"].context, of["t000002"].requested_target) == (eve, {}, eve)
        assert of["t000002"].reason is Reason.ANSWERED
        assert of["t000000"].caller == EVE
        # Once more changes nothing.
        reporter.history.configure(Keep(callers=form, days=88))
        await reporter._tidy(Keep(callers=form))
        assert callers(tmp_path) == [EVE, eve, eve, BOB, bob, bob, eve]


async def test_what_waits_or_was_refused_is_told_as_it_was(tmp_path: Path, broker: Broker) -> None:
    async with reporting(tmp_path, broker=broker) as reporter:
        report(reporter)
        await settled(reporter)
        first, second, third, *_ = await reporter._backlog.fetch(0, 10)
        reporter._backlog.take(first.seq)
        reporter._backlog.refuse(second.seq, "Not authorized")
        reporter._backlog.take(third.seq)
        await reporter._tidy(Keep(callers="masked"))
        assert callers(tmp_path) == [EVE, EVE, "+31…77", BOB, BOB, BOB, EVE]


async def test_what_is_remembered_goes_when_its_days_are_over(tmp_path: Path) -> None:
    clock = LoopClock()  # by which the samples are months old
    now = datetime.now(UTC)
    long = Keep(days=36_500, failures_days=36_500)
    async with reporting(tmp_path, clock=clock, keep=long) as reporter:
        for n, reason in enumerate((Reason.ANSWERED, Reason.BUSY)):
            reporter.transfer(Milestone.ENDED, ended(n, reason))
            reporter.transfer(Milestone.ENDED, ended(10 + n, reason, at=now))
        reporter.transfer(Milestone.REQUESTED, replace(samples.requested("runs")))
        await settled(reporter)
        await reporter._tidy(Keep(days=1, failures_days=36_500))
        assert {one.transfer for one in await reporter.transfers()} == {"t000001", "t000010", "t000011", "runs"}
        await reporter._tidy(Keep(days=1, failures_days=1))
        assert {one.transfer for one in await reporter.transfers()} == {"t000010", "t000011", "runs"}


async def test_an_event_that_waits_for_the_broker_outlives_its_days(tmp_path: Path, broker: Broker) -> None:
    async with reporting(tmp_path, clock=LoopClock(), broker=broker, keep=Keep(days=1, failures_days=1)) as reporter:
        reporter.transfer(Milestone.ENDED, ended(1))
        await settled(reporter)
        await reporter._tidy(Keep(days=1, failures_days=1))
        assert await reporter.transfers() == []
        assert len(await reporter._backlog.fetch(0, 10)) == 1


async def test_without_a_broker_what_is_kept_for_inspection_goes_too(tmp_path: Path) -> None:
    async with reporting(tmp_path) as reporter:
        reporter.transfer(Milestone.ENDED, ended(1))
        reporter.call_ended(samples.call())
        await settled(reporter)
        await reporter._tidy(Keep(days=1, failures_days=365))
        assert len(callers(tmp_path)) == 2
    # The same days later, by the clock.
    async with reporting(tmp_path, clock=LoopClock()) as reporter:
        await settled(reporter)
        await reporter._tidy(Keep(days=1, failures_days=1))
        assert callers(tmp_path) == []
