# SPDX-License-Identifier: GPL-2.0-or-later
"""What an operator notices of the gateway's life: how it starts, why it does not, how it reloads, drains and ends.

All of it is real but the user agent, which is that of the bench, and the engine's clock.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

import aiohttp
import pytest
from structlog.testing import capture_logs

from gateway import app
from gateway.background import BackgroundTasks
from gateway.config import load
from gateway.core.record import Milestone
from tests.bench import BEGIN, PBX, SALES
from tests.bench.clock import VirtualClock
from tests.report import samples
from tests.report.webhook.server import SECRET, Server
from tests.running_app import FakeUserAgent, Running, over, running, serving, until, written
from tests.support.certificates import Authority
from tests.support.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from structlog.typing import EventDict


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return written(tmp_path / "etc", tmp_path / "state", free_port())


@pytest.fixture(autouse=True)
def unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a gateway sets up for its whole process is not for ever here."""
    monkeypatch.setattr(app, "_configure_log", lambda _config: None)
    for what in ("collect", "freeze"):  # there is more here to look through than in a gateway
        monkeypatch.setattr(gc, what, lambda: 0)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)


# --- what is measured


@pytest.mark.keeps("16.201")
async def test_what_nobody_asks_is_not_told_as_down(directory: Path) -> None:
    profile = directory / "sip_profiles" / "platform.toml"
    async with running(directory) as gateway:
        assert await states(gateway) == ["trunk_up{trunk=platform} 0.0", "mqtt_connected NaN"]
        profile.write_text(profile.read_text() + "options_interval_s = 0\n")
        await gateway.post("/api/reload")
        assert await states(gateway) == ["trunk_up{trunk=platform} NaN", "mqtt_connected NaN"]


@pytest.mark.slow
@pytest.mark.keeps("16.168")
async def test_when_certificates_end_is_exported_as_long_as_they_are_configured(
    directory: Path, tmp_path: Path
) -> None:
    main, secret = directory / "gateway.toml", directory / "crm.secret"
    before = main.read_text()
    secret.write_text(SECRET)
    secret.chmod(0o600)
    named = f'ca_file = "{Authority(tmp_path / "pki").certificate}"'
    webhook = 'id = "crm"\nurl = "https://crm.example"\nsecret_file = "crm.secret"'
    main.write_text(f"{before}\n[[webhooks]]\n{webhook}\n{named}\n")
    name = 'transfer_gateway_certificate_expires_timestamp_seconds{key="webhooks[crm].ca_file"}'
    async with running(directory) as gateway:
        assert name in await metrics(gateway)
        main.write_text(before)
        await gateway.post("/api/reload")
        assert name not in await metrics(gateway)


async def metrics(gateway: Running) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{gateway.port}/metrics") as answer:
        return await answer.text()


async def states(gateway: Running) -> list[str]:
    lines = (await metrics(gateway)).replace('"', "").replace("transfer_gateway_", "").splitlines()
    return [line for line in lines if line.startswith(("trunk_up", "mqtt_connected"))]


# --- starting


async def test_it_listens_once_its_journal_is_open_and_says_so_once_it_serves(
    directory: Path, tmp_path: Path, systemd: Callable[[], list[str]]
) -> None:
    gateway = Running(directory)
    found: list[object] = []

    def look() -> None:
        found.append([path.name for path in (tmp_path / "state").iterdir() if path.suffix == ".db"])
        with socket.socket() as asking:
            found.append(asking.connect_ex(("127.0.0.1", gateway.port)) == 0)
        found.append(systemd())

    gateway.sip.when_started = look
    with capture_logs() as logs:
        life = asyncio.create_task(gateway.app.run())
        await serving(gateway, life)
        assert (await gateway.get("/readyz"))[0] == 200
        os.kill(os.getpid(), signal.SIGTERM)
        await life
    journal, listens, told = found
    assert journal
    assert (listens, told) == (False, [])
    assert systemd()[:2] == ["READY=1", "STATUS=serving"]
    assert [line["event"] for line in logs if line["event"] in ("started", "stopped")] == ["started", "stopped"]


@pytest.mark.keeps("16.172")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_stop_while_it_starts_ends_it_in_order(
    directory: Path, number: signal.Signals, systemd: Callable[[], list[str]]
) -> None:
    unhandled: list[int] = []
    before = signal.signal(number, lambda *_: unhandled.append(number))
    try:
        gateway = Running(directory)
        gateway.sip.when_started = lambda: os.kill(os.getpid(), number)
        await asyncio.wait_for(gateway.app.run(), 10)
    finally:
        signal.signal(number, before)
    assert gateway.sip.life == ["start", "stop"]
    assert not unhandled
    assert [word for word in systemd() if "=1" in word] == ["READY=1", "STOPPING=1"]


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as captured:
        yield captured


def started(directory: Path, agent: FakeUserAgent) -> int:
    """The exit code of a gateway that does not start."""
    return app.main(directory, agent.made)


def reasons(logs: list[EventDict]) -> list[str]:
    return [line["error"] for line in logs if line["event"] == "cannot-start"]


def test_what_sip_cannot_have_is_named_and_the_journal_is_free_again(directory: Path, logs: list[EventDict]) -> None:
    agent = FakeUserAgent(VirtualClock(BEGIN), "start")
    assert started(directory, agent) == 1
    assert reasons(logs) == ["cannot listen on udp 127.0.0.2:5060: Address already in use"]
    assert agent.life == ["start", "stop"]
    assert started(directory, FakeUserAgent(VirtualClock(BEGIN), "start")) == 1
    assert reasons(logs)[1:] == reasons(logs)[:1]  # and not that somebody else has the journal


def test_an_http_port_that_is_taken_is_named_and_sip_is_ended(directory: Path, logs: list[EventDict]) -> None:
    port = load(directory).http.port
    agent = FakeUserAgent(VirtualClock(BEGIN))
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        assert started(directory, agent) == 1
    assert str(port) in reasons(logs)[0]
    assert agent.life == ["start", "stop"]


def test_without_a_journal_nobody_is_called(tmp_path: Path, logs: list[EventDict]) -> None:
    (tmp_path / "state").write_text("a file, and no directory")
    agent = FakeUserAgent(VirtualClock(BEGIN))
    assert started(written(tmp_path / "etc", tmp_path / "state", free_port()), agent) == 1
    assert str(tmp_path / "state") in reasons(logs)[0]
    assert "start" not in agent.life


# --- draining


async def test_sigterm_lets_calls_end_and_takes_no_new_ones(directory: Path, systemd: Callable[[], list[str]]) -> None:
    gateway = Running(directory)
    life = asyncio.create_task(gateway.app.run())
    await serving(gateway, life)
    caller = gateway.called()
    systemd()
    os.kill(os.getpid(), signal.SIGTERM)
    await until(lambda: gateway.engine.draining, "it drains")
    status, body = await gateway.get("/readyz")
    assert (status, body["missing"]) == (503, ["transports", "not-draining"])
    assert (await gateway.get("/api/status"))[1]["state"] == "draining"
    assert gateway.engine.admit(PBX) is not None
    assert not life.done()
    for leg in list(gateway.sip.live):
        gateway.sip.end(leg)
        gateway.clock.advance(0.1)
    assert caller not in gateway.sip.live
    await life
    told = systemd()
    assert told[:2] == ["STOPPING=1", f"EXTEND_TIMEOUT_USEC={(30 + 15) * 1_000_000}"]
    assert gateway.sip.life == ["start", "stop"]


async def test_a_drain_ends_after_its_time(directory: Path) -> None:
    gateway = Running(directory)
    life = asyncio.create_task(gateway.app.run())
    await serving(gateway, life)
    gateway.called()
    os.kill(os.getpid(), signal.SIGTERM)
    await until(lambda: gateway.engine.draining, "it drains")
    gateway.clock.advance(29)
    assert gateway.sip.live
    assert not life.done()
    await over(gateway, life)


async def test_a_part_that_cannot_be_stopped_keeps_no_other_from_it(directory: Path) -> None:
    gateway = Running(directory, "stop")
    life = asyncio.create_task(gateway.app.run())
    await serving(gateway, life)
    with capture_logs() as logs:
        os.kill(os.getpid(), signal.SIGTERM)
        await life
    assert [line["part"] for line in logs if line["event"] == "stop-failed"] == ["FakeUserAgent"]
    with pytest.raises(aiohttp.ClientConnectorError):
        await gateway.get("/healthz")
    async with running(directory):  # the journal is free as well
        pass


async def test_work_in_the_background_that_fails_is_told_of() -> None:
    async def fail() -> None:
        raise RuntimeError("broken for a test")

    async def go_on() -> None:
        await asyncio.Event().wait()

    tasks = BackgroundTasks()
    with capture_logs() as logs:
        tasks.begin("measuring", fail())
        tasks.begin("watching", go_on())
        await asyncio.sleep(0)
        await tasks.stop()
    assert [(line["event"], line["task"]) for line in logs] == [("task-failed", "measuring")]


# --- reloading


async def test_sighup_has_all_of_it_take_the_new_configuration(directory: Path, tmp_path: Path) -> None:
    async with running(directory) as gateway:
        written(directory, tmp_path / "state", gateway.port, drain_s=7)
        os.kill(os.getpid(), signal.SIGHUP)
        await until(
            lambda: gateway.sip.config.gateway.drain_timeout_s == 7 and not gateway.app.reloader.reloading,
            "it is taken",
        )
        assert (await gateway.get("/api/status"))[1]["configuration"]["refused_at"] is None


async def test_a_configuration_that_sip_does_not_take_is_refused(directory: Path, tmp_path: Path) -> None:
    async with running(directory) as gateway:
        before = gateway.sip.config
        gateway.sip.fails = "reconfigure"
        written(directory, tmp_path / "state", gateway.port, drain_s=7)
        status, body = await gateway.post("/api/reload")
        assert status == 422
        assert "cannot listen on udp" in str(body)
        assert gateway.sip.config is before
        assert gateway.app.reloader.config.gateway.drain_timeout_s == 30


# --- what can be asked


async def test_what_can_be_asked_of_it(directory: Path) -> None:
    async with running(directory) as gateway:
        caller = gateway.called()
        status = (await gateway.get("/api/status"))[1]
        assert (status["state"], status["calls"], status["trunks"]) == ("online", 1, {"platform": {"up": True}})
        assert status["pbx"] == {"asterisk": {"up": False}}
        calls = (await gateway.get("/api/calls"))[1]["calls"]
        assert (await gateway.get("/api/transfers"))[1]["transfers"] == []
        assert [state["pbx"] for state in (await gateway.get("/api/queues"))[1]["pbxs"]] == ["asterisk"]
        explained = (await gateway.get(f"/api/explain?target={SALES}&number=main-line"))[1]
        assert explained["destination"] == "sales"
        number = calls[0]["call"]
        code, refused = await gateway.post(f"/api/calls/{number}/transfer", type="transfer", destination="sales")
        assert (code, refused["transfer"]["reason"]) == (409, "not-bridged")
        transfer = refused["transfer"]["transfer"]
        assert (await gateway.get(f"/api/transfers/{transfer}"))[1]["reason"] == "not-bridged"
        found = (await gateway.get("/api/transfers?reason=not-bridged&number=%2B31201234567"))[1]
        assert [each["transfer"] for each in found["transfers"]] == [transfer]
        assert (await gateway.get("/api/transfers?caller=0612345678"))[1] == {"transfers": [], "next": None}
        assert (await gateway.get("/api/calls?cursor="))[1] == {"calls": calls, "next": None}
        code, refused = await gateway.post(f"/api/calls/{number}/cancel", type="cancel")
        assert code == 404
        gateway.sip.end(caller)


async def test_a_caller_is_forgotten_but_for_what_is_under_way(directory: Path) -> None:
    async with running(directory) as gateway:
        caller = gateway.called()
        [call] = (await gateway.get("/api/calls"))[1]["calls"]
        code, refused = await gateway.post(f"/api/calls/{call['call']}/transfer", type="transfer", destination="sales")
        assert (code, refused["transfer"]["caller"]) == (409, call["caller"])
        transfer = refused["transfer"]["transfer"]
        code, told = await gateway.post("/api/forget", caller=call["caller"])
        assert (code, told["under_way"]) == (200, {"transfers": 0, "calls": 1})
        assert sum(told["erased"].values()) >= 1
        kept = (await gateway.get(f"/api/transfers/{transfer}"))[1]
        assert (kept["reason"], kept["caller"]) == ("not-bridged", None)
        assert (await gateway.post("/api/forget", caller="mailto:eve@example.com"))[0] == 400
        assert (await gateway.get("/api/transfers?caller=mailto:eve@example.com"))[0] == 400
        gateway.sip.end(caller)


async def test_a_probe_that_is_asked_for_calls_the_destination(directory: Path) -> None:
    async with running(directory) as gateway:
        probing = asyncio.create_task(gateway.post("/api/probe", number="main-line", destination="support"))
        await until(lambda: bool(gateway.sip.orders), "it is dialled")
        leg = gateway.sip.orders[0].leg
        gateway.sip.end(leg, 486)
        status, body = await probing
        assert (status, body["code"]) == (200, 486)


async def test_a_broker_that_is_not_there_is_said_to_be_configured(directory: Path, tmp_path: Path) -> None:
    port = load(directory).http.port
    more = f'\n[mqtt]\nhost = "127.0.0.1"\nport = {free_port()}\n'
    async with running(written(directory, tmp_path / "state", port, more)) as gateway:
        status = (await gateway.get("/api/status"))[1]
        assert status["mqtt"] == {"configured": True, "connected": False}


async def test_a_reload_brings_a_webhook_and_the_status_tells_of_it(directory: Path, tmp_path: Path) -> None:
    port = load(directory).http.port
    async with Server() as server, running(directory) as gateway:
        server.stands_at = BEGIN
        assert (await gateway.get("/api/status"))[1]["webhooks"] == {}
        (directory / "crm.secret").write_text(SECRET)
        more = f'\n[[webhooks]]\nid = "crm"\nurl = "{server.url}"\nsecret_file = "crm.secret"\n'
        written(directory, tmp_path / "state", port, more)
        assert (await gateway.post("/api/reload"))[1] == {"reloaded": True, "restart_needed": []}
        gateway.app.reporter.transfer(Milestone.ENDED, samples.refused())
        await until(lambda: len(server.taken) == 1, "the receiver has the event")
        told = (await gateway.get("/api/status"))[1]["webhooks"]
        assert (list(told), told["crm"]["up"], told["crm"]["refused"]) == (["crm"], True, 0)
        # A configuration that another part refuses takes no receiver out.
        gateway.sip.fails = "reconfigure"
        written(directory, tmp_path / "state", port)
        assert (await gateway.post("/api/reload"))[0] == 422
        assert list((await gateway.get("/api/status"))[1]["webhooks"]) == ["crm"]
