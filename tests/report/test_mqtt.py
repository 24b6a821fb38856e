# SPDX-License-Identifier: GPL-2.0-or-later
"""Events reach consumers through a real broker, whatever happens to the broker, the gateway or the connection."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop
from jsonschema import Draft202012Validator
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from structlog.testing import capture_logs

from gateway.core.record import Milestone
from gateway.report.event import schema
from gateway.report.sinks.mqtt import connection as mqtt_connection
from gateway.report.sinks.mqtt import sink
from tests.report import samples
from tests.report.listener import Listener, Received
from tests.report.reporting import BASE, Standing, address, events, have, refuse, reporting, subjects, until
from tests.support.broker import Broker
from tests.support.processes import Child, kept_waiting_s

pytestmark = pytest.mark.broker

# The gateway runs on uvloop, which treats sockets that die in its own way.
on_both_loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    # Long enough for the listener to be back first, so that it misses nothing.
    monkeypatch.setattr(sink, "FIRST_RETRY_S", 0.6)
    monkeypatch.setattr(sink, "LAST_RETRY_S", 0.6)


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


@on_both_loops
def test_a_broker_that_is_killed_under_load_loses_nothing(tmp_path: Path, run: Run) -> None:
    run(kill_under_load(tmp_path))


async def kill_under_load(tmp_path: Path) -> None:
    async with Broker() as broker, Listener(broker) as listener, reporting(tmp_path, address(broker)) as (reporter, up):
        await up.up.wait()
        sent: list[str] = []

        async def send(count: int) -> None:
            for _ in range(count):
                sent.extend(refuse(reporter, len(sent), len(sent) + 3))
                await asyncio.sleep(0.01)

        await send(30)
        sending = asyncio.create_task(send(60))
        await listener.until(have(60))
        await broker.kill()
        await up.down.wait()
        assert not reporter.connected
        await sending
        assert reporter.outbox.events > 0
        await broker.start()
        await listener.until(have(len(sent)))
        assert subjects(listener.received) == sent
        refuse(reporter, len(sent), len(sent) + 1)
        await listener.until(have(len(sent) + 1))


async def test_events_from_before_the_broker_was_there_come_first(tmp_path: Path) -> None:
    async with Broker() as broker:
        await broker.stop()
        async with reporting(tmp_path, address(broker)) as (reporter, _):
            sent = refuse(reporter, 0, 50)
        # Another run, now with a broker.
        await broker.start()
        async with Listener(broker) as listener, reporting(tmp_path, address(broker)) as (reporter, _):
            sent += refuse(reporter, 50, 60)
            assert subjects(await listener.until(have(60))) == sent


GATEWAY = """
import asyncio, sys
from pathlib import Path
import uvloop
from gateway.clock import LoopClock
from gateway.core.record import Milestone
from gateway.report.sinks.mqtt.connection import Broker
from gateway.report.reporter import EventReporter
from tests.report import samples

async def main():
    broker = Broker(instance="pbx-1", host="127.0.0.1", port=int(sys.argv[2]))
    options = {"version": "1", "broker": broker, "clock": LoopClock()}
    reporter = EventReporter(instance="pbx-1", state_dir=Path(sys.argv[1]), **options)
    await reporter.start()
    for n in range(10**6):
        reporter.transfer(Milestone.REQUESTED, samples.requested(f"a{n:05}"))
        reporter.transfer(Milestone.REQUESTED, samples.requested(f"b{n:05}"))
        reporter.transfer(Milestone.ENDED, samples.completed(f"b{n:05}"))
        if n >= 10:
            reporter.transfer(Milestone.ENDED, samples.completed(f"a{n - 10:05}"))
        await asyncio.sleep(0.002)

uvloop.run(main())
"""


async def test_kill_9_between_transfers_every_one_gets_its_one_outcome(tmp_path: Path) -> None:
    async with Broker() as broker, Listener(broker) as listener:
        gateway = Child("gateway", [sys.executable, "-c", GATEWAY, str(tmp_path), str(broker.port)], tmp_path / "log")
        await listener.until(have(300))
        await gateway.kill()
        await listener.says("/status", state="offline", reason="connection lost")
        async with reporting(tmp_path, address(broker)) as (reporter, _):
            interrupted = [
                record.transfer
                for record in await reporter.transfers()
                if record.outcome and record.outcome == "interrupted"
            ]
            assert len(interrupted) in (10, 11, 12)
            await listener.says("/status", state="online")
            last = max(interrupted)
            await listener.until(lambda received: ("transfer.ended.v1", last) in kinds(received))
    seen = kinds(listener.received)
    requested = [transfer for kind, transfer in seen if kind == "transfer.requested.v1"]
    ended = [transfer for kind, transfer in seen if kind == "transfer.ended.v1"]
    assert sorted(requested) == sorted(ended)
    assert len(set(ended)) == len(ended)
    told = {event["subject"] for event in events(listener.received) if event["data"]["outcome"] == "interrupted"}
    assert told == set(interrupted)


def kinds(received: list[Received]) -> list[tuple[str, str]]:
    return [(event["type"], event["subject"]) for event in events(received)]


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


@on_both_loops
def test_a_frozen_broker_is_given_up_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setattr(mqtt_connection, "ANSWER_S", 0.3)
    run(freeze(tmp_path))


async def freeze(tmp_path: Path) -> None:
    async with Broker() as broker, Listener(broker) as listener, reporting(tmp_path, address(broker)) as (reporter, up):
        await up.up.wait()
        broker.freeze()
        sent = refuse(reporter, 0, 20)
        await up.down.wait()
        # Long enough for a second attempt to come to nothing.
        await asyncio.sleep(1.2)
        broker.freeze(frozen=False)
        await up.up.wait()
        assert subjects(await listener.until(have(20))) == sent
        await listener.says("/status", state="online")


async def test_a_wrong_password_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "HOPELESS_RETRY_S", 0.05)
    async with Broker(login=("gateway", "right")) as broker:
        with capture_logs() as logs:
            async with reporting(tmp_path, address(broker, username="gateway", password="wrong")) as (reporter, _):
                sent = refuse(reporter, 0, 5)
                await refusals(broker, 3)
                assert not reporter.connected
        errors = [line["why"] for line in logs if line["log_level"] == "error"]
        assert len(errors) == 1
        assert "refuses the user name or password" in errors[0]
        assert "wrong" not in str(logs)
        right = address(broker, username="gateway", password="right")
        async with Listener(broker) as listener, reporting(tmp_path, right):
            assert subjects(await listener.until(have(5))) == sent


async def refusals(broker: Broker, count: int) -> None:
    assert broker.child is not None
    async for line in broker.child.lines():
        count -= "not authorised" in line.lower()
        if count == 0:
            return


async def test_a_broker_that_takes_little_at_once_gets_little(tmp_path: Path) -> None:
    async with Broker(options=["max_inflight_messages 4"]) as broker, Listener(broker) as listener:
        with capture_logs() as logs:
            async with reporting(tmp_path, address(broker)) as (reporter, _):
                sent = refuse(reporter, 0, 200)
                assert subjects(await listener.until(have(200))) == sent
    assert [line for line in logs if line["log_level"] == "error"] == []


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Certificate and key for 127.0.0.1, and the authority that vouches for them."""
    directory = tmp_path_factory.mktemp("tls")
    key, certificate = directory / "key.pem", directory / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key, certificate


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
async def test_over_tls_only_a_broker_that_is_who_it_says(
    tmp_path: Path, certificates: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink, "HOPELESS_RETRY_S", 0.05)
    async with Broker(tls=certificates) as broker:
        with capture_logs() as logs:
            async with reporting(tmp_path, address(broker, tls=True)) as (reporter, _):
                refuse(reporter, 0, 1)
                await until(lambda: any("not trusted" in line.get("why", "") for line in logs))
                assert not reporter.connected
            async with reporting(tmp_path, address(broker, tls=True, ca_file=tmp_path / "none.pem")):
                await until(lambda: any("none.pem" in line.get("why", "") for line in logs))
        async with reporting(tmp_path, address(broker, tls=True, ca_file=certificates[2])) as (reporter, _):
            await until(lambda: reporter.connected and reporter.outbox.events == 0)


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


@pytest.mark.keeps("16.107")
async def test_a_changed_password_is_tried_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "HOPELESS_RETRY_S", 600.0)
    async with Broker(login=("gateway", "right")) as broker:
        wrong, right = (address(broker, username="gateway", password=secret) for secret in ("wrong", "right"))
        async with reporting(tmp_path, wrong) as (reporter, up), Listener(broker) as listener:
            await refusals(broker, 1)
            reporter.log_in(right)
            await asyncio.wait_for(up.up.wait(), 10)
            # The same login again is no reason to lose the connection.
            reporter.log_in(right)
            sent = refuse(reporter, 0, 5)
            assert subjects(await listener.until(have(5))) == sent
            assert up.up.is_set()
            reporter.log_in(wrong)
            await asyncio.wait_for(up.down.wait(), 10)
            await refusals(broker, 2)
            assert not reporter.connected

            def told_offline(received: list[Received]) -> bool:
                states = [each.body["state"] for each in received if each.topic == f"{BASE}/status"]
                return states[-1:] == ["offline"]

            await listener.until(told_offline)


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
