# SPDX-License-Identifier: GPL-2.0-or-later
"""The reporter without a broker: outcomes are in the log, in the store and in what the API shows."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from gateway.core.model import Entry
from gateway.core.outcome import Outcome, Reason
from gateway.core.record import Milestone, TransferRecord
from gateway.ports import Reporter
from gateway.report import store
from gateway.report.reporter import EventReporter
from tests.report import samples
from tests.report.reporting import Standing
from tests.report.written import written


@asynccontextmanager
async def reporting(directory: Path, **options: Any) -> AsyncIterator[tuple[EventReporter, list[TransferRecord]]]:
    reporter = EventReporter(
        instance="pbx-1", state_dir=directory, version="1", broker=None, clock=Standing(samples.after(100)), **options
    )
    interrupted = await reporter.start()
    try:
        yield reporter, interrupted
    finally:
        await reporter.stop()


async def stored(reporter: EventReporter) -> list[tuple[str, dict[str, Any]]]:
    await written(reporter)
    return [(event.topic, json.loads(event.payload)) for event in await reporter._backlog.fetch(0, 1000)]


async def test_a_transfer_is_one_line_in_the_log_and_each_milestone_another_at_debug(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with reporting(tmp_path) as (real, _):
        reporter: Reporter = real
        with capture_logs() as logs:
            caplog.set_level(logging.INFO, "gateway.report.sinks.log")
            reporter.transfer(Milestone.REQUESTED, samples.requested())
            reporter.transfer(Milestone.ENDED, samples.completed())
            reporter.transfer(Milestone.RINGING, replace(samples.requested("01X"), fault="the PBX vanished"))
            reporter.transfer(Milestone.ENDED, replace(samples.refused("01X"), fault="the PBX vanished"))
            real.settle()
            caplog.set_level(logging.DEBUG, "gateway.report.sinks.log")
            reporter.transfer(Milestone.REQUESTED, samples.requested())
            reporter.call_ended(samples.call())
            reporter.queue_snapshot(samples.pbx_state())
            real.settle()
    assert [(line["log_level"], line["event"], line["transfer"]) for line in logs] == [
        ("info", "transfer-ended", samples.ID),
        ("warning", "transfer-ringing", "01X"),
        ("warning", "transfer-ended", "01X"),
        ("debug", "transfer-requested", samples.ID),
    ]
    assert logs[0]["outcome"] == "completed"
    assert logs[0]["trail"] == list(samples.completed().trail)


@pytest.mark.keeps("22.50")
async def test_what_comes_once_the_sinks_are_quiet_is_there_at_the_next_start(tmp_path: Path) -> None:
    async with reporting(tmp_path) as (reporter, _):
        reporter.transfer(Milestone.ENDED, samples.completed())
        await reporter.quiet(0.1)
        reporter.call_ended(samples.call())
        reporter.transfer(Milestone.ENDED, replace(samples.refused("01X"), requested_at=samples.after(10)))
        assert await reporter.written()
        assert {record.transfer for record in await reporter.transfers()} == {samples.ID, "01X"}
    async with reporting(tmp_path) as (reporter, interrupted):
        assert interrupted == []
        told = [(payload["type"], payload["data"].get("transfer")) for _, payload in await stored(reporter)]
        assert len(told) == 3
        assert told[0][1] == samples.ID
        assert "call" in told[1][0]
        assert told[2][1] == "01X"


async def test_the_api_sees_what_runs_and_what_ended_newest_first_also_after_a_restart(tmp_path: Path) -> None:
    async with reporting(tmp_path) as (reporter, _):
        for n in range(3):
            reporter.transfer(Milestone.ENDED, replace(samples.refused(f"r{n}"), requested_at=samples.after(n)))
        reporter.transfer(Milestone.REQUESTED, replace(samples.requested("t1"), requested_at=samples.after(10)))
        reporter.transfer(Milestone.ENDED, replace(samples.completed("t0"), requested_at=samples.after(1.5)))
        seen = [(record.transfer, record.outcome) for record in await reporter.transfers()]
    assert seen == [
        ("t1", None),
        ("r2", Outcome.REFUSED),
        ("t0", Outcome.COMPLETED),
        ("r1", Outcome.REFUSED),
        ("r0", Outcome.REFUSED),
    ]
    async with reporting(tmp_path) as (reporter, interrupted):
        again = [(record.transfer, record.outcome) for record in await reporter.transfers()]
        assert again == [("t1", Outcome.INTERRUPTED), *seen[1:]]
        (one,) = interrupted
        assert (one.reason, one.sip_code, one.ended_at) == (Reason.GATEWAY_STOPPED, 503, samples.after(100))
        topic, event = (await stored(reporter))[-1]
        assert (topic, event["type"], event["subject"]) == ("transfers/main-line", "transfer.ended.v1", "t1")
        assert event["data"]["outcome"] == "interrupted"
    async with reporting(tmp_path) as (_, interrupted):
        assert interrupted == []


async def test_topics_are_made_of_slugs_only(tmp_path: Path) -> None:
    async with reporting(tmp_path) as (reporter, _):
        for number in ("main-line", None, "+31201234567", "a/b", "#", ""):
            reporter.transfer(Milestone.ENDED, replace(samples.refused(f"t-{number}"), number=number))
        topics = [topic for topic, _ in await stored(reporter)]
    assert topics == ["transfers/main-line", *["transfers/unknown"] * 5]


async def test_an_outcome_that_looks_odd_is_told_all_the_same(tmp_path: Path) -> None:
    async with reporting(tmp_path) as (reporter, _):
        with capture_logs() as logs:
            reporter.transfer(Milestone.ENDED, replace(samples.refused(), sip_code=99))
            reporter.settle()
        ((_, event),) = await stored(reporter)
    assert (event["type"], event["data"]["sip_code"]) == ("transfer.ended.v1", 99)
    assert "error" in [line["log_level"] for line in logs]


async def test_failures_stay_when_successes_crowd_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "HISTORY_OF_EACH", 2)
    async with reporting(tmp_path) as (reporter, _):
        reporter.transfer(Milestone.ENDED, samples.refused("bad"))
        for n in range(5):
            reporter.transfer(Milestone.ENDED, samples.completed(f"good-{n}"))
        assert {record.transfer for record in await reporter.transfers()} == {"bad", "good-3", "good-4"}


@pytest.mark.keeps("16.65")
async def test_a_record_that_is_not_as_it_should_be_is_told_as_it_is_and_harms_nobody(tmp_path: Path) -> None:
    async with reporting(tmp_path) as (reporter, _):
        with capture_logs() as logs:
            reporter.call_ended(replace(samples.call(), talk_s=-3600.0))
            reporter.transfer(Milestone.ENDED, replace(samples.completed(), sip_code=7))
            reporter.settle()
        _, call = (await stored(reporter))[-2]
        _, transfer = (await stored(reporter))[-1]
    assert (call["type"], call["specversion"], call["data"]["talk_s"]) == ("call.ended.v1", "1.0", -3600.0)
    assert (transfer["type"], transfer["data"]["sip_code"]) == ("transfer.ended.v1", 7)
    assert [line["event"] for line in logs if line["log_level"] == "error"] == [
        "call-event-unfit",
        "transfer-event-unfit",
    ]


@pytest.mark.keeps("16.65")
async def test_what_cannot_be_told_at_all_is_logged_and_harms_nobody(tmp_path: Path) -> None:
    async with reporting(tmp_path) as (reporter, _):
        with capture_logs() as logs:
            reporter.call_ended(replace(samples.call(), started_at=cast("datetime", object())))
            reporter.transfer(Milestone.ENDED, replace(samples.completed(), entry=cast("Entry", object())))
            reporter.settle()
    lost = [line for line in logs if line["event"] == "event-lost"]
    assert [line.get("call") or line.get("transfer") for line in lost] == [samples.call().call, samples.ID]


@pytest.mark.keeps("16.64")
async def test_what_a_killed_gateway_left_ends_no_earlier_than_it_began(tmp_path: Path) -> None:
    """The clock was set back in between."""
    async with reporting(tmp_path) as (reporter, _):
        reporter.transfer(Milestone.REQUESTED, replace(samples.requested("t1"), requested_at=samples.after(4000)))
    async with reporting(tmp_path) as (_, interrupted):
        (one,) = interrupted
        assert one.ended_at == one.requested_at > samples.after(100)


async def test_what_is_held_is_told_once_or_let_go(tmp_path: Path) -> None:
    names = [f"01HZX2Q7J8E9RT5VWXYZ00000{number}" for number in range(3)]
    async with reporting(tmp_path) as (reporter, _):
        for name in names:
            reporter.transfer(Milestone.REQUESTED, samples.requested(name))
    clock = Standing(samples.after(100))
    held = EventReporter(instance="pbx-1", state_dir=tmp_path, version="1", broker=None, clock=clock)
    left = await held.start(hold=True)
    assert [record.transfer for record in left] == names
    assert {record.outcome for record in await held.transfers()} == {None}
    told = await held.interrupted(left[0])
    assert told is not None
    assert (told.outcome, told.told_by) == (Outcome.INTERRUPTED, None)
    assert await held.interrupted(left[0]) is None
    await held.let_go(names[1])
    ends = [body for _, body in await stored(held) if body["type"] == "transfer.ended.v1"]
    assert [body["subject"] for body in ends] == names[:1]
    await held.stop()
    # Of whom nothing was decided is held again; without that it is told.
    async with reporting(tmp_path) as (_, interrupted):
        assert [record.transfer for record in interrupted] == names[2:]


async def test_a_transfer_is_known_however_long_ago_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "HISTORY_OF_EACH", 1)
    async with reporting(tmp_path) as (reporter, _):
        reporter.transfer(Milestone.REQUESTED, samples.requested("running"))
        for name in ("old", "new"):
            reporter.transfer(Milestone.ENDED, samples.completed(name))
        assert await reporter.knows("running")
    async with reporting(tmp_path) as (reporter, _):
        assert "old" not in {record.transfer for record in await reporter.transfers()}
        assert [await reporter.knows(name) for name in ("running", "old", "new", "never")] == [True, True, True, False]


async def test_two_gateways_tell_of_a_lost_one_by_the_same_id(tmp_path: Path) -> None:
    seen = []
    for name in ("gw-2", "gw-3"):
        reporter = EventReporter(
            instance=name, state_dir=tmp_path / name, version="1", broker=None, clock=Standing(samples.after(100))
        )
        (tmp_path / name).mkdir()
        await reporter.start(hold=True)
        told = await reporter.interrupted(samples.requested(), "pbx-1", samples.after(50))
        assert told is not None
        assert (told.told_by, told.ended_at) == (name, samples.after(50))
        assert await reporter.interrupted(samples.requested(), "pbx-1") is None
        [(topic, body)] = await stored(reporter)
        assert (topic, body["source"]) == ("transfers/main-line", "/transfer-gateway/pbx-1")
        assert body["data"]["told_by"] == name
        seen.append(body["id"])
        await reporter.stop()
    async with reporting(tmp_path / "pbx-1") as (reporter, _):
        reporter.transfer(Milestone.REQUESTED, samples.requested())
    async with reporting(tmp_path / "pbx-1") as (reporter, _):
        [own] = [body["id"] for _, body in await stored(reporter) if body["type"] == "transfer.ended.v1"]
    assert seen == [own, own]
