# SPDX-License-Identifier: GPL-2.0-or-later
"""The runbook's steps for events that do not get where they are to: broker, webhooks, disk, history."""

from __future__ import annotations

import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.history_size import fill
from tests.deploy.runbook.desk import Desk, logged, some, until
from tests.report.webhook.server import SECRET, Server
from tests.sip.scene import LINES, UNKNOWN, Scene, settings
from tests.support.broker import Broker
from tests.support.gateway import Gateway
from tests.support.processes import Child, Net, eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.configuration import Configuration

pytestmark = [pytest.mark.sip, pytest.mark.keeps("16.207")]

LINE = {"main-line": LINES["main"]}
RIGHTS = "topic readwrite transfer-gateway/conformance/"


async def refuse_one(net: Net, gateway: Gateway) -> None:
    """A transfer that ends at once: two events."""
    async with Scene(net, gateway) as scene:
        _, assistant = await scene.bridged()
        await scene.refused(assistant, UNKNOWN)


def reporting_to(broker: Broker, net: Net) -> Configuration:
    files = settings(net, LINE)
    files.main["mqtt"] = {"host": broker.host, "port": broker.port}
    return files


def telling(server: Server, net: Net) -> Configuration:
    files = settings(net, LINE)
    files.main["webhooks"] = [{"id": "crm", "url": server.url, "secret_file": "crm.secret"}]
    files.secrets["crm.secret"] = SECRET
    return files


@pytest.mark.broker
async def test_events_wait_for_a_broker_that_is_gone(own_net: Net, tmp_path: Path) -> None:
    async with Broker() as broker, Gateway(reporting_to(broker, own_net)) as gateway:
        await until(gateway, "mqtt_connected", 1)
        since = (await gateway.get("/api/status"))["mqtt"]["since"]
        await broker.stop()
        await until(gateway, "mqtt_connected", 0)
        await refuse_one(own_net, gateway)
        await some(gateway, "outbox_events")
        await logged(gateway, "broker-unreachable")
        seen = await Desk(gateway, tmp_path).carry_out("TransferGatewayEventsWaiting")
        assert re.search(r"^broker +not connected: ", seen["transfer-gateway status"], re.MULTILINE)
        status = seen.api("/api/status")
        assert status["outbox"]["events"] > 0
        assert not status["mqtt"]["connected"]
        assert since < status["mqtt"]["since"]
        assert "why=" in seen.log("broker-unreachable")
        seen.everything()
        await broker.start()
        await until(gateway, "outbox_events", 0)


@pytest.mark.broker
async def test_events_wait_for_a_broker_that_takes_none(own_net: Net, tmp_path: Path) -> None:
    async with Broker() as broker, Gateway(reporting_to(broker, own_net)) as gateway:
        await until(gateway, "mqtt_connected", 1)
        broker.freeze()
        await refuse_one(own_net, gateway)
        await some(gateway, "outbox_events")
        seen = await Desk(gateway, tmp_path).carry_out("TransferGatewayEventsWaiting")
        status = seen.api("/api/status")
        assert (status["mqtt"]["connected"], status["outbox"]["events"] > 0) == (True, True)
        assert seen.log("broker-unreachable") == ""
        broker.freeze(frozen=False)
        await until(gateway, "outbox_events", 0)


@pytest.mark.broker
async def test_the_broker_refuses_events(own_net: Net, tmp_path: Path) -> None:
    async with Broker(rights=[f"{RIGHTS}status"]) as broker, Gateway(reporting_to(broker, own_net)) as gateway:
        await refuse_one(own_net, gateway)
        await some(gateway, "outbox_refused_events")

        def mend() -> None:
            broker.grant("topic readwrite #")
            broker.reload()

        seen = await Desk(gateway, tmp_path).carry_out("TransferGatewayEventsRefused", mend=mend)
        assert "Not authorized" in seen.api("/api/status")["outbox"]["refused_because"]
        assert seen.log("event-refused")
        assert seen["systemctl reload transfer-gateway"] == ""
        seen.everything()
        await until(gateway, "outbox_refused_events", 0)


async def test_a_webhook_is_down(own_net: Net, tmp_path: Path) -> None:
    async with Server() as server, Gateway(telling(server, own_net)) as gateway:
        server.otherwise = 503
        await refuse_one(own_net, gateway)
        await until(gateway, "webhook_up", 0)
        seen = await Desk(gateway, tmp_path).carry_out("TransferGatewayWebhookDown")
        crm = seen.api("/api/status")["webhooks"]["crm"]
        assert crm["events"] > 0
        assert "503" in crm["because"]
        assert "503" in seen.log("webhook-down")
        assert seen.log("webhook-gone") == ""
        seen.everything()
        server.otherwise = 204
        await until(gateway, "webhook_up", 1, 60)
        await until(gateway, "webhook_events", 0)
        await logged(gateway, "webhook-up")


async def test_a_webhook_is_gone(own_net: Net, tmp_path: Path) -> None:
    async with Server() as server, Gateway(telling(server, own_net)) as gateway:
        server.otherwise = 410
        await refuse_one(own_net, gateway)
        await until(gateway, "webhook_up", 0)
        desk = Desk(gateway, tmp_path)
        seen = await desk.carry_out("TransferGatewayWebhookDown")
        assert seen.api("/api/status")["webhooks"]["crm"]["gone"]
        assert seen.log("webhook-gone")
        server.otherwise = 204
        assert await desk.systemctl("reload") == ""
        await until(gateway, "webhook_events", 0)
        assert await gateway.metric("transfer_gateway_webhook_up") == 1


async def test_a_webhook_refuses_events(own_net: Net, tmp_path: Path) -> None:
    async with Server() as server, Gateway(telling(server, own_net)) as gateway:
        server.otherwise = lambda event: 422 if event["type"] == "transfer.requested.v1" else 204
        await refuse_one(own_net, gateway)
        await until(gateway, "webhook_refused_events", 1)

        def mend() -> None:
            server.otherwise = 204

        seen = await Desk(gateway, tmp_path).carry_out("TransferGatewayWebhookRefuses", mend=mend)
        assert seen.api("/api/status")["webhooks"]["crm"]["refused"] == 1
        assert "422" in seen.log("webhook-event-refused")
        assert seen["systemctl reload transfer-gateway"] == ""
        seen.everything()
        await until(gateway, "webhook_refused_events", 0)


class OnASmallDisk(Gateway):
    """A gateway whose state directory is a disk of its own, which nobody else sees, of some megabytes."""

    async def start(self, timeout_s: float = 60.0) -> None:
        """See Gateway."""
        state = self.files.main["gateway"]["state_dir"]
        script = f'mount -t tmpfs -o size=4m none "{state}" && exec "$@"'
        command = [sys.executable, "-m", "gateway.cli", "run", "--config", str(self.directory)]
        apart = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", *command]
        self._child = Child("gateway", apart, self.directory / "gateway.log")
        await self.child.ready(self._is_ready, timeout_s)

    @property
    def state(self) -> Path:
        """Its directory, as this process reaches it."""
        return Path(f"/proc/{self.child.pid}/root{self.files.main['gateway']['state_dir']}")

    def within(self) -> Sequence[str]:
        """To where its disk is seen."""
        return ("nsenter", "--target", str(self.child.pid), "--user", "--preserve-credentials", "--mount", "--wd=/")

    def fill(self) -> None:
        """Leave no room."""
        with (self.state / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    def make_room(self) -> None:
        """Take it away again."""
        (self.state / "filler").unlink()


async def test_the_disk_is_full(own_net: Net, tmp_path: Path) -> None:
    async with OnASmallDisk(settings(own_net, LINE)) as gateway:
        gateway.fill()
        await refuse_one(own_net, gateway)
        await until(gateway, "outbox_writable", 0)
        seen = await Desk(gateway, tmp_path, gateway.within).carry_out("TransferGatewayOutboxUnwritable")
        assert " 100% " in seen["df -h /var/lib/transfer-gateway"]
        assert seen.api("/readyz")["missing"] == ["outbox"]
        assert "full" in seen.log("outbox-unwritable")
        assert seen.log("outbox-file-gone") == ""
        seen.everything()
        gateway.make_room()
        await until(gateway, "outbox_writable", 1)
        await until(gateway, "outbox_unwritten", 0)
        await logged(gateway, "outbox-writable")


async def test_the_history_s_file_is_of_a_newer_release(own_net: Net, tmp_path: Path) -> None:
    gateway = Gateway(settings(own_net, LINE))
    history = gateway.directory / "state" / "history.db"
    with closing(sqlite3.connect(history)) as newer:
        newer.execute("PRAGMA user_version = 999")
        newer.commit()
    async with gateway:
        await refuse_one(own_net, gateway)
        await until(gateway, "history_writable", 0)

        async def waits_for_it() -> bool:
            status = await gateway.get("/api/status")
            return bool(status["history"]["waiting"] > 0)

        await eventually(waits_for_it, "an event that the history has not taken")
        seen = await Desk(gateway, tmp_path).carry_out("TransferGatewayHistoryUnwritable")
        status = seen.api("/api/status")["history"]
        assert "made by a newer gateway" in status["why"]
        assert "move the file away: what is over by now is then in no report" in status["why"]
        assert status["waiting"] > 0
        assert "%" in seen["df -h /var/lib/transfer-gateway"]
        assert seen.log("history-unwritable")
        seen.everything()
        history.rename(tmp_path / "history.db")
        await until(gateway, "history_writable", 1, 60)
        await logged(gateway, "history-writable")


@pytest.mark.alone  # it fills a history of 10 MB first
async def test_the_history_is_too_small(own_net: Net, tmp_path: Path) -> None:
    files = settings(own_net, LINE)
    files.main["history"] = {"days": 3000, "failures_days": 3000, "max_mb": 10}
    gateway = Gateway(files)
    fill(gateway.directory / "state", 12_000)
    async with gateway:

        async def deleted() -> bool:
            return await gateway.metric("transfer_gateway_history_deleted_total", why="size") > 0

        await eventually(deleted, "something is deleted", timeout_s=60)
        seen = await Desk(gateway, tmp_path).carry_out("TransferGatewayHistoryTooSmall")
        assert seen.api("/api/status")["history"]["deleted"]["size"] > 0
        assert "%" in seen["df -h /var/lib/transfer-gateway"]
        seen.everything()
