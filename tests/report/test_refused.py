# SPDX-License-Identifier: GPL-2.0-or-later
"""A message that a broker will not have keeps no other one, and no event is lost by it."""

import asyncio
import gc
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.report.sinks.mqtt import delivery, listening
from gateway.report.sinks.mqtt.connection import IN_FLIGHT
from tests.report import samples
from tests.report.listener import Listener
from tests.report.refusing import OK, errors, is_marked, no_reply, report_large, retry_quickly, set_aside, told
from tests.report.reporting import BASE, Standing, address, have, refuse, reporting, subjects, until
from tests.support.broker import Broker
from tests.support.mqtt_broker import SILENCE, Published, ScriptedBroker, Verdict

pytestmark = pytest.mark.broker


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    retry_quickly(monkeypatch)


# The first is told at the connection's start; on what is above the second, mosquitto 2.0 hangs up.
@pytest.mark.keeps("16.90")
@pytest.mark.parametrize(("option", "hangs_up"), [("max_packet_size 20000", False), ("message_size_limit 20000", True)])
async def test_one_event_that_is_too_large_is_set_aside_and_the_next_go_on(
    tmp_path: Path, option: str, hangs_up: bool
) -> None:
    async with Broker(options=[option]) as broker, Listener(broker) as listener:
        with capture_logs() as logs:
            async with reporting(tmp_path, address(broker)) as (reporter, connection):
                await connection.up.wait()
                sent = refuse(reporter, 0, 3)
                report_large(reporter)
                sent += refuse(reporter, 3, 30)
                assert subjects(await listener.until(have(30))) == sent
                await until(lambda: reporter.outbox.refused == 1 and reporter.outbox.events == 0)
    (error,) = [line for line in errors(logs) if line["event"] == "event-refused"]
    assert any("closed the connection" in line["why"] for line in errors(logs)) is hangs_up
    ((_, why),) = set_aside(tmp_path)
    assert why in error["why"]


async def test_when_the_broker_takes_more_a_new_start_sends_it_again(tmp_path: Path) -> None:
    async with (
        Broker(options=["max_packet_size 20000"]) as broker,
        reporting(tmp_path, address(broker)) as (reporter, _),
    ):
        report_large(reporter)
        await until(lambda: reporter.outbox.refused == 1)
    async with Broker() as broker, Listener(broker) as listener, reporting(tmp_path, address(broker)) as (reporter, _):
        assert subjects(await listener.until(have(1))) == ["large"]
        await until(lambda: reporter.outbox.refused == 0 and reporter.outbox.events == 0)


@pytest.mark.keeps("16.90")
async def test_events_that_the_user_may_not_write_arrive_in_order_once_they_may(tmp_path: Path) -> None:
    async with Broker(rights=[f"topic readwrite {BASE}/status"]) as broker:
        with capture_logs() as logs:
            async with reporting(tmp_path, address(broker)) as (reporter, connection):
                sent = refuse(reporter, 0, 5)
                await until(lambda: reporter.outbox.refused == 5)
                assert "Not authorized" in reporter.outbox.refused_because
                (error,) = errors(logs)
                assert f"may this user write to {BASE}/transfers/main-line?" in error["why"]
                connection.down.clear()
                broker.grant("topic readwrite #")
                await broker.stop()
                await broker.start()
                async with Listener(broker) as listener:
                    assert subjects(await listener.until(have(5))) == sent
                    await until(lambda: reporter.outbox.refused == 0)


async def test_a_user_who_may_write_no_status_still_sends_events(tmp_path: Path) -> None:
    rights = [f"topic write {BASE}/transfers/#", "topic read #"]
    async with Broker(rights=rights) as broker, Listener(broker) as listener:
        with capture_logs() as logs:
            async with reporting(tmp_path, address(broker)) as (reporter, connection):
                sent = refuse(reporter, 0, 5)
                assert subjects(await listener.until(have(5))) == sent
                assert connection.up.is_set()
                reporter.draining()
                sent = refuse(reporter, 5, 6)
                await listener.until(have(6))
    warnings = [line for line in logs if line["log_level"] == "warning"]
    assert [(line["event"], line["kind"]) for line in warnings] == [("message-refused", "status")]


@pytest.mark.keeps("16.93")
async def test_a_broker_that_retains_nothing_gets_status_and_queues_without(tmp_path: Path) -> None:
    async with Broker(options=["retain_available false"]) as broker, Listener(broker) as listener:
        with capture_logs() as logs:
            async with reporting(tmp_path, address(broker), clock=Standing(samples.START)) as (reporter, connection):
                await listener.says("/status", state="online")
                reporter.queue_snapshot(samples.pbx_state(waiting=7))
                await listener.says("queues/asterisk/sales", callers=7)
                sent = refuse(reporter, 0, 3)
                assert subjects(await listener.until(have(3))) == sent
                # Also after it was away, where the gateway must find out anew.
                await broker.kill()
                await connection.down.wait()
                await broker.start()
                await listener.says("/status", state="online")
        async with Listener(broker) as late:
            assert late.received == []
    told = [line for line in logs if line.get("kind") == "retained"]
    assert len(told) == 1
    assert [line for line in errors(logs) if "Retain" in str(line)] == []


# What a broker may answer to a publish (MQTT 5 §3.4.2.1), and mosquitto does not.
NOT_THIS_ONE = [0x80, 0x83, 0x87, 0x90, 0x99]


@pytest.mark.keeps("16.90")
@pytest.mark.parametrize("code", NOT_THIS_ONE, ids=hex)
async def test_whatever_the_broker_answers_the_others_go_on(tmp_path: Path, code: int) -> None:
    async with (
        ScriptedBroker(lambda message: code if is_marked(message) else OK) as broker,
        reporting(tmp_path, address(broker)) as (reporter, connection),
    ):
        refuse(reporter, 0, 20)
        report_large(reporter)
        refuse(reporter, 20, 40)
        await broker.until(lambda: told(broker, b'"transfer.ended.v1"') == 40)
        await until(lambda: reporter.outbox.refused == 1 and reporter.outbox.events == 0)
        assert broker.connections == 1
        assert not connection.down.is_set()
    assert len(set_aside(tmp_path)) == 1


@pytest.mark.keeps("16.92")
async def test_a_quota_that_is_exceeded_is_waited_for(tmp_path: Path) -> None:
    left = [3]

    def judge(message: Published) -> Verdict:
        if is_marked(message) and left[0]:
            left[0] -= 1
            return 0x97
        return OK

    async with ScriptedBroker(judge) as broker, reporting(tmp_path, address(broker)) as (reporter, _):
        report_large(reporter)
        refuse(reporter, 0, 20)
        await broker.until(lambda: told(broker, b'"transfer.ended.v1"') == 21)
        await until(lambda: reporter.outbox.events == 0)
        assert reporter.outbox.refused == 0
        assert told(broker, b'"subject":"large"') == 1
        assert broker.connections == 1


@pytest.mark.keeps("16.92")
async def test_a_quota_that_lasts_sets_events_aside_until_it_has_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough for more than IN_FLIGHT to be tried five times: else the same ones would come first again and again.
    monkeypatch.setattr(delivery, "RESEND_EVERY_S", 2)
    full = [True]

    def judge(message: Published) -> Verdict:
        return 0x97 if full[0] and "/transfers/" in message.topic else OK

    async with ScriptedBroker(judge) as broker, reporting(tmp_path, address(broker)) as (reporter, _):
        refuse(reporter, 0, 40)
        await until(lambda: reporter.outbox.refused > 16)
        full[0] = False
        await broker.until(lambda: told(broker, b'"transfer.ended.v1"') >= 40)
        await until(lambda: reporter.outbox.refused == 0 and reporter.outbox.events == 0)
        assert len({message.payload for message in broker.taken if "/transfers/" in message.topic}) == 40


@pytest.mark.keeps("16.130")
async def test_commands_that_were_not_granted_are_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "LEFT_OUT_S", 0.05)
    async with (
        ScriptedBroker(lambda _: OK, subscription=0x87) as broker,
        reporting(tmp_path, address(broker), on_command=no_reply) as (_, connection),
    ):
        await connection.up.wait()
        broker.subscription = 1
        asked = broker.subscriptions
        await broker.until(lambda: broker.subscriptions >= asked + 2)
        assert broker.connections == 1


async def test_a_snapshot_that_is_too_large_keeps_nothing(tmp_path: Path) -> None:
    # Maximum Packet Size 1,500 (MQTT 5 §3.2.2.3.6): an event fits, this snapshot does not.
    async with (
        ScriptedBroker(lambda _: OK, connack=b"\x27" + (3000).to_bytes(4)) as broker,
        reporting(tmp_path, address(broker)) as (reporter, connection),
    ):
        state = samples.pbx_state(proven_at=None)
        reporter.queue_snapshot(replace(state, unknown_because="x" * 3000))
        reporter.queue_snapshot(replace(state, pbx="other"))
        await broker.until(lambda: any("queues/other" in message.topic for message in broker.taken))
        refuse(reporter, 0, 3)
        await broker.until(lambda: told(broker, b'"transfer.ended.v1"') == 3)
        assert not connection.down.is_set()
        assert broker.connections == 1


@pytest.mark.keeps("16.103")
async def test_the_session_taken_over_is_one_clear_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with ScriptedBroker(lambda _: OK) as broker:
        with capture_logs() as logs:
            async with reporting(tmp_path, address(broker)) as (reporter, connection):
                for _ in range(3):
                    await connection.up.wait()
                    broker.drop(0x8E)
                    await connection.down.wait()
                await connection.up.wait()
                assert reporter.connected
    (error,) = errors(logs)
    assert "does a second gateway run as instance pbx-1?" in error["why"]
    assert "exc_info" not in error
    gc.collect()
    # … nor does asyncio add one of its own.
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


@pytest.mark.keeps("16.167")
@pytest.mark.parametrize("maximum", [1, 2, 3, 10])
async def test_no_more_is_in_flight_than_the_broker_takes(tmp_path: Path, maximum: int) -> None:
    """Events, and beside them the status, wait for each other's answers (MQTT 5 §3.2.2.3.3)."""
    broker = ScriptedBroker(lambda _: OK, connack=b"\x21" + maximum.to_bytes(2), answers_after_s=0.05)
    async with broker, reporting(tmp_path, address(broker)) as (reporter, connection):
        await connection.up.wait()
        refuse(reporter, 0, 8)
        await broker.until(lambda: broker.in_flight > 0)
        reporter.draining()
        await broker.until(lambda: len([one for one in broker.taken if "/transfers/" in one.topic]) == 8)
        await broker.until(lambda: any(b"draining" in one.payload for one in broker.taken))
        assert broker.connections == 1
    assert broker.most_in_flight <= maximum


async def test_what_is_in_flight_takes_no_task_each(tmp_path: Path) -> None:
    unanswered: list[Published] = []

    def judge(message: Published) -> Verdict:
        if "/transfers/" not in message.topic:
            return OK
        unanswered.append(message)
        return SILENCE

    async with ScriptedBroker(judge) as broker, reporting(tmp_path, address(broker)) as (reporter, connection):
        await connection.up.wait()
        before = len(asyncio.all_tasks())
        refuse(reporter, 0, 2 * IN_FLIGHT)
        await broker.until(lambda: len(unanswered) == IN_FLIGHT)
        assert len(asyncio.all_tasks()) - before < IN_FLIGHT / 2
