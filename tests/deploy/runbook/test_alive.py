# SPDX-License-Identifier: GPL-2.0-or-later
"""The runbook's steps for what is down, slow or unknown."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.deploy.runbook.desk import Desk, logged, until
from tests.sip.scene import LINES, Scene, settings
from tests.support.asterisk import GATEWAY_AMI
from tests.support.company import settings as company
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.processes import ChildError, Net, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.asterisk import Asterisk
    from tests.support.configuration import Configuration

pytestmark = [pytest.mark.sip, pytest.mark.keeps("16.207")]

LAG = "transfer_gateway_event_loop_lag_seconds"
LINE = {"main-line": LINES["main"]}


@asynccontextmanager
async def that_cannot_start(files: Configuration, mistake: str = "") -> AsyncIterator[Gateway]:
    """A gateway that was started in vain; `mistake` is a line at the end of its file."""
    gateway = Gateway(files)
    file = gateway.directory / "gateway.toml"
    file.write_text(f"{file.read_text()}{mistake}\n")
    with pytest.raises(ChildError):
        await gateway.start()
    try:
        yield gateway
    finally:
        shutil.rmtree(gateway.directory)


async def test_down_for_a_mistake_in_the_configuration(own_net: Net, tmp_path: Path) -> None:
    async with that_cannot_start(settings(own_net, LINE), "[mqtt]\nhots = 1") as gateway:
        seen = await Desk(gateway, tmp_path).carry_out("TransferGatewayDown")
        assert "status=78" in seen["systemctl status transfer-gateway"]
        assert seen["curl -s localhost:9470/healthz"] == seen["curl -s localhost:9470/readyz"] == ""
        assert "mqtt.hots" in seen["transfer-gateway check"]
        assert seen.log("cannot-start") == ""
        seen.everything()


async def test_down_for_a_port_that_somebody_else_has(own_net: Net, tmp_path: Path) -> None:
    files = settings(own_net, LINE)
    with socket.create_server(("127.0.0.1", files.main["http"]["port"])) as taken:
        taken.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sip:
            sip.bind((own_net.gateway, 5060))
            async with that_cannot_start(files) as gateway:
                seen = await Desk(gateway, tmp_path).carry_out("TransferGatewayDown")
                assert "status=1" in seen["systemctl status transfer-gateway"]
                assert "5060" in seen.log("cannot-start")
                assert "no mistakes" in seen["transfer-gateway check"]


async def test_draining_is_not_down(own_net: Net, tmp_path: Path) -> None:
    files = settings(own_net, LINE)
    files.main["gateway"]["drain_timeout_s"] = 20
    async with Gateway(files) as gateway, Scene(own_net, gateway) as scene:
        seen = await Desk(gateway, tmp_path).carry_out("TransferGatewayDown")
        assert "active (running)" in seen["systemctl status transfer-gateway"]
        assert seen.api("/healthz")
        assert seen.api("/readyz")["ready"]
        caller, _ = await scene.bridged()
        gateway.terminate()

        async def refuses() -> bool:
            return (await gateway.http("GET", "/readyz"))[0] == 503

        await eventually(refuses, "it is not ready")
        (tmp_path / "again").mkdir()
        seen = await Desk(gateway, tmp_path / "again").carry_out("TransferGatewayDown")
        assert "draining" in gateway.log
        assert seen.api("/readyz")["missing"]
        await caller.hang_up()
        assert await gateway.child.wait() == 0
        await gateway.start()


@pytest.mark.pbx
async def test_a_pbx_is_unknown(pbx: Asterisk, tmp_path: Path) -> None:
    files = company(pbx.net, pbx=pbx)
    files.secrets["sip_profiles/ami.secret"] = "guessed"
    async with Gateway(files) as gateway:
        desk = Desk(gateway, tmp_path)
        await logged(gateway, "ami-login-refused")
        assert await gateway.metric("transfer_gateway_pbx_up") == 0
        seen = await desk.carry_out("TransferGatewayPbxUnknown")
        assert re.search(r"^PBXs +asterisk: not known: ", seen["transfer-gateway status"], re.MULTILINE)
        assert "login refused" in seen.api("/api/queues")["pbxs"][0]["unknown_because"]
        assert seen.log("ami-login-refused")
        assert seen.log("pbx-unknown") == ""
        seen.everything()

        (gateway.directory / "sip_profiles" / "ami.secret").write_text(GATEWAY_AMI[1])
        gateway.child.signal(signal.SIGHUP)
        await until(gateway, "pbx_up", 1)
        assert "pbx-known" in gateway.log
        await pbx.kill()
        await until(gateway, "pbx_up", 0)
        seen = await desk.carry_out("TransferGatewayPbxUnknown")
        assert "not connected" in seen.log("pbx-unknown").splitlines()[-1]
        assert "not connected" in seen.api("/api/queues")["pbxs"][0]["unknown_because"]
        assert len(seen.log("ami-login-refused").splitlines()) == 1
        await pbx.start()
        await until(gateway, "pbx_up", 1)


async def test_a_trunk_is_down(own_net: Net, tmp_path: Path) -> None:
    files = settings(own_net, LINE)
    files.profiles["main-line"]["options_interval_s"] = 1
    async with Gateway(files) as gateway:
        await logged(gateway, "trunk-down", 40)
        seen = await Desk(gateway, tmp_path).carry_out("TransferGatewayTrunkDown")
        assert re.search(r"^trunks +main-line: not up: ", seen["transfer-gateway status"], re.MULTILINE)
        assert "code=408" in seen.log("trunk-down")
        assert seen.log("server-down") == ""
        seen.everything()
        async with Peer(own_net.trunk):
            await until(gateway, "trunk_up", 1)
            await logged(gateway, "trunk-up")


@pytest.mark.pbx
@pytest.mark.keeps("20.117")
async def test_a_queue_is_stale(pbx: Asterisk, tmp_path: Path) -> None:
    files = company(pbx.net, pbx=pbx)
    files.destination("sales")["queue"] = "slaes"
    async with Gateway(files) as gateway:
        await gateway.queue("support")
        assert await gateway.metric("transfer_gateway_queue_snapshot_timestamp_seconds", queue="slaes") == 0
        seen = await Desk(gateway, tmp_path).carry_out("TransferGatewayQueueStale")
        assert {queue["queue"]: queue["known"] for queue in seen.api("/api/queues")["queues"]} == {
            "support": True, "tiny": True,
        }  # fmt: skip
        assert "slaes" in seen.log("queues-not-found")
        unknown = "queue slaes of sales (main-line): asterisk knows no queue of that name"
        assert unknown in (await gateway.get("/api/status"))["problems"]
        assert seen.log("ami-action-refused") == ""
        seen.everything()
        file = gateway.directory / "gateway.toml"
        file.write_text(file.read_text().replace("slaes", "sales"))
        gateway.child.signal(signal.SIGHUP)
        await gateway.queue("sales")
        assert unknown not in (await gateway.get("/api/status"))["problems"]


async def test_the_event_loop_is_slow(own_net: Net, tmp_path: Path) -> None:
    async with Gateway(settings(own_net, LINE)) as gateway, Scene(own_net, gateway) as scene:
        await scene.bridged()

        async def late() -> bool:
            gateway.child.signal(signal.SIGSTOP)
            await asyncio.sleep(0.3)
            gateway.child.signal(signal.SIGCONT)
            looks = await gateway.metric(f"{LAG}_count")
            return await gateway.metric(f"{LAG}_bucket", le="0.1") < looks

        await eventually(late, "a look that was late")
        seen = await Desk(gateway, tmp_path).carry_out("TransferGatewayEventLoopSlow")
        assert re.search(r"^calls +1$", seen["transfer-gateway status"], re.MULTILINE)
        assert seen.api("/api/status")["calls"] == 1
        assert len(seen.api("/api/calls")["calls"]) == 1
        seen.everything()
