# SPDX-License-Identifier: GPL-2.0-or-later
"""A message that a broker will not have keeps no other one, and no event is lost by it."""

import gc
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.core.record import Milestone
from gateway.report.reporter import EventReporter
from gateway.report.sinks.mqtt import connection as mqtt_connection
from gateway.report.sinks.mqtt import delivery, listening, sink
from gateway.report.store_file import FILE_NAME
from tests.report import samples
from tests.report.listener import Listener
from tests.report.reporting import BASE, Standing, address, have, refuse, reporting, subjects, until
from tests.support.broker import Broker
from tests.support.mqtt_broker import SILENCE, HangUp, Published, ScriptedBroker, Verdict

pytestmark = pytest.mark.broker

LARGE = 40_000
OK = 0


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "FIRST_RETRY_S", 0.1)
    monkeypatch.setattr(sink, "LAST_RETRY_S", 0.1)
    monkeypatch.setattr(delivery, "AGAIN_S", (0.01, 0.02, 0.04, 0.08))


def report_large(reporter: EventReporter, transfer: str = "large") -> None:
    """Report an outcome of a size that some brokers don't take."""
    reporter.transfer(Milestone.ENDED, replace(samples.refused(transfer), trail=("x" * LARGE,)))


def errors(logs: list[Any]) -> list[Any]:
    return [line for line in logs if line["log_level"] == "error"]


def set_aside(directory: Path) -> list[tuple[str, str]]:
    """What the store says of refused events: the event's id and why."""
    with closing(sqlite3.connect(directory / FILE_NAME)) as db:
        return list(db.execute("SELECT id, why FROM refused ORDER BY seq"))


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


def is_marked(message: Published, mark: bytes = b'"subject":"large"') -> bool:
    return mark in message.payload


def told(broker: ScriptedBroker, mark: bytes) -> int:
    return sum(mark in message.payload for message in broker.taken)


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
    monkeypatch.setattr(delivery, "RESEND_EVERY_S", 0.3)
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


@pytest.mark.keeps("16.91")
@pytest.mark.parametrize("hang_up", [HangUp(), HangUp(0x95), HangUp(0x87), HangUp(0x99)], ids=str)
async def test_a_broker_that_hangs_up_on_one_event_gets_all_others(tmp_path: Path, hang_up: HangUp) -> None:
    async with (
        ScriptedBroker(lambda message: hang_up if is_marked(message) else OK) as broker,
        reporting(tmp_path, address(broker)) as (reporter, _),
    ):
        reporter.queue_snapshot(samples.pbx_state())
        refuse(reporter, 0, 20)
        report_large(reporter)
        refuse(reporter, 20, 40)
        await until(lambda: reporter.outbox.refused == 1 and reporter.outbox.events == 0)
        ended = [message for message in broker.taken if b'"transfer.ended.v1"' in message.payload]
        # At QoS 1 what was under way when the broker hung up may come twice.
        assert len({message.payload for message in ended}) == 40
        at_the_end = broker.connections
        refuse(reporter, 40, 50)
        await until(lambda: reporter.outbox.events == 0)
        assert broker.connections == at_the_end
    ((_, why),) = set_aside(tmp_path)
    assert "ends the connection when it is sent" in why


async def test_what_the_broker_hung_up_on_is_sent_again_when_asked_for_alone(tmp_path: Path) -> None:
    picky = [True]

    def judge(message: Published) -> Verdict:
        return HangUp(0x95) if picky[0] and is_marked(message) else OK

    async with ScriptedBroker(judge) as broker:
        async with reporting(tmp_path, address(broker)) as (first, _):
            report_large(first)
            await until(lambda: first.outbox.refused == 1)
        picky[0] = False
        async with reporting(tmp_path, address(broker)) as (second, _):
            refuse(second, 0, 5)
            await broker.until(lambda: told(broker, b'"transfer.ended.v1"') == 5)
            assert second.outbox.refused == 1
            await second.resend_refused()
            await broker.until(lambda: told(broker, b'"subject":"large"') == 1)
            await until(lambda: second.outbox.refused == 0 and second.outbox.events == 0)


@pytest.mark.keeps("16.91")
async def test_a_broker_that_fails_again_and_again_is_no_fault_of_the_events(tmp_path: Path) -> None:
    async with ScriptedBroker(lambda _: OK) as broker, reporting(tmp_path, address(broker)) as (reporter, connection):
        for round_ in range(6):
            await connection.up.wait()
            refuse(reporter, round_ * 10, round_ * 10 + 10)
            await broker.until(lambda: broker.taken[-1].topic != f"{BASE}/status")
            broker.drop()
            await connection.down.wait()
        await until(lambda: reporter.outbox.events == 0)
        assert reporter.outbox.refused == 0
    ended = {message.payload for message in broker.taken if b'"transfer.ended.v1"' in message.payload}
    assert len(ended) == 60


@pytest.mark.keeps("16.91")
async def test_an_event_that_is_never_answered_is_set_aside_and_tried_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_connection, "ANSWER_S", 0.2)
    deaf = [True]

    def judge(message: Published) -> Verdict:
        return SILENCE if deaf[0] and is_marked(message) else OK

    async with ScriptedBroker(judge) as broker:
        async with reporting(tmp_path, address(broker)) as (reporter, _):
            report_large(reporter)
            refuse(reporter, 0, 20)
            await broker.until(lambda: distinct(broker) == 20)
            await until(lambda: reporter.outbox.refused == 1)
            assert "no answer" in reporter.outbox.refused_because
        deaf[0] = False
        async with reporting(tmp_path, address(broker)) as (again, _):
            await broker.until(lambda: told(broker, b'"subject":"large"') == 1)
            await until(lambda: again.outbox.refused == 0 and again.outbox.events == 0)


def distinct(broker: ScriptedBroker) -> int:
    return len({message.payload for message in broker.taken if b'"transfer.ended.v1"' in message.payload})


@pytest.mark.keeps("16.91")
@pytest.mark.parametrize("kind", ["status", "queues"])
async def test_a_broker_that_hangs_up_on_what_is_no_event_gets_the_events(tmp_path: Path, kind: str) -> None:
    def judge(message: Published) -> Verdict:
        return HangUp(0x87) if message.topic.startswith(f"{BASE}/{kind}") else OK

    async with ScriptedBroker(judge) as broker:
        with capture_logs() as logs:
            async with reporting(tmp_path, address(broker)) as (reporter, _):
                reporter.queue_snapshot(samples.pbx_state())
                refuse(reporter, 0, 20)
                await broker.until(lambda: distinct(broker) == 20)
                await until(lambda: any(line.get("kind") == kind for line in logs))
                refuse(reporter, 20, 40)
                await broker.until(lambda: distinct(broker) == 40)
                settled = broker.connections
                refuse(reporter, 40, 60)
                await broker.until(lambda: distinct(broker) == 60)
                assert broker.connections == settled
                assert reporter.outbox.refused == 0


async def no_reply(_payload: bytes, _topic: str | None, _correlation: bytes | None) -> None:
    """Carries out no command."""


@pytest.mark.keeps("16.130")
@pytest.mark.parametrize(
    ("kind", "subscription", "will"),
    [
        ("commands", HangUp(0x87), OK), ("commands", HangUp(), OK), ("commands", SILENCE, OK), ("commands", 0x87, OK),
        ("will", 1, 0x87), ("will", 1, 0x90), ("will", 1, 0x95), ("will", 1, 0x9A),
    ],
    ids=str,
)  # fmt: skip
async def test_a_broker_that_bears_no_subscription_or_no_will_gets_the_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, subscription: Verdict, will: Verdict
) -> None:
    monkeypatch.setattr(mqtt_connection, "ANSWER_S", 0.2)
    monkeypatch.setattr(sink, "HOPELESS_RETRY_S", 0.1)
    async with ScriptedBroker(lambda _: OK, subscription=subscription, will=will) as broker:
        with capture_logs() as logs:
            async with reporting(tmp_path, address(broker), on_command=no_reply) as (reporter, _):
                refuse(reporter, 0, 20)
                await broker.until(lambda: distinct(broker) == 20)
                settled = broker.connections
                refuse(reporter, 20, 40)
                await broker.until(lambda: distinct(broker) == 40)
                assert broker.connections == settled
        told_of = [line["kind"] for line in logs if line["event"] == "message-refused"]
    assert [one for one in told_of if one != "retained"] == [kind]


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
