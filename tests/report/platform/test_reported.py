# SPDX-License-Identifier: GPL-2.0-or-later
"""What platforms report, in events, history and answers; a gateway that is started anew knows it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.core.model import TransferId
from gateway.core.platform_calls import SETTLES, PlatformCall, PromisedBy
from gateway.core.record import Milestone, PlatformCallRecord
from gateway.ports.history import HistoryQuery
from gateway.report.history.retention import Keep
from gateway.report.history.rows import CALL, PLATFORM_CALL, TRANSFER
from gateway.report.reporter import EventReporter
from gateway.report.store_file import StoreError
from tests.report import samples
from tests.report.history.recording import reporting as recording
from tests.report.history.recording import settled
from tests.report.reporting import Standing, until

pytestmark = pytest.mark.slow

CALLER = "+31201112222"


def report(**changes: Any) -> PlatformCall:
    made = PlatformCall(
        platform="hms",
        call_id="0b7e",
        number="main-line",
        caller=CALLER,
        status="ended",
        over=True,
        ended_reason="user_hangup",
        began_at=samples.after(-30),
        ended_at=samples.after(30),
        clock_off_s=0.1,
    )
    return replace(made, **changes)


async def page(reporter: EventReporter, what: str = PLATFORM_CALL, **query: Any) -> list[Any]:
    return list((await reporter.page(what, HistoryQuery(**query), ())).documents)


def active(reporter: EventReporter) -> EventReporter:
    reporter.platform.configure(active=True, own=("+31201234567",))
    return reporter


async def test_a_transfer_s_end_says_what_the_platform_had_told(tmp_path: Path) -> None:
    async with recording(tmp_path) as reporter:
        active(reporter)
        await reporter.platform_report(report(over=False, status="in-progress", ended_reason=None, ended_at=None))
        reporter.transfer(Milestone.REQUESTED, samples.requested())
        reporter.transfer(Milestone.ENDED, samples.completed())
        reporter.call_ended(samples.call())
        await settled(reporter)
        [transfer], [call] = await page(reporter, TRANSFER), await page(reporter, CALL)
        assert transfer["platform"]["call_id"] == call["platform"]["call_id"] == "0b7e"
        assert transfer["platform"]["ended_reason"] is None  # nobody knew then

        await reporter.platform_report(report())
        await settled(reporter)
        [transfer], [call] = await page(reporter, TRANSFER), await page(reporter, CALL)
        assert transfer["platform"]["ended_reason"] == call["platform"]["ended_reason"] == "user_hangup"
        [told] = await page(reporter)
        assert [one["transfer"] for one in told["transfers"]] == [samples.ID]
        assert [one["call"] for one in told["calls"]] == [samples.call().call]


@pytest.mark.keeps("19.28")
@pytest.mark.parametrize("callers", ["full", "hashed"])
async def test_a_promise_that_was_pending_is_judged_in_the_next_life(tmp_path: Path, callers: Any) -> None:
    counted: list[PlatformCallRecord] = []
    keep = Keep(callers=callers)
    async with recording(tmp_path, keep=keep) as reporter:
        await active(reporter).platform_report(report(promised_by=PromisedBy.SPOKEN))
        assert [one["promise"] for one in await page(reporter)] == ["pending"]

    clock = Standing(samples.after(100) + SETTLES)
    made = EventReporter(
        instance="pbx-1", state_dir=tmp_path, version="1", broker=None, clock=clock, keep=keep,
        on_platform_call=counted.append,
    )  # fmt: skip
    active(made)
    await made.start()
    try:
        await until(lambda: bool(counted))
        assert [one.promise for one in counted] == ["broken"]
        await made.platform_report(report(promised_by=PromisedBy.SPOKEN))
        await settled(made)
        assert [one["promise"] for one in await page(made, outcome="broken")] == ["broken"]
        assert len(await page(made, caller=CALLER)) == 1
    finally:
        await made.stop()


async def test_what_the_history_has_not_taken_is_known_from_the_journal(tmp_path: Path) -> None:
    async with recording(tmp_path) as reporter:
        active(reporter).history._store.apply = fail  # type: ignore[assignment,method-assign]
        await reporter.platform_report(report())
    made = EventReporter(instance="pbx-1", state_dir=tmp_path, version="1", broker=None, clock=Standing(samples.START))
    active(made)
    await made.start()
    try:
        assert made.platform.knows("hms", "0b7e")
    finally:
        await made.stop()


def fail(*_: object) -> Any:
    raise OSError("no space")


async def test_a_report_of_long_ago_that_comes_again_is_the_same_call(tmp_path: Path) -> None:
    async with recording(tmp_path) as reporter:
        active(reporter)
        reporter.transfer(Milestone.ENDED, samples.completed())
        await reporter.platform_report(report())
        await settled(reporter)
    async with recording(tmp_path, clock=Standing(samples.after(0) + timedelta(days=3))) as reporter:
        active(reporter)
        assert not reporter.platform.knows("hms", "0b7e")
        await reporter.platform_report(report(error="late"))
        await settled(reporter)
        [told] = await page(reporter)
        assert told["error"] == "late"
        assert [one["transfer"] for one in told["transfers"]] == [samples.ID]
        assert told["reported_at"] == "2026-03-02T09:31:40.123Z"


async def test_a_transfer_that_a_kill_interrupts_has_the_platform_s_word(tmp_path: Path) -> None:
    async with recording(tmp_path) as reporter:
        await active(reporter).platform_report(report())
        reporter.transfer(Milestone.REQUESTED, replace(samples.requested(), transfer=TransferId("t1")))
        await settled(reporter)
    clock = Standing(samples.after(100))
    made = EventReporter(instance="pbx-1", state_dir=tmp_path, version="1", broker=None, clock=clock)
    active(made)
    try:
        [interrupted] = await made.start()
        assert interrupted.transfer == "t1"
        await settled(made)
        [transfer] = await page(made, TRANSFER, caller=CALLER)
        assert transfer["platform"]["call_id"] == "0b7e"
    finally:
        await made.stop()


@pytest.mark.keeps("19.31")
async def test_a_caller_who_is_forgotten_is_in_no_report_either(tmp_path: Path) -> None:
    async with recording(tmp_path) as reporter:
        await active(reporter).platform_report(report(call_id=f"call-_{CALLER}_x"))
        await settled(reporter)
        erased, _ = await reporter.forget(CALLER)
        assert erased.document["history_platform_calls"] == 1
        [told] = await page(reporter)
        assert (told["caller"], told["call_id"], told["ended_reason"]) == (None, None, "user_hangup")
    await asyncio.to_thread(nothing_names_the_caller, tmp_path)


def nothing_names_the_caller(directory: Path) -> None:
    assert not [path for path in directory.iterdir() if b"1112222" in path.read_bytes()]


async def test_a_history_that_hangs_does_not_keep_the_gateway_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.report.reporter.ANSWER_S", 0.05)
    made = EventReporter(instance="pbx-1", state_dir=tmp_path, version="1", broker=None, clock=Standing(samples.START))

    async def hangs(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(made._asking, "page", hangs)
    async with asyncio.timeout(5):
        await active(made).start()
    await made.stop()


async def test_a_disk_that_cannot_be_read_loses_no_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with recording(tmp_path) as reporter:

        async def refused(*_: object) -> None:
            raise StoreError("disk I/O error")

        monkeypatch.setattr(reporter._asking, "get", refused)
        await active(reporter).platform_report(report())
        assert reporter.platform.published[0].call_id == "0b7e"
