# SPDX-License-Identifier: GPL-2.0-or-later
"""The runbook's steps for what is on disk and not in force, and for certificates that end."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.deploy.runbook.desk import Desk, logged, until
from tests.report.webhook.server import SECRET
from tests.sip.scene import LINES, settings
from tests.support.certificates import Authority
from tests.support.gateway import Gateway

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.processes import Net

pytestmark = [pytest.mark.sip, pytest.mark.keeps("16.207")]

LINE = {"main-line": LINES["main"]}
ENDS = "transfer_gateway_certificate_expires_timestamp_seconds"
KEY = "webhooks[crm].ca_file"


async def test_a_reload_is_refused(own_net: Net, tmp_path: Path) -> None:
    async with Gateway(settings(own_net, LINE)) as gateway:
        file = gateway.directory / "gateway.toml"
        good = file.read_text()
        file.write_text(f"{good}\n[mqtt]\nhots = 1\n")
        gateway.child.signal(signal.SIGHUP)
        await until(gateway, "config_last_reload_successful", 0)
        desk = Desk(gateway, tmp_path)
        seen = await desk.carry_out("TransferGatewayReloadRefused")
        for said in (seen["transfer-gateway check"], seen["systemctl reload transfer-gateway"]):
            assert "gateway.toml: mqtt.hots" in said
        assert "mqtt.hots" in str(seen.api("/api/status")["configuration"]["mistakes"])
        seen.everything()
        file.write_text(good)
        seen = await desk.carry_out("TransferGatewayReloadRefused")
        assert "no mistakes" in seen["transfer-gateway check"]
        assert seen["systemctl reload transfer-gateway"] == ""
        await until(gateway, "config_last_reload_successful", 1)


async def test_a_restart_is_needed(own_net: Net, tmp_path: Path) -> None:
    async with Gateway(settings(own_net, LINE)) as gateway:
        file = gateway.directory / "gateway.toml"
        file.write_text(file.read_text().replace('"udp_port" = 5060', '"udp_port" = 5062'))
        gateway.child.signal(signal.SIGHUP)
        await until(gateway, "config_restart_needed", 1)
        seen = await Desk(gateway, tmp_path).carry_out("TransferGatewayRestartNeeded")
        assert re.search(r"^  ! a restart is needed for sip.udp_port$", seen["transfer-gateway status"], re.MULTILINE)
        assert "sip.udp_port" in seen["transfer-gateway check"]
        assert seen["systemctl restart transfer-gateway"] == ""
        seen.everything()
        await until(gateway, "config_restart_needed", 0)


async def test_a_certificate_expires(own_net: Net, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")  # good for a month
    short = authority.identity("127.0.0.1").certificate  # for two days
    named = tmp_path / "named.pem"
    named.write_bytes(short.read_bytes())
    files = settings(own_net, LINE)
    crm = {"id": "crm", "url": "https://127.0.0.1:9/", "secret_file": "crm.secret", "ca_file": str(named)}
    files.main["webhooks"] = [crm]
    files.secrets["crm.secret"] = SECRET
    async with Gateway(files) as gateway:
        soon = await gateway.metric(ENDS, key=KEY)

        def mend() -> None:
            named.write_bytes(authority.certificate.read_bytes())

        seen = await Desk(gateway, tmp_path).carry_out("TransferGatewayCertificateExpires", mend=mend)
        assert f"key={KEY}" in seen.log("certificate-expires").replace('"', "")
        assert "days=1" in seen.log("certificate-expires")
        assert seen.log("certificate-expired") == ""
        assert f'{ENDS}{{key="{KEY}"}}' in seen["curl -s localhost:9470/metrics"]
        assert seen["systemctl reload transfer-gateway"] == ""
        seen.everything()
        await logged(gateway, "reloaded")
        assert await gateway.metric(ENDS, key=KEY) > soon + 20 * 86_400
