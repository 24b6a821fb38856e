# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether calls are taken, which a load balancer asks, and whether all is well, which a person does."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from gateway import cli
from tests.bench import BEGIN, SALES
from tests.report.webhook.server import SECRET, Server
from tests.running_app import running
from tests.support.processes import eventually, free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.running_app import Running

pytestmark = pytest.mark.slow


def silent_pbx(directory: Path) -> None:
    """Have a PBX that is not asked for its state."""
    (directory / "sip_profiles" / "asterisk.toml").write_text('kind = "pbx"\naddress = "sip:127.0.0.1:5070"\n')


@pytest.fixture
def ask(directory: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """The command `status`: its exit code, and what it prints."""

    async def asked(*more: str) -> tuple[int, str]:
        capsys.readouterr()
        code = await asyncio.to_thread(cli.main, ["status", *more, "--config", str(directory)])
        return code, capsys.readouterr().out.partition("test-1")[2]  # the log comes there as well

    return asked


async def problems(gateway: Running) -> list[str]:
    found: list[str] = (await gateway.get("/api/status"))[1]["problems"]
    return found


@pytest.mark.keeps("20.25")
async def test_all_is_well_and_status_says_where_it_listens(directory: Path, ask: Callable[..., Any]) -> None:
    silent_pbx(directory)
    async with running(directory) as gateway:
        gateway.called()
        code, out = await ask()
        assert code == 0
        head, *lines = out.splitlines()
        assert head.startswith(" (online, ")
        assert head.endswith("): all is well")
        for line in (
            "listens       SIP udp 127.0.0.2:5060",
            f"              HTTP 127.0.0.1:{gateway.port}",
            "trunks        platform: up",
            "broker        none is configured",
            "calls         1",
            "transfers     none",
            "not reached   none",
        ):
            assert line in lines
        assert (await ask("--json"))[0] == 0


@pytest.mark.keeps("20.25")
async def test_what_is_not_well_comes_first_and_says_why(
    directory: Path, ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    main, port = directory / "gateway.toml", free_port()
    main.write_text(main.read_text() + f'\n[mqtt]\nhost = "127.0.0.1"\nport = {port}\n')
    async with running(directory) as gateway:
        monkeypatch.setattr(gateway.sip.trunks, "up", {"platform": False, "spare": None})
        monkeypatch.setattr(gateway.sip.trunks, "failures", {"platform": "OPTIONS: 503"})

        async def all_found() -> bool:
            return sum("refused" in each for each in await problems(gateway)) == 2

        await eventually(all_found, "the PBX and the broker have refused the connection")
        main.write_text(main.read_text().replace("udp_port = 5060", "udp_port = 5062"))
        await gateway.post("/api/reload")
        main.write_text(main.read_text().replace("udp_port = 5062", "upd_port = 5062"))
        await gateway.post("/api/reload")
        caller = gateway.called()
        gateway.sip.end(caller)
        code, out = await ask()
        assert code == 1
        head, *lines = out.splitlines()
        assert head.endswith("): 5 problems")
        told = lines[: lines.index("")]
        assert told[0] == "  ! trunk platform: OPTIONS: 503"
        assert told[1].startswith("  ! PBX asterisk: its state is unknown, ")
        assert told[2].startswith("  ! the broker: ")
        assert told[3].startswith("  ! the last reload was refused: gateway.toml: sip.upd_port: ")
        assert told[4] == "  ! a restart is needed for sip.udp_port"
        assert "trunks        platform: not up: OPTIONS: 503" in lines
        assert "              spare: not asked" in lines
        assert any(line.startswith("PBXs          asterisk: not known: ") for line in lines)
        # It takes calls all the same: another gateway would do no better.
        assert (await gateway.get("/readyz"))[0] == 200


@pytest.mark.keeps("20.25")
async def test_a_transfer_that_reached_nobody_is_shown_with_its_reason(
    directory: Path, ask: Callable[..., Any]
) -> None:
    silent_pbx(directory)
    async with running(directory) as gateway:
        gateway.called()
        [call] = (await gateway.get("/api/calls"))[1]["calls"]
        _, refused = await gateway.post(f"/api/calls/{call['call']}/transfer", type="transfer", destination=SALES)
        transfer = refused["transfer"]["transfer"]
        [line] = [line for line in (await ask())[1].splitlines() if transfer in line]
        assert line.startswith("not reached   20")
        assert "refused, not-bridged" in line


@pytest.mark.keeps("20.25")
async def test_a_webhook_that_takes_nothing_is_a_problem(directory: Path, ask: Callable[..., Any]) -> None:
    silent_pbx(directory)
    secret = directory / "crm.secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    main = directory / "gateway.toml"
    async with Server() as server:
        server.otherwise, server.stands_at = 503, BEGIN
        webhook = f'[[webhooks]]\nid = "crm"\nurl = "{server.url}"\nsecret_file = "crm.secret"\n'
        main.write_text(f"{main.read_text()}\n{webhook}")
        async with running(directory) as gateway:
            gateway.called()
            [call] = (await gateway.get("/api/calls"))[1]["calls"]
            await gateway.post(f"/api/calls/{call['call']}/transfer", type="transfer", destination=SALES)

            async def told() -> bool:
                return any(each.startswith("webhook crm: 503") for each in await problems(gateway))

            await eventually(told, "the webhook is a problem")


@pytest.mark.keeps("20.24")
@pytest.mark.parametrize("need", ["pbx", "trunk", "broker"])
async def test_a_load_balancer_waits_for_what_the_configuration_names(
    directory: Path, monkeypatch: pytest.MonkeyPatch, need: str
) -> None:
    main = directory / "gateway.toml"
    text = main.read_text() + f'\n[mqtt]\nhost = "127.0.0.1"\nport = {free_port()}\n'
    main.write_text(text.replace("[http]", f'[http]\nready_needs = ["{need}"]'))
    async with running(directory) as gateway:
        monkeypatch.setattr(gateway.sip.trunks, "up", {"platform": False})
        status, body = await gateway.get("/readyz")
        assert (status, body["missing"]) == (503, [need])
        assert (await gateway.get("/healthz"))[0] == 200
        if need == "trunk":
            monkeypatch.setattr(gateway.sip.trunks, "up", {"platform": True, "spare": False})
            assert (await gateway.get("/readyz"))[0] == 200
        main.write_text(text)
        assert (await gateway.post("/api/reload"))[0] == 200
        status, body = await gateway.get("/readyz")
        assert (status, body["missing"], need in body["conditions"]) == (200, [], False)


@pytest.mark.keeps("20.24")
async def test_what_can_never_be_there_is_a_mistake_and_no_need(directory: Path) -> None:
    silent_pbx(directory)
    main = directory / "gateway.toml"
    text = main.read_text()
    async with running(directory) as gateway:
        main.write_text(text.replace("[http]", '[http]\nready_needs = ["pbx", "broker"]'))
        status, body = await gateway.post("/api/reload")
        assert status == 422
        assert json.dumps(body["mistakes"]).count("would never be there") == 2
