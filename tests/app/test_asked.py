# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be asked of a running gateway, over HTTP and by whoever scrapes it."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from gateway.config import load
from gateway.core.record import Milestone
from gateway.report.store import Store
from tests.bench import BEGIN, SALES
from tests.report import samples
from tests.report.webhook.server import SECRET, Server
from tests.running_app import Running, running, until, written
from tests.support.certificates import Authority
from tests.support.processes import eventually, free_port

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gateway.report.store import Write

pytestmark = pytest.mark.slow


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


@pytest.mark.keeps("21.47")
async def test_what_a_command_has_begun_is_on_disk_before_it_is_answered(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = Store.apply

    def slowly(self: Store, writes: Sequence[Write]) -> None:
        time.sleep(0.3)
        apply(self, writes)

    monkeypatch.setattr(Store, "apply", slowly)
    async with running(directory) as gateway:
        gateway.called()
        [call] = (await gateway.get("/api/calls"))[1]["calls"]
        told = (await gateway.post(f"/api/calls/{call['call']}/transfer", type="transfer", destination="sales"))[1]
        with closing(sqlite3.connect(tmp_path / "state" / "outbox.db")) as db:
            assert db.execute("SELECT transfer FROM transfers").fetchall() == [(told["transfer"]["transfer"],)]


async def metrics(gateway: Running) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{gateway.port}/metrics") as answer:
        return await answer.text()


async def states(gateway: Running) -> list[str]:
    lines = (await metrics(gateway)).replace('"', "").replace("transfer_gateway_", "").splitlines()
    return [line for line in lines if line.startswith(("trunk_up", "mqtt_connected"))]


# --- what can be asked


async def test_what_can_be_asked_of_it(directory: Path) -> None:
    async with running(directory) as gateway:
        caller = gateway.called()
        status = (await gateway.get("/api/status"))[1]
        assert (status["state"], status["calls"], status["trunks"]) == (
            "online",
            1,
            {"platform": {"up": True, "because": None, "since": "2026-03-02T09:30:00.000Z"}},
        )
        assert (status["pbx"]["asterisk"]["up"], "connect" in status["pbx"]["asterisk"]["because"]) == (False, True)
        assert status["listening"] == {"sip": ["udp 127.0.0.2:5060"], "http": [f"127.0.0.1:{gateway.port}"]}
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


async def test_the_page_is_told_figures_and_what_is_configured(directory: Path) -> None:
    async with running(directory) as gateway:
        gateway.app.reporter.transfer(Milestone.ENDED, samples.refused())
        figures: dict[str, Any] = {}
        span = "since=2026-01-01&until=2026-12-31&number=%2B31201234567"

        async def counted() -> bool:
            nonlocal figures
            figures = (await gateway.get(f"/api/figures?{span}"))[1]
            return bool(figures["total"]["asked"] == 1)

        await eventually(counted, "the transfer is in the figures")
        assert (figures["number"], figures["total"]["accepted"]) == ("main-line", 0)
        configuration = (await gateway.get("/api/configuration"))[1]
        assert [each["id"] for each in configuration["numbers"]] == ["main-line"]
        instance = next(each for each in configuration["keys"] if each["key"] == "gateway.instance")
        assert instance["value"] == (await gateway.get("/api/status"))[1]["instance"]
        main = directory / "gateway.toml"
        main.write_text(main.read_text().replace("max_wait_s = 90.5", "max_wait_s = 91.5"))
        status, check = await gateway.get("/api/configuration/check")
        assert (status, check["ok"]) == (200, True)
        assert check["changed"] == ["numbers[main-line].destinations[sales].max_wait_s"]


async def test_a_broker_that_is_not_there_is_said_to_be_configured(directory: Path, tmp_path: Path) -> None:
    port = load(directory).http.port
    more = f'\n[mqtt]\nhost = "127.0.0.1"\nport = {free_port()}\n'
    async with running(written(directory, tmp_path / "state", port, more)) as gateway:
        status = (await gateway.get("/api/status"))[1]
        assert (status["mqtt"]["configured"], status["mqtt"]["connected"]) == (True, False)


async def test_a_reload_brings_a_webhook_and_the_status_tells_of_it(directory: Path, tmp_path: Path) -> None:
    port = load(directory).http.port
    async with Server() as server, running(directory) as gateway:
        server.stands_at = BEGIN
        assert (await gateway.get("/api/status"))[1]["webhooks"] == {}
        (directory / "crm.secret").write_text(SECRET)
        more = f'\n[[webhooks]]\nid = "crm"\nurl = "{server.url}"\nsecret_file = "crm.secret"\n'
        written(directory, tmp_path / "state", port, more)
        assert (await gateway.post("/api/reload"))[1] == {
            "reloaded": True,
            "applied": ["webhooks[crm]"],
            "restart_needed": [],
        }
        gateway.app.reporter.transfer(Milestone.ENDED, samples.refused())
        await until(lambda: len(server.taken) == 1, "the receiver has the event")
        told = (await gateway.get("/api/status"))[1]["webhooks"]
        assert (list(told), told["crm"]["up"], told["crm"]["refused"]) == (["crm"], True, 0)
        # A configuration that another part refuses takes no receiver out.
        gateway.sip.fails = "reconfigure"
        written(directory, tmp_path / "state", port)
        assert (await gateway.post("/api/reload"))[0] == 422
        assert list((await gateway.get("/api/status"))[1]["webhooks"]) == ["crm"]
