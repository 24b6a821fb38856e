# SPDX-License-Identifier: GPL-2.0-or-later
"""The listener for platforms in the life of a gateway: it begins with it, takes reloads, and tells of a drain."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from gateway import app
from tests.bench import BEGIN
from tests.bench.clock import VirtualClock
from tests.config_directory import TRUNK
from tests.running_app import FakeUserAgent, Running, running, written
from tests.support.platform_client import PlatformClient
from tests.support.processes import free_port

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

SALES = ("check_availability", {"destination": "support"})
ASSISTANT = '{"tools": [{"type": "transfer_call", "destinations": [{"number": "+31612345679"}]}]}'


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def directory(tmp_path: Path, port: int) -> Path:
    http = next(one for one in iter(free_port, 0) if one != port)
    made = written(tmp_path / "etc", tmp_path / "state", http, f"\n[platform]\nport = {port}\n")
    main = made / "gateway.toml"
    main.write_text(
        main.read_text().replace('answer = "support"\n', 'answer = "support"\nassistant_file = "acme.json"\n')
    )
    (made / "acme.json").write_text(ASSISTANT)
    with_secrets(made, "first")
    return made


def with_secrets(directory: Path, *names: str) -> None:
    """Have the platform's requests signed with any of these."""
    for name in names:
        (directory / "sip_profiles" / name).write_text(f"the {name} secret")
    listed = ", ".join(f'"{name}"' for name in names)
    table = f'\n[platform]\nform = "hms"\nsecret_files = [{listed}]\n'
    (directory / "sip_profiles" / "platform.toml").write_text(TRUNK + table)


def client(port: int) -> PlatformClient:
    return PlatformClient(f"http://127.0.0.1:{port}/platform/platform", "the first secret")


@pytest.mark.keeps("19.13")
async def test_a_reload_exchanges_secrets_and_assistants_or_leaves_all_as_it_was(directory: Path, port: int) -> None:
    async def good(gateway: Running, platform: PlatformClient) -> list[str]:
        found = []
        for name in ("first", "second"):
            event = platform.event("assistant-request")
            at = gateway.clock.now().wall.timestamp()
            answer = await platform.post(event, secret=f"the {name} secret", at=at)
            found += [name] if answer.status == 200 else []
        return found

    async with running(directory) as gateway, client(port) as platform:
        assert await good(gateway, platform) == ["first"]
        with_secrets(directory, "first", "second")
        assert (await gateway.post("/api/reload"))[0] == 200
        assert await good(gateway, platform) == ["first", "second"]
        with_secrets(directory, "second")
        (directory / "acme.json").write_text(ASSISTANT.replace("79", "99"))
        status, refused = await gateway.post("/api/reload")
        assert status == 422
        assert "acme.json, line 1: tools[0].destinations[0].number" in refused["mistakes"][0]
        assert await good(gateway, platform) == ["first", "second"]
        (directory / "acme.json").write_text(ASSISTANT)
        assert (await gateway.post("/api/reload"))[0] == 200
        assert await good(gateway, platform) == ["second"]
        assert "acme.json" in (await gateway.get("/api/status"))[1]["configuration"]["files"]


@pytest.mark.keeps("19.16")
async def test_while_it_drains_nobody_is_promised_anything(directory: Path, port: int) -> None:
    async def asked(gateway: Running, platform: PlatformClient) -> dict[str, Any]:
        calls = [{"id": "1", "type": "function", "function": {"name": SALES[0], "arguments": SALES[1]}}]
        event = platform.event("tool-calls", tool_call_list=calls)
        answer = await platform.post(event, at=gateway.clock.now().wall.timestamp())
        [result] = answer.json["results"]
        found: dict[str, Any] = result["result"]
        return found

    async with running(directory) as gateway, client(port) as platform:
        assert (await asked(gateway, platform))["available"]
        gateway.called()
        gateway.engine.drain(30, lambda: None)
        said = await asked(gateway, platform)
        assert (said["available"], said["reason"]) == (False, "at-capacity")


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as captured:
        yield captured


def test_a_port_that_it_cannot_have_is_named(directory: Path, port: int, logs: list[Any]) -> None:
    agent = FakeUserAgent(VirtualClock(BEGIN))
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        assert app.main(directory, agent.made) == 1
    assert str(port) in next(line["error"] for line in logs if line["event"] == "cannot-start")
    assert agent.life == ["stop"], "SIP began"


@pytest.mark.keeps("19.28")
async def test_a_promise_that_is_not_kept_is_counted_when_it_is_too_late(directory: Path, port: int) -> None:
    ended = (BEGIN - timedelta(seconds=5)).isoformat()
    told = {"end_reason": "call_transferred", "ended_at": ended, "duration_seconds": 60}
    async with running(directory) as gateway, client(port) as platform:
        report = platform.event("end-of-call-report", **told)
        assert (await platform.post(report, at=BEGIN.timestamp())).json == {}
        assert await promised(gateway) == {"pending"}
        gateway.clock.advance(89)
        assert "broken" not in await promised(gateway)
        gateway.clock.advance(2)
        assert await promised(gateway) == {"broken"}
        name = 'transfer_gateway_platform_calls_total{number="main-line",promise="broken"} 1.0'
        async with aiohttp.ClientSession() as asking, asking.get(f"http://127.0.0.1:{gateway.port}/metrics") as answer:
            assert name in await answer.text()


async def promised(gateway: Running) -> set[str]:
    _, told = await gateway.get("/api/platform-calls")
    return {one["promise"] for one in told["platform_calls"]}
