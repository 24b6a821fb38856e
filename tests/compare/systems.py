# SPDX-License-Identifier: GPL-2.0-or-later
"""The two that are compared, started afresh for each run: the gateway with all that it has in production, and Asterisk.

async with system("gateway", net) as gateway:
    gateway.sip, gateway.pid, gateway.ready_s
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

import aiohttp

from tests.compare.pbx_state import BusyPbx
from tests.support.asterisk_server import AsteriskServer
from tests.support.broker import Broker
from tests.support.company import DESTINATIONS, NUMBER
from tests.support.configuration import Configuration
from tests.support.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.mqtt_broker import ScriptedBroker
    from tests.support.processes import Net
    from tests.support.sip_message import Address

Name: TypeAlias = Literal["gateway", "asterisk"]
NAMES: tuple[Name, Name] = ("gateway", "asterisk")

ETC = Path(__file__).with_name("etc")
PBX_PORT = 5070
TARGET = str(DESTINATIONS["anna"]["number"])
"""Whom the platform asks for; whoever that is for the PBX, its second party answers."""
ROOM = 1600
SCRAPED_EVERY_S = 5.0
ASKED_EVERY_S = 0.25
"""How often one is asked whether all is over: each question costs it something."""

SETTINGS = {
    "gateway": (
        "one process; the gate follows a PBX over AMI, which tells of ten changes for each call and of who answers it; "
        "outbox and history on disk; every event to a mosquitto; "
        f"`/metrics` asked for every {SCRAPED_EVERY_S:.0f} s; log at info to a file; max_calls {ROOM}"
    ),
    "asterisk": (
        "chan_pjsip, `Dial` and its own REFER handling (TRANSFER_CONTEXT); direct_media off; A-law only; log of "
        "notices, warnings and errors to a file; CDR and CEL off; the modules of the test bed, some seventy"
    ),
}


class System(ABC):
    """One that takes callers from the PBX's address, calls the platform, and transfers them."""

    name: Name
    sip: Address
    ready_s: float
    """From the start of its process until it takes calls."""

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(self, *_: object) -> None: ...

    @property
    @abstractmethod
    def pid(self) -> int:
        """Its one process."""

    @abstractmethod
    async def busy(self) -> int:
        """How many legs, calls and transfers it still has."""

    @abstractmethod
    def expects(self, calls_per_second: float) -> None:
        """What comes next: what happens in the PBX meanwhile depends on it."""

    def rings(self, call_id: str, picked_up: Callable[[], None]) -> None:
        """The second party is called: what the PBX tells of it, until it is `picked_up`."""
        picked_up()

    async def idle(self, timeout_s: float) -> bool:
        """Wait until nothing is left; whether that was so in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while await self.busy():  # noqa: ASYNC110  # no event tells it: it is asked over the network
                    await asyncio.sleep(ASKED_EVERY_S)
                return True
        return False


class GatewaySystem(System):
    """The gateway between a platform, a PBX, a broker and one who reads its metrics."""

    name = "gateway"

    def __init__(self, net: Net, *, broker: Broker | ScriptedBroker | None = None, read: bool = True) -> None:
        """`broker`: another than a mosquitto; `read`: whether somebody asks for its metrics."""
        self._net = net
        self._read = read
        self._broker = broker or Broker()
        self._pbx = BusyPbx()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._broker)
        await self._stack.enter_async_context(self._pbx)
        self.gateway = self.made(production(self._net, self._broker, self._pbx))
        begun = time.monotonic()
        await self._stack.enter_async_context(self.gateway)
        self.ready_s = time.monotonic() - begun
        self.sip = self.gateway.sip
        if self._read:
            reading = asyncio.create_task(self._read_metrics())
            self._stack.callback(reading.cancel)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def made(self, files: Configuration) -> Gateway:
        """The gateway's process, not started."""
        return Started(files)

    @property
    def pid(self) -> int:
        return self.gateway.child.pid

    def expects(self, calls_per_second: float) -> None:
        self._pbx.calls_per_second = calls_per_second

    def rings(self, call_id: str, picked_up: Callable[[], None]) -> None:
        self._pbx.rings(call_id, picked_up)

    async def busy(self) -> int:
        status = await self.gateway.get("/api/status")
        return int(status["calls"] + status["transfers"] + sum(status["sip"].values()))

    async def _read_metrics(self) -> None:
        while True:
            await asyncio.sleep(SCRAPED_EVERY_S)
            with suppress(aiohttp.ClientError, OSError):
                await self.gateway.http("GET", "/metrics")


class Started(Gateway):
    """A gateway that loads its modules itself, as one in production has to."""

    copied = False


class AsteriskSystem(AsteriskServer, System):
    """Asterisk in the gateway's place."""

    name = "asterisk"

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.sip = (net.gateway, 5060)
        self.install(ETC, {"@HOST@": net.gateway, "@PBX@": net.pbx, "@TRUNK@": net.trunk})
        common = self.etc / "asterisk.conf"
        # Each leg takes four descriptors.
        common.write_text(common.read_text() + "maxfiles = 20000\n")

    async def __aenter__(self) -> Self:
        begun = time.monotonic()
        await self.start()
        self.ready_s = time.monotonic() - begun
        return self

    async def __aexit__(self, *_: object) -> None:
        await AsteriskServer.__aexit__(self)

    @property
    def pid(self) -> int:
        assert self.child is not None
        return self.child.pid

    async def busy(self) -> int:
        return await self.channels()

    def expects(self, calls_per_second: float) -> None:
        """It follows nobody."""


def production(net: Net, broker: Broker | ScriptedBroker, pbx: BusyPbx) -> Configuration:
    """The gateway's configuration."""
    files = Configuration(net.gateway, rtp_port_min=20000, rtp_port_max=29999, max_calls=ROOM)
    files.main["gateway"]["log_level"] = "info"
    files.trunk("hms", net.trunk, options_interval_s=0)  # the platform's end of the comparison answers calls alone
    files.pbx("asterisk", f"sip:{net.pbx}:{PBX_PORT}")
    pbx.followed_by(files)
    targets = [{"id": name, **DESTINATIONS[name], "max_concurrent": ROOM} for name in ("anna", "sales")]
    files.number("main-line", NUMBER, "hms", "asterisk", targets)
    files.main["mqtt"] = {"host": broker.host, "port": broker.port}
    return files


def system(name: Name, net: Net) -> System:
    """One of the two, to be entered."""
    return GatewaySystem(net) if name == "gateway" else AsteriskSystem(net)
