# SPDX-License-Identifier: GPL-2.0-or-later
"""A restart that is asked for: what the gateway does in which order, and when it does not even begin."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest

from gateway import app, restarting
from gateway.report.reporter import EventReporter
from tests.bench import BEGIN, PBX
from tests.bench.clock import VirtualClock
from tests.running_app import FakeUserAgent, Running, over, running, serving, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.keeps("22.50")]


@pytest.fixture
def recovering(directory: Path) -> Path:
    """A configuration whose calls outlive the process."""
    main = directory / "gateway.toml"
    main.write_text(main.read_text().replace("[sip]\n", "[sip]\nrecover_calls = true\n", 1))
    return directory


def test_the_exit_code_says_that_it_is_to_be_started_again(
    recovering: Path, systemd: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = FakeUserAgent(VirtualClock(BEGIN))
    ready = app.App.run

    async def run(gateway: app.App) -> None:
        asked = asyncio.create_task(_ask_when_serving(gateway))
        await ready(gateway)
        await asked

    monkeypatch.setattr(app.App, "run", run)
    assert app.main(recovering, agent.made) == restarting.EXIT_CODE == 75
    assert agent.life == ["start", "part from all but []", "leave", "stop"]
    assert "STOPPING=1" not in systemd()


async def _ask_when_serving(gateway: app.App) -> None:
    await until(lambda: gateway.serving, "it serves")
    await gateway.restarting.ask()


async def test_new_calls_are_refused_until_then_and_what_rings_is_ended(recovering: Path) -> None:
    gateway = Running(recovering)
    life = asyncio.create_task(gateway.app.run())
    await serving(gateway, life)
    gateway.called()
    status, answer = await gateway.post("/api/restart")
    assert (status, answer["calls"], answer["transfers"], answer["within_s"]) == (202, 1, 0, 30)
    await until(lambda: gateway.engine.draining, "it drains")
    assert gateway.engine.admit(PBX) is not None
    told = (await gateway.get("/api/status"))[1]
    assert (told["state"], told["started_at"]) == ("draining", answer["started_at"])
    assert told["problems"][0] == "the gateway is about to be restarted: it takes no new calls until then"
    status, answer = await gateway.post("/api/restart")
    assert (status, answer["error"]["code"]) == (409, "stopping")
    assert not life.done()
    await over(gateway, life)
    assert gateway.sip.life == ["start", "part from all but []", "leave", "stop"]
    assert gateway.app.restarting.has_left


async def test_a_signal_to_stop_calls_it_off(recovering: Path, systemd: Callable[[], list[str]]) -> None:
    gateway = Running(recovering)
    life = asyncio.create_task(gateway.app.run())
    await serving(gateway, life)
    gateway.called()
    assert (await gateway.post("/api/restart"))[0] == 202
    await until(lambda: gateway.engine.draining, "it drains")
    systemd()
    os.kill(os.getpid(), signal.SIGTERM)
    await until(lambda: not gateway.app.restarting.wanted, "it is called off")
    assert systemd()[0] == "STOPPING=1"
    await over(gateway, life)
    assert gateway.sip.life == ["start", "stop"]
    assert not gateway.app.restarting.has_left


async def test_without_the_key_it_says_what_to_do(directory: Path) -> None:
    async with running(directory) as gateway:
        status, answer = await gateway.post("/api/restart")
        assert (status, answer["error"]["code"]) == (409, "recovery-off")
        assert "set it and reload" in answer["error"]["message"]
        assert not gateway.engine.draining


async def test_files_by_which_calls_would_be_lost(recovering: Path) -> None:
    async with running(recovering) as gateway:
        main = recovering / "gateway.toml"
        text = main.read_text()
        main.write_text(text.replace("recover_calls = true\n", ""))
        status, answer = await gateway.post("/api/restart")
        assert (status, answer["error"]["code"]) == (409, "recovery-off")
        main.write_text(text.replace("recover_calls = true", "recover_calls = 7"))
        status, answer = await gateway.post("/api/restart")
        assert (status, answer["error"]["code"]) == (422, "bad-configuration")
        assert answer["mistakes"][0].startswith("gateway.toml: sip.recover_calls: ")
        assert not gateway.engine.draining


@pytest.mark.parametrize("hangs", [True, False])
async def test_a_disk_that_takes_nothing(recovering: Path, monkeypatch: pytest.MonkeyPatch, *, hangs: bool) -> None:
    async def written(_reporter: EventReporter, _within_s: float | None = None) -> bool:
        return False

    monkeypatch.setattr(EventReporter, "written", written)
    if hangs:
        monkeypatch.setattr(restarting, "CHECK_S", 0)
    async with running(recovering) as gateway:
        status, answer = await gateway.post("/api/restart")
        assert (status, answer["error"]["code"]) == (409, "unreadable" if hangs else "unwritable")
        assert not gateway.engine.draining
