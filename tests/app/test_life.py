# SPDX-License-Identifier: GPL-2.0-or-later
"""What an operator notices of the gateway's life: how it starts, why it does not, how it reloads, drains and ends.

All of it is real but the user agent, which is that of the bench, and the engine's clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from typing import TYPE_CHECKING

import aiohttp
import pytest
from structlog.testing import capture_logs

from gateway import app, background
from gateway.background import BackgroundTasks
from gateway.config import load
from tests.bench import BEGIN, PBX
from tests.bench.clock import VirtualClock
from tests.running_app import FakeUserAgent, Running, over, running, serving, until, written
from tests.support.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from structlog.typing import EventDict

pytestmark = pytest.mark.slow


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
    [reason] = reasons(logs)
    assert reason.startswith(
        "cannot listen on udp 127.0.0.2:5060: Address already in use; another program has that port"
    )
    assert agent.life == ["start", "stop"]
    assert started(directory, FakeUserAgent(VirtualClock(BEGIN), "start")) == 1
    assert reasons(logs)[1:] == reasons(logs)[:1]  # and not that somebody else has the journal


def test_an_http_port_that_is_taken_is_named_before_sip_begins(directory: Path, logs: list[EventDict]) -> None:
    port = load(directory).http.port
    agent = FakeUserAgent(VirtualClock(BEGIN))
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        assert started(directory, agent) == 1
    assert reasons(logs)[0].startswith(
        f"cannot listen on http 127.0.0.1:{port}: Address already in use; another program"
    )
    assert agent.life == ["stop"]


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


async def test_work_that_goes_on_after_its_cancellation_is_ended_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As asyncio.wait_for of Python 3.11 does where what it waits for comes at that moment."""
    monkeypatch.setattr(background, "AGAIN_S", 0.01)

    async def pass_over() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    tasks = BackgroundTasks()
    tasks.begin("peers", pass_over())
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await tasks.stop()


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
