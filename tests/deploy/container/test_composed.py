# SPDX-License-Identifier: GPL-2.0-or-later
"""deploy/compose.yaml as it is, played by podman-compose: the gateway, a broker and Prometheus, and a caller.

Its Grafana is left out: where no registry is reached there is none.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
import yaml

from tests.deploy.container.contained import Contained, hand_over
from tests.deploy.container.stand_ins import USERS, provide
from tests.deploy.container.test_container import one_line, transferred
from tests.deploy.test_compose import DEPLOY, PASSWORDS, client, run
from tests.sip.scene import Scene
from tests.support.processes import Child, Net, eventually

if TYPE_CHECKING:
    from tests.deploy.container.engine import Engine
    from tests.support.configuration import Configuration

pytestmark = [pytest.mark.booted, pytest.mark.timeout(900)]

SERVICES = ("mosquitto", "prometheus", "gateway")
# The configuration is where the file says that it is, and this machine's own /etc stays as it is.
AT_ITS_PLACE = 'mount -t overlay -o "lowerdir=/etc,upperdir=$1,workdir=$2" overlay /etc; shift 2; exec "$@"'
COUNTED = 'sum(transfer_gateway_transfers_total{outcome="completed"})'


class Composed(Contained):
    """The gateway among those that the file starts."""

    def __init__(self, podman: Engine, files: Configuration, place: Path) -> None:
        self.place = place
        shutil.copytree(DEPLOY, place / "deploy")
        (place / "work").mkdir()
        secrets = place / "deploy" / "mosquitto" / "passwords"
        secrets.touch(0o600)
        for user, password in PASSWORDS.items():
            run("usr/bin/mosquitto_passwd", "-b", str(secrets), user, password)
        os.chown(secrets, USERS["mosquitto"], -1)
        super().__init__(podman, files)

    def write(self) -> None:
        """Write the configuration (anew)."""
        self.files.write(self.place / "etc" / "transfer-gateway")
        hand_over(self.place / "etc" / "transfer-gateway")

    async def compose(self, *words: str) -> None:
        """A command of podman-compose's."""
        overlay = ["unshare", "--mount", "sh", "-euc", AT_ITS_PLACE, "sh", f"{self.place}/etc", f"{self.place}/work"]
        file = self.place / "deploy" / "compose.yaml"
        composer = [str(Path(sys.executable).with_name("podman-compose")), "--in-pod=false"]
        command = [*overlay, *composer, "-p", "transfer-gateway", "-f", str(file), *words]
        environment = {**os.environ, **self.podman.environment, "GRAFANA_PASSWORD": "none"}
        done = await asyncio.to_thread(
            subprocess.run, command, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr

    async def start(self, timeout_s: float = 60.0) -> None:
        """Have all of them started, and wait until the gateway says that it is ready."""
        await self.compose("up", "--no-build", "--detach", *SERVICES)
        words = ["podman", "logs", "--follow", self.container]
        self._child = Child("gateway", words, self.podman.work / "gateway.log", env=self.podman.environment)
        await self.child.ready(self._is_ready, timeout_s)

    @property
    def container(self) -> str:
        """What podman calls the gateway's container."""
        names = self.podman("ps", "--all", "--format", "{{.Names}}").split()
        [found] = [name for name in names if "gateway_gateway" in name or "gateway-gateway" in name]
        return found

    async def stop(self) -> int:
        """Have all of them stopped; what the gateway ended with."""
        await self.compose("stop")
        code: int = self.podman.inspect(self.container)["State"]["ExitCode"]
        return code


async def completed() -> str:
    """How many completed transfers Prometheus knows of."""
    async with (
        aiohttp.ClientSession() as session,
        session.get("http://127.0.0.1:9090/api/v1/query", params={"query": COUNTED}) as response,
    ):
        result = (await response.json())["data"]["result"]
    return str(result[0]["value"][1]) if result else ""


@pytest.mark.keeps("20.67")
async def test_a_call_through_what_the_file_starts(podman: Engine, network: None, tmp_path: Path) -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    provide(podman, {name: services[name]["image"] for name in SERVICES if name != "gateway"})
    with Net() as net:
        files = one_line(net)
        login = {"username": "transfer-gateway", "password_file": "mqtt.secret"}
        files.main["mqtt"] = {"host": "127.0.0.1", "port": 1883, **login}
        files.secrets["mqtt.secret"] = PASSWORDS["transfer-gateway"]
        gateway = Composed(podman, files, tmp_path)
        async with gateway:
            async with Scene(net, gateway) as scene:
                told = podman.inspect(gateway.container)
                assert told["HostConfig"]["ReadonlyRootfs"]
                assert told["EffectiveCaps"] is None
                assert "no-new-privileges" in str(told["HostConfig"]["SecurityOpt"])

                async def counted_from_nought() -> bool:
                    return await completed() == "0"

                await eventually(counted_from_nought, "Prometheus has looked at the gateway", timeout_s=40, every_s=0.2)
                async with client(1883, "reader") as reader:
                    await reader.subscribe("transfer-gateway/conformance/transfers/#", qos=1)
                    await transferred(scene)
                    async with asyncio.timeout(10):
                        async for message in reader.messages:
                            if b'"outcome":"completed"' in bytes(message.payload).replace(b" ", b""):
                                break

                async def counted() -> bool:
                    return await completed() == "1"

                await eventually(counted, "Prometheus has counted the transfer", timeout_s=40, every_s=0.2)
            assert await gateway.stop() == 0
