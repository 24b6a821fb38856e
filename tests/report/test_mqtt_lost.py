# SPDX-License-Identifier: GPL-2.0-or-later
"""A broker that is killed, frozen, not there yet or lets nobody in, and a gateway that is killed: nothing is lost."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop
from structlog.testing import capture_logs

from gateway.report.sinks.mqtt import connection as mqtt_connection
from gateway.report.sinks.mqtt import sink
from tests.report.listener import Listener, Received
from tests.report.reporting import BASE, address, events, have, refuse, reporting, subjects, until
from tests.support.broker import Broker
from tests.support.processes import Child

pytestmark = [pytest.mark.broker, pytest.mark.usefixtures("quick_retries")]

# The gateway runs on uvloop, which treats sockets that die in its own way.
on_both_loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
Run = Callable[[Coroutine[Any, Any, None]], None]


@on_both_loops
def test_a_broker_that_is_killed_under_load_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    run(kill_under_load(tmp_path, monkeypatch))


async def kill_under_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Broker() as broker, Listener(broker) as listener, reporting(tmp_path, address(broker)) as (reporter, up):
        await up.up.wait()
        monkeypatch.setattr(sink, "connected", listener.first(mqtt_connection.connected))
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
from gateway.report.sinks.mqtt.broker import Broker
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
