# SPDX-License-Identifier: GPL-2.0-or-later
"""Events reach consumers through a real broker, whatever happens to the broker, the gateway or the connection."""

import asyncio
import json
import time
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from structlog.testing import capture_logs

from gateway.core.record import Milestone
from gateway.report.event import schema
from tests.report import samples
from tests.report.listener import Listener
from tests.report.reporting import BASE, Standing, address, have, refuse, reporting, subjects
from tests.support.broker import Broker
from tests.support.processes import kept_waiting_s

pytestmark = [pytest.mark.broker, pytest.mark.usefixtures("quick_retries")]


async def test_a_transfer_is_told_step_by_step_as_the_schema_says(tmp_path: Path) -> None:
    async with Broker() as broker, Listener(broker) as listener, reporting(tmp_path, address(broker)) as (reporter, _):
        for milestone in list(Milestone)[:-1]:
            reporter.transfer(milestone, samples.requested())
        reporter.transfer(Milestone.ENDED, samples.completed())
        reporter.call_ended(samples.call())
        received = await listener.until(have(6))
    told = [message for message in received if message.topic == f"{BASE}/transfers/main-line"]
    assert [message.body["type"] for message in told] == [
        "transfer.requested.v1",
        "transfer.accepted.v1",
        "transfer.ringing.v1",
        "transfer.connected.v1",
        "transfer.ended.v1",
        "call.ended.v1",
    ]
    validator = Draft202012Validator(schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)
    for message in told:
        validator.validate(message.body)
        assert message.properties.ContentType.startswith("application/cloudevents+json")
        assert not message.retained


async def test_two_hundred_events_a_second_are_no_effort(tmp_path: Path) -> None:
    async with Broker() as broker, Listener(broker) as listener, reporting(tmp_path, address(broker)) as (reporter, up):
        await up.up.wait()
        assert broker.child
        begun, kept = time.monotonic(), kept_waiting_s(broker.child.pid)
        sent = refuse(reporter, 0, 600)
        assert subjects(await listener.until(have(600))) == sent
        assert time.monotonic() - begun < 3.0 + kept_waiting_s(broker.child.pid) - kept


async def test_the_status_is_there_for_whoever_comes_later(tmp_path: Path) -> None:
    async with Broker() as broker:
        async with reporting(tmp_path, address(broker)) as (reporter, up):
            await up.up.wait()
            async with Listener(broker) as listener:
                status = await listener.says("/status", state="online", instance="pbx-1", version="1.2.3")
                assert status["at"].endswith("Z")
                assert [message.retained for message in listener.received] == [True]
                reporter.draining()
                await listener.says("/status", state="draining")
        async with Listener(broker) as listener:
            await listener.says("/status", state="offline", reason="stopped")


async def test_stopping_sends_first_what_waits(tmp_path: Path) -> None:
    async with Broker() as broker, Listener(broker) as listener:
        async with reporting(tmp_path, address(broker)) as (reporter, up):
            await up.up.wait()
            sent = refuse(reporter, 0, 300)
        await listener.says("/status", state="offline")
        assert subjects(listener.received) == sent


async def test_the_broker_retains_nothing_of_a_caller(tmp_path: Path) -> None:
    async with Broker() as broker:
        async with Listener(broker) as listener, reporting(tmp_path, address(broker)) as (reporter, _):
            reporter.queue_snapshot(samples.pbx_state())
            reporter.transfer(Milestone.REQUESTED, samples.requested())
            reporter.transfer(Milestone.ENDED, samples.completed())
            reporter.call_ended(samples.call())
            await listener.until(have(3))
        # Whoever comes when all is over is sent what was retained, and then what is published.
        async with Listener(broker) as late:
            await late.publish("the-end", b"{}")
            received = await late.until(lambda messages: any(message.topic == "the-end" for message in messages))
    kept = [message for message in received if message.retained]
    assert {message.topic for message in kept} == {f"{BASE}/status", f"{BASE}/queues/asterisk/sales"}
    assert str(samples.completed().caller).removeprefix("+") not in str([message.body for message in kept])


async def test_queue_snapshots_are_retained_and_only_the_newest_counts(tmp_path: Path) -> None:
    async with Broker() as broker, Listener(broker) as listener:
        async with reporting(tmp_path, address(broker), clock=Standing(samples.START)) as (reporter, up):
            await up.up.wait()
            for waiting in range(100):
                reporter.queue_snapshot(samples.pbx_state(waiting=waiting))
            await listener.says("queues/asterisk/sales", known=True, callers=99)
            assert len(listener.on("queues/asterisk/sales")) <= 3
            await broker.kill()
            await up.down.wait()
            reporter.queue_snapshot(samples.pbx_state(proven_at=None))
            await broker.start()
            # The killed broker has forgotten what it retained.
            await listener.says("queues/asterisk/sales", known=False, callers=None, unknown_because="AMI is away")
            reporter.configure({"asterisk": ["support", "not/fit"]})
            with capture_logs() as logs:
                reporter.queue_snapshot(samples.pbx_state())
                reporter.queue_snapshot(samples.pbx_state())
            await listener.says("queues/asterisk/support", known=False)
            assert [line["queue"] for line in logs] == ["not/fit"]
        async with Listener(broker) as late:
            await late.says("queues/asterisk/sales", known=False)


async def test_a_broker_that_takes_little_at_once_gets_little(tmp_path: Path) -> None:
    async with Broker(options=["max_inflight_messages 4"]) as broker, Listener(broker) as listener:
        with capture_logs() as logs:
            async with reporting(tmp_path, address(broker)) as (reporter, _):
                sent = refuse(reporter, 0, 200)
                assert subjects(await listener.until(have(200))) == sent
    assert [line for line in logs if line["log_level"] == "error"] == []


class Handler:
    """Stands for the gateway behind the commands."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    async def __call__(
        self, payload: bytes, response_topic: str | None, correlation: bytes | None
    ) -> dict[str, object]:
        self.asked.append(payload)
        return {"echo": payload.decode()}


@pytest.mark.keeps("16.98")
async def test_a_command_is_answered_where_the_sender_wants_it(tmp_path: Path) -> None:
    handler = Handler()
    async with Broker() as broker, Listener(broker) as listener:
        # Kept by the broker from long ago: nobody wants it any more.
        await listener.publish(f"{BASE}/commands/transfer", b'"old"', retain=True)
        async with reporting(tmp_path, address(broker), on_command=handler) as (_, connection):
            await connection.up.wait()
            await listener.says("/status", state="online")
            for topic, reply_to in (
                (None, f"{BASE}/responses/transfer"),
                (f"{BASE}/responses/crm", f"{BASE}/responses/crm"),
                (f"{BASE}/responses/crm/7", f"{BASE}/responses/crm/7"),
                # It may not make us speak as ourselves, as another gateway, or to anybody else.
                ("crm/replies/7", f"{BASE}/responses/transfer"),
                ("home/front-door/unlock", f"{BASE}/responses/transfer"),
                (f"{BASE}/responses", f"{BASE}/responses/transfer"),
                (f"{BASE}-2/responses/crm", f"{BASE}/responses/transfer"),
                (f"{BASE}/transfers/main-line", f"{BASE}/responses/transfer"),
                (f"{BASE}/commands/transfer", f"{BASE}/responses/transfer"),
                ("transfer-gateway/pbx-2/commands/transfer", f"{BASE}/responses/transfer"),
            ):
                before = len(listener.on(reply_to))
                properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
                properties.CorrelationData = b"\x00\x07"
                if topic is not None:
                    properties.ResponseTopic = topic
                await listener.publish(f"{BASE}/commands/transfer", json.dumps(topic).encode(), properties=properties)
                await listener.until(lambda _, to=reply_to, had=before: len(listener.on(to)) > had)  # type: ignore[misc]
                (reply,) = [m for m in listener.received if m.topic == reply_to][before:]
                assert reply.body == {"echo": json.dumps(topic)}
                assert reply.properties.CorrelationData == b"\x00\x07"
    assert b'"old"' not in handler.asked
    assert len(handler.asked) == 10


class Slowly:
    """Carries commands out at once; the answer to the first waits until the second's is there."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.second = asyncio.Event()

    async def __call__(
        self, payload: bytes, response_topic: str | None, correlation: bytes | None
    ) -> dict[str, object]:
        self.asked.append(payload)
        if len(self.asked) == 1:
            await self.second.wait()
        elif len(self.asked) == 2:
            self.second.set()
        return {"echo": payload.decode()}


@pytest.mark.keeps("21.48")
async def test_no_command_waits_for_the_answer_to_another(tmp_path: Path) -> None:
    handler = Slowly()
    async with (
        Broker() as broker,
        Listener(broker) as listener,
        reporting(tmp_path, address(broker), on_command=handler) as (_, connection),
    ):
        await connection.up.wait()
        await listener.says("/status", state="online")
        for number in range(150):
            await listener.publish(f"{BASE}/commands/transfer", str(number).encode())
        await listener.until(lambda _: len(listener.on(f"{BASE}/responses/transfer")) == 150)
    assert handler.asked == [str(number).encode() for number in range(150)]


async def test_home_assistant_is_told_where_the_configuration_says_so_and_nobody_else(tmp_path: Path) -> None:
    topic = "homeassistant/device/transfer_gateway_pbx-1/config"
    async with Broker() as broker, Listener(broker) as listener:
        async with reporting(tmp_path, address(broker)) as (reporter, _):
            reporter.configure({"asterisk": ["sales"]})
            await listener.says("/status", state="online")
        assert listener.on(topic) == []
        async with reporting(tmp_path, address(broker, home_assistant=True)) as (reporter, _):
            reporter.configure({"asterisk": ["sales", "support", "not fit for a topic"]})
            await listener.until(lambda _: len(listener.on(topic)) == 1)
            found = listener.on(topic)[0]["components"]
            assert {"state", "last_outcome", "asterisk__sales_available", "asterisk__support_callers"} <= set(found)
            assert not [name for name in found if "fit" in name]
            reporter.configure({"asterisk": ["sales"]})
            await listener.until(lambda _: len(listener.on(topic)) == 2)
            assert listener.on(topic)[1]["components"]["asterisk__support_callers"] == {"platform": "sensor"}
        # Retained, for a Home Assistant that comes later.
        async with Listener(broker) as late:
            await late.until(lambda _: bool(late.on(topic)))
            assert all(message.retained for message in late.received if message.topic == topic)
