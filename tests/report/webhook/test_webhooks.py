# SPDX-License-Identifier: GPL-2.0-or-later
"""Webhooks beside the broker: each at its own pace, over restarts and reloads, over TLS, in metrics and status."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from structlog.testing import capture_logs

from gateway.clock import LoopClock
from gateway.core.event_types import EVENT_TYPES
from gateway.core.record import Milestone
from gateway.report.reporter import EventReporter
from gateway.report.sinks.webhook.receiver import Receiver
from gateway.report.webhook_metrics import WebhookMetrics
from tests.report import samples
from tests.report.reporting import refuse, until
from tests.report.webhook.sending import receiver
from tests.report.webhook.server import Server, subjects
from tests.report.written import written
from tests.support.certificates import Authority

pytestmark = pytest.mark.slow


@asynccontextmanager
async def reporting(
    directory: Path, receivers: Sequence[Receiver], observer: WebhookMetrics | None = None
) -> AsyncIterator[EventReporter]:
    """A reporter with webhooks and without a broker."""
    reporter = EventReporter(
        instance="pbx-1",
        state_dir=directory,
        version="1.2.3",
        broker=None,
        clock=LoopClock(),
        webhook_observer=observer,
    )
    reporter.webhooks.configure(receivers)
    await reporter.start()
    try:
        yield reporter
    finally:
        await reporter.stop()


def waiting(reporter: EventReporter, webhook: str = "crm") -> int:
    return reporter.webhooks._sinks[webhook].backlog.state.events


async def test_nothing_is_lost_while_a_receiver_is_away_over_restarts(tmp_path: Path) -> None:
    async with Server() as server:
        port, url = server.port, server.url
        async with reporting(tmp_path, [receiver(url)]) as reporter:
            told = refuse(reporter, 0, 20)
            await until(lambda: len(server.taken) == 20)
    for first in (20, 40):
        async with reporting(tmp_path, [receiver(url)]) as reporter:
            told += refuse(reporter, first, first + 20)
            await until(lambda there=reporter, left=first: waiting(there) == left)  # type: ignore[misc]
    async with Server(port=port) as again, reporting(tmp_path, [receiver(url)]) as reporter:
        told += refuse(reporter, 60, 70)
        await until(lambda: len(again.taken) == 50)
        assert subjects(server.taken + again.taken) == told
        assert {event["type"] for event in again.taken} == {"transfer.ended.v1"}


async def test_one_receiver_that_is_away_keeps_no_other(tmp_path: Path) -> None:
    async with Server() as gone:
        away = replace(receiver(gone.url), id="away")
    async with Server() as server, reporting(tmp_path, [away, receiver(server.url)]) as reporter:
        told = refuse(reporter, 0, 30)
        await until(lambda: len(server.taken) == 30)
        assert subjects(server.taken) == told
        assert (waiting(reporter, "away"), reporter.outbox.events) == (30, 0)


async def test_a_reload_brings_and_takes_receivers_and_those_that_stay_lose_nothing(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    async with Server() as one, Server() as other:
        crm, audit = receiver(one.url), replace(receiver(other.url), id="audit")
        async with reporting(tmp_path, [crm], WebhookMetrics(registry)) as reporter:
            told = refuse(reporter, 0, 5)
            await until(lambda: len(one.taken) == 5)
            reporter.webhooks.configure([crm, audit])
            told += refuse(reporter, 5, 10)
            await until(lambda: (len(one.taken), len(other.taken)) == (10, 5))
            # A new one begins with what happens from then on.
            assert subjects(other.taken) == told[5:]
            assert b'webhook_requests_total{result="taken",webhook="audit"} 5.0' in generate_latest(registry)
            await until(lambda: waiting(reporter) == 0)  # or those would count beside the next three
            one.otherwise = 500
            told += refuse(reporter, 10, 13)
            await until(lambda: waiting(reporter) == 3)
            await written(reporter)  # what is given up is counted on disk
            with capture_logs() as logs:
                reporter.webhooks.configure([audit])
                told += refuse(reporter, 13, 15)
                await until(lambda: len(other.taken) == 10)
            assert subjects(other.taken) == told[5:]
            assert ("sink-gone", 3) in [(line["event"], line.get("given_up")) for line in logs]
            assert b'webhook="crm"' not in generate_latest(registry)
            assert list(reporter.webhooks.document) == ["audit"]


async def test_only_what_a_receiver_asks_for_waits_for_it(tmp_path: Path) -> None:
    async with Server() as server:
        of_calls = receiver(server.url, events=frozenset({"call.ended.v1"}))
        async with reporting(tmp_path, [of_calls]) as reporter:
            server.otherwise = 503
            reporter.call_ended(samples.call())
            refuse(reporter, 0, 20)
            reporter.call_ended(replace(samples.call(), call="c2"))
            await written(reporter)
            await until(lambda: waiting(reporter) == 2)
            assert await reporter._journal.backlogs["webhook:crm"].fetch(0, 50) != []
            server.otherwise = 200
            reporter.webhooks.configure([replace(of_calls, events=frozenset(EVENT_TYPES))])
            told = refuse(reporter, 20, 23)
            await until(lambda: len(server.taken) == 5)
            assert subjects(server.taken)[2:] == told, "what was not asked for when it happened is not sent later"
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as db:
        assert db.execute("SELECT count(*) FROM apart").fetchone() == (0,)


async def test_metrics_and_status_tell_how_it_stands(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    async with Server() as server, reporting(tmp_path, [receiver(server.url)], WebhookMetrics(registry)) as reporter:

        def exported(name: str) -> float | None:
            return registry.get_sample_value(f"transfer_gateway_webhook_{name}", {"webhook": "crm"})

        assert exported("up") == 1
        server.otherwise = 503
        refuse(reporter, 0, 2)
        await until(lambda: exported("up") == 0 and exported("events") == 2)
        assert (exported("oldest_timestamp_seconds") or 0) > 1_700_000_000
        status = reporter.webhooks.document["crm"]
        assert isinstance(status, dict)
        assert (status["up"], status["gone"], status["because"], status["events"]) == (False, False, "503", 2)
        server.otherwise = 204
        await until(lambda: exported("up") == 1 and exported("events") == 0)
        counted = {
            result: registry.get_sample_value(
                "transfer_gateway_webhook_requests_total", {"webhook": "crm", "result": result}
            )
            for result in ("taken", "failed")
        }
        assert counted["taken"] == 2
        assert counted["failed"] == len(server.asked) - 2
        # A receiver that refuses the one and takes the other has one dead letter.
        server.otherwise = lambda event: 422 if event["subject"] == "t00002" else 204
        refuse(reporter, 2, 4)
        await until(lambda: exported("refused_events") == 1)
        assert exported("up") == 1
        server.otherwise = 204
        await reporter.resend_refused()
        await until(lambda: exported("refused_events") == 0 and len(server.taken) == 4)


async def test_a_receiver_has_to_show_a_certificate_that_is_trusted(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    async with Server(tls=ours.identity("127.0.0.1").server()) as server:
        for number, authority in enumerate((None, theirs.certificate)):
            state = tmp_path / f"state{number}"
            async with reporting(state, [receiver(server.url, ca_file=authority)]) as reporter:
                reporter.transfer(Milestone.ENDED, samples.refused())
                await until(lambda: not reporter.webhooks._sinks["crm"].condition.up)
                why = reporter.webhooks._sinks["crm"].condition.why
                assert "certificate" in why
        assert server.asked == []
        async with reporting(tmp_path / "state", [receiver(server.url, ca_file=ours.certificate)]) as reporter:
            reporter.transfer(Milestone.ENDED, samples.refused())
            await until(lambda: len(server.taken) == 1)
    async with Server(tls=ours.identity("192.0.2.1").server()) as server:
        async with reporting(tmp_path / "other", [receiver(server.url, ca_file=ours.certificate)]) as reporter:
            reporter.transfer(Milestone.ENDED, samples.refused())
            await until(lambda: not reporter.webhooks._sinks["crm"].condition.up)
        assert server.asked == []


async def test_neither_log_nor_repr_holds_the_key_or_the_address(tmp_path: Path) -> None:
    async with Server() as server:
        to = receiver(server.url)
    with capture_logs() as logs:
        async with reporting(tmp_path, [to]) as reporter:
            reporter.transfer(Milestone.ENDED, samples.refused())
            await until(lambda: not reporter.webhooks._sinks["crm"].condition.up)
    shown = f"{logs} {to!r}"
    assert "webhook-down" in shown
    assert "in-the-url" not in shown
    assert repr(to.keys[0]) not in shown
    with pytest.raises(AttributeError):
        to.url = "http://elsewhere"  # type: ignore[misc]
