# SPDX-License-Identifier: GPL-2.0-or-later
"""A broker that hangs up on a message, or never answers it, gets all others, and no event is lost by it."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.report.sinks.mqtt import connection as mqtt_connection
from gateway.report.sinks.mqtt import sink
from tests.report import samples
from tests.report.refusing import OK, distinct, is_marked, no_reply, report_large, retry_quickly, set_aside, told
from tests.report.reporting import BASE, address, refuse, reporting, until
from tests.support.mqtt_broker import SILENCE, HangUp, Published, ScriptedBroker, Verdict

pytestmark = pytest.mark.broker


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    retry_quickly(monkeypatch)


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
    if subscription is SILENCE:  # the others answer, however late a busy machine lets them
        monkeypatch.setattr(mqtt_connection, "ANSWER_S", 1)
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
